"""A batch alongside the window: planned, run and paused in threads of its own, and reported by signals."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QDeadlineTimer, QObject, Qt, Signal, Slot

from vdsr_app.control import PauseGate
from vdsr_app.core.batch.events import BatchEvent, BatchReport, Progress
from vdsr_app.core.batch.items import SourceFacts
from vdsr_app.core.batch.options import BatchOptions
from vdsr_app.core.picture import Pixels
from vdsr_app.workers import batch_jobs, thumbnails
from vdsr_app.workers.awake import KeepAwake
from vdsr_app.workers.errands import Errands
from vdsr_app.workers.messages import ErrorReport

logger = logging.getLogger(__name__)

_THUMBNAILS_WAITING = 100
"""More than are visible at a time: as a list is scrolled, the oldest requests are dropped for the newest."""


class BatchService(QObject):
    """One batch at a time; lives in the window's thread and is used only from it.

    Signals:
        planned: the `Plan` of the last `plan`.
        plan_failed: ErrorReport.
        events_received: tuple of BatchEvent, in order, since the last emission; only the latest of consecutive
            Progress.
        ended: BatchReport.
        stopped: whether all its pictures are known; it was cancelled, can be resumed, and reports nothing more.
        failed: ErrorReport; the batch could not run or continue.
        found: Unfinished or None, answer to the last `look_for`.
        reported: Path of a table that was written.
        report_failed: ErrorReport; no table was written.
        thumbnail_made: Path, (h, w, 4) uint8 RGBA.
        thumbnail_dropped: Path of a picture whose thumbnail was dropped; it may be requested again.
        fitting_changed: whether the batch is waiting for the network to be fitted to this processor, done only once.
    """

    planned = Signal(object)
    plan_failed = Signal(object)
    events_received = Signal(object)
    ended = Signal(object)
    stopped = Signal(bool)
    failed = Signal(object)
    found = Signal(object)
    reported = Signal(object)
    report_failed = Signal(object)
    thumbnail_made = Signal(object, object)
    thumbnail_dropped = Signal(object)
    fitting_changed = Signal(bool)
    _arrived = Signal()

    def __init__(self, parent: QObject | None = None, run: batch_jobs.Run = batch_jobs.run) -> None:
        """Start the threads; nothing is read yet.

        Args:
            parent: owner.
            run: function that runs a batch; a test may pass another.
        """
        super().__init__(parent)
        self._run = run
        self._lock = threading.Lock()
        self._outbox: list[BatchEvent] = []
        self._facts: dict[Path, SourceFacts] = {}
        self._handle = batch_jobs.Handle()
        self._pause = PauseGate()
        self._awake = KeepAwake()
        self._errands, self._work = Errands("batch errands", self), Errands("batch", self)
        # Thumbnails get a lane of their own: each decodes a whole picture, and planning must not wait for that.
        self._small = Errands("batch thumbnails", self)
        self._arrived.connect(self._hand_over, Qt.ConnectionType.QueuedConnection)

    @property
    def running(self) -> bool:
        """Whether a batch is running, starting or paused."""
        return self._work.count("run") > 0

    @property
    def paused(self) -> bool:
        """Whether the user has paused it."""
        return self._pause.paused

    def plan(self, inputs: Sequence[Path], options: BatchOptions) -> None:
        """Plan a batch; a pending earlier request is cancelled."""
        self._errands.cancel("plan")
        self.drop_thumbnails()
        work = partial(batch_jobs.plan, tuple(inputs), options, self._facts)
        self._errands.submit("plan", work, self.planned.emit, self.plan_failed.emit)

    def start(
        self, inputs: Sequence[Path], options: BatchOptions, *, resume: bool = False, retry_failed: bool = False
    ) -> None:
        """Run a batch.

        Args:
            inputs: files and folders; may be empty when resuming.
            options: how to process them.
            resume: continue the batch of the output folder.
            retry_failed: likewise, and try failed pictures again.

        Raises:
            RuntimeError: a batch is running.
        """
        if self.running:
            raise RuntimeError("A batch was started while another one ran.")
        self._errands.cancel("plan")
        self.drop_thumbnails()
        self._pause = PauseGate()
        self._handle = batch_jobs.Handle()
        self._awake.begin()
        request = batch_jobs.BatchRequest(tuple(inputs), options, resume, retry_failed, self.fitting_changed.emit)
        work = partial(self._run, request, self._handle, self._pause, self._facts, partial(self._take, self._handle))
        self._work.submit("run", work, self._on_ended, self._on_failed, self._on_stopped)

    def add(self, inputs: Sequence[Path]) -> bool:
        """Add files and folders to the running batch; False if there is none, or it has ended."""
        return self.running and self._handle.add(inputs)

    def pause(self) -> None:
        """Pause the batch."""
        self._pause.pause()

    def resume(self) -> None:
        """Continue after `pause`."""
        self._pause.resume()

    def cancel(self) -> None:
        """Stop the batch; finished results stay, and the rest can be resumed."""
        self._work.cancel("run")

    def look_for(self, folder: Path) -> None:
        """Ask whether a folder holds a batch that can be resumed."""
        # Not where plans are made: the folder of the last batch may be on a network drive that answers after a minute.
        self._small.cancel("look")
        self._small.submit("look", partial(batch_jobs.look_for, folder), self.found.emit, self._on_look_failed)

    def write_report(self, folder: Path, path: Path) -> None:
        """Write the outcome of each picture as a table."""
        work = partial(batch_jobs.report, folder, path)
        self._errands.submit("report", work, self.reported.emit, self.report_failed.emit, leaves_file=True)

    def make_thumbnail(self, path: Path, side_px: int) -> None:
        """Request a small version of a picture; an unreadable picture has none."""
        if self._small.count("thumbnail") >= _THUMBNAILS_WAITING:
            self._small.cancel("thumbnail", most=1)
        self._small.submit(
            "thumbnail",
            partial(thumbnails.thumbnail, path, side_px),
            self._on_thumbnail,
            self._on_thumbnail_failed,
            partial(self.thumbnail_dropped.emit, path),
        )

    def drop_thumbnails(self) -> None:
        """Cancel pending thumbnails: those in view are requested again."""
        self._small.cancel("thumbnail")

    def close(self, timeout_ms: int) -> bool:
        """Stop everything, emit no more signals, and end the threads; returns whether they ended in time."""
        self.blockSignals(True)
        self._awake.end()
        deadline = QDeadlineTimer(timeout_ms)
        lanes = (self._errands, self._work, self._small)
        for lane in lanes:
            lane.start_closing()
        ended = [lane.wait_closed(deadline) for lane in lanes]
        return all(ended)

    def _take(self, handle: batch_jobs.Handle, event: BatchEvent) -> None:
        """Called by the batch's threads; `handle` is that of their batch."""
        with self._lock:
            if handle is not self._handle:
                return  # it was stopped, and its threads have not ended yet
            first = not self._outbox
            if isinstance(event, Progress) and self._outbox and isinstance(self._outbox[-1], Progress):
                self._outbox.pop()
            self._outbox.append(event)
        if first:
            self._arrived.emit()

    @Slot()
    def _hand_over(self) -> None:
        with self._lock:
            events, self._outbox = tuple(self._outbox), []
        if events:
            self.events_received.emit(events)

    def _on_ended(self, report: BatchReport) -> None:
        self._after_run()
        self.ended.emit(report)

    def _on_failed(self, report: ErrorReport) -> None:
        self._after_run()
        self.failed.emit(report)

    def _on_stopped(self) -> None:
        planned = self._handle.planned
        with self._lock:
            self._handle = batch_jobs.Handle()
        self._after_run()
        self.stopped.emit(planned)

    def _after_run(self) -> None:
        self._awake.end()
        self._hand_over()

    def _on_look_failed(self, report: ErrorReport) -> None:
        self.found.emit(None)  # an unreadable folder holds nothing to resume

    def _on_thumbnail(self, made: tuple[Path, Pixels | None]) -> None:
        if made[1] is not None:
            self.thumbnail_made.emit(*made)

    def _on_thumbnail_failed(self, report: ErrorReport) -> None:
        logger.warning("A thumbnail could not be made: %s", report.details)  # there is a placeholder for it
