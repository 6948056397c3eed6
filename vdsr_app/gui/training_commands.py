"""Training in the main window: its workspace, menu and entry in the status line, and what happens to it on closing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QMimeData, QObject, Signal
from PySide6.QtWidgets import QWidget

from vdsr_app import paths
from vdsr_app.core.models import ModelInfo
from vdsr_app.gui.actions import Actions, allow
from vdsr_app.gui.banner import BannerKind
from vdsr_app.gui.close_dialog import TrainingAnswer, ask_about_training
from vdsr_app.gui.drops import local_paths
from vdsr_app.gui.file_manager import open_folder
from vdsr_app.gui.late_host import LateHost
from vdsr_app.gui.model_list import ModelList
from vdsr_app.gui.settings import SettingsStore
from vdsr_app.gui.status_line import StatusLine
from vdsr_app.gui.texts import file_name

if TYPE_CHECKING:
    from vdsr_app.gui.training.left_run import LeftRun
    from vdsr_app.gui.training.rename_guard import RenameGuard
    from vdsr_app.gui.training.train_page import TrainPage
    from vdsr_app.gui.training.watch import RunWatch
    from vdsr_app.workers.training import TrainingService
    from vdsr_trainer.runs import RunInfo

MakeService = Callable[[], "TrainingService"]


class TrainingCommands(QObject):
    """Creates the training service and pages on first use, and carries out commands given outside the pages.

    Attributes:
        host: the workspace; empty until it is first shown.

    Signals:
        show_requested: the workspace should be shown.
        model_made: ModelInfo of a result to upscale pictures with.
        all_renamed: the user wanted to quit once runs are renamed, and nothing is left to rename.
    """

    show_requested = Signal()
    model_made = Signal(object)
    all_renamed = Signal()

    def __init__(
        self,
        window: QWidget,
        actions: Actions,
        models: ModelList,
        store: SettingsStore,
        status: StatusLine,
        make_service: MakeService | None = None,
    ) -> None:
        """Connect the actions; service and pages are created later.

        Args:
            window: owner, and parent of dialogs.
            actions: the menu actions.
            models: receives the results that are put to use.
            store: the settings.
            status: shows that a run is training.
            make_service: creates the service; None creates the real one.
        """
        super().__init__(window)
        self._window = window
        self._actions = actions
        self._models = models
        self._store = store
        self._status = status
        self._make_service = make_service or _real_service
        self._service: TrainingService | None = None
        self._watch: RunWatch | None = None
        self._left: LeftRun | None = None
        self._names: RenameGuard | None = None
        self._page: TrainPage | None = None
        self._in_front = False
        self.host = LateHost()
        self.host.first_shown.connect(self._on_first_shown)
        actions.train_new.triggered.connect(self.new_training)
        actions.train_runs.triggered.connect(self.show_runs)
        actions.train_pause.triggered.connect(self._on_pause)
        actions.train_stop.triggered.connect(self._on_stop)
        actions.train_folder.triggered.connect(self._on_folder)
        status.training_requested.connect(self.show_followed)
        self._refresh()

    @property
    def page(self) -> TrainPage:
        """The workspace's pages, created on first access."""
        if self._page is None:
            # Imported late, so that the first window does not wait for it.
            from vdsr_app.gui.training.train_page import TrainPage

            service, watch, left = self._needed()
            self._page = TrainPage(service, watch, left, self._models, self._store)
            self._page.use_requested.connect(self._on_use_requested)
            self.host.fill(self._page)
        return self._page

    def look_for_running(self) -> None:
        """Find a run that has been training since an earlier window; the disk is read in another thread."""
        if paths.runs_dir().is_dir():
            service, _, _ = self._needed()
            service.desk.listed.connect(self._on_listed_first)
            service.desk.list_runs(paths.runs_dir())

    def new_training(self) -> None:
        """Show the wizard's first page."""
        self.show_requested.emit()
        self.page.new_training()

    def show_runs(self) -> None:
        """Show the list of runs."""
        self.show_requested.emit()
        self.page.show_home()

    def show_followed(self) -> None:
        """Show the training run."""
        self.show_requested.emit()
        self.page.show_followed()

    def set_in_front(self, in_front: bool) -> None:
        """Set whether the workspace is shown."""
        self._in_front = in_front
        self._refresh()

    @property
    def in_front(self) -> bool:
        """Whether the workspace is shown."""
        return self._in_front

    def folders_in(self, data: QMimeData) -> list[str]:
        """Return the folders that a drop would take pictures from; none while another workspace is shown."""
        return [str(path) for path in local_paths(data) if path.is_dir()] if self._in_front else []

    def drop_words(self, folders: list[str]) -> str:
        """Say what a drop of these folders would do."""
        if len(folders) == 1:
            return self.tr("Learn from the pictures in {name}").format(name=file_name(folders[0]))
        return self.tr("Learn from the pictures in {count} folders").format(count=len(folders))

    def may_discard_names(self) -> bool:
        """Ask if the new name of a run would be lost; return whether the window may close in that respect."""
        return self._names is None or self._names.may_close()

    def may_close(self) -> bool:
        """Ask what to do about a training run, unless that is settled; return whether the window may close."""
        service, watch, left = self._service, self._watch, self._left
        if service is None or watch is None or left is None or self._store.current.training_end != "ask":
            return True
        about_left = left.lives
        if not about_left and not watch.alive_by_log_or_lock:
            return True
        answer, remember = ask_about_training(self._window, left.title if about_left else watch.title)
        if answer is TrainingAnswer.STAY:
            return False
        choice = "save" if answer is TrainingAnswer.SAVE else "go on"
        if remember:
            self._store.update(training_end=choice)
        # Only now: a user who stays wants to keep seeing the run on display. And if the run in question has ended
        # meanwhile, the answer does not apply to any other.
        if not about_left or left.turn_back():
            service.set_when_window_ends("save" if choice == "save" else "go on")
        return True

    def close(self, timeout_ms: int) -> bool:
        """End the threads; a run continues, or saves and stops, as chosen. Return whether they ended in time."""
        return self._service is None or self._service.close(timeout_ms)

    def _needed(self) -> tuple[TrainingService, RunWatch, LeftRun]:
        if self._service is None or self._watch is None or self._left is None:
            from vdsr_app.gui.training.left_run import LeftRun
            from vdsr_app.gui.training.rename_guard import RenameGuard
            from vdsr_app.gui.training.watch import RunWatch

            self._service = self._make_service()
            self._watch = RunWatch(self._service, self)
            self._watch.changed.connect(self._refresh)
            self._left = LeftRun(self._service, self._watch, self)
            self._left.changed.connect(self._refresh)
            self._names = RenameGuard(self._window, self._service.desk)
            self._names.all_finished.connect(self.all_renamed)
            self._service.installed.connect(self._on_installed)
        return self._service, self._watch, self._left

    def _refresh(self) -> None:
        watch, left, a = self._watch, self._left, self._actions
        alive = (left is not None and left.trains_alone) or (watch is not None and watch.alive)
        paused = self._is_paused
        ending = alive and watch is not None and watch.asked in ("stop", "discard")
        a.train_pause.setText(self.tr("Continue training") if paused else self.tr("Pause training"))
        why = self.tr("it is already stopping") if ending else self.tr("nothing is training")
        allow(a.train_pause, alive and not ending, why)
        allow(a.train_stop, alive and not ending, why)
        activity = None if watch is None or self._in_front else watch.activity()
        self._status.show_training("" if activity is None else activity.text)

    @property
    def _is_paused(self) -> bool:
        """Whether the training run is paused."""
        if self._left is not None and self._left.trains_alone:
            return self._left.paused
        return self._watch is not None and self._watch.state == "paused"

    def _on_first_shown(self) -> None:
        _ = self.page

    def _on_listed_first(self, runs: tuple[RunInfo, ...]) -> None:
        service, watch, _ = self._needed()
        service.desk.listed.disconnect(self._on_listed_first)
        alive = [run for run in runs if run.state in ("running", "paused")]
        if alive and watch.folder is None:
            watch.look_at(alive[0].folder)
            if self._page is not None:
                self._page.show_followed()

    def _on_pause(self) -> None:
        paused = self._is_paused
        if self._watch is None or not self._switch_to_training_run():
            return
        if paused:
            self._watch.resume()
        else:
            self._watch.pause()

    def _on_stop(self) -> None:
        if self._watch is not None and self._switch_to_training_run():
            self.show_followed()  # first, as it clears earlier messages, but must not clear why it cannot be stopped
            self._watch.stop()
            self.page.wizard.refresh()

    def _switch_to_training_run(self) -> bool:
        """Switch to the training run if another one is on display; return False if it has ended meanwhile."""
        if self._left is None or not self._left.trains_alone or self._left.turn_back():
            return True
        self.page.tell(self.tr("It is no longer training."), False)
        self._refresh()
        return False

    def _on_folder(self) -> None:
        folder = paths.runs_dir()
        folder.mkdir(parents=True, exist_ok=True)
        open_folder(folder)

    def _on_use_requested(self, weights: Path) -> None:
        service, _, _ = self._needed()
        self.page.banner.show_message(BannerKind.NOTICE, self.tr("Adding it to the list of models…"))
        service.install(weights)

    def _on_installed(self, info: ModelInfo) -> None:
        if self._page is not None:
            self._page.banner.dismiss()
        self._models.refresh()
        self.model_made.emit(info)


def _real_service() -> TrainingService:
    from vdsr_app.workers.training import TrainingService

    return TrainingService()
