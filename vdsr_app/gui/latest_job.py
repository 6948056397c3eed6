"""One job of the service at a time, for those who want the outcome of their last wish alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from vdsr_app.workers.messages import ErrorReport

if TYPE_CHECKING:
    from vdsr_app.workers.upscale import Job, UpscaleService


class LatestJob(QObject):
    """Asks the service for a job; a new one cancels the one before, of which nothing comes any more.

    Signals:
        changed: `running` is another than before.
        failed: the `ErrorReport`.
    """

    changed = Signal()
    failed = Signal(object)

    def __init__(self, service: UpscaleService, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._service = service
        self._job: int | None = None
        self._done: Callable[[Any], object] | None = None
        service.succeeded.connect(self._on_succeeded)
        service.failed.connect(self._on_failed)
        service.cancelled.connect(self._end)

    @property
    def running(self) -> bool:
        """Whether the job has not ended."""
        return self._job is not None

    def begin(self, job: Job, done: Callable[[Any], object]) -> None:
        """Begin a job; `done` takes its result."""
        self.cancel()
        self._job, self._done = self._service.submit(job), done
        self.changed.emit()

    def cancel(self) -> None:
        """Give the job up."""
        if self._job is not None:
            self._service.cancel(self._job)

    def _end(self, job: int) -> bool:
        """Whether it was `job` that ran here; it does no longer."""
        if job != self._job:
            return False
        self._job = self._done = None
        self.changed.emit()
        return True

    def _on_succeeded(self, job: int, result: object) -> None:
        done = self._done
        if self._end(job) and done is not None:
            done(result)

    def _on_failed(self, job: int, report: ErrorReport) -> None:
        if self._end(job):
            self.failed.emit(report)
