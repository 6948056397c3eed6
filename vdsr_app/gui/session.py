"""The open picture and what is done with it: the window's state without its widgets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from vdsr_app.core.job import SaveOptions, Target, TargetSize, UpscaleSettings
from vdsr_app.core.model_choice import ModelChoice
from vdsr_app.core.picture import Picture
from vdsr_app.core.pyramid import MipPyramid
from vdsr_app.gui.clipboard import ClipboardCopy
from vdsr_app.gui.comparison import Comparison, LayerState
from vdsr_app.gui.exporter import Exporter, SaveRequest
from vdsr_app.gui.halves import half_of
from vdsr_app.gui.model_list import ModelList
from vdsr_app.gui.opener import Opener
from vdsr_app.gui.scores import Reference, Scores
from vdsr_app.gui.settings import AppSettings
from vdsr_app.gui.setup import Half, Setup, layer_spec, remembered_halves
from vdsr_app.gui.targets import feasible
from vdsr_app.workers.messages import ErrorReport, LayerKind, LayerResult, LayerSpec, OpenedPicture, Rect

if TYPE_CHECKING:
    from vdsr_app.workers.upscale import UpscaleService

_DEFAULT_SAVE = SaveOptions()


class Session(QObject):
    """The open picture, its layers and its result; sends jobs to the service and notifies the widgets.

    Attributes:
        comparison: makes the layers.
        exporter: writes the result.
        clipboard: copies the result.
        scores: measures against a reference.

    Signals:
        picture_changed: another picture is open.
        setup_changed: the `Setup`, or the size that follows from it, has changed.
        halves_changed: `left_half` or `right_half` has changed.
        result_changed: the result became ready, or no longer exists.
        opening_changed: a file is being read, or no longer.
        opened: the user has opened a picture: the `Path` of its file, or None if it has none.
        not_saved: the `Path` of a file that will not be written: its result was abandoned, or its writing cancelled.
        not_opened: the `ErrorReport` of a picture that cannot be read.
        failed: the `ErrorReport` of any failure, including those of `not_opened`.
    """

    picture_changed = Signal()
    setup_changed = Signal()
    halves_changed = Signal()
    result_changed = Signal()
    opening_changed = Signal()
    opened = Signal(object)
    not_saved = Signal(object)
    not_opened = Signal(object)
    failed = Signal(object)

    def __init__(
        self,
        service: UpscaleService,
        models: ModelList,
        settings: AppSettings,
        visible_region: Callable[[], Rect | None] = lambda: None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.comparison = Comparison(service, visible_region, self)
        self.exporter = Exporter(service, self)
        self.clipboard = ClipboardCopy(service, self)
        self.scores = Scores(service, self)
        self._models = models
        self._picture: Picture | None = None
        self._first_view: MipPyramid | None = None
        self._is_sample = False
        self._sample: Path | None = None
        self._halves: tuple[Half | None, Half | None] = (None, None)
        requested = models.usable(settings.model)
        model = models.choose(requested, None).name
        self._setup = Setup(
            settings.target,
            requested,
            model,
            *remembered_halves(settings.left, settings.right, model),
            settings.device,
            settings.precision,
            settings.self_ensemble,
        )
        self._opener = Opener(service, self)
        self._opener.changed.connect(self.opening_changed)
        self._opener.opened.connect(self._on_opened)
        self._opener.failed.connect(self.not_opened)
        self._opener.failed.connect(self.failed)
        self.comparison.changed.connect(self._refresh_halves)
        self.comparison.finished.connect(self._on_layer_finished)
        self.comparison.failed.connect(self._on_layer_failed)
        self.exporter.failed.connect(self.failed)
        self.exporter.given_up.connect(self.not_saved)
        self.scores.opening_changed.connect(self.opening_changed)
        self.scores.failed.connect(self.failed)
        self.scores.opened.connect(self._on_reference_opened)

    @property
    def picture(self) -> Picture | None:
        """The open picture, or None."""
        return self._picture

    @property
    def is_sample(self) -> bool:
        """Whether the open picture is the program's own sample."""
        return self._is_sample

    @property
    def opening(self) -> str | None:
        """The name of the picture or reference being read, or None."""
        return self._opener.name or self.scores.opening

    @property
    def setup(self) -> Setup:
        """The user's choices."""
        return self._setup

    @property
    def choice(self) -> ModelChoice:
        """Which model makes the result of the open picture, and why."""
        return self._choice(self._setup.requested_model, self._picture)

    @property
    def target(self) -> Target:
        """The requested size, or the nearest scale factor if that is out of reach for the open picture."""
        requested, picture = self._setup.target, self._picture
        return requested if picture is None else feasible(requested, picture.width, picture.height)

    @property
    def size(self) -> TargetSize | None:
        """Size of the result, or None without a picture."""
        if self._picture is None:
            return None
        return self.target.size_for(self._picture.width, self._picture.height)

    @property
    def left_half(self) -> Half | None:
        """What the left half shows now."""
        return self._halves[0]

    @property
    def right_half(self) -> Half | None:
        """What the right half shows now."""
        return self._halves[1]

    @property
    def result_spec(self) -> LayerSpec:
        """The layer that "Save as" and "Copy" apply to."""
        return LayerSpec(LayerKind.MODEL, model=self._setup.model)

    @property
    def result(self) -> LayerResult | None:
        """The result if it is finished, or None."""
        return self.comparison.result(self.result_spec)

    def settings(self, save: SaveOptions = _DEFAULT_SAVE) -> UpscaleSettings:
        """The user's choices for any picture: the requested size, and "auto" if the program chooses the model."""
        setup = self._setup
        return UpscaleSettings(
            target=setup.target,
            model=setup.requested_model,
            device=setup.device,
            precision=setup.precision,
            save=save,
            self_ensemble=setup.self_ensemble,
        )

    def open(self, path: Path, *, is_sample: bool = False) -> None:
        """Read a file; the current picture stays until then."""
        self._sample = path if is_sample else None
        self._opener.open(path)

    def paste(self, take: Callable[[], Picture], name: str) -> None:
        """Take a picture that is not a file, with `name` to display; the current picture stays until then."""
        self._sample = None
        self._opener.take(take, name)

    def adopt(self, opened: OpenedPicture, *, is_sample: bool = False) -> None:
        """Make a picture the open one and start on its layers; reading of another is cancelled."""
        self._opener.cancel()
        self.exporter.forget()
        self._picture, self._first_view, self._is_sample = opened.picture, opened.pyramid, is_sample
        self._setup = self._setup.with_model(self.choice.name)
        # A reference of the new result's size stays: it serves to judge versions of one picture in turn.
        if self.size is None or not self.scores.fits(self.size):
            self._setup = self._setup.with_reference(None)
        self._halves = (None, None)
        self.picture_changed.emit()
        self.setup_changed.emit()
        self._start()

    def set_target(self, target: Target) -> None:
        """Request another size; a picture that cannot reach it is scaled as close to it as possible."""
        if target != self._setup.target:
            before = self.target
            self._setup = replace(self._setup, target=target)
            self.setup_changed.emit()
            if self.target != before:
                self._restart()

    def set_processing(self, device: str, precision: str) -> None:
        """Compute on another device or in another precision."""
        if (device, precision) != (self._setup.device, self._setup.precision):
            self._setup = replace(self._setup, device=device, precision=precision)
            self._restart()

    def set_self_ensemble(self, enabled: bool) -> None:
        """Run the network on all eight flips and rotations, or only on the picture as it is."""
        if enabled != self._setup.self_ensemble:
            self._setup = replace(self._setup, self_ensemble=enabled)
            self.setup_changed.emit()
            self._restart()

    def reset(self, settings: AppSettings) -> None:
        """Apply the choices in `settings`."""
        requested = self._models.usable(settings.model)
        model = self._choice(requested, self._picture).name
        self._show(
            replace(
                self._setup,
                requested_model=requested,
                model=model,
                left=layer_spec(settings.left, model),
                right=layer_spec(settings.right, model),
            )
        )
        self.set_self_ensemble(settings.self_ensemble)
        self.set_target(settings.target)

    def set_model(self, name: str) -> None:
        """Make the result with another model, "auto" for the one that suits the picture; show it on the right."""
        model = self._choice(name, self._picture).name
        right = layer_spec(LayerKind.MODEL, model)
        self._show(replace(self._setup, requested_model=name, model=model, right=right))

    def set_left(self, spec: LayerSpec) -> None:
        """Show another layer on the left."""
        self._show(replace(self._setup, left=spec))

    def set_right(self, spec: LayerSpec) -> None:
        """Show another layer on the right; a model there becomes the one that makes the result.

        Showing the model already in use does not request it: an automatic choice stays automatic.
        """
        setup = replace(self._setup, right=spec)
        if spec.kind is LayerKind.MODEL and spec.model != setup.model:
            setup = replace(setup, requested_model=spec.model, model=spec.model)
        self._show(setup)

    def swap(self) -> None:
        """Swap the halves; the result stays what it is."""
        self._show(replace(self._setup, left=self._setup.right, right=self._setup.left))

    def run(self, *, again: bool = False) -> None:
        """Resume what was cancelled or failed, and in any case the result; `again` remakes the network's layers."""
        self.comparison.run(again=again, also=self.result_spec)
        self.result_changed.emit()

    def cancel(self) -> None:
        """Stop everything that runs: reading, layers, saving, copying."""
        self._opener.cancel()
        self.scores.cancel()
        self.exporter.forget()
        self.comparison.stop()
        self.exporter.stop()
        self.clipboard.cancel()

    def save(self, request: SaveRequest) -> None:
        """Write the result; if it is not finished, as soon as it is."""
        result = self.result
        if result is not None:
            self.exporter.save(result.picture, request)
            return
        self.exporter.save_later(request)
        self._want()
        # If memory is short, the request has been dropped by now.
        if self.exporter.pending is not None and self.comparison.state(self.result_spec) is LayerState.STOPPED:
            self.comparison.run()

    def _show(self, setup: Setup) -> None:
        if setup == self._setup:
            return
        if setup.model != self._setup.model:
            self.exporter.forget()
        self._setup = setup
        self.setup_changed.emit()
        self._want()
        self.result_changed.emit()

    def _want(self) -> None:
        # A glance at another layer is no reason to make the result again.
        self.comparison.want(self._wanted(), keep=self.result_spec)

    def _restart(self) -> None:
        self.exporter.forget()
        self._start()

    def _start(self) -> None:
        if self._picture is None:
            return
        self.scores.clear()
        settings = replace(self.settings(), target=self.target, model=self._setup.model)
        self.comparison.start(self._picture, settings, self._wanted(), keep=self.result_spec)
        self._measure()
        self.result_changed.emit()

    def _choice(self, requested: str, picture: Picture | None) -> ModelChoice:
        return self._models.choose(requested, None if picture is None else picture.source.compression)

    def _wanted(self) -> list[LayerSpec]:
        """Layers to make, the result first."""
        specs = [self._setup.right, self._setup.left]
        if self.result_spec in specs or self.exporter.pending is not None:
            specs.insert(0, self.result_spec)
        return list(dict.fromkeys(specs))

    def _refresh_halves(self) -> None:
        specs = (self._setup.left, self._setup.right)
        left, right = (
            half_of(spec, self.comparison, self._models, before, self._first_view)
            for spec, before in zip(specs, self._halves, strict=True)
        )
        halves = (left, right)
        if halves != self._halves:
            self._halves = halves
            self.halves_changed.emit()

    def _on_layer_finished(self, result: LayerResult) -> None:
        if self.size is not None and result.layer.kind is not LayerKind.REFERENCE:
            self.scores.measure(result, self.size)
        if result.layer == self.result_spec:
            self.exporter.finish(result.picture)
            self.result_changed.emit()

    def _on_layer_failed(self, report: ErrorReport) -> None:
        if self.comparison.state(self.result_spec) is LayerState.STOPPED:
            self.exporter.forget()
        self.failed.emit(report)

    def _on_reference_opened(self, reference: Reference | None) -> None:
        self.comparison.set_reference(None if reference is None else reference.picture)
        setup = self._setup.with_reference(None if reference is None else reference.path)
        if setup != self._setup:
            self._show(setup)
        else:  # the same file, perhaps with new content
            self._want()
        self._measure()

    def _measure(self) -> None:
        """Compare finished layers with the reference."""
        if self.size is None:
            return
        for spec in dict.fromkeys((LayerSpec(LayerKind.BICUBIC), self.result_spec, *self._wanted())):
            result = self.comparison.result(spec)
            if result is not None and spec.kind is not LayerKind.REFERENCE:
                self.scores.measure(result, self.size)

    def _on_opened(self, path: Path | None, opened: OpenedPicture) -> None:
        is_sample = path is not None and path == self._sample
        if not is_sample:
            self.opened.emit(path)
        self.adopt(opened, is_sample=is_sample)
