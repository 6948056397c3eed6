"""Makes the layers shown by the two halves: bicubic first, then all others, the network tile by tile.

The network does not wait for bicubic if it can start at once: its first tile of a large photograph is ready seconds
earlier. Until there is a bicubic to paint them into, such tiles are drawn over whatever is shown meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING
from weakref import WeakSet

from PySide6.QtCore import QObject, Signal

from vdsr_app.core.job import UpscaleSettings
from vdsr_app.core.picture import Picture
from vdsr_app.core.pyramid import MipPyramid
from vdsr_app.errors import PictureTooLargeError
from vdsr_app.gui.painted_layers import PaintedLayers
from vdsr_app.gui.texts import report_of
from vdsr_app.workers.messages import (
    ErrorReport,
    JobProgress,
    LayerJob,
    LayerKind,
    LayerResult,
    LayerSpec,
    Rect,
    TileBlock,
)

if TYPE_CHECKING:
    from vdsr_app.workers.upscale import UpscaleService

BICUBIC = LayerSpec(LayerKind.BICUBIC)


class LayerState(StrEnum):
    """Progress of a layer."""

    WAITING = "waiting"
    RUNNING = "running"
    STOPPED = "stopped"
    """Cancelled or failed; restarted only on request."""
    DONE = "done"


@dataclass(frozen=True, slots=True, eq=False)
class _Former:
    """What was finished before a start that was refused for lack of memory.

    Attributes:
        picture: the source.
        settings: size and device.
        results: the layers, except a reference, which may have changed by then.
    """

    picture: Picture
    settings: UpscaleSettings
    results: dict[LayerSpec, LayerResult]


class Comparison(QObject):
    """The layers of one picture at one size.

    Layers that do not fit in memory are not started: they become STOPPED, and `failed` reports it.

    Results of abandoned jobs are dropped, whenever they arrive.

    Signals:
        changed: a `pyramid` or `state` may have changed.
        painted: a `Rect` of a layer's pixels that has new content.
        progressed: `LayerSpec` and `JobProgress` of a running layer.
        finished: the `LayerResult`.
        failed: the `ErrorReport`.
        noticed: a sentence about a layer being made.
    """

    changed = Signal()
    painted = Signal(object)
    progressed = Signal(object, object)
    finished = Signal(object)
    failed = Signal(object)
    noticed = Signal(str)

    def __init__(
        self,
        service: UpscaleService,
        visible_region: Callable[[], Rect | None] = lambda: None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._service = service
        self._fitting = False
        self._visible_region = visible_region
        self._picture: Picture | None = None
        self._settings = UpscaleSettings()
        self._wanted: tuple[LayerSpec, ...] = ()
        self._spare: LayerSpec | None = None
        self._reference: Picture | None = None
        self._jobs: dict[int, LayerSpec] = {}
        self._results: dict[LayerSpec, LayerResult] = {}
        self._former: _Former | None = None
        self._unfinished = PaintedLayers(self)
        self._unfinished.completed.connect(self.changed)
        self._stopped: set[LayerSpec] = set()
        # Of all results still shown, including those of former sizes, which go when the new ones arrive.
        self._pyramids: WeakSet[MipPyramid] = WeakSet()
        service.fitting_changed.connect(self._on_fitting_changed)
        service.tile_finished.connect(self._on_tile_finished)
        service.progress.connect(self._on_progress)
        service.notice.connect(self._on_notice)
        service.succeeded.connect(self._on_succeeded)
        service.failed.connect(self._on_failed)
        service.cancelled.connect(self._on_cancelled)

    @property
    def running(self) -> bool:
        """Whether a layer is being made."""
        return bool(self._jobs)

    @property
    def fitting(self) -> bool:
        """Whether the network is being tuned for this processor, which its layers wait for."""
        return self._fitting

    @property
    def stopped(self) -> bool:
        """Whether a wanted layer was cancelled, failed, or was refused for lack of memory."""
        return any(self.state(spec) is LayerState.STOPPED for spec in (BICUBIC, *self._wanted))

    def start(
        self,
        picture: Picture,
        settings: UpscaleSettings,
        wanted: Iterable[LayerSpec],
        keep: LayerSpec | None = None,
    ) -> None:
        """Abandon what is running and make layers for another picture, size or device.

        If there is not enough memory, what was finished before is kept for a start that goes back to it.

        Args:
            picture: the source.
            settings: size and device.
            wanted: most important first.
            keep: as for `want`, if this goes back to what was finished before.
        """
        self._abandon(list(self._jobs))
        if self._picture is not None and self._results:
            made = {spec: r for spec, r in self._results.items() if spec.kind is not LayerKind.REFERENCE}
            self._former = _Former(self._picture, self._settings, made)
        if self._former is not None and self._former.picture is not picture:
            self._former = None
        self._picture, self._settings, self._wanted, self._spare = picture, settings, tuple(wanted), None
        self._results = {}
        self._unfinished.keep(())
        self._stopped.clear()
        if self._former is not None and _same_layers(self._former.settings, settings):
            self._results, self._former = self._former.results, None
            self.want(self._wanted, keep)
            return
        if not self._has_memory():
            return
        self._former = None
        self._submit(BICUBIC)
        models: list[LayerSpec] = []
        if self._can_begin_early(picture):
            size = settings.target.size_for(picture.width, picture.height)
            models = [spec for spec in self._wanted if spec.kind is LayerKind.MODEL]
            self._unfinished.begin_early(models, size.width, size.height)
        # Announced before they are submitted, so that the visible region is one of the new size.
        self.changed.emit()
        for spec in models:
            self._submit(spec)
        self.changed.emit()

    def want(self, wanted: Iterable[LayerSpec], keep: LayerSpec | None = None) -> None:
        """Change which layers are made besides bicubic; those finished and still wanted are kept.

        Args:
            wanted: most important first.
            keep: if it has been made or started, it is not abandoned, wanted or not, while memory suffices.
        """
        before, self._wanted = self._wanted, tuple(wanted)
        there = keep in self._results or keep in self._jobs.values()
        self._spare = keep if there and keep not in (BICUBIC, *self._wanted) else None
        if self._spare is not None:
            self._wanted += (self._spare,)
        if not set(self._wanted) <= {BICUBIC, *before}:
            self._stopped.discard(BICUBIC)  # a request for another layer includes what it depends on
        self._give_up_unwanted()
        self._submit_waiting()
        self.changed.emit()

    def set_reference(self, picture: Picture | None) -> None:
        """Set the reference to show once it is wanted; its file may have changed or gone by then."""
        self._reference = picture
        self._abandon([job for job, spec in self._jobs.items() if spec.kind is LayerKind.REFERENCE])
        self._results = {s: r for s, r in self._results.items() if s.kind is not LayerKind.REFERENCE}
        self._stopped = {spec for spec in self._stopped if spec.kind is not LayerKind.REFERENCE}

    def stop(self) -> None:
        """Cancel everything that runs; what has been painted stays on screen."""
        self._stopped |= {BICUBIC, *self._wanted} - set(self._results)
        self._abandon(list(self._jobs))
        self.changed.emit()

    def run(self, *, again: bool = False, also: LayerSpec | None = None) -> None:
        """Start what was stopped or failed.

        Args:
            again: remake finished network layers, too.
            also: make this layer, too, if it is not wanted yet.
        """
        if self._picture is None:
            return
        self._spare = None
        if also is not None and also not in self._wanted:
            self._wanted = (also, *self._wanted)
        self._stopped.clear()
        if again:
            self._results = {s: r for s, r in self._results.items() if s.kind is not LayerKind.MODEL}
        self._unfinished.keep(self._jobs.values())
        self._submit_waiting()
        self.changed.emit()

    def set_visible(self, rect: Rect | None) -> None:
        """Report the region now on screen, so that running network layers do it first."""
        for job, spec in self._jobs.items():
            if spec.kind is LayerKind.MODEL:
                self._service.set_visible(job, rect)

    def result(self, spec: LayerSpec) -> LayerResult | None:
        """Return the layer if it is finished, or None."""
        return self._results.get(spec)

    def state(self, spec: LayerSpec) -> LayerState:
        """Return the progress of a layer; one that would wait for a stopped bicubic is stopped, too."""
        if spec in self._results:
            return LayerState.DONE
        if spec in self._jobs.values():
            return LayerState.RUNNING
        return LayerState.STOPPED if {spec, BICUBIC} & self._stopped else LayerState.WAITING

    def pyramid(self, spec: LayerSpec) -> MipPyramid | None:
        """Return what to show for a layer now: itself, what is painted of it so far, bicubic instead, or None."""
        if spec in self._results:
            return self._results[spec].pyramid
        bicubic = self._results.get(BICUBIC)
        return self._unfinished.shown(spec) or (None if bicubic is None else bicubic.pyramid)

    def early_tiles(self, spec: LayerSpec) -> MipPyramid | None:
        """Return a layer's tiles while there is no bicubic to paint them into; they are drawn over what is shown."""
        return self._unfinished.early(spec)

    def _can_begin_early(self, picture: Picture) -> bool:
        """Not while torch is yet to be loaded, which would delay bicubic, nor if tiles may be transparent."""
        return self._service.network_ready and picture.alpha is None

    def _submit_waiting(self) -> None:
        """Submit the wanted layers that are neither finished, running nor stopped; bicubic before all others."""
        first = [BICUBIC] if BICUBIC not in self._results else list(self._wanted)
        waiting = [spec for spec in first if self.state(spec) is LayerState.WAITING]
        if waiting and self._has_memory():
            self._former = None
            for spec in waiting:
                self._submit(spec)

    def _has_memory(self) -> bool:
        """Whether all layers fit in memory, if need be without the spare one; if not, stop those waiting and report."""
        # Imported late, so that the first window does not wait for it.
        from vdsr_app.core.image_io.limits import check_memory_to_compare

        if self._picture is None:
            return True
        layers = {BICUBIC, *self._wanted}
        painted = [spec for spec in layers - set(self._results) if spec.kind is LayerKind.MODEL]
        read = [spec for spec in layers if spec.kind is LayerKind.REFERENCE and self._reference is not None]
        size = self._settings.target.size_for(self._picture.width, self._picture.height)
        try:
            check_memory_to_compare(
                self._picture,
                size,
                layers=len(layers),
                painted=len(painted),
                read=len(read),
                held_bytes=self._held_bytes(),
            )
        except PictureTooLargeError as error:
            if self._spare is not None:
                self._wanted = tuple(spec for spec in self._wanted if spec != self._spare)
                self._spare = None
                self._give_up_unwanted()
                return self._has_memory()
            self._stopped |= {spec for spec in layers if self.state(spec) is LayerState.WAITING}
            self.changed.emit()
            self.failed.emit(report_of(error))
            return False
        return True

    def _held_bytes(self) -> int:
        """Memory of what has been made, for this size or a former one that is still shown.

        Excludes a reference's picture, which is not made here and stays when its layer goes.
        """
        former = {} if self._former is None else self._former.results
        results = (*self._results.values(), *former.values())
        pictures = [result.picture for result in results if result.layer.kind is not LayerKind.REFERENCE]
        planes = [plane for picture in pictures for plane in (picture.pixels, picture.alpha) if plane is not None]
        shown = sum(pyramid.nbytes for pyramid in self._pyramids) + self._unfinished.nbytes
        return sum(plane.nbytes for plane in planes) + shown

    def _submit(self, spec: LayerSpec) -> None:
        if self._picture is None:
            return
        if spec.kind is LayerKind.MODEL and BICUBIC in self._results:
            self._unfinished.begin(spec, self._results[BICUBIC].pyramid)
        reference = self._reference if spec.kind is LayerKind.REFERENCE else None
        job = LayerJob(self._picture, spec, self._settings, self._visible_region(), reference)
        self._jobs[self._service.submit(job)] = spec

    def _abandon(self, jobs: list[int]) -> None:
        for job in jobs:
            del self._jobs[job]
            self._service.cancel(job)

    def _give_up_unwanted(self) -> None:
        kept = {BICUBIC, *self._wanted}
        self._abandon([job for job, spec in self._jobs.items() if spec not in kept])
        self._unfinished.keep(kept)
        self._results = {spec: result for spec, result in self._results.items() if spec in kept}
        self._stopped &= kept

    def _on_fitting_changed(self, fitting: bool) -> None:
        self._fitting = fitting
        self.changed.emit()

    def _on_tile_finished(self, job: int, block: TileBlock) -> None:
        spec = self._jobs.get(job)
        if spec is not None and self._unfinished.write(spec, block):
            height, width = block.rgba.shape[:2]
            self.painted.emit((block.x, block.y, width, height))

    def _on_progress(self, job: int, progress: JobProgress) -> None:
        if job in self._jobs:
            self.progressed.emit(self._jobs[job], progress)

    def _on_notice(self, job: int, text: str) -> None:
        if job in self._jobs:
            self.noticed.emit(text)

    def _on_succeeded(self, job: int, result: object) -> None:
        spec = self._jobs.pop(job, None)
        if spec is None or not isinstance(result, LayerResult):
            return
        self._results[spec] = result
        self._pyramids.add(result.pyramid)
        self._unfinished.drop(spec)
        if spec == BICUBIC:
            self._unfinished.set_bicubic(result.pyramid)
        # Announced before the next is submitted, so that the visible region is one of the new size.
        self.changed.emit()
        self._submit_waiting()
        self.changed.emit()
        self.finished.emit(result)

    def _on_failed(self, job: int, report: ErrorReport) -> None:
        spec = self._jobs.pop(job, None)
        if spec is None:
            return
        self._stopped.add(spec)
        self.changed.emit()
        self.failed.emit(report)

    def _on_cancelled(self, job: int) -> None:
        spec = self._jobs.pop(job, None)
        if spec is not None:
            self._stopped.add(spec)
            self.changed.emit()


def _same_layers(one: UpscaleSettings, other: UpscaleSettings) -> bool:
    """Whether two settings give the same layers; `model` is ignored, because each layer names its own."""
    return replace(one, model="") == replace(other, model="")
