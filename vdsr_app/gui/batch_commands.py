"""The batch in the main window: its workspace, its entry in the status line, and what happens to it on closing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFileDialog, QPushButton, QWidget

from vdsr_app.core.formats import WRITABLE_TITLES
from vdsr_app.core.job import UpscaleSettings
from vdsr_app.core.models import AUTO_MODEL
from vdsr_app.gui.actions import Actions, allow
from vdsr_app.gui.close_dialog import ask_about_batch
from vdsr_app.gui.late_host import LateHost
from vdsr_app.gui.model_list import ModelList
from vdsr_app.gui.parts import can_be_pressed
from vdsr_app.gui.settings import SettingsStore
from vdsr_app.gui.status_line import StatusLine
from vdsr_app.gui.texts import target_words
from vdsr_app.gui.upscale_page import UpscalePage

if TYPE_CHECKING:
    from vdsr_app.gui.batch.page import BatchPage
    from vdsr_app.workers.batch import BatchService

MakeService = Callable[[], "BatchService"]


class BatchCommands(QObject):
    """Creates the batch service and page on first use, and carries out commands given outside the page.

    Attributes:
        host: the workspace; empty until it is first shown.

    Signals:
        show_requested: the workspace should be shown.
        settings_requested: the "Upscale" workspace should be shown, to change size, model or format.
    """

    show_requested = Signal()
    settings_requested = Signal()

    def __init__(
        self,
        window: QWidget,
        actions: Actions,
        upscale: UpscalePage,
        models: ModelList,
        store: SettingsStore,
        status: StatusLine,
        make_service: MakeService | None = None,
    ) -> None:
        """Connect the actions; service and page are created later.

        Args:
            window: owner, and parent of dialogs.
            actions: the menu actions.
            upscale: where size, model and format are chosen.
            models: provides model titles.
            store: the settings.
            status: shows that a batch is running.
            make_service: creates the service; None creates the real one.
        """
        super().__init__(window)
        self._window = window
        self._actions = actions
        self._upscale = upscale
        self._models = models
        self._store = store
        self._status = status
        self._make_service = make_service or _real_service
        self._service: BatchService | None = None
        self._page: BatchPage | None = None
        self._activity = ""
        self.in_front = False
        self.host = LateHost()
        self.host.first_shown.connect(self._on_first_shown)
        actions.open_folder.triggered.connect(self.choose_folder)
        actions.batch_pause.triggered.connect(self._on_pause)
        for action in (actions.batch_retry, actions.batch_report, actions.batch_folder, actions.batch_clear):
            action.triggered.connect(self._on_button_action)
        status.batch_requested.connect(self.show_requested)
        upscale.session.setup_changed.connect(self._show_settings)
        store.changed.connect(self._show_settings)  # these include the save options
        self._show_offer()

    @property
    def page(self) -> BatchPage:
        """The workspace's page, created on first access."""
        if self._page is None:
            # Imported late, so that the first window does not wait for it.
            from vdsr_app.gui.batch.page import BatchPage

            self._service = self._make_service()
            self._page = BatchPage(self._service, self._store)
            self._page.settings_requested.connect(self.settings_requested)
            self._page.activity_changed.connect(self._on_activity_changed)
            self._page.offer_changed.connect(self._show_offer)
            self.host.fill(self._page)
            self._show_settings()
            self._show_offer()
        return self._page

    @property
    def settings(self) -> UpscaleSettings:
        """Settings for all pictures of the batch: the same as for a single one."""
        # Read from the store itself: the window may be notified of a change only after this.
        kept = self._store.current
        chosen = self._upscale.session.settings(kept.save_options)
        return replace(chosen, device=kept.device, precision=kept.precision)

    def choose_folder(self) -> None:
        """Ask for a folder and add it."""
        chosen = QFileDialog.getExistingDirectory(self._window, self.tr("Upscale a folder"))
        if chosen:
            self.add([Path(chosen)])

    def add(self, paths: Sequence[Path]) -> None:
        """Show the workspace and add files and folders."""
        self.show_requested.emit()
        self.page.add(paths)

    def set_in_front(self, in_front: bool) -> None:
        """Set whether the workspace is shown."""
        self.in_front = in_front
        self._status.show_batch("" if in_front else self._activity)
        if in_front:
            self.page.take_focus()
            self._show_offer()

    def begin(self) -> None:
        """Start, replan or continue, whichever is possible now."""
        self.page.begin()

    def cancel(self) -> None:
        """Stop the running batch; finished results are kept."""
        self.page.cancel()

    def may_close(self) -> bool:
        """Ask whether to stop a running batch; return whether the window may close."""
        service = self._service
        return service is None or not service.running or ask_about_batch(self._window, service.paused)

    def close(self, timeout_ms: int) -> bool:
        """End the threads, keeping finished results; return whether they ended in time."""
        return self._service is None or self._service.close(timeout_ms)

    def _show_settings(self) -> None:
        if self._page is not None:
            settings = self.settings
            self._page.show_settings(settings, self._words(settings))

    def _words(self, settings: UpscaleSettings) -> str:
        automatic = settings.model == AUTO_MODEL
        model = self.tr("automatic model") if automatic else self._models.title(settings.model)
        parts = [target_words(settings.target), model, WRITABLE_TITLES[settings.save.format_or_default]]
        if settings.save.bits:
            parts.append(self.tr("{bits} bit").format(bits=settings.save.bits))
        if settings.self_ensemble:
            parts.append(self.tr("best quality"))
        return " · ".join(parts)

    def _show_offer(self) -> None:
        """Enable the menu actions possible now; touch "Run" and "Cancel" only while the workspace is shown."""
        page, a = self._page, self._actions
        can_pause = page is not None and page.can_pause
        a.batch_pause.setText(
            self.tr("Continue the batch") if page is not None and page.flow.paused else self.tr("Pause the batch")
        )
        no_batch = self.tr("no batch is running")
        allow(a.batch_pause, can_pause, no_batch)
        for action, reason in (
            (a.batch_retry, self.tr("no batch has ended with failed pictures")),
            (a.batch_report, self.tr("no batch has ended")),
            (a.batch_folder, self.tr("no batch has ended")),
            (a.batch_clear, self.tr("there is nothing to clear")),
        ):
            button = self._button_of(action)
            allow(action, button is not None and can_be_pressed(button), reason)
        if self.in_front and page is not None:
            allow(a.run, page.panel.next_button is not None, page.panel.start.toolTip())
            allow(a.cancel, can_pause, no_batch)

    def _button_of(self, action: QAction) -> QPushButton | None:
        """The button of the page that does the same as `action`."""
        a, page = self._actions, self._page
        if page is None:
            return None
        panel = page.panel
        buttons = {a.batch_retry: panel.retry, a.batch_report: panel.report, a.batch_folder: panel.folder}
        return buttons.get(action, page.list.clear)

    def _on_pause(self) -> None:
        if self._page is not None:
            self._page.flow.pause_or_continue()

    def _on_button_action(self) -> None:
        action = self.sender()
        button = self._button_of(action) if isinstance(action, QAction) else None
        if button is not None:
            self.show_requested.emit()
            button.click()

    def _on_first_shown(self) -> None:
        _ = self.page

    def _on_activity_changed(self, text: str) -> None:
        self._activity = text
        self._status.show_batch("" if self.in_front else text)


def _real_service() -> BatchService:
    from vdsr_app.workers.batch import BatchService

    return BatchService()
