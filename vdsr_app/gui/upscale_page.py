"""The "Upscale" workspace: canvas and inspector, connected to a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from vdsr_app.core.job import Target
from vdsr_app.gui.actions import Actions, allow
from vdsr_app.gui.banner import Banner
from vdsr_app.gui.canvas_bar import CanvasBar
from vdsr_app.gui.compare.view import CompareMode, CompareView, Layer
from vdsr_app.gui.inspector import Inspector
from vdsr_app.gui.model_list import ModelList
from vdsr_app.gui.scores import Reference
from vdsr_app.gui.sections import upright_line
from vdsr_app.gui.session import Session
from vdsr_app.gui.settings import AppSettings
from vdsr_app.gui.setup import Half
from vdsr_app.gui.start_strip import StartStrip
from vdsr_app.gui.texts import file_name, size_text

if TYPE_CHECKING:
    from vdsr_app.workers.upscale import UpscaleService


class UpscalePage(QWidget):
    """Shows the state of the session, and passes the user's choices to it.

    Attributes:
        session: the open picture and what is done with it.
        view: the picture.
        banner: the messages above it.
        bar: modes, layers, zoom.
        inspector: the right pane.
        strip: the invitation below the sample.

    Signals:
        reference_requested: the user wants to choose a reference file.
    """

    reference_requested = Signal()

    def __init__(self, actions: Actions, models: ModelList, service: UpscaleService, settings: AppSettings) -> None:
        super().__init__()
        self._actions = actions
        self._models = models
        self._fit_next = False
        self._in_front = True
        self._shown_request: tuple[Target, tuple[int, int] | None] | None = None
        self.view = CompareView()
        self.session = Session(service, models, settings, self.view.visible_region, self)
        self.banner = Banner()
        self.bar = CanvasBar(actions, models)
        self.inspector = Inspector(models)
        self.strip = StartStrip()
        canvas = QVBoxLayout()
        canvas.setSpacing(0)
        canvas.addWidget(self.bar)
        canvas.addWidget(self.banner)
        canvas.addWidget(self.view, 1)
        canvas.addWidget(self.strip)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addLayout(canvas, 1)
        row.addWidget(upright_line())
        row.addWidget(self.inspector)
        self.inspector.export.set_actions(actions.save, actions.copy)
        self._connect_view()
        self._connect_session()
        self.show_settings(settings)
        self.inspector.picture.show_picture(None)

    def show_settings(self, settings: AppSettings) -> None:
        """Show the settings that concern this page."""
        self.inspector.scale.show_measure(settings.size_measure)
        self.inspector.export.show_options(settings.chosen_options)
        if settings.mode != self.view.mode.value:
            self.view.set_mode(CompareMode(settings.mode))
        self.view.set_smooth(settings.smooth)
        self._actions.inspector.setChecked(settings.inspector_visible)
        self.inspector.setVisible(settings.inspector_visible)

    def set_in_front(self, in_front: bool) -> None:
        """Set whether this workspace is shown; its shortcuts do nothing while another is."""
        self._in_front = in_front
        a, elsewhere = self._actions, self.tr("switch to Upscale first")
        for action in a.of_the_view():
            allow(action, in_front, elsewhere)
        if not in_front:
            for action in (a.save, a.copy):
                allow(action, False, elsewhere)
            for action in (a.run, a.cancel):  # until the workspace shown says otherwise
                allow(action, False, self.tr("switch to Upscale or Batch first"))
        self._show_result()

    def _connect_session(self) -> None:
        session, picker, panels = self.session, self.bar.picker, self.inspector
        picker.left_chosen.connect(session.set_left)
        picker.right_chosen.connect(session.set_right)
        picker.reference_requested.connect(self.reference_requested)
        panels.scale.target_changed.connect(session.set_target)
        panels.model.model_chosen.connect(session.set_model)
        panels.model.self_ensemble_chosen.connect(session.set_self_ensemble)
        session.picture_changed.connect(self._on_picture_changed)
        session.setup_changed.connect(self._on_setup_changed)
        session.halves_changed.connect(self._on_halves_changed)
        session.result_changed.connect(self._show_result)
        session.opening_changed.connect(self._show_result)
        session.clipboard.changed.connect(self._show_result)
        session.exporter.changed.connect(self._show_result)
        session.comparison.changed.connect(self._show_result)
        session.comparison.painted.connect(self.view.refresh)
        session.scores.opened.connect(self._on_reference_opened)
        self.view.visible_region_changed.connect(session.comparison.set_visible)
        self._on_setup_changed()
        self._show_result()

    def _connect_view(self) -> None:
        view, a = self.view, self._actions
        for action, mode in ((a.wipe, CompareMode.WIPE), (a.side, CompareMode.SIDE), (a.single, CompareMode.SINGLE)):
            action.setData(mode)
            action.triggered.connect(self._on_mode_triggered)
        for percent, action in a.zooms().items():
            action.setData(percent)
            action.triggered.connect(self._on_zoom_triggered)
        a.fit.triggered.connect(view.zoom_to_fit)
        a.fit.triggered.connect(self._on_zoom_changed)
        a.zoom_in.triggered.connect(view.zoom_in)
        a.zoom_out.triggered.connect(view.zoom_out)
        a.smooth.triggered.connect(view.set_smooth)
        view.smooth_changed.connect(a.smooth.setChecked)
        view.mode_changed.connect(self._on_mode_changed)
        view.zoom_changed.connect(self._on_zoom_changed)
        self._on_mode_changed(view.mode)
        self._on_zoom_changed()

    def _on_mode_triggered(self) -> None:
        action = self._actions.modes.checkedAction()
        if action is not None:
            self.view.set_mode(action.data())

    def _on_mode_changed(self, mode: CompareMode) -> None:
        for action in self._actions.modes.actions():
            action.setChecked(action.data() == mode)

    def _on_zoom_triggered(self) -> None:
        action = self.sender()
        for percent, candidate in self._actions.zooms().items():
            if action is candidate:
                self.view.zoom_at_cursor(percent)
        self._on_zoom_changed()

    def _on_zoom_changed(self) -> None:
        percent = self.view.zoom_percent
        self.bar.show_zoom(percent)
        self._actions.fit.setChecked(self.view.fits)
        for fixed, action in self._actions.zooms().items():
            action.setChecked(not self.view.fits and abs(percent - fixed) < 0.01)

    def _on_picture_changed(self) -> None:
        session = self.session
        if session.picture is None:
            return
        self._fit_next = True
        self.inspector.picture.show_picture(session.picture, is_sample=session.is_sample)
        self.inspector.export.show_source_bits(session.picture.bits)
        self.strip.setVisible(session.is_sample)
        if not session.is_sample:
            self.view.setFocus()

    def _on_setup_changed(self) -> None:
        session = self.session
        picture = session.picture
        source = None if picture is None else (picture.width, picture.height)
        request = (session.setup.target, source)
        if request != self._shown_request:  # else the slider may already have moved on
            self._shown_request = request
            self.inspector.scale.show_target(*request)
        self.inspector.model.show_choice(session.setup.requested_model, None if picture is None else session.choice)
        self.inspector.model.show_self_ensemble(session.setup.self_ensemble)
        self.bar.picker.show_layers(session.setup.left, session.setup.right)

    def _on_halves_changed(self) -> None:
        session = self.session
        self.view.set_layers(_layer(session.left_half), _layer(session.right_half))
        if self._fit_next and session.right_half is not None:
            self._fit_next = False
            self.view.zoom_to_fit()
            self._on_zoom_changed()

    def _on_reference_opened(self, reference: Reference | None) -> None:
        self.bar.picker.show_reference(None if reference is None else reference.path)

    def _show_result(self) -> None:
        session, a = self.session, self._actions
        there, running = session.picture is not None, session.comparison.running
        ready = session.result is not None
        opening = session.opening
        no_picture = self.tr("open a picture first")
        if opening is not None and not there:
            no_picture = self.tr("{name} is being opened").format(name=opening)
        self._show_opening(opening)
        unfinished = self.tr("the result is not finished") if there else no_picture
        if self._in_front:
            allow(a.save, there, no_picture)
            allow(a.copy, ready, unfinished)
            allow(a.run, there, no_picture)
            busy = running or opening is not None or bool(session.exporter.saving) or session.clipboard.running
            allow(a.cancel, busy, self.tr("nothing is running"))
        self.inspector.export.show_result(
            self._result_text(), why_not="" if ready else unfinished, primary=there and not session.is_sample
        )

    def _show_opening(self, name: str | None) -> None:
        """Say on the empty page that a picture is being opened."""
        words = "" if name is None else self.tr("Opening {name} … Esc cancels.").format(name=name)
        self.view.set_empty_text(words)
        self.inspector.scale.show_opening(name is not None)

    def _result_text(self) -> str:
        session = self.session
        if session.size is None:
            return self.tr("Nothing to save yet")
        pending = session.exporter.pending
        if pending is not None:
            return self.tr("{name} is saved as soon as it is finished").format(name=file_name(pending.path))
        model = self._models.title(session.setup.model)
        size = size_text(session.size.width, session.size.height)
        return self.tr("Saves the result of {model}, {size}").format(model=model, size=size)


def _layer(half: Half | None) -> Layer | None:
    return None if half is None else Layer(half.label, half.pyramid, half.under)
