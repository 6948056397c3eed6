"""Jobs of a lane that carry callbacks for their end and are grouped by kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from PySide6.QtCore import QDeadlineTimer, QObject, Signal, Slot

from vdsr_app.workers.lane import Lane
from vdsr_app.workers.messages import ErrorReport, JobProgress
from vdsr_app.workers.runner import LaneJob, Work


@dataclass(frozen=True, slots=True, eq=False)
class _Errand:
    """Kind and callbacks of a job."""

    kind: str
    done: Callable[[Any], object]
    failed: Callable[[ErrorReport], object]
    cancelled: Callable[[], object]


class Errands(QObject):
    """One lane of a service; to be used only from the thread that created it.

    Signals:
        progress: JobProgress of the running job.
    """

    progress = Signal(object)

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        """Start the thread; debuggers show it as `name`."""
        super().__init__(parent)
        self._ids = count(1)
        self._open: dict[int, _Errand] = {}  # in order of arrival
        self._lane = Lane(name, self)
        self._lane.progress.connect(self._on_progress)
        self._lane.succeeded.connect(self._on_succeeded)
        self._lane.failed.connect(self._on_failed)
        self._lane.cancelled.connect(self._on_cancelled)

    def submit(
        self,
        kind: str,
        work: Work,
        done: Callable[[Any], object],
        failed: Callable[[ErrorReport], object],
        cancelled: Callable[[], object] = lambda: None,
        *,
        leaves_file: bool = False,
    ) -> int:
        """Queue a job. Exactly one of `done`, `failed`, `cancelled` is called later, once `count` omits the job.

        Args:
            kind: what the job is for; see `count` and `cancel`.
            work: called in the lane's thread.
            done: takes the return value of `work`.
            failed: takes the reason for the failure.
            cancelled: called if the job was cancelled.
            leaves_file: see `LaneJob`.

        Returns:
            The number of the job.
        """
        job_id = next(self._ids)
        self._open[job_id] = _Errand(kind, done, failed, cancelled)
        self._lane.submit(LaneJob(job_id, work, leaves_file=leaves_file))
        return job_id

    def count(self, kind: str) -> int:
        """Number of jobs of a kind whose end has not been reported yet."""
        return len(self._jobs(kind))

    def cancel(self, kind: str, most: int | None = None) -> None:
        """Cancel the jobs of a kind, or at most `most` of them, oldest first."""
        for job_id in self._jobs(kind)[:most]:
            self._lane.cancel(job_id)

    def start_closing(self) -> None:
        """See `Lane.start_closing`."""
        self._lane.start_closing()

    def wait_closed(self, deadline: QDeadlineTimer) -> bool:
        """See `Lane.wait_closed`."""
        return self._lane.wait_closed(deadline)

    def _jobs(self, kind: str) -> list[int]:
        return [job_id for job_id, errand in self._open.items() if errand.kind == kind]

    @Slot(int, object)
    def _on_progress(self, job_id: int, progress: JobProgress) -> None:
        self.progress.emit(progress)

    @Slot(int, object)
    def _on_succeeded(self, job_id: int, result: object) -> None:
        self._open.pop(job_id).done(result)

    @Slot(int, object)
    def _on_failed(self, job_id: int, report: ErrorReport) -> None:
        self._open.pop(job_id).failed(report)

    @Slot(int)
    def _on_cancelled(self, job_id: int) -> None:
        self._open.pop(job_id).cancelled()
