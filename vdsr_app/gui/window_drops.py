"""Drags over the window and drops on it, shown and carried out by the workspace in front."""

from __future__ import annotations

from PySide6.QtCore import QMimeData, Qt
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent

from vdsr_app.gui.batch_commands import BatchCommands
from vdsr_app.gui.drops import DropKind, DropPlan, plan_batch, plan_drop
from vdsr_app.gui.file_commands import FileCommands
from vdsr_app.gui.training_commands import TrainingCommands
from vdsr_app.gui.upscale_page import UpscalePage


class WindowDrops:
    """Trains on folders dropped on "Train"; elsewhere, they and several files go to the batch, one file is opened."""

    def __init__(
        self, page: UpscalePage, files: FileCommands, batch: BatchCommands, training: TrainingCommands
    ) -> None:
        self._page = page
        self._files = files
        self._batch = batch
        self._training = training

    def enter(self, event: QDragEnterEvent) -> None:
        """Say what a drop would do, or refuse it."""
        plan = self._plan(event.mimeData())
        folders = self._training.folders_in(event.mimeData())
        own = event.source() is not None
        if own or (plan.kind is DropKind.REFUSED and not event.mimeData().hasUrls()):
            event.ignore()
            return
        event.setDropAction(Qt.DropAction.CopyAction)
        event.accept()
        self._hint(self._training.drop_words(folders) if folders else plan.words)

    def leave(self, event: QDragLeaveEvent) -> None:
        """Remove the hint."""
        self._hint(None)
        event.accept()

    def drop(self, event: QDropEvent) -> None:
        """Carry out the drop."""
        self._hint(None)
        event.setDropAction(Qt.DropAction.CopyAction)
        event.accept()
        folders = self._training.folders_in(event.mimeData())
        if folders:
            self._training.page.new_training(folders)
        else:
            self._files.drop(self._plan(event.mimeData()), event.mimeData())

    def _plan(self, data: QMimeData) -> DropPlan:
        plan = plan_drop(data)
        # One picture dropped on the batch is meant for the batch.
        single = self._batch.in_front and plan.kind is DropKind.OPEN and plan.path is not None
        return plan_batch([plan.path]) if single and plan.path is not None else plan

    def _hint(self, words: str | None) -> None:
        elsewhere = self._training.in_front or self._batch.in_front
        self._page.view.set_drop_hint(None if elsewhere else words)
        if self._training.in_front:
            self._training.page.set_drop_hint(words)
        if self._batch.in_front:
            self._batch.page.set_drop_hint(words)
