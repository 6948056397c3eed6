"""Jobs of a lane that each know what is done at their end, and are called by what they are for."""

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
    """What becomes of a job, and what it is called."""

    kind: str
    done: Callable[[Any], object]
    failed: Callable[[ErrorReport], object]
    cancelled: Callable[[], object]


class Errands(QObject):
    """One lane of a service; to be used from the thread that made it only.

    Signals:
        progress: JobProgress of the job that runs.
    """

    progress = Signal(object)

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        """Start the thread; `name` is what debuggers show."""
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
        """Queue a job. Exactly one of `done`, `failed`, `cancelled` is called later, when it no longer counts.

        Args:
            kind: what it is for; see `count` and `cancel`.
            work: what to call in the lane's thread.
            done: takes what `work` returned.
            failed: takes why it could not be done.
            cancelled: called when it was given up.
            leaves_file: see `LaneJob`.

        Returns:
            Its number.
        """
        job_id = next(self._ids)
        self._open[job_id] = _Errand(kind, done, failed, cancelled)
        self._lane.submit(LaneJob(job_id, work, leaves_file=leaves_file))
        return job_id

    def count(self, kind: str) -> int:
        """Jobs of a kind whose end was not told yet."""
        return len(self._jobs(kind))

    def cancel(self, kind: str, most: int | None = None) -> None:
        """Give up the jobs of a kind, or at most so many of them, the first that came first."""
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
