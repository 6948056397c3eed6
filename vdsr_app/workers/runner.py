"""The worker object of a lane: runs one job at a time and turns every outcome into exactly one end."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from PySide6.QtCore import QObject, Signal, Slot

from vdsr_app.control import CancelToken
from vdsr_app.errors import Cancelled, VdsrError
from vdsr_app.workers.messages import ErrorReport, JobProgress, Rect, TileBlock
from vdsr_app.workers.throttle import ProgressThrottle

logger = logging.getLogger(__name__)

_TILES_UNDERWAY = 8
"""Tiles that may be queued for the window; a faster worker waits, so memory use and bursts in the window stay small."""

_TILE_WAIT_S = 0.05
"""Interval at which a worker that waits for the window checks its cancel token."""


class VisibleRegion:
    """The region on the screen, set by the window and read by a running job."""

    def __init__(self, rect: Rect | None = None) -> None:
        self._rect = rect

    def __call__(self) -> Rect | None:
        """Region in output pixels, None if unknown."""
        return self._rect

    def set(self, rect: Rect | None) -> None:
        """Change the region; a single assignment, so a reader in another thread sees the old or the new one."""
        self._rect = rect


@dataclass(frozen=True, slots=True, eq=False)
class JobContext:
    """What the work of a job may use, all of it from the worker's thread.

    Attributes:
        token: to be checked at each tile or step.
        visible: region on the screen, which may change meanwhile.
        progress: takes (done, total).
        tile: takes a finished tile; blocks while the window is behind, and raises `Cancelled` if the job is cancelled.
        notice: takes a sentence for the user.
        device: takes a description of what the network runs on.
    """

    token: CancelToken
    visible: VisibleRegion
    progress: Callable[[int, int], None]
    tile: Callable[[TileBlock], None]
    notice: Callable[[str], None]
    device: Callable[[str], None]


Work = Callable[[JobContext], object]
"""The work of a job, called in the worker's thread; it returns the result."""


@dataclass(frozen=True, slots=True, eq=False)
class LaneJob:
    """A job in a lane.

    Attributes:
        id: number assigned by the owner.
        work: what to call.
        leaves_file: the work changes something that outlives the program. Once it runs, a cancel is confirmed only
            when it is known whether the file was written; any other job is cancelled at once.
        token: cancels the work.
        visible: region on the screen.
    """

    id: int
    work: Work
    leaves_file: bool = False
    token: CancelToken = field(default_factory=CancelToken)
    visible: VisibleRegion = field(default_factory=VisibleRegion)


class JobEnd(Enum):
    """How a job ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobRunner(QObject):
    """Runs jobs in the thread it was moved to.

    Signals:
        started: job id.
        progressed: job id, JobProgress.
        tile_done: job id, TileBlock; the receiver must acknowledge each with `tile_taken`.
        noted: job id, sentence.
        device_described: what the network runs on.
        ended: job id, JobEnd, result or ErrorReport or None; always the last signal of a job.
    """

    started = Signal(int)
    progressed = Signal(int, object)
    tile_done = Signal(int, object)
    noted = Signal(int, str)
    device_described = Signal(str)
    ended = Signal(int, object, object)

    def __init__(self) -> None:
        super().__init__()
        self._room = threading.Semaphore(_TILES_UNDERWAY)

    def tile_taken(self) -> None:
        """Make room for one more tile; called from the receiver's thread."""
        self._room.release()

    @Slot(object)
    def run(self, job: LaneJob) -> None:
        """Run `job` in this thread and report its end, whatever happens in it."""
        self.started.emit(job.id)
        end, value = self._outcome(job)
        self.ended.emit(job.id, end, value)

    def _outcome(self, job: LaneJob) -> tuple[JobEnd, object]:
        throttle = ProgressThrottle(lambda progress: self._send_progress(job, progress))
        context = JobContext(
            token=job.token,
            visible=job.visible,
            progress=throttle,
            tile=lambda block: self._send_tile(job, block),
            notice=lambda text: self.noted.emit(job.id, text),
            device=lambda text: self.device_described.emit(text),
        )
        try:
            job.token.raise_if_cancelled()
            value = job.work(context)
            throttle.flush()
        except Cancelled:
            return JobEnd.CANCELLED, None
        except BaseException as error:  # a worker is one of the boundaries that catch everything
            return JobEnd.FAILED, describe_failure(error)
        return JobEnd.SUCCEEDED, value

    def _send_progress(self, job: LaneJob, progress: JobProgress) -> None:
        self.progressed.emit(job.id, progress)

    def _send_tile(self, job: LaneJob, block: TileBlock) -> None:
        job.token.raise_if_cancelled()  # even if there is room: a cancelled job has nothing more to show
        while not self._room.acquire(timeout=_TILE_WAIT_S):
            job.token.raise_if_cancelled()
        self.tile_done.emit(job.id, block)


def describe_failure(error: BaseException) -> ErrorReport:
    """Describe `error` to the user; an unforeseen one is logged with its traceback."""
    details = "".join(traceback.format_exception(error))
    if isinstance(error, VdsrError):
        logger.warning("A job failed: %s", error)
        return ErrorReport.of(error, details)
    logger.error("A job failed in an unforeseen way.", exc_info=error)
    if isinstance(error, MemoryError):
        return ErrorReport(
            "There is not enough memory for this.",
            hint="Choose a smaller scale factor, or close other programs.",
            details=details,
        )
    return ErrorReport(
        "Something unexpected went wrong.",
        hint="Try again; if it happens once more, copy the details and report them.",
        details=details,
    )
