"""Reads pictures, one at a time: the latest wish counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from vdsr_app.core.picture import Picture
from vdsr_app.gui.texts import file_name
from vdsr_app.workers.messages import ErrorReport, OpenedPicture, OpenJob, PasteJob

if TYPE_CHECKING:
    from vdsr_app.workers.upscale import UpscaleService


class Opener(QObject):
    """Asks the service for a picture; a new wish cancels the one before.

    Signals:
        changed: `name` is another than before.
        opened: the `Path`, None of a picture that is no file, and the `OpenedPicture`.
        failed: the `ErrorReport`.
    """

    changed = Signal()
    opened = Signal(object, object)
    failed = Signal(object)

    def __init__(self, service: UpscaleService, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._service = service
        self._job: int | None = None
        self._path: Path | None = None
        self._name = ""
        service.succeeded.connect(self._on_succeeded)
        service.failed.connect(self._on_failed)
        service.cancelled.connect(self._on_cancelled)

    @property
    def name(self) -> str | None:
        """What is being read, in words for people, or None."""
        return None if self._job is None else self._name

    def open(self, path: Path) -> None:
        """Read a file."""
        self._begin(OpenJob(path), path, file_name(path))

    def take(self, take: Callable[[], Picture], name: str) -> None:
        """Take a picture that is no file; `name` says what is being read."""
        self._begin(PasteJob(take), None, name)

    def cancel(self) -> None:
        """Read no further."""
        if self._job is not None:
            self._service.cancel(self._job)

    def _begin(self, job: OpenJob | PasteJob, path: Path | None, name: str) -> None:
        self.cancel()
        self._job, self._path, self._name = self._service.submit(job), path, name
        self.changed.emit()

    def _end(self, job: int) -> bool:
        """Whether it was `job` that read here; it does no longer."""
        if job != self._job:
            return False
        self._job = None
        self.changed.emit()
        return True

    def _on_succeeded(self, job: int, result: object) -> None:
        path = self._path
        if self._end(job) and isinstance(result, OpenedPicture):
            self.opened.emit(path, result)

    def _on_failed(self, job: int, report: ErrorReport) -> None:
        if self._end(job):
            self.failed.emit(report)

    def _on_cancelled(self, job: int) -> None:
        self._end(job)
