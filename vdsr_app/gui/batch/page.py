"""The "Batch" workspace: drop folders, see what would be done, run it, see how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from vdsr_app.core.batch.estimate import Plan
from vdsr_app.core.batch.events import BatchReport, Progress
from vdsr_app.core.batch.items import Item, State
from vdsr_app.core.batch.options import BatchOptions, Existing
from vdsr_app.core.batch.unfinished import Unfinished
from vdsr_app.core.job import UpscaleSettings
from vdsr_app.gui.banner import Banner, BannerKind
from vdsr_app.gui.batch.flow import BatchFlow, Phase
from vdsr_app.gui.batch.options_panel import OptionsPanel
from vdsr_app.gui.batch.picture_list import PictureList
from vdsr_app.gui.batch.plan_panel import PlanPanel
from vdsr_app.gui.batch.run_strip import RunStrip
from vdsr_app.gui.batch.table import THUMBNAIL_PX
from vdsr_app.gui.file_manager import open_folder
from vdsr_app.gui.inspector import WIDTH
from vdsr_app.gui.notify import notify
from vdsr_app.gui.save_name import ask_for_name, with_ending
from vdsr_app.gui.sections import GROUP_GAP, PANE_GAP, level_line, upright_line
from vdsr_app.gui.settings import AppSettings, SettingsStore
from vdsr_app.gui.texts import duration_text, file_name, pictures_text
from vdsr_app.gui.theme import set_role
from vdsr_app.workers.batch import BatchService
from vdsr_app.workers.messages import ErrorReport


class BatchPage(QWidget):
    """Table and progress bars on the left, options and totals on the right.

    Attributes:
        banner: the message above the list.
        table: the pictures.
        options: the batch options.
        panel: totals, and the buttons for before and after a batch.
        strip: progress of a running batch.
        flow: state of the batch.

    Signals:
        settings_requested: the user wants to change size, model or format.
        activity_changed: what is running, in one line, or "".
        offer_changed: what the user can do now may have changed.
    """

    settings_requested = Signal()
    activity_changed = Signal(str)
    offer_changed = Signal()

    def __init__(self, service: BatchService, store: SettingsStore) -> None:
        super().__init__()
        self._service = service
        self._store = store
        self.banner = Banner()
        self.list = PictureList()
        self.table = self.list.table
        self.options = OptionsPanel()
        self.strip = RunStrip()
        self.panel = PlanPanel()
        self.flow = BatchFlow(service, store, lambda: self.options.options, self)
        self._lay_out()
        self._connect()
        self._remembered = _choices_in(store.current)
        self._refusal: str | None = None
        self._holds_focus = False
        self._waits_for_items = False  # of the running batch; until then the table shows what was there before
        self._progress: Progress | None = None
        self._show_remembered()
        self._on_phase_changed(self.phase)

    @property
    def phase(self) -> Phase:
        """Current state of the page."""
        return self.flow.phase

    @property
    def can_pause(self) -> bool:
        """Whether a batch is running and not being stopped."""
        return self.phase is Phase.RUNNING and self.strip.can_cancel

    def add(self, paths: Sequence[Path]) -> None:
        """Add files and folders, also during a batch."""
        self.flow.add(paths)

    def show_settings(self, settings: UpscaleSettings, words: str) -> None:
        """Show how pictures are upscaled, and in words; replans if that has changed."""
        changed = settings != self.options.settings
        self.options.show_settings(settings, words)
        if changed:
            self.flow.follow_settings()

    def begin(self) -> None:
        """Start, plan again or resume, whichever is possible now."""
        if self.panel.next_button is not None:
            self.panel.next_button.click()

    def cancel(self) -> None:
        """Stop the running batch; finished results are kept."""
        if self.can_pause:
            self._hold_focus(self.strip)
            self.strip.show_ending()
            self.flow.cancel()
            self.offer_changed.emit()

    def take_focus(self) -> None:
        """Move keyboard focus to where the user most likely continues."""
        if self.panel.take_focus():
            return
        (self.strip if self.phase is Phase.RUNNING else self.list).setFocus()

    def _focused(self) -> QWidget | None:
        """The control of this page that has the window's keyboard focus, or None if that is elsewhere."""
        widget = self.window().focusWidget()
        return widget if widget is not None and self.isAncestorOf(widget) else None

    def _hold_focus(self, *places: QWidget) -> None:
        """Move focus to the list if it is in one of `places`, which are about to be hidden or disabled.

        Otherwise Qt would hand it to some control at the other end of the window.
        """
        focused = self._focused()
        if focused is not None and any(place is focused or place.isAncestorOf(focused) for place in places):
            self._holds_focus = True
            self.list.hold_focus()

    def _pass_focus_on(self) -> None:
        """Move held focus to where the user most likely continues, unless it has moved elsewhere meanwhile."""
        focused = self._focused()
        if focused is not None and self._holds_focus and self.list.isAncestorOf(focused):
            self.take_focus()
        self._holds_focus = False

    def set_drop_hint(self, words: str | None) -> None:
        """Say what a drop would do; None ends that."""
        self.list.set_drop_hint(words)

    def _lay_out(self) -> None:
        left = QVBoxLayout()
        left.setSpacing(0)
        left.addWidget(self.banner)
        left.addWidget(self.list, 1)
        left.addWidget(self.strip)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addLayout(left, 1)
        row.addWidget(upright_line())
        row.addWidget(self._choices())

    def _choices(self) -> QWidget:
        """Options, which scroll in a small window, and below them plan and start button, which are always visible."""
        choices, content = QScrollArea(), QWidget()
        set_role(choices, "pane")
        choices.setFrameShape(QFrame.Shape.NoFrame)
        choices.setWidgetResizable(True)
        choices.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        choices.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        choices.setAccessibleName(self.tr("Batch settings"))
        inside = QVBoxLayout(content)
        inside.setContentsMargins(PANE_GAP - 4, PANE_GAP - 4, PANE_GAP - 4, GROUP_GAP)
        inside.addWidget(self.options)
        inside.addStretch(1)
        choices.setWidget(content)
        self.panel.setContentsMargins(PANE_GAP - 4, GROUP_GAP, PANE_GAP - 4, PANE_GAP - 4)
        pane = QWidget()
        pane.setFixedWidth(WIDTH)
        pane.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        set_role(pane, "pane")
        column = QVBoxLayout(pane)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(choices, 1)
        column.addWidget(level_line())
        column.addWidget(self.panel)
        return pane

    def _connect(self) -> None:
        flow, service = self.flow, self._service
        self._store.changed.connect(self._on_store_changed)
        flow.phase_changed.connect(self._on_phase_changed)
        flow.outdated.connect(self._on_outdated)
        flow.folder_proposed.connect(self.options.show_folder)
        flow.planned.connect(self._on_planned)
        flow.plan_failed.connect(self._on_plan_failed)
        flow.items_changed.connect(self._on_items_changed)
        flow.room_awaited.connect(self.strip.show_waiting)
        flow.progressed.connect(self._on_progressed)
        flow.paused_changed.connect(self._on_paused_changed)
        flow.ended.connect(self._on_ended)
        flow.stopped.connect(self._on_stopped)
        flow.failed.connect(self._on_failed)
        flow.interrupted_found.connect(self._on_interrupted_found)
        service.fitting_changed.connect(self.strip.show_fitting)
        service.reported.connect(self._on_reported)
        service.report_failed.connect(self.banner.show_report)
        service.thumbnail_made.connect(self.table.show_thumbnail)
        service.thumbnail_dropped.connect(self.table.forget_thumbnail)
        self.table.thumbnail_requested.connect(self._on_thumbnail_requested)
        self.options.changed.connect(self._on_options_changed)
        self.options.problem_changed.connect(self._allow_start)
        self.options.folder_requested.connect(self._on_folder_requested)
        self.options.settings_requested.connect(self.settings_requested)
        self.strip.pause_requested.connect(flow.pause_or_continue)
        self.strip.cancel_requested.connect(self.cancel)
        self.list.paths_chosen.connect(self.add)
        self.list.clear_requested.connect(self._on_clear)
        self.panel.start_requested.connect(flow.start)
        self.panel.replan_requested.connect(flow.plan)
        self.panel.resume_requested.connect(flow.resume_last)
        self.panel.retry_requested.connect(flow.retry)
        self.panel.folder_requested.connect(self._on_open_folder)
        self.panel.report_requested.connect(self._on_report)

    # Signals of the flow

    def _on_outdated(self) -> None:
        self._hold_focus(self.banner)
        self.banner.dismiss()

    def _on_phase_changed(self, phase: Phase) -> None:
        running = phase is Phase.RUNNING
        self.list.show_empty(phase is Phase.EMPTY)
        self._hold_focus(self.panel, self.strip, self.list.clear, *((self.options,) if running else ()))
        self.strip.setVisible(running)
        self.options.set_locked(running)
        self.panel.show_buttons(ended=phase is Phase.ENDED, again=phase is Phase.UNPLANNED)
        self.list.allow_clear(phase not in (Phase.EMPTY, Phase.RUNNING))
        reason = {
            Phase.EMPTY: self.tr("Add pictures first"),
            Phase.PLANNING: self.tr("The pictures are still being checked"),
            Phase.UNPLANNED: self.tr("The pictures could not be checked"),
            Phase.RUNNING: self.tr("The batch is running"),
            Phase.ENDED: self.tr("The batch has ended"),
        }.get(phase)
        self._refuse_start(reason)
        if phase is Phase.EMPTY:
            self.panel.say(self.tr("Nothing to do yet"))
        if phase is Phase.PLANNING:
            self.panel.say(self.tr("Checking the pictures…"))
        if running:
            self._waits_for_items = True
            self._progress = None
            self.strip.begin()
            self._pass_focus_on()
        else:
            self.activity_changed.emit("")
        self.offer_changed.emit()

    def _on_planned(self, plan: Plan, options: BatchOptions) -> None:
        self.table.show_items(plan.items, self.flow.output)
        self._holds_focus |= self.list.adding_has_focus
        if not plan.items:
            self._pass_focus_on()
            self.banner.show_message(BannerKind.NOTICE, self.tr("It contains no pictures."))
            return
        named = [item for item in plan.items if item.has_output and item.facts.width]
        if named:
            first = next((item for item in named if item.state is State.QUEUED), named[0])
            self.options.show_example(first, options)
        self.panel.show_plan(plan)
        if plan.lacks_room:
            self.banner.show_message(
                BannerKind.NOTICE, self.tr("The disk is too small for everything: the batch will wait for space.")
            )
        self._refuse_start(None if plan.totals.queued else self.tr("There is nothing to do"))
        self._pass_focus_on()

    def _refuse_start(self, reason: str | None) -> None:
        """Block the start for a reason, or allow it if there is none."""
        self._refusal = reason
        self._allow_start()

    def _allow_start(self) -> None:
        reason = self.options.problem or self._refusal
        self.panel.allow_start(reason is None, reason or "")
        self.offer_changed.emit()

    def _on_plan_failed(self, report: ErrorReport) -> None:
        self.table.show_items([], Path())
        self.panel.say(report.what)
        self._pass_focus_on()
        self.banner.show_report(report)

    def _on_items_changed(self, items: Sequence[Item]) -> None:
        if self._waits_for_items:
            self._waits_for_items = False
            self.table.show_items([], self.flow.output)
        self.table.update_items(items)

    def _on_progressed(self, progress: Progress, name: str) -> None:
        self.table.show_progress(progress.number, 100 * progress.done_px // max(1, progress.total_px))
        self.strip.show_progress(progress, name)
        self._progress = progress
        self._tell_activity()

    def _on_paused_changed(self, paused: bool) -> None:
        self.table.show_paused(paused)
        self.strip.show_paused(paused)
        self.offer_changed.emit()
        self.panel.say(self.tr("Paused") if paused else self.tr("Running"))
        self._tell_activity()

    def _tell_activity(self) -> None:
        progress, left = self._progress, ""
        if self.flow.paused:
            left = self.tr("paused")
        elif progress is not None and progress.left_s is not None:
            left = self.tr("{time} left").format(time=duration_text(progress.left_s))
        share = 0 if progress is None else 100 * progress.batch_done_px // max(1, progress.batch_px)
        text = self.tr("Batch {share} %").format(share=share)
        self.activity_changed.emit(f"{text} · {left}" if left else text)

    def _on_ended(self, report: BatchReport) -> None:
        self.panel.show_buttons(ended=True, retry=report.failed > 0)
        self.offer_changed.emit()
        words = self.panel.show_report(report)
        self._pass_focus_on()
        kind = BannerKind.NOTICE if report.failed else BannerKind.SUCCESS
        self.banner.show_message(kind, words + ".", action=(self.tr("Open folder"), self._on_open_folder))
        notify(self.window(), self.tr("The batch is finished"), words)

    def _on_stopped(self, planned: bool) -> None:
        self.panel.show_buttons(ended=True, resume=True)
        self.offer_changed.emit()
        self._pass_focus_on()
        left = sum(not item.state.is_outcome for item in self.table.items)
        self.panel.say(
            self.tr("Stopped with {pictures} left").format(pictures=pictures_text(left))
            if planned
            else self.tr("Stopped before all pictures were checked")
        )
        self.banner.show_message(BannerKind.NOTICE, self.tr("Stopped. Finished results are kept."))

    def _on_failed(self, report: ErrorReport) -> None:
        if self.phase is Phase.ENDED:
            self.panel.show_buttons(ended=True, resume=True)
            self.offer_changed.emit()
            self.panel.say(self.tr("The batch could not continue"))
        self._pass_focus_on()
        self.banner.show_report(report)

    def _on_interrupted_found(self, found: Unfinished) -> None:
        text = self.tr("A batch into {folder} was interrupted, with {pictures} left.")
        text = text.format(folder=file_name(found.options.output), pictures=pictures_text(found.left))
        # With the options it was started with, whatever has been chosen since.
        resume = partial(self.flow.resume, found.options)
        self.banner.show_message(BannerKind.NOTICE, text, action=(self.tr("Resume"), resume))

    # User actions

    def _on_clear(self) -> None:
        self.table.show_items([], Path())
        self.flow.clear()

    # Options

    def _show_remembered(self) -> None:
        template, existing, recursive = self._remembered
        self.options.show_choices(template, Existing(existing), recursive=recursive)

    def _on_store_changed(self, settings: AppSettings) -> None:
        """Follow changes made elsewhere, such as to the defaults; what is being typed here stays."""
        remembered = _choices_in(settings)
        if remembered == self._remembered:
            return
        self._remembered = remembered
        self._show_remembered()
        self.flow.follow_settings()

    def _on_options_changed(self) -> None:
        template = self._remembered[0] if self.options.problem else self.options.template
        existing, recursive = str(self.options.existing), self.options.recursive
        # Before the update: its echo must not redraw what is on screen, perhaps with a template that is not usable yet.
        self._remembered = template, existing, recursive
        self._store.update(batch_template=template, batch_existing=existing, batch_recursive=recursive)
        self.flow.plan_soon()

    def _on_folder_requested(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self.tr("Results folder"))
        if chosen:
            self.choose_folder(Path(chosen))

    def choose_folder(self, folder: Path) -> None:
        """Send results to a folder."""
        self.flow.choose_folder(folder)

    def _on_open_folder(self) -> None:
        open_folder(self.flow.output.absolute())

    def _on_report(self) -> None:
        folder = self.flow.output
        path = ask_for_name(
            self,
            self.tr("Save report"),
            folder / "report.csv",
            self.tr("Table (*.csv)"),
            lambda chosen: with_ending(chosen, ".csv"),
        )
        if path is not None:
            self._service.write_report(folder, path)

    def _on_reported(self, path: Path) -> None:
        self.banner.show_message(BannerKind.SUCCESS, self.tr("Saved {name}.").format(name=file_name(path)))

    def _on_thumbnail_requested(self, path: Path) -> None:
        self._service.make_thumbnail(path, THUMBNAIL_PX)


def _choices_in(settings: AppSettings) -> tuple[str, str, bool]:
    """The remembered options of a batch: template, what happens to existing results, subfolders."""
    return settings.batch_template, settings.batch_existing, settings.batch_recursive
