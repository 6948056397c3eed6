"""The main window: assembles workspaces, menus and status line."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QEvent, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDragLeaveEvent, QDropEvent, QIcon, QKeyEvent, QPaintEvent
from PySide6.QtWidgets import QMainWindow, QVBoxLayout, QWidget

from vdsr_app.core.models import ModelInfo
from vdsr_app.gui.actions import Actions, allow
from vdsr_app.gui.activity import ActivityMonitor
from vdsr_app.gui.banner import Banner, BannerKind
from vdsr_app.gui.batch_commands import BatchCommands
from vdsr_app.gui.batch_commands import MakeService as MakeBatch
from vdsr_app.gui.compare.view import CursorReading
from vdsr_app.gui.file_commands import FileCommands
from vdsr_app.gui.help_commands import HelpCommands
from vdsr_app.gui.menus import Menus
from vdsr_app.gui.model_list import ModelList
from vdsr_app.gui.preferences import Preferences
from vdsr_app.gui.save_guard import SaveGuard
from vdsr_app.gui.settings import SettingsStore
from vdsr_app.gui.status_line import Activity, StatusLine
from vdsr_app.gui.texts import file_name, score_text
from vdsr_app.gui.theme import SEARCH_PREFIX, ThemeManager
from vdsr_app.gui.training_commands import MakeService, TrainingCommands
from vdsr_app.gui.upscale_page import UpscalePage
from vdsr_app.gui.window_drops import WindowDrops
from vdsr_app.gui.workspaces import Workspaces
from vdsr_app.paths import resources_dir
from vdsr_app.workers.messages import ErrorReport

if TYPE_CHECKING:
    from vdsr_app.workers.upscale import UpscaleService

TITLE = "VDSR Studio"
DEFAULT_SIZE = (1200, 760)
MINIMUM_HEIGHT = 480
SAMPLE_NAME = "sample.png"


class MainWindow(QMainWindow):
    """The main window.

    Attributes:
        commands: all menu actions.
        page: the "Upscale" workspace.
        session: the open picture and what is done with it.
        files: the file commands.
        status: the status line.
        batch: the "Batch" workspace.
        training: the "Train" workspace.
        workspaces: the switch between them.

    Signals:
        first_painted: the window is on screen for the first time; slow work may begin.
    """

    first_painted = Signal()

    def __init__(
        self,
        service: UpscaleService,
        store: SettingsStore,
        theme: ThemeManager,
        paths: Sequence[Path] = (),
        make_training: MakeService | None = None,
        make_batch: MakeBatch | None = None,
    ) -> None:
        """Build the window; nothing is opened before `start`.

        Args:
            service: does the work; closed by its creator.
            store: the settings.
            theme: already applied.
            paths: files and folders that `start` opens.
            make_training: creates the training service on first use; None creates the real one.
            make_batch: likewise the batch service.
        """
        super().__init__()
        self._paths = list(paths)
        self._preloaded = False
        self._service = service
        self._store = store
        self._quit_now = False
        self._painted = False
        self._models = ModelList(self)
        self.commands = Actions(self)
        self.page = UpscalePage(self.commands, self._models, service, store.current)
        self.session = self.page.session
        self.files = FileCommands(self, service, self.session, store, self._models, self.page.banner)
        self.status = StatusLine()
        self.workspaces = Workspaces()
        self.training = TrainingCommands(self, self.commands, self._models, store, self.status, make_training)
        self.batch = BatchCommands(self, self.commands, self.page, self._models, store, self.status, make_batch)
        self._help = HelpCommands(self, self.commands, self._models)
        self._menus = Menus(self.menuBar(), self.commands)
        self._drops = WindowDrops(self.page, self.files, self.batch, self.training)
        self._preferences = Preferences(self, store, theme, self.page, self._menus, self._help)
        self._saves = SaveGuard(self, self.session)
        self._monitor = ActivityMonitor(self.session, self._models, self)
        self._build()
        self._connect_actions()
        self._connect_session()

    def start(self) -> None:
        """Start working; call once the window is on screen."""
        self.training.look_for_running()
        self.page.view.setFocus()
        paths = self._paths
        if len(paths) > 1 or (paths and paths[0].is_dir()):
            self.batch.add(paths)
            self.batch.page.flow.planned.connect(self._preload_once)
        elif paths:
            self.files.open(paths[0])
            self._fall_back()
        else:
            self._open_sample()
        self.session.comparison.finished.connect(self._preload_once)
        self.session.failed.connect(self._preload_once)
        if self._store.problem:
            self.page.banner.show_message(BannerKind.NOTICE, self._store.problem)

    def report_exception(self, error: BaseException) -> None:
        """Show a fault of the program itself in the banner."""
        report = ErrorReport(
            self.tr("Something unexpected went wrong."),
            hint=self.tr("You can continue, or save and restart. Please report it with the details."),
            details="".join(traceback.format_exception(error)),
        )
        self._banner.show_report(report)

    def close_without_asking(self) -> None:
        """Close without asking, as the system demands."""
        self._quit_now = True
        self.close()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask if something would be lost; remember the window's geometry."""
        if not self._quit_now and not (
            self._saves.may_close()
            and self.training.may_discard_names()
            and self.batch.may_close()
            and self.training.may_close()
        ):
            event.ignore()
            return
        self._store.update(geometry=bytes(self.saveGeometry().data()))
        self._store.flush()
        self.files.close()
        event.accept()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Emit `first_painted` right after the first paint event."""
        super().paintEvent(event)
        if not self._painted:
            self._painted = True
            QTimer.singleShot(0, self, self.first_painted.emit)

    def changeEvent(self, event: QEvent) -> None:
        """Keep the full-screen action in sync, even if the system or the restored geometry sets the state."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.WindowStateChange:
            self.commands.full_screen.setChecked(self.isFullScreen())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Leave full screen on Escape if there is nothing to cancel."""
        if event.key() == Qt.Key.Key_Escape and self.isFullScreen():
            self._set_full_screen(False)
        else:
            super().keyPressEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Highlight the workspace and say what a drop would do."""
        self._drops.enter(event)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """Remove the highlight."""
        self._drops.leave(event)

    def dropEvent(self, event: QDropEvent) -> None:
        """Carry out the drop."""
        self._drops.drop(event)
        self.activateWindow()

    @property
    def _banner(self) -> Banner:
        """The banner of the workspace shown."""
        for workspace in (self.batch, self.training):
            if workspace.in_front:
                return workspace.page.banner
        return self.page.banner

    def _preload_once(self) -> None:
        """Load the network in the background, once the first picture or the first plan is on screen.

        Not earlier: for the half second in which the system loads torch's library, no other thread can load a library
        or first access its thread-local variables. A reader waiting for that would block the interpreter, and with it
        the window.
        """
        if self.session.opening is not None or self._preloaded:
            return
        self._preloaded = True
        current = self._store.current
        self._service.preload(current.device, current.precision, self.session.setup.model)

    def _fall_back(self) -> None:
        """Open the sample if the file named at start-up is not a picture, cannot be opened, or was cancelled.

        If a batch was named, only when the user switches to the "Upscale" workspace.
        """
        if self._paths and self.session.picture is None and self.session.opening is None:
            self._open_sample()

    def _open_sample(self) -> None:
        self._paths = []
        self.page.strip.show()
        self.session.open(resources_dir() / SAMPLE_NAME, is_sample=True)

    def _build(self) -> None:
        self.setWindowTitle(TITLE)
        self.setWindowIcon(QIcon(f"{SEARCH_PREFIX}:icon.svg"))
        self.setMinimumHeight(MINIMUM_HEIGHT)
        room = self.screen().availableSize() - QSize(16, 48)  # for the frame
        self.resize(QSize(*DEFAULT_SIZE).boundedTo(room))
        self.setAcceptDrops(True)
        upscale = self.workspaces.add(self.tr("Upscale"), "image-size-select-large", self.page, 1)
        batch = self.workspaces.add(self.tr("Batch"), "image-multiple-outline", self.batch.host, 2)
        train = self.workspaces.add(self.tr("Train"), "school-outline", self.training.host, 3)
        self._menus.offer_workspaces([upscale, batch, train])
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.workspaces, 1)
        column.addWidget(self.status)
        self.setCentralWidget(body)
        self.page.strip.setVisible(not self._paths)
        if self._store.current.geometry:
            self.restoreGeometry(QByteArray(self._store.current.geometry))

    def _connect_actions(self) -> None:
        c, files, session = self.commands, self.files, self.session
        c.open.triggered.connect(files.choose_picture)
        c.save.triggered.connect(self._on_save_triggered)
        c.quit.triggered.connect(self.close)
        c.copy.triggered.connect(self._on_copy_triggered)
        c.paste.triggered.connect(files.paste)
        c.settings.triggered.connect(self._preferences.show_dialog)
        c.swap.triggered.connect(session.swap)
        c.open_reference.triggered.connect(files.choose_reference)
        c.close_reference.triggered.connect(session.scores.close)
        c.run.triggered.connect(self._on_run_triggered)
        c.cancel.triggered.connect(self._on_cancel_triggered)
        c.inspector.triggered.connect(self._preferences.show_inspector)
        c.full_screen.triggered.connect(self._set_full_screen)
        self.page.reference_requested.connect(files.choose_reference)
        self.page.strip.open_requested.connect(files.choose_picture)
        self.page.strip.recent_chosen.connect(files.open)
        self.page.view.drag_out_requested.connect(self._on_drag_out_requested)
        self.page.inspector.export.drag_requested.connect(self._on_drag_out_requested)
        self._menus.recent_chosen.connect(files.open)
        self._help.notified.connect(self._on_notified)
        self.status.cancel_requested.connect(self._on_cancel_requested)
        files.show_requested.connect(self._show_upscale)
        files.batch_requested.connect(self.batch.add)
        self.training.show_requested.connect(self._show_training)
        self.batch.show_requested.connect(self._show_batch)
        self.batch.settings_requested.connect(self._show_upscale)
        self.training.model_made.connect(self._on_model_made)
        self.workspaces.changed.connect(self._on_workspace_changed)

    def _connect_session(self) -> None:
        session = self.session
        session.picture_changed.connect(self._on_picture_changed)
        session.setup_changed.connect(self._show_scores)
        session.scores.changed.connect(self._show_scores)
        session.scores.opened.connect(self._show_scores)
        self._saves.all_finished.connect(self.close)
        self.training.all_renamed.connect(self.close)
        self._monitor.changed.connect(self._on_activity_changed)
        session.failed.connect(self._fall_back)
        self._service.device_described.connect(self._on_device_described)
        self.page.view.cursor_moved.connect(self._on_cursor_moved)
        self._show_scores()

    def _show_upscale(self) -> None:
        self.workspaces.show_page(self.page)

    def _show_batch(self) -> None:
        self.workspaces.show_page(self.batch.host)

    def _show_training(self) -> None:
        self.workspaces.show_page(self.training.host)

    def _on_workspace_changed(self) -> None:
        front = self.workspaces.current
        self.page.set_in_front(front is self.page)
        self.status.set_in_upscale(front is self.page)
        self.batch.set_in_front(front is self.batch.host)
        self.training.set_in_front(front is self.training.host)
        if front is self.page:
            QTimer.singleShot(0, self, self._fall_back)  # a picture may be about to be opened
            self.page.view.setFocus()

    def _on_model_made(self, info: ModelInfo) -> None:
        """Upscale pictures with a training result from now on."""
        self._show_upscale()
        self.session.set_model(info.name)
        text = self.tr("“{title}” is in use. Open a picture to see what it does.").format(title=info.title)
        if not self.session.is_sample and self.session.picture is not None:
            text = self.tr("“{title}” is in use.").format(title=info.title)
        self.page.banner.show_message(BannerKind.SUCCESS, text)

    def _on_save_triggered(self) -> None:
        # A size just typed counts, and belongs in the file name.
        self.page.inspector.scale.settle()
        self.files.save_as()

    def _on_copy_triggered(self) -> None:
        self.page.inspector.scale.settle()
        self.files.copy()

    def _on_drag_out_requested(self) -> None:
        self.page.inspector.scale.settle()
        self.files.drag_out()

    def _on_run_triggered(self) -> None:
        if self.batch.in_front:
            self.batch.begin()
        else:
            self.session.run(again=not self.session.comparison.running)

    def _on_cancel_triggered(self) -> None:
        if self.batch.in_front:
            self.batch.cancel()
        else:
            self._on_cancel_requested()

    def _set_full_screen(self, full: bool) -> None:
        """Enter or leave full screen; a window that was maximized is so again afterwards."""
        state, bit = self.windowState(), Qt.WindowState.WindowFullScreen
        self.setWindowState(state | bit if full else state & ~bit)

    def _on_notified(self, text: str) -> None:
        self._banner.show_message(BannerKind.SUCCESS, text)

    def _on_cancel_requested(self) -> None:
        self.session.cancel()
        self._fall_back()

    def _on_device_described(self, text: str) -> None:
        self._help.device = text
        self.status.show_device(text)

    def _on_cursor_moved(self, reading: CursorReading | None) -> None:
        if reading is None:
            self.status.show_cursor(None, None, None)
        else:
            self.status.show_cursor((reading.x, reading.y), reading.left, reading.right)

    def _on_picture_changed(self) -> None:
        picture = self.session.picture
        if picture is None or self.session.is_sample:
            self.setWindowTitle(TITLE)
        else:
            path = picture.source.path
            name = self.tr("Pasted picture") if path is None else file_name(path)
            self.setWindowTitle(f"{name} — {TITLE}")

    def _on_activity_changed(self, activity: Activity | None) -> None:
        self.status.show_activity(activity)
        if activity is None:
            self.status.show_note(self._monitor.note)

    def _show_scores(self) -> None:
        session = self.session
        reference, size = session.scores.reference, session.size
        there = reference is not None
        allow(self.commands.close_reference, there, self.tr("none is open"))
        if reference is None or size is None:
            self.status.show_scores("", "")
            return
        explanation = self.tr("PSNR and SSIM of the luma against {name}").format(name=file_name(reference.path))
        if not session.scores.fits(size):
            text = self.tr("The reference has another size")
            explanation = self.tr("Set the target size to {width} × {height} to measure")  # noqa: RUF001
            explanation = explanation.format(width=reference.picture.width, height=reference.picture.height)
            self.status.show_scores(text, explanation)
            return
        # Scores of layers shown earlier are kept, and would soon fill the line.
        shown = dict.fromkeys((session.setup.left, session.setup.right))
        known = session.scores.values
        values = {spec: known[spec] for spec in shown if spec in known}
        parts = [f"{self._models.label(spec)} {score_text(v.psnr_db, v.ssim)}" for spec, v in values.items()]
        self.status.show_scores(" · ".join(parts), explanation)
