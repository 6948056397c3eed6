"""A lane: a thread that runs jobs one after the other.

All book-keeping happens in the thread that owns the lane (the window's). The queue stays there too, so a waiting job
is cancelled by removing it, and the worker gets a job only when the last one has ended.
"""

from __future__ import annotations

import logging

from PySide6.QtCore import QCoreApplication, QDeadlineTimer, QEvent, QObject, Qt, QThread, Signal, Slot

from vdsr_app.workers.messages import JobProgress, Rect, TileBlock
from vdsr_app.workers.runner import JobEnd, JobRunner, LaneJob

logger = logging.getLogger(__name__)

_abandoned: list[tuple[QThread, JobRunner]] = []
"""Threads that did not end in time, kept here because Qt aborts the program when a running thread is destroyed."""


class Lane(QObject):
    """Queue and thread of one worker; to be used only from the thread that created it.

    Signals:
        started: job id, when its work begins.
        progress: job id, JobProgress.
        tile_finished: job id, TileBlock.
        notice: job id, sentence.
        device_described: what the network runs on.
        succeeded: job id, result.
        failed: job id, ErrorReport.
        cancelled: job id. Exactly one of these last three is emitted for each job, and nothing after it.
    """

    started = Signal(int)
    progress = Signal(int, object)
    tile_finished = Signal(int, object)
    notice = Signal(int, str)
    device_described = Signal(str)
    succeeded = Signal(int, object)
    failed = Signal(int, object)
    cancelled = Signal(int)
    _dispatched = Signal(object)

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        """Start the thread; debuggers show it as `name`."""
        super().__init__(parent)
        self._waiting: dict[int, LaneJob] = {}  # in order of arrival
        self._running: LaneJob | None = None
        self._open_ids: set[int] = set()  # jobs whose end has not been reported yet
        self._closing = False
        self._thread = QThread()
        self._thread.setObjectName(name)
        self._runner = JobRunner()
        self._runner.moveToThread(self._thread)
        self._dispatched.connect(self._runner.run, Qt.ConnectionType.QueuedConnection)
        self._runner.started.connect(self._on_started)
        self._runner.progressed.connect(self._on_progressed)
        self._runner.tile_done.connect(self._on_tile_done)
        self._runner.noted.connect(self._on_noted)
        self._runner.device_described.connect(self._on_device_described)
        self._runner.ended.connect(self._on_ended)
        self._thread.start()

    @property
    def active_jobs(self) -> frozenset[int]:
        """Jobs whose end has not been reported yet."""
        return frozenset(self._open_ids)

    def submit(self, job: LaneJob) -> None:
        """Queue `job`; its signals are emitted later, never from within this call.

        Raises:
            RuntimeError: the lane is closed.
        """
        if self._closing:
            raise RuntimeError("A job came after the lane was closed.")
        self._open_ids.add(job.id)
        self._waiting[job.id] = job
        self._dispatch_next()

    def cancel(self, job_id: int) -> None:
        """Cancel a job; does nothing if it has ended.

        `cancelled` is emitted from within this call, unless the job is writing a file: then its actual end is reported.
        """
        if job_id not in self._open_ids:
            return
        job = self._waiting.pop(job_id, None)
        if job is not None:
            job.token.cancel()
            self._tell_end(job_id, JobEnd.CANCELLED, None)
        elif self._running is not None:
            self._running.token.cancel()
            if not self._running.leaves_file:
                self._tell_end(job_id, JobEnd.CANCELLED, None)

    def cancel_all(self) -> None:
        """Cancel all jobs, newest first."""
        for job_id in sorted(self._open_ids, reverse=True):
            self.cancel(job_id)

    def set_visible(self, job_id: int, rect: Rect | None) -> None:
        """Tell a waiting or running job which region is on the screen now, in output pixels."""
        running = self._running if self._running is not None and self._running.id == job_id else None
        job = self._waiting.get(job_id, running)
        if job is not None:
            job.visible.set(rect)

    def start_closing(self) -> None:
        """Cancel everything and ask the thread to end; no more jobs are accepted."""
        self._closing = True
        self.cancel_all()
        self._thread.quit()

    def wait_closed(self, deadline: QDeadlineTimer) -> bool:
        """Wait for the thread after `start_closing`.

        Returns:
            Whether it ended. If not, it is abandoned, and the process must exit by `os._exit`.
        """
        ended = self._thread.wait(deadline)
        if ended:
            # The end of a job that was writing is still in the event queue, and the loop may not run again.
            QCoreApplication.sendPostedEvents(self, QEvent.Type.MetaCall)
        else:
            logger.error("The thread '%s' did not end in time.", self._thread.objectName())
            _abandoned.append((self._thread, self._runner))
        for job_id in sorted(self._open_ids):
            self._tell_end(job_id, JobEnd.CANCELLED, None)
        return ended

    def _dispatch_next(self) -> None:
        if self._running is None and self._waiting and not self._closing:
            job_id = next(iter(self._waiting))
            self._running = self._waiting.pop(job_id)
            self._dispatched.emit(self._running)

    def _tell_end(self, job_id: int, end: JobEnd, value: object) -> None:
        self._open_ids.discard(job_id)
        match end:
            case JobEnd.SUCCEEDED:
                self.succeeded.emit(job_id, value)
            case JobEnd.FAILED:
                self.failed.emit(job_id, value)
            case JobEnd.CANCELLED:
                self.cancelled.emit(job_id)

    @Slot(int)
    def _on_started(self, job_id: int) -> None:
        if job_id in self._open_ids:
            self.started.emit(job_id)

    @Slot(int, object)
    def _on_progressed(self, job_id: int, progress: JobProgress) -> None:
        if job_id in self._open_ids:
            self.progress.emit(job_id, progress)

    @Slot(int, object)
    def _on_tile_done(self, job_id: int, block: TileBlock) -> None:
        self._runner.tile_taken()
        if job_id in self._open_ids:
            self.tile_finished.emit(job_id, block)

    @Slot(int, str)
    def _on_noted(self, job_id: int, text: str) -> None:
        if job_id in self._open_ids:
            self.notice.emit(job_id, text)

    @Slot(str)
    def _on_device_described(self, text: str) -> None:
        self.device_described.emit(text)

    @Slot(int, object, object)
    def _on_ended(self, job_id: int, end: JobEnd, value: object) -> None:
        self._running = None
        if job_id in self._open_ids:
            self._tell_end(job_id, end, value)
        self._dispatch_next()
