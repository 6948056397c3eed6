"""Reads picture files, one at a time: the latest wish counts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from vdsr_app.workers.messages import ErrorReport, OpenedPicture, OpenJob

if TYPE_CHECKING:
    from vdsr_app.workers.upscale import UpscaleService


class Opener(QObject):
    """Asks the service for a file; a new wish cancels the one before.

    Signals:
        changed: `path` is another than before.
        opened: the `Path` and the `OpenedPicture`.
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
        service.succeeded.connect(self._on_succeeded)
        service.failed.connect(self._on_failed)
        service.cancelled.connect(self._on_cancelled)

    @property
    def path(self) -> Path | None:
        """The file being read, or None."""
        return self._path

    def open(self, path: Path) -> None:
        """Read a file."""
        self.cancel()
        self._job, self._path = self._service.submit(OpenJob(path)), path
        self.changed.emit()

    def cancel(self) -> None:
        """Read no further."""
        if self._job is not None:
            self._service.cancel(self._job)

    def _end(self, job: int) -> Path | None:
        """The file that `job` was reading, if it was the one here."""
        if job != self._job:
            return None
        path, self._job, self._path = self._path, None, None
        self.changed.emit()
        return path

    def _on_succeeded(self, job: int, result: object) -> None:
        path = self._end(job)
        if path is not None and isinstance(result, OpenedPicture):
            self.opened.emit(path, result)

    def _on_failed(self, job: int, report: ErrorReport) -> None:
        if self._end(job) is not None:
            self.failed.emit(report)

    def _on_cancelled(self, job: int) -> None:
        self._end(job)
