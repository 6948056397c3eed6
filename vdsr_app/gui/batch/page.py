"""The workspace "Batch": drop folders, see what would be done, let it run, see how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from vdsr_app.core.batch.events import BatchEvent, BatchReport, Changed, FoundRoom, Planned, Progress, WaitsForRoom
from vdsr_app.core.batch.items import Item, State
from vdsr_app.core.batch.options import BatchOptions, Existing
from vdsr_app.core.batch.unfinished import Unfinished
from vdsr_app.core.job import UpscaleSettings
from vdsr_app.gui.banner import Banner, BannerKind
from vdsr_app.gui.batch.options_panel import OptionsPanel
from vdsr_app.gui.batch.picture_list import PictureList
from vdsr_app.gui.batch.plan_panel import PlanPanel
from vdsr_app.gui.batch.run_strip import RunStrip
from vdsr_app.gui.batch.table import THUMBNAIL_PX
from vdsr_app.gui.inspector import WIDTH
from vdsr_app.gui.notify import notify
from vdsr_app.gui.save_name import ask_for_name, with_ending
from vdsr_app.gui.sections import GROUP_GAP, PANE_GAP, upright_line
from vdsr_app.gui.settings import AppSettings, SettingsStore
from vdsr_app.gui.texts import duration_text, file_name
from vdsr_app.gui.theme import set_role
from vdsr_app.workers.batch import BatchService
from vdsr_app.workers.batch_jobs import Plan
from vdsr_app.workers.messages import ErrorReport

_REPLAN_MS = 150
_COLUMN_SHARE = 0.3
_LEAST_COLUMN_PX = 110


class Phase(Enum):
    """What the page is about."""

    EMPTY = "empty"
    PLANNING = "planning"
    UNPLANNED = "unplanned"
    """There are pictures, but they could not be planned."""
    PLANNED = "planned"
    RUNNING = "running"
    ENDED = "ended"


class BatchPage(QWidget):
    """Table and bars at the left, choices and totals at the right.

    Attributes:
        banner: the message above everything.
        table: the pictures.
        options: the choices.
        panel: totals, and the buttons that begin and follow.
        strip: how far a batch is that runs.

    Signals:
        settings_wanted: the person wants to change size, model or format.
        activity_changed: what runs, in one line, or "".
    """

    settings_wanted = Signal()
    activity_changed = Signal(str)

    def __init__(self, service: BatchService, store: SettingsStore) -> None:
        super().__init__()
        self._service = service
        self._store = store
        self._inputs: list[Path] = []
        self._chosen_folder: Path | None = None
        self._phase = Phase.EMPTY
        self._options: BatchOptions | None = None
        self._names: dict[int, str] = {}
        self._late: list[Path] = []
        self.banner = Banner()
        self.list = PictureList()
        self.table = self.list.table
        self.options = OptionsPanel()
        self.strip = RunStrip()
        self.panel = PlanPanel()
        self._replan = QTimer(self)
        self._replan.setSingleShot(True)
        self._replan.setInterval(_REPLAN_MS)
        self._replan.timeout.connect(self._plan)
        self._lay_out()
        self._connect()
        self._remembered = _choices_in(store.current)
        self._show_remembered()
        self._enter(Phase.EMPTY)
        if store.current.batch_folder:
            service.look_for(Path(store.current.batch_folder))

    @property
    def phase(self) -> Phase:
        """What the page is about now."""
        return self._phase

    def add(self, paths: Sequence[Path]) -> None:
        """Add files and folders, also while a batch runs."""
        if paths and self._phase is Phase.ENDED:
            self._inputs = []  # what was done may be wished again: with other settings, or with new pictures in it
        new = [path for path in paths if path not in self._inputs]
        if not new:
            return
        self.banner.dismiss()
        if self._phase is Phase.RUNNING:
            if self._service.add(new):
                self._inputs += new
            else:
                self._late += new  # it has just come to its end
            return
        self._inputs += new
        if self._chosen_folder is None:
            self.options.show_folder(_folder_beside(self._inputs[0]))
        self._plan()

    def show_settings(self, settings: UpscaleSettings, words: str) -> None:
        """What pictures are made into, and in words; plans anew where it is another than before."""
        changed = settings != self.options.settings
        self.options.show_settings(settings, words)
        if changed:
            self._replan_soon()

    def take_focus(self) -> None:
        """Let the keyboard enter where the person most likely goes on."""
        if self.panel.take_focus():
            return
        (self.strip if self._phase is Phase.RUNNING else self.list).setFocus()

    def set_drop_hint(self, words: str | None) -> None:
        """Say what a drop would do, or nothing."""
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
        """Choices, which scroll where the window is small, and below them plan and start, which are always there."""
        choices, content = QScrollArea(), QWidget()
        set_role(choices, "pane")
        choices.setFrameShape(QFrame.Shape.NoFrame)
        choices.setWidgetResizable(True)
        choices.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        choices.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        choices.setAccessibleName(self.tr("Choices of the batch"))
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
        column.addWidget(self.panel)
        return pane

    def _connect(self) -> None:
        service = self._service
        self._store.changed.connect(self._on_store_changed)
        service.planned.connect(self._on_planned)
        service.plan_failed.connect(self._on_plan_failed)
        service.told.connect(self._on_told)
        service.ended.connect(self._on_ended)
        service.stopped.connect(self._on_stopped)
        service.failed.connect(self._on_failed)
        service.found.connect(self._on_found)
        service.reported.connect(self._on_reported)
        service.report_failed.connect(self.banner.show_report)
        service.thumbnail_made.connect(self.table.show_thumbnail)
        service.thumbnail_dropped.connect(self.table.forget_thumbnail)
        self.table.thumbnail_wanted.connect(self._on_thumbnail_wanted)
        self.options.changed.connect(self._on_options_changed)
        self.options.folder_wanted.connect(self._on_folder_wanted)
        self.options.settings_wanted.connect(self.settings_wanted)
        self.strip.pause_wanted.connect(self._on_pause)
        self.strip.cancel_wanted.connect(self._on_cancel)
        self.list.paths_chosen.connect(self.add)
        self.list.clear_wanted.connect(self._on_clear)
        self.panel.start_wanted.connect(self._on_start)
        self.panel.again_wanted.connect(self._plan)
        self.panel.retry_wanted.connect(self._on_retry)
        self.panel.folder_wanted.connect(self._on_open_folder)
        self.panel.report_wanted.connect(self._on_report)

    # Phases

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        running = phase is Phase.RUNNING
        self.list.show_empty(phase is Phase.EMPTY)
        self.strip.setVisible(running)
        self.options.set_locked(running)
        self.panel.show_buttons(ended=phase is Phase.ENDED, again=phase is Phase.UNPLANNED)
        self.list.allow_clear(phase not in (Phase.EMPTY, Phase.RUNNING))
        reason = {
            Phase.EMPTY: self.tr("Add pictures first"),
            Phase.PLANNING: self.tr("The pictures are still being looked at"),
            Phase.UNPLANNED: self.tr("The pictures could not be looked at"),
            Phase.RUNNING: self.tr("It is running"),
        }.get(phase, "")
        self.panel.allow_start(phase is Phase.PLANNED, reason)
        if phase is Phase.EMPTY:
            self.panel.say(self.tr("Nothing to do yet"))
        if phase is Phase.PLANNING:
            self.panel.say(self.tr("Looking at the pictures…"))
        if not running:
            self.activity_changed.emit("")

    def _plan(self) -> None:
        options = self.options.options
        if not self._inputs or options is None or self._phase is Phase.RUNNING:
            return
        self._options = options
        self.banner.dismiss()  # what it says and offers is of the plan or batch before
        self._enter(Phase.PLANNING)
        self._service.plan(self._inputs, options)

    def _on_planned(self, plan: Plan) -> None:
        if self._phase is not Phase.PLANNING or self._options is None:
            return
        self.table.show_items(plan.items, self._options.output)
        if not plan.items:
            self._inputs = []
            self._enter(Phase.EMPTY)
            self.banner.show_message(BannerKind.NOTICE, self.tr("There is no picture in it."))
            return
        first = plan.items[0]
        if first.facts.width:
            self.options.show_example(first.source, first.facts.width, first.facts.height)
        self._enter(Phase.PLANNED)
        found = plan.totals
        self.panel.show_plan(plan)
        if plan.free_bytes is not None and found.disk_bytes > plan.free_bytes:
            self.banner.show_message(
                BannerKind.NOTICE, self.tr("The disk is too small for all of it: the batch will wait for room.")
            )
        self.panel.allow_start(found.queued > 0, self.tr("There is nothing to do"))
        if self.list.adding_has_focus:
            self.take_focus()

    def _on_plan_failed(self, report: ErrorReport) -> None:
        if self._phase is not Phase.PLANNING:
            return
        self.table.show_items([], Path())
        self._enter(Phase.UNPLANNED)
        self.panel.say(report.what)
        self.banner.show_report(report)

    # Running

    def _on_start(self) -> None:
        options = self.options.options
        if options is not None:
            self._run(options, self._inputs)

    def _on_retry(self) -> None:
        if self._options is not None:
            self._run(self._options, [], retry_failed=True)

    def _run(
        self, options: BatchOptions, inputs: Sequence[Path], *, resume: bool = False, retry_failed: bool = False
    ) -> None:
        self.banner.dismiss()
        self._replan.stop()
        self._options = options
        self._store.update(batch_folder=str(options.output.absolute()))
        self.table.show_items([], options.output)
        self._names.clear()
        self._enter(Phase.RUNNING)
        self.strip.begin()
        self.strip.setFocus()
        self.panel.say(self.tr("Running"))
        self._service.start(inputs, options, resume=resume, retry_failed=retry_failed)

    def _on_told(self, events: tuple[BatchEvent, ...]) -> None:
        changed: list[Item] = []
        for event in events:
            match event:
                case Planned():
                    changed += event.items
                case Changed():
                    changed.append(event.item)
                    if event.item.state is State.WORKING:
                        self._names[event.item.number] = file_name(event.item.source)
                    else:
                        self._names.pop(event.item.number, None)
                case WaitsForRoom():
                    self.strip.show_waiting((event.needed_bytes, event.free_bytes))
                case FoundRoom():
                    self.strip.show_waiting(None)
                case Progress():
                    self._show_progress(event)
                case _:
                    pass
        if changed:
            self.table.update_items(list({item.number: item for item in changed}.values()))

    def _show_progress(self, progress: Progress) -> None:
        self.table.show_progress(progress.number, 100 * progress.done_px // max(1, progress.total_px))
        self.strip.show_progress(progress, self._names.get(progress.number, ""))
        share = 100 * progress.batch_done_px // max(1, progress.batch_px)
        text = self.tr("Batch {share} %").format(share=share)
        if progress.left_s is not None:
            text += " · " + self.tr("{time} left").format(time=duration_text(progress.left_s))
        self.activity_changed.emit(text)

    def _on_pause(self) -> None:
        if self._service.paused:
            self._service.resume()
        else:
            self._service.pause()
        self.strip.show_paused(self._service.paused)

    def _on_cancel(self) -> None:
        self.strip.show_ending()
        self._service.cancel()

    def _on_ended(self, report: BatchReport) -> None:
        self._enter(Phase.ENDED)
        self.panel.show_buttons(ended=True, retry=report.failed > 0)
        words = self.panel.show_report(report)
        self.take_focus()
        kind = BannerKind.NOTICE if report.failed else BannerKind.SUCCESS
        self.banner.show_message(kind, words + ".", action=(self.tr("Open folder"), self._on_open_folder))
        notify(self.window(), self.tr("The batch is finished"), words)
        late, self._late = self._late, []
        self.add(late)

    def _on_stopped(self) -> None:
        self._enter(Phase.ENDED)
        left = sum(not item.state.is_outcome for item in self.table.items)
        self.panel.say(self.tr("Stopped with {count} pictures left").format(count=left))
        if self._options is not None:
            self._offer_to_go_on(self.tr("Stopped. What is finished is kept."), self._options)

    def _on_failed(self, report: ErrorReport) -> None:
        self._enter(Phase.ENDED)
        self.panel.say(self.tr("It could not go on"))
        self.banner.show_report(report)

    # Going on

    def _on_found(self, found: Unfinished | None) -> None:
        """A batch that was interrupted lies in the folder of the last one."""
        if found is None or found.ended or self._phase is not Phase.EMPTY:
            return
        text = self.tr("A batch into {folder} was interrupted, with {count} pictures left.")
        text = text.format(folder=file_name(found.options.output), count=found.left)
        self._offer_to_go_on(text, found.options)

    def _offer_to_go_on(self, text: str, options: BatchOptions) -> None:
        """Offer to go on with a batch as it was begun, whatever is chosen meanwhile."""
        self.banner.show_message(BannerKind.NOTICE, text, action=(self.tr("Go on"), partial(self._on_go_on, options)))

    def _on_go_on(self, options: BatchOptions) -> None:
        if self._phase is not Phase.RUNNING:
            self._run(options, [], resume=True)

    # Choices

    def _show_remembered(self) -> None:
        template, existing, recursive = self._remembered
        self.options.show_choices(template, Existing(existing), recursive=recursive)

    def _on_store_changed(self, settings: AppSettings) -> None:
        """Follow what was chosen elsewhere, such as the defaults; what is being typed here stays."""
        remembered = _choices_in(settings)
        if remembered == self._remembered:
            return
        self._remembered = remembered
        if remembered != (self.options.template, str(self.options.existing), self.options.recursive):
            self._show_remembered()
            self._replan_soon()

    def _replan_soon(self) -> None:
        if self._phase in (Phase.PLANNED, Phase.PLANNING, Phase.UNPLANNED):
            self._replan.start()

    def _on_options_changed(self) -> None:
        self._store.update(
            batch_template=self.options.template,
            batch_existing=str(self.options.existing),
            batch_recursive=self.options.recursive,
        )
        self._replan.start()

    def _on_folder_wanted(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self.tr("Folder of the results"))
        if chosen:
            self.choose_folder(Path(chosen))

    def choose_folder(self, folder: Path) -> None:
        """Let results go to a folder."""
        self._chosen_folder = folder
        self.options.show_folder(folder)
        self._replan.start()

    def _on_clear(self) -> None:
        self._inputs = []
        self.banner.dismiss()
        self.table.show_items([], Path())
        self._service.drop_thumbnails()
        if self._chosen_folder is None:
            self.options.show_folder(None)
        self._enter(Phase.EMPTY)

    def _on_open_folder(self) -> None:
        if self._options is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._options.output.absolute())))

    def _on_report(self) -> None:
        if self._options is None:
            return
        folder = self._options.output
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

    def _on_thumbnail_wanted(self, path: Path) -> None:
        self._service.make_thumbnail(path, THUMBNAIL_PX)


def _folder_beside(source: Path) -> Path:
    """Where results go unless the person says otherwise: beside the first folder, or below that of the first file."""
    if not source.is_dir():
        return source.parent / "upscaled"
    # There is nothing beside a drive, such as a memory card.
    return source.with_name(f"{source.name} upscaled") if source.name else source / "upscaled"


def _choices_in(settings: AppSettings) -> tuple[str, str, bool]:
    """What is remembered of a batch's choices: template, what is done with results that are there, subfolders."""
    return settings.batch_template, settings.batch_existing, settings.batch_recursive
