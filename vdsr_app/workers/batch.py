"""A batch beside the window: planned, run, paused and told of, all in threads of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import partial
from itertools import count
from pathlib import Path

from PySide6.QtCore import QDeadlineTimer, QObject, Qt, Signal, Slot

from vdsr_app.control import PauseGate
from vdsr_app.core.batch.events import BatchEvent, Progress
from vdsr_app.core.batch.items import SourceFacts
from vdsr_app.core.batch.options import BatchOptions
from vdsr_app.workers import batch_jobs
from vdsr_app.workers.awake import KeepAwake
from vdsr_app.workers.lane import Lane
from vdsr_app.workers.messages import ErrorReport
from vdsr_app.workers.runner import LaneJob, Work

logger = logging.getLogger(__name__)

_THUMBNAILS_WAITING = 100
"""More than are in sight at a time: of a list that is scrolled through, the first are given up for the last."""


class BatchService(QObject):
    """One batch at a time; lives in the window's thread and is used from it only.

    Signals:
        planned: the `Plan` of the last `plan`.
        plan_failed: ErrorReport.
        told: tuple of BatchEvent, as they came since the last time; of progress the latest alone.
        ended: BatchReport.
        stopped: it was cancelled, and can go on.
        failed: ErrorReport; the batch could not run or go on.
        found: Unfinished or None, answer of the last `look_for`.
        reported: Path of a table that was written.
        report_failed: ErrorReport; no table was written.
        thumbnail_made: Path, (h, w, 4) uint8 RGBA.
        thumbnail_dropped: Path of a picture whose thumbnail was given up; it may be asked for again.
    """

    planned = Signal(object)
    plan_failed = Signal(object)
    told = Signal(object)
    ended = Signal(object)
    stopped = Signal()
    failed = Signal(object)
    found = Signal(object)
    reported = Signal(object)
    report_failed = Signal(object)
    thumbnail_made = Signal(object, object)
    thumbnail_dropped = Signal(object)
    _arrived = Signal()

    def __init__(self, parent: QObject | None = None, run: batch_jobs.Run = batch_jobs.run) -> None:
        """Start the threads; nothing is read yet.

        Args:
            parent: owner.
            run: what runs a batch; the real thing unless a test gives another.
        """
        super().__init__(parent)
        self._run = run
        self._ids = count(1)
        self._kinds: dict[int, str] = {}
        self._lock = threading.Lock()
        self._outbox: list[BatchEvent] = []
        self._facts: dict[Path, SourceFacts] = {}
        self._handle = batch_jobs.Handle()
        self._pause = PauseGate()
        self._awake = KeepAwake()
        self._thumbnails: dict[int, Path] = {}
        self._errands, self._work = Lane("batch errands", self), Lane("batch", self)
        # A lane of their own: each decodes a whole picture, and the plan is not to wait for that.
        self._small = Lane("batch thumbnails", self)
        for lane in self._lanes:
            lane.succeeded.connect(self._on_succeeded)
            lane.failed.connect(self._on_failed)
            lane.cancelled.connect(self._on_cancelled)
        self._arrived.connect(self._hand_over, Qt.ConnectionType.QueuedConnection)

    @property
    def _lanes(self) -> tuple[Lane, ...]:
        return self._errands, self._work, self._small

    @property
    def running(self) -> bool:
        """Whether a batch runs, or is about to or stands still."""
        return "run" in self._kinds.values()

    @property
    def paused(self) -> bool:
        """Whether it stands still because the person wants it to."""
        return self._pause.paused

    def plan(self, inputs: Sequence[Path], options: BatchOptions) -> None:
        """Plan; an earlier wish that is not fulfilled yet is given up."""
        self._cancel("plan")
        self.drop_thumbnails()
        self._submit(self._errands, "plan", partial(batch_jobs.plan, tuple(inputs), options, self._facts))

    def start(
        self, inputs: Sequence[Path], options: BatchOptions, *, resume: bool = False, retry_failed: bool = False
    ) -> None:
        """Run a batch.

        Args:
            inputs: files and folders; may be empty where it goes on.
            options: how.
            resume: go on with the batch of the output folder.
            retry_failed: the same, and try again what failed.

        Raises:
            RuntimeError: one is running.
        """
        if self.running:
            raise RuntimeError("A batch was started while another one ran.")
        self._cancel("plan")
        self.drop_thumbnails()
        self._pause = PauseGate()
        self._handle = batch_jobs.Handle()
        self._awake.begin()
        wish = batch_jobs.Wish(tuple(inputs), options, resume, retry_failed)
        work = partial(self._run, wish, self._handle, self._pause, self._facts, self._take)
        self._submit(self._work, "run", work)

    def add(self, inputs: Sequence[Path]) -> bool:
        """Add files and folders to the batch that runs; False where none does, or it has come to its end."""
        return self.running and self._handle.add(inputs)

    def pause(self) -> None:
        """Let it stand still."""
        self._pause.pause()

    def resume(self) -> None:
        """Let it go on."""
        self._pause.resume()

    def cancel(self) -> None:
        """Stop it; what is finished stays, and the rest can be gone on with."""
        self._cancel("run")

    def look_for(self, folder: Path) -> None:
        """Ask whether a folder holds a batch that can go on."""
        self._cancel("look")
        self._submit(self._errands, "look", partial(batch_jobs.look_for, folder))

    def write_report(self, folder: Path, path: Path) -> None:
        """Write the outcome of each picture as a table."""
        self._submit(self._errands, "report", partial(batch_jobs.report, folder, path), leaves_file=True)

    def make_thumbnail(self, path: Path, side_px: int) -> None:
        """Ask for a small version of a picture; one that cannot be read has none."""
        if len(self._thumbnails) >= _THUMBNAILS_WAITING:
            self._small.cancel(next(iter(self._thumbnails)))
        job_id = self._submit(self._small, "thumbnail", partial(batch_jobs.thumbnail, path, side_px))
        self._thumbnails[job_id] = path

    def drop_thumbnails(self) -> None:
        """Give up the thumbnails that are not made yet: what is looked at is asked for again."""
        for job_id in list(self._thumbnails):
            self._small.cancel(job_id)

    def close(self, timeout_ms: int) -> bool:
        """Stop everything and end the threads; no signal comes afterwards. Whether they ended in time."""
        self.blockSignals(True)
        self._awake.end()
        deadline = QDeadlineTimer(timeout_ms)
        for lane in self._lanes:
            lane.start_closing()
        ended = [lane.wait_closed(deadline) for lane in self._lanes]
        return all(ended)

    def _submit(self, lane: Lane, kind: str, work: Work, *, leaves_file: bool = False) -> int:
        job_id = next(self._ids)
        self._kinds[job_id] = kind
        lane.submit(LaneJob(job_id, work, leaves_file=leaves_file))
        return job_id

    def _cancel(self, kind: str) -> None:
        lane = self._work if kind == "run" else self._errands
        for job_id in [job_id for job_id, other in self._kinds.items() if other == kind]:
            lane.cancel(job_id)

    def _take(self, event: BatchEvent) -> None:
        """Called by the batch's threads."""
        with self._lock:
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
            self.told.emit(events)

    @Slot(int, object)
    def _on_succeeded(self, job_id: int, result: object) -> None:
        kind = self._kinds.pop(job_id)
        match kind:
            case "run":
                self._after_run()
                self.ended.emit(result)
            case "thumbnail":
                del self._thumbnails[job_id]
                if isinstance(result, tuple) and result[1] is not None:
                    self.thumbnail_made.emit(*result)
            case _:
                {"plan": self.planned, "look": self.found, "report": self.reported}[kind].emit(result)

    @Slot(int, object)
    def _on_failed(self, job_id: int, report: ErrorReport) -> None:
        match self._kinds.pop(job_id):
            case "run":
                self._after_run()
                self.failed.emit(report)
            case "plan":
                self.plan_failed.emit(report)
            case "look":
                self.found.emit(None)  # a folder that cannot be looked at holds nothing to go on with
            case "report":
                self.report_failed.emit(report)
            case "thumbnail":
                del self._thumbnails[job_id]
                logger.warning("A thumbnail could not be made: %s", report.details)  # there is a stand-in for it

    @Slot(int)
    def _on_cancelled(self, job_id: int) -> None:
        match self._kinds.pop(job_id):
            case "run":
                self._after_run()
                self.stopped.emit()
            case "thumbnail":
                self.thumbnail_dropped.emit(self._thumbnails.pop(job_id))

    def _after_run(self) -> None:
        self._awake.end()
        self._hand_over()
