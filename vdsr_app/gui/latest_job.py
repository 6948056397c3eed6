"""One service job at a time, for callers that only want the outcome of their latest request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from vdsr_app.workers.messages import ErrorReport

if TYPE_CHECKING:
    from vdsr_app.workers.upscale import Job, UpscaleService


class LatestJob(QObject):
    """Submits a job to the service; a new one cancels the previous one and drops its outcome.

    Signals:
        changed: `running` may have changed.
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
        """Whether a job is running."""
        return self._job is not None

    def begin(self, job: Job, done: Callable[[Any], object]) -> None:
        """Start a job; `done` is called with its result."""
        self.cancel()
        self._job, self._done = self._service.submit(job), done
        self.changed.emit()

    def cancel(self) -> None:
        """Cancel the job."""
        if self._job is not None:
            self._service.cancel(self._job)

    def _end(self, job: int) -> bool:
        """Forget `job`; return whether it was the one running here."""
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
