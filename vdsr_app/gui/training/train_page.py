"""The "Train" workspace: an invitation, the list of runs, the wizard, and a comparison of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QLabel, QStackedWidget, QVBoxLayout, QWidget

from vdsr_app import paths
from vdsr_app.gui.banner import Banner, BannerKind
from vdsr_app.gui.file_manager import show_in_folder
from vdsr_app.gui.model_list import ModelList
from vdsr_app.gui.parts import ask
from vdsr_app.gui.settings import SettingsStore
from vdsr_app.gui.theme import set_role
from vdsr_app.gui.training.invitation import Invitation
from vdsr_app.gui.training.left_run import LeftRun
from vdsr_app.gui.training.runs_panel import RunsPanel
from vdsr_app.gui.training.step_list import Step
from vdsr_app.gui.training.watch import RunWatch
from vdsr_app.gui.training.wizard import Wizard
from vdsr_app.workers.messages import ErrorReport
from vdsr_app.workers.training import TrainingService
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.history import RunHistory
from vdsr_trainer.run_files import CONFIG_NAME
from vdsr_trainer.runs import RunInfo, RunState

_LIST_EVERY_MS = 2000


class TrainPage(QWidget):
    """Shows one of its pages and carries out what the list of runs requests.

    Attributes:
        banner: message above the pages.
        wizard: sets up runs and shows them.
        runs: list of runs.

    Signals:
        use_requested: Path of the weights to enlarge pictures with.
    """

    use_requested = Signal(object)

    def __init__(
        self, service: TrainingService, watch: RunWatch, left: LeftRun, models: ModelList, store: SettingsStore
    ) -> None:
        super().__init__()
        self._service = service
        self._watch = watch
        self._left = left
        self._store = store
        self._compare: QWidget | None = None
        self.banner = Banner()
        self.invitation = Invitation()
        self.runs = RunsPanel()
        self.wizard = Wizard(service, watch, left, models, store)
        self._blank = QWidget()
        self._blank.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        set_role(self._blank, "pane")
        self._pages = QStackedWidget()
        for page in (self._blank, self.invitation, self.runs, self.wizard):
            self._pages.addWidget(page)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.banner)
        column.addWidget(self._pages, 1)
        self._hint = _DropHint(self)
        self._timer = QTimer(self)
        self._timer.setInterval(_LIST_EVERY_MS)
        self._timer.timeout.connect(self._on_list_due)
        self._connect()
        if watch.alive:
            self.show_followed()

    @property
    def shown(self) -> QWidget | None:
        """The page that is shown."""
        return self._pages.currentWidget()

    def new_training(self, folders: Sequence[str] = ()) -> None:
        """Start the wizard, or continue a draft that was not started; `folders` are added in its first step."""
        self.banner.dismiss()
        self._left.turn_back()
        has_draft = not self.wizard.draft.is_empty
        self._show(self.wizard)
        if has_draft:
            self.wizard.continue_draft(folders)
        else:
            self.wizard.begin(folders)
        if has_draft and not folders:
            words = self.tr(
                "This training has not been started. “Start over”, below its pictures, starts from scratch."
            )
            self.tell(words, False)

    def show_home(self) -> None:
        """Show the list of runs, or the invitation if there are none."""
        self._left.turn_back()
        self.banner.dismiss()
        self.wizard.leave()
        if self.shown is self.wizard or self.shown is self._compare:
            there = bool(self.runs.list.topLevelItemCount())
            self._show(self.runs if there else self._blank)
            if there:
                self.runs.list.setFocus()
        self._service.desk.list_runs(paths.runs_dir())

    def show_followed(self) -> None:
        """Show the watched run."""
        if self._watch.folder is not None:
            self.wizard.show_run()
            self._show(self.wizard)

    def show_run(self, run: RunInfo) -> None:
        """Watch a run and show its curves, or its result if it is finished."""
        self.banner.dismiss()
        self._left.look_at(run.folder)
        self.wizard.show_run(result=run.state is RunState.FINISHED and run.weights is not None)
        self._show(self.wizard)

    def set_drop_hint(self, words: str | None) -> None:
        """Show what a drop would do, or hide the hint."""
        self._hint.say(words)

    def showEvent(self, event: QShowEvent) -> None:
        """Refresh the list now and regularly, as other programs may have created runs."""
        super().showEvent(event)
        self._on_list_due()
        self._timer.start()

    def hideEvent(self, event: QHideEvent) -> None:
        """Stop refreshing; the status line reports the run that is training."""
        super().hideEvent(event)
        self._timer.stop()
        self._left.turn_back()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the hint over the whole page."""
        super().resizeEvent(event)
        self._hint.setGeometry(self.rect())

    def _connect(self) -> None:
        runs, wizard, desk, watch = self.runs, self.wizard, self._service.desk, self._watch
        self.invitation.choose_requested.connect(self._on_choose)
        runs.new_requested.connect(self.new_training)
        runs.open_requested.connect(self.show_run)
        runs.resume_requested.connect(self._on_resume)
        runs.use_requested.connect(self._on_use)
        runs.export_requested.connect(self._on_export)
        runs.renamed.connect(self._on_renamed)
        runs.duplicate_requested.connect(self._on_duplicate)
        runs.delete_requested.connect(self._on_delete)
        runs.compare_requested.connect(self._on_compare)
        runs.folder_requested.connect(self._on_folder)
        wizard.home_requested.connect(self.show_home)
        wizard.use_requested.connect(self.use_requested)
        wizard.notified.connect(self.tell)
        wizard.step_changed.connect(self.banner.dismiss)
        wizard.failed.connect(self.banner.show_report)
        desk.listed.connect(self._on_listed)
        desk.deleted.connect(self._on_deleted)
        desk.failed.connect(self.banner.show_report)
        desk.histories_read.connect(self._on_histories)
        self._service.job_failed.connect(self.banner.show_report)
        desk.settings_read.connect(self._on_settings_read)
        watch.noticed.connect(self._on_noticed)
        watch.crashed.connect(self._on_crashed)
        watch.discarded.connect(self._on_discarded)
        self._left.turned_back.connect(self._on_turned_back)

    def tell(self, text: str, good: bool) -> None:
        """Show a message in the banner."""
        self.banner.show_message(BannerKind.SUCCESS if good else BannerKind.NOTICE, text)

    def _show(self, page: QWidget) -> None:
        self._pages.setCurrentWidget(page)

    def _on_choose(self) -> None:
        self.new_training()
        if self.wizard.draft.is_empty:
            self.wizard.pictures.choose_folder()

    def _on_list_due(self) -> None:
        if self.shown is not self.wizard and self.shown is not self._compare:
            self._service.desk.list_runs(paths.runs_dir())

    def _on_listed(self, runs: tuple[RunInfo, ...]) -> None:
        runs = tuple(self._as_followed(run) for run in runs)
        self.runs.show_runs(runs)
        if self.shown in (self._blank, self.invitation, self.runs):
            page = self.runs if runs else self.invitation
            if page is not self.shown:
                self._show(page)
                (self.runs.list if runs else self.invitation.button).setFocus()

    def _as_followed(self, run: RunInfo) -> RunInfo:
        """Use the watch's state: a process still loading its libraries holds no lock, so the disk lags behind."""
        watch = self._watch
        return replace(run, state=watch.state) if run.folder == watch.folder and watch.alive and watch.state else run

    def _on_resume(self, run: RunInfo) -> None:
        self.banner.dismiss()
        self.wizard.resume(run.folder)
        self._show(self.wizard)

    def _on_use(self, run: RunInfo) -> None:
        if run.weights is not None:
            self.use_requested.emit(run.weights)

    def _on_export(self, run: RunInfo, as_onnx: bool) -> None:
        if run.weights is not None:
            exports = self.wizard.exports
            (exports.ask_for_onnx if as_onnx else exports.ask_for_weights)(run.weights, run.title)

    def _on_renamed(self, run: RunInfo, title: str) -> None:
        self._service.desk.rename(run.folder, title)
        self._service.desk.list_runs(paths.runs_dir())  # restores the old name if renaming failed

    def _on_duplicate(self, run: RunInfo) -> None:
        self._service.desk.read_settings(run)

    def _on_settings_read(self, run: RunInfo, config: TrainConfig) -> None:
        # On a slow disk, the user may have left the list meanwhile.
        if self.shown is not self.runs or not self.wizard.may_give_up_draft():
            return
        self.wizard.begin(like=config, preset=run.preset)
        self._show(self.wizard)
        self.tell(self.tr("Using the settings of “{name}”.").format(name=run.title), False)

    def _on_delete(self, runs: list[RunInfo]) -> None:
        names = ", ".join(f"“{run.title}”" for run in runs[:3]) + (" …" if len(runs) > 3 else "")
        sure = ask(
            self,
            self.tr("Delete?"),
            self.tr("Delete {names}?").format(names=names),
            self.tr(
                "Weights, curves and checkpoints are lost. Pictures, and networks already in use or exported, are kept."
            ),
            self.tr("Delete"),
        )
        if sure:
            for run in runs:
                if self._watch.folder == run.folder:
                    self._watch.leave()
                self._service.desk.delete(run.folder)

    def _on_deleted(self, _folder: Path) -> None:
        self._service.desk.list_runs(paths.runs_dir())

    def _on_compare(self, runs: list[RunInfo]) -> None:
        self._service.desk.read_histories([(run.title, run.folder) for run in runs])

    def _on_histories(self, runs: tuple[tuple[str, RunHistory], ...]) -> None:
        if self.shown is not self.runs:
            return  # long logs take seconds to read, and the user has left the list meanwhile
        # Imported late because it loads pyqtgraph.
        from vdsr_app.gui.training.compare_page import ComparePage

        if not isinstance(self._compare, ComparePage):
            self._compare = ComparePage(self._store)
            self._compare.back_requested.connect(self.show_home)
            self._compare.save.notified.connect(self.tell)
            self._compare.save.failed.connect(self.banner.show_report)
            self._pages.addWidget(self._compare)
        self._show(self._compare)
        self._compare.show_runs(runs)

    def _on_folder(self, run: RunInfo) -> None:
        show_in_folder(run.folder / CONFIG_NAME)

    def _on_turned_back(self) -> None:
        if self.shown is self.wizard and self.wizard.step >= Step.RUN:
            self.wizard.show_run()

    def _on_noticed(self, text: str) -> None:
        self.tell(text, False)

    def _on_crashed(self, report: ErrorReport) -> None:
        if not (self.shown is self.wizard and self.wizard.step is Step.RUN):  # else that page shows it
            self.banner.show_report(report)

    def _on_discarded(self) -> None:
        title = self._watch.title
        self._watch.leave()
        if self.shown is self.wizard and self.wizard.step >= Step.RUN:
            self.show_home()
        self.tell(self.tr("“{name}” was discarded.").format(name=title), True)


class _DropHint(QLabel):
    """Covers the page while something is dragged over it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        set_role(self, "drophint")
        self.hide()

    def say(self, words: str | None) -> None:
        self.setText(words or "")
        self.setVisible(bool(words))
        self.raise_()
