"""Runs a batch: plans pictures while the first are processed, and records each step before it takes effect.

Three threads meet here. The *planner* finds and plans pictures, including those added later. The *reading* thread of
the pipeline fetches the next one (`_jobs`) and decides at the last moment whether it still has to be done. The pipeline
reports the end of each picture through `_on_file`. Shared state is guarded by one lock.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from vdsr_app.control import POLL_S, CancelToken, PauseGate
from vdsr_app.core.atomic import remove_leftovers
from vdsr_app.core.batch.disk import DiskWatch
from vdsr_app.core.batch.do_files import DoFiles, run_locally
from vdsr_app.core.batch.events import (
    BatchEvent,
    BatchReport,
    Changed,
    FoundRoom,
    Noticed,
    Planned,
    WaitsForRoom,
)
from vdsr_app.core.batch.items import Item, State
from vdsr_app.core.batch.journal import Journal, digest_of
from vdsr_app.core.batch.journal_view import Made, reading, stamp_of
from vdsr_app.core.batch.needs import scratch_bytes
from vdsr_app.core.batch.options import BatchOptions
from vdsr_app.core.batch.plan import in_chunks, probe_source
from vdsr_app.core.batch.survey import Prober, Survey
from vdsr_app.core.batch.tally import Tally
from vdsr_app.core.engines import Engines
from vdsr_app.core.model_choice import AUTO_MODEL
from vdsr_app.core.models import find_model
from vdsr_app.core.naming import refuse_overwriting_source
from vdsr_app.core.pipeline import (
    FileDone,
    FileEvent,
    FileFailed,
    FileJob,
    FileNotice,
    FileProgress,
    FileStarted,
    FileWritten,
    Stage,
)
from vdsr_app.errors import Cancelled, SaveError, VdsrError

logger = logging.getLogger(__name__)

_CHUNK = 32
"""Pictures planned and recorded together before the first of them may begin."""


class Batch:
    """One batch on one output folder. Single use."""

    def __init__(
        self,
        options: BatchOptions,
        on_event: Callable[[BatchEvent], None],
        token: CancelToken | None = None,
        *,
        pause: PauseGate | None = None,
        probe: Prober = probe_source,
        do_files: DoFiles | None = None,
    ) -> None:
        """Store the options; read and write nothing yet.

        Args:
            options: what to do.
            on_event: called from one thread at a time, not always the same.
            token: cancels the batch; checked many times a second.
            pause: while closed, no picture and no tile is started.
            probe: inspects a source; a replacement for `probe_source` may cache its answers.
            do_files: processes the pictures; None does so in this process, on the device in the settings.
        """
        settings = options.settings
        self._options = replace(options, output=options.output.absolute())
        self._tell_to = on_event
        self._token = CancelToken(token)
        self._pause = pause or PauseGate()
        self._probe = probe
        self._do_files = do_files or run_locally(Engines(settings.device, settings.precision))
        self._telling = threading.RLock()
        self._changed = threading.Condition()
        self._inputs: deque[Sequence[Path]] = deque()
        self._queue: deque[Item] = deque()
        self._at_work: dict[int, Item] = {}
        self._without_room: set[int] = set()  # numbers in `_at_work` that wait for disk space
        self._planning = True  # during each round of planning, and before the first
        self._ended = False
        self._crash: BaseException | None = None
        self._cleaned = {self._options.output}  # folders cleared of leftovers
        self._tally = Tally()
        self._disk = DiskWatch(self._on_waiting, self._token)

    @property
    def planned(self) -> bool:
        """Whether all inputs added so far are planned and reported; meant for a running batch, from any thread."""
        with self._changed:
            return not self._planning and not self._inputs

    def add(self, inputs: Sequence[Path]) -> bool:
        """Add files and folders, before or during the run; safe from any thread.

        Returns:
            False if the batch has ended, so that another one must take them.
        """
        with self._changed:
            if self._ended:
                return False
            # Absolute: the batch may be resumed from another working directory.
            self._inputs.append(tuple(each.absolute() for each in inputs))
            self._changed.notify_all()
            return True

    def plan(self, *, resume: bool = False, retry_failed: bool = False) -> list[Item]:
        """Plan everything that was added without processing it.

        Args:
            resume: plan what `run` would do when it resumes the batch in the output folder's journal; pictures that
                have their outcome there are included.
            retry_failed: likewise, with failed pictures tried again; implies `resume`.

        Raises:
            UsageError: the template cannot be used, or a batch is writing into the output folder.
            SaveError: the journal of the output folder cannot be read.
            WeightsError: there is no such model.
            Cancelled: through the token.
        """
        self._require_model()
        with reading(self._options.output) as journal:
            survey = Survey(self._options, journal, self._probe)
            items: list[Item] = []
            rounds = [*self._inputs]
            if journal is not None and (resume or retry_failed):
                rounds.insert(0, journal.inputs())
                for item in survey.resume_from(list(journal.items()), retry_failed=retry_failed):
                    self._token.raise_if_cancelled()
                    items.append(item if item.state.is_outcome else survey.look_again(item))
            for inputs in rounds:  # one by one, as in `run`: names depend on what is planned together
                for found in survey.find(inputs, self._token):
                    self._token.raise_if_cancelled()
                    items.append(survey.decide(found))
        return items

    def run(self, *, resume: bool = False, retry_failed: bool = False) -> BatchReport:
        """Run the batch until everything that was added is done.

        Args:
            resume: continue the batch in the output folder's journal; what it has done stays done.
            retry_failed: also try its failed pictures again; implies `resume`.

        Returns:
            How it ended; `core.batch.report` lists each picture.

        Raises:
            SaveError: the output folder cannot be written.
            UsageError: another batch is writing into it, or the template cannot be used.
            WeightsError: there is no such model.
            Cancelled: through the token; the batch can be resumed from the journal.
        """
        self._require_model()
        journal = Journal(self._options.output)
        try:
            return self._run(journal, resume or retry_failed, retry_failed)
        finally:
            with self._changed:
                self._ended = True
            journal.close()

    def _require_model(self) -> None:
        if self._options.settings.model != AUTO_MODEL:
            find_model(self._options.settings.model)

    # The planner's thread

    def _run(self, journal: Journal, resume: bool, retry_failed: bool) -> BatchReport:
        self._journal = journal
        self._survey = Survey(self._options, journal, self._probe)
        remove_leftovers(self._options.output)
        if resume:
            self._resume_from_journal(retry_failed)
        else:
            journal.begin(self._options)
        thread = threading.Thread(target=self._plan_all, name="batch-plan")
        thread.start()
        try:
            report = self._do_files(
                self._jobs(), self._on_file, self._token, pause=self._pause, on_no_room=self._on_no_room
            )
        finally:
            self._token.cancel()
            thread.join()
            if self._crash is not None:
                raise self._crash
        journal.end()
        counts = journal.counts()
        return BatchReport(
            counts[State.DONE], counts[State.SKIPPED], counts[State.FAILED], self._tally.elapsed_s, report.busy_share
        )

    def _resume_from_journal(self, retry_failed: bool) -> None:
        """Resume from the journal."""
        written = list(self._journal.items())
        before = self._survey.resume_from(written, retry_failed=retry_failed)
        self._journal.add(now for now, then in zip(before, written, strict=True) if now is not then)
        self._admit(before)
        with self._changed:
            self._inputs.appendleft(tuple(self._journal.inputs()))

    def _plan_all(self) -> None:
        try:
            while (inputs := self._next_inputs()) is not None:
                written = set(self._journal.inputs())  # a set, as thousands of files may be given one by one
                self._journal.add_inputs([each for each in inputs if each not in written])
                for chunk in in_chunks(self._survey.find(inputs, self._token), _CHUNK):
                    self._token.raise_if_cancelled()
                    items = [self._survey.decide(each) for each in chunk]
                    self._write_down(partial(self._journal.add, items))
                    self._admit(items)
        except Cancelled:
            pass
        except BaseException as error:  # re-raised by the thread that runs the batch
            self._crash = error
            self._token.cancel()

    def _next_inputs(self) -> Sequence[Path] | None:
        """The next inputs to plan; None when no more can come."""
        with self._changed:
            self._planning = False
            self._changed.notify_all()
            while not self._inputs:
                if self._ended:
                    return None
                self._token.raise_if_cancelled()
                self._changed.wait(POLL_S)
            self._planning = True
            return self._inputs.popleft()

    def _admit(self, items: Sequence[Item]) -> None:
        self._tell(Planned(tuple(items)))
        with self._changed:
            self._tally.add(items)
            self._queue.extend(item for item in items if not item.state.is_outcome)
            self._changed.notify_all()

    # The reading thread

    def _jobs(self) -> Iterator[FileJob]:
        while (item := self._next_item()) is not None:
            job = self._begin(item)
            if job is not None:
                yield job

    def _next_item(self) -> Item | None:
        """The next picture; None once all that was added has its outcome, as until then more may be added."""
        with self._changed:
            while not self._queue:
                self._token.raise_if_cancelled()
                if not self._inputs and not self._planning and not self._at_work:
                    self._ended = True
                    self._changed.notify_all()
                    return None
                self._changed.wait(POLL_S)
            return self._queue.popleft()

    def _begin(self, item: Item) -> FileJob | None:
        """Check a picture again, as time has passed; None if there is nothing to do."""
        before, item = item, self._survey.look_again(item)
        with self._changed:
            self._tally.replan(before, item)
        if not item.state.is_outcome:
            try:
                refuse_overwriting_source(item.output, [item.source])
                # Before the network reads the model's file, so that a file replaced meanwhile is not taken for it.
                self._survey.outputs.recipe(item)
            except VdsrError as error:
                item = replace(item, state=State.FAILED, note=error.words)
        if item.state.is_outcome:
            self._settle(item)
            return None
        folder = item.output.parent
        if folder not in self._cleaned:
            remove_leftovers(folder)
            self._cleaned.add(folder)
        self._wait_for_room(item)
        item = replace(item, state=State.WORKING)
        with self._changed:
            self._at_work[item.number] = item
        self._write_down(partial(self._journal.begin_work, item))
        self._tell(Changed(item))
        return FileJob(item.number, item.source, item.output, replace(self._options.settings, model=item.model))

    def _wait_for_room(self, item: Item) -> None:
        """Wait until the disk has space for a picture besides those in progress or, once these have ended, alone."""
        folder, needed = item.output.parent, self._needed_bytes(item)
        while True:
            with self._changed:
                beside = sum(self._needed_bytes(each) for each in self._at_work.values())
                alone = not self._at_work
            if alone:
                self._disk.wait_for_room(folder, needed)
                return
            if self._disk.has_room(folder, needed + beside):
                return
            self._token.raise_if_cancelled()
            with self._changed:
                self._changed.wait(POLL_S)

    def _needed_bytes(self, item: Item) -> int:
        return item.disk_bytes + scratch_bytes(self._options, item)

    # Events from the pipeline

    def _on_file(self, event: FileEvent) -> None:
        item = self._at_work[event.job.number]
        match event:
            case FileStarted():
                self._found_room(item)
            case FileProgress():
                self._found_room(item)
                self._tell_progress(item, event.done_px, event.total_px)
            case FileNotice():
                self._tell(Noticed(item, event.text))
            case FileWritten():
                self._write_down(partial(self._journal.begin_rename, item, event.path))
            case FileDone():
                self._disk.found_room()
                ended = replace(item, state=State.DONE, target=event.target, seconds=event.seconds.total)
                self._settle(ended, self._made(ended))
            case FileFailed():
                self._found_room(item)  # it waits no more
                logger.info("%s failed: %s", item.source, event.error)
                self._settle(replace(item, state=State.FAILED, note=event.error.words))

    def _made(self, item: Item) -> Made | None:
        """How a result was made; with an empty digest if the source changed meanwhile, so that it is made again."""
        result = stamp_of(item.output)
        if result is None or item.facts.stamp is None:
            return None
        try:
            digest = digest_of(item.source)
        except OSError:
            digest = b""
        if stamp_of(item.source) != item.facts.stamp:
            digest = b""
        return Made(item.source, item.facts.stamp, digest, self._survey.outputs.recipe(item), result)

    def _settle(self, item: Item, made: Made | None = None) -> None:
        """Give a picture its outcome; the only place where that happens."""
        self._write_down(partial(self._journal.settle, item, made))
        with self._changed:
            self._at_work.pop(item.number, None)
            self._without_room.discard(item.number)
            self._tally.settle(item)
            self._changed.notify_all()
        self._tell(Changed(item))
        self._tell_progress(item, 1, 1)

    def _tell_progress(self, item: Item, done_px: int, total_px: int) -> None:
        with self._changed:
            self._tally.set_stalled(self._pause.paused)
            if item.number in self._at_work:
                self._tally.reach(item, done_px, total_px)
            progress = self._tally.progress(item.number, done_px, total_px)
        self._tell(progress)

    # A full disk

    def _on_no_room(self, job: FileJob, stage: Stage, error: SaveError) -> None:
        """Wait, so that a picture or a result that ran out of disk space can be tried again."""
        item = self._at_work[job.number]
        with self._changed:
            self._without_room.add(item.number)
        needed = item.disk_bytes if stage is Stage.WRITE else self._needed_bytes(item)
        self._disk.wait_to_try_again(job.output.parent, needed, error.words)

    def _found_room(self, item: Item) -> None:
        """End the wait of a picture that is making progress again, or has failed."""
        with self._changed:
            waited = item.number in self._without_room
            self._without_room.discard(item.number)
        if waited:
            self._disk.found_room()

    def _on_waiting(self, event: WaitsForRoom | FoundRoom) -> None:
        with self._changed:
            self._tally.set_stalled(isinstance(event, WaitsForRoom) or self._pause.paused)
        self._tell(event)

    def _write_down(self, write: Callable[[], None]) -> None:
        """Write to the journal, waiting if there is no disk space even for that."""
        while True:
            try:
                write()
                return
            except SaveError as error:
                if not self._disk.is_full(self._options.output):
                    raise
                logger.warning("The journal waits for room: %s", error)
                self._disk.wait_for_room(self._options.output, 1)

    def _tell(self, event: BatchEvent) -> None:
        with self._telling:
            self._tell_to(event)
