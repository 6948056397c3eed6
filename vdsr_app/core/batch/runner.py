"""Does a batch: plans its pictures while it works on the first, and writes down each step before it counts.

Three threads meet here. The *planner* finds and plans pictures, also those that are added later. The *reading* thread
of the pipeline asks for the next one (`_jobs`) and decides at the last moment whether it is still to be done. The
pipeline tells of each picture's end through `_on_file`. What they share is behind one lock.
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
from vdsr_app.core.naming import refuse_overwriting_a_source
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
"""Pictures planned before the first of them may begin, and written down together."""


class Batch:
    """One batch on one output folder. Use it once."""

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
        """Nothing is read or written yet.

        Args:
            options: what to do.
            on_event: called from one thread at a time, not always the same.
            token: stops the batch; tested many times a second.
            pause: while it is closed no picture is begun and no tile.
            probe: what is known of a source; another than `probe_source` may remember.
            do_files: does the pictures; None does them in this process, on the device that the settings say.
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
        self._without_room: set[int] = set()  # of what is at work, what waits for the disk
        self._planning = True  # until the first round of it has ended
        self._ended = False
        self._crash: BaseException | None = None
        self._cleaned = {self._options.output}  # folders without leftovers
        self._tally = Tally()
        self._disk = DiskWatch(self._on_waiting, self._token)

    @property
    def planned(self) -> bool:
        """Whether all pictures of what was added are known, and were told; of one that runs, from any thread."""
        with self._changed:
            return not self._planning and not self._inputs

    def add(self, inputs: Sequence[Path]) -> bool:
        """Add files and folders, before or while it runs; safe from any thread.

        Returns:
            False where the batch has come to its end, so that another must take them.
        """
        with self._changed:
            if self._ended:
                return False
            # In full: the journal may be taken up from another folder.
            self._inputs.append(tuple(each.absolute() for each in inputs))
            self._changed.notify_all()
            return True

    def plan(self, *, resume: bool = False, retry_failed: bool = False) -> list[Item]:
        """Plan all that was added, and do nothing.

        Args:
            resume: plan what `run` would do that goes on with the batch in the output folder's journal; what has its
                outcome there is told with it.
            retry_failed: likewise, with what failed once more; implies `resume`.

        Raises:
            UsageError: the template cannot be used, or a batch writes into the output folder.
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
                for item in survey.go_on_from(list(journal.items()), retry_failed=retry_failed):
                    self._token.raise_if_cancelled()
                    items.append(item if item.state.is_outcome else survey.look_again(item))
            for inputs in rounds:  # one by one, as `run` takes them: names depend on what comes together
                for found in survey.find(inputs, self._token):
                    self._token.raise_if_cancelled()
                    items.append(survey.decide(found))
        return items

    def run(self, *, resume: bool = False, retry_failed: bool = False) -> BatchReport:
        """Do the batch, until nothing is left of what was added.

        Args:
            resume: go on with the batch in the output folder's journal; what it has done stays done.
            retry_failed: take up what failed in it once more; implies `resume`.

        Returns:
            How it ended; `core.batch.report` tells of each picture.

        Raises:
            SaveError: the output folder cannot be written.
            UsageError: another batch writes into it, or the template cannot be used.
            WeightsError: there is no such model.
            Cancelled: through the token; the journal knows how to go on.
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
            self._take_up(retry_failed)
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

    def _take_up(self, retry_failed: bool) -> None:
        """Go on from the journal."""
        written = list(self._journal.items())
        before = self._survey.go_on_from(written, retry_failed=retry_failed)
        self._journal.add(now for now, then in zip(before, written, strict=True) if now is not then)
        self._admit(before)
        with self._changed:
            self._inputs.appendleft(tuple(self._journal.inputs()))

    def _plan_all(self) -> None:
        try:
            while (inputs := self._next_inputs()) is not None:
                written = self._journal.inputs()
                self._journal.add_inputs([each for each in inputs if each not in written])
                for chunk in in_chunks(self._survey.find(inputs, self._token), _CHUNK):
                    self._token.raise_if_cancelled()
                    items = [self._survey.decide(each) for each in chunk]
                    self._write_down(partial(self._journal.add, items))
                    self._admit(items)
        except Cancelled:
            pass
        except BaseException as error:  # told by the thread that runs the batch
            self._crash = error
            self._token.cancel()

    def _next_inputs(self) -> Sequence[Path] | None:
        """What is to be planned next; None when nothing can come any more."""
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
        """The next picture; None when all that was added has its outcome, for until then more may be added."""
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
        """Look at a picture once more, as time has passed; None where there is nothing to do."""
        before, item = item, self._survey.look_again(item)
        with self._changed:
            self._tally.replan(before, item)
        if not item.state.is_outcome:
            try:
                refuse_overwriting_a_source(item.output, [item.source])
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
        """Wait until the disk has room for a picture beside those at work, or, when they have ended, for it alone."""
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

    # What the pipeline tells

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
                self._write_down(partial(self._journal.begin_naming, item, event.path))
            case FileDone():
                self._disk.found_room()
                ended = replace(item, state=State.DONE, target=event.target, seconds=event.seconds.total)
                self._settle(ended, self._made(ended))
            case FileFailed():
                logger.info("%s failed: %s", item.source, event.error)
                self._settle(replace(item, state=State.FAILED, note=event.error.words))

    def _made(self, item: Item) -> Made | None:
        """How a result came about; of a source that changed meanwhile, in such words that it is made again."""
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
        """The one place where a picture gets its outcome."""
        self._write_down(partial(self._journal.settle, item, made))
        with self._changed:
            self._at_work.pop(item.number, None)
            self._without_room.discard(item.number)
            self._tally.settle(item)
            self._changed.notify_all()
        self._tell(Changed(item))
        self._tell_progress(item, 1, 1)

    def _tell_progress(self, item: Item, done_px: int, total_px: int) -> None:
        self._tally.stand_still(self._pause.paused)
        with self._changed:
            if item.number in self._at_work:
                self._tally.reach(item, done_px, total_px)
            progress = self._tally.progress(item.number, done_px, total_px)
        self._tell(progress)

    # A full disk

    def _on_no_room(self, job: FileJob, stage: Stage, error: SaveError) -> None:
        """A picture found no room, or its result did: wait, and let it be tried again."""
        item = self._at_work[job.number]
        self._without_room.add(item.number)
        needed = item.disk_bytes if stage is Stage.WRITE else self._needed_bytes(item)
        self._disk.wait_to_try_again(job.output.parent, needed, error.words)

    def _found_room(self, item: Item) -> None:
        """A picture goes on: where it waited for room before, that is over."""
        if item.number in self._without_room:
            self._without_room.discard(item.number)
            self._disk.found_room()

    def _on_waiting(self, event: WaitsForRoom | FoundRoom) -> None:
        self._tally.stand_still(isinstance(event, WaitsForRoom))
        self._tell(event)

    def _write_down(self, write: Callable[[], None]) -> None:
        """Write into the journal, and wait where there is no room for even that."""
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
