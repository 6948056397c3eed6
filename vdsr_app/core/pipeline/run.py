"""Three stages in parallel: while the network works on one picture, the next is read and the last is written."""

from __future__ import annotations

import logging
import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from vdsr_app.control import POLL_S, CancelToken, PauseGate
from vdsr_app.core import image_io
from vdsr_app.core.atomic import is_out_of_room, require_name, require_writable
from vdsr_app.core.engines import Engines
from vdsr_app.core.job import TargetSize
from vdsr_app.core.model_choice import ModelChoice, choose_model, photo_installed
from vdsr_app.core.picture import Picture
from vdsr_app.core.pipeline.events import (
    FileDone,
    FileEvent,
    FileFailed,
    FileJob,
    FileNotice,
    FileProgress,
    FileStarted,
    FileWritten,
    NoRoomCallback,
    PipelineReport,
    Stage,
    StageSeconds,
)
from vdsr_app.core.scratch import Allocator, allocator_for, in_memory
from vdsr_app.errors import Cancelled, PictureTooLargeError, SaveError, UsageError, VdsrError

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

_IN_WORK = 3
"""Pictures in memory at a time: one per stage."""


def run_files(
    jobs: Iterable[FileJob],
    engines: Engines,
    on_event: Callable[[FileEvent], None],
    token: CancelToken,
    *,
    pause: PauseGate | None = None,
    on_no_room: NoRoomCallback | None = None,
) -> PipelineReport:
    """Process pictures in order, each stage in a thread of its own; the network runs in the calling thread.

    A picture that fails does not stop the others, and is reported in its turn.

    Args:
        jobs: asked for the next one by the reading thread when fewer than three are in work; may wait for one to come,
            and must stop waiting when `token` is cancelled.
        engines: provides the engine of each model; used from the calling thread only.
        on_event: called from one thread at a time.
        token: tested many times a second in every stage.
        pause: while it is closed, no picture and no tile is begun.
        on_no_room: called by the thread of a stage that finds a disk full, which need not be the writing one: see
            `scratch`. The other stages go on meanwhile. If None, the picture fails.

    Returns:
        Counts, and how busy the network was.

    Raises:
        Cancelled: `token` was cancelled; all threads have ended, and what was not reported as done left nothing behind.
    """
    run = _Run(engines, on_event, CancelToken(token), pause or PauseGate(), on_no_room)
    return run.all(iter(jobs))


@dataclass
class _Item:
    """A picture on its way through the stages."""

    job: FileJob
    source: Picture | None = None
    result: Picture | None = None
    target: TargetSize | None = None
    allocate: Allocator = in_memory
    choice: ModelChoice | None = None
    device: str = ""
    precision: str = ""
    seconds: StageSeconds = field(default_factory=StageSeconds)
    error: VdsrError | None = None


_Queue = queue.Queue[_Item | None]


class _Run:
    """The state that the three threads share."""

    def __init__(
        self,
        engines: Engines,
        on_event: Callable[[FileEvent], None],
        token: CancelToken,
        pause: PauseGate,
        on_no_room: NoRoomCallback | None,
    ) -> None:
        self._engines = engines
        self._on_event = on_event
        self._token = token
        self._pause = pause
        self._on_no_room = on_no_room
        self._telling = threading.Lock()
        self._slots = threading.Semaphore(_IN_WORK)
        self._in_work = 0
        self._writable: set[Path] = set()
        self._fewer = threading.Condition()
        self._read: _Queue = queue.Queue(1)
        self._computed: _Queue = queue.Queue(1)
        self._crash: BaseException | None = None
        self._report = PipelineReport()

    @cached_property
    def _has_photo(self) -> bool:
        """Looked up once, as it means reading the header of every model."""
        return photo_installed()

    def all(self, jobs: Iterator[FileJob]) -> PipelineReport:
        threads = [
            threading.Thread(target=self._stage, args=(self._read_all, jobs), name="files-read"),
            threading.Thread(target=self._stage, args=(self._write_all,), name="files-write"),
        ]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        try:
            self._compute_all()
        except BaseException as error:
            self._token.cancel()
            if not isinstance(error, Cancelled):  # raised below, unless a stage crashed
                raise
        finally:
            for thread in threads:
                thread.join()
        if self._crash is not None:
            raise self._crash
        self._token.raise_if_cancelled()
        return replace(self._report, wall_seconds=time.perf_counter() - started)

    def _stage(self, work: Callable[..., None], *arguments: object) -> None:
        """Run a stage in its thread; whatever ends it early ends the others too."""
        try:
            work(*arguments)
        except Cancelled:
            self._token.cancel()
        except BaseException as error:  # raised in the calling thread
            self._crash = error
            self._token.cancel()

    # Reading

    def _read_all(self, jobs: Iterator[FileJob]) -> None:
        while True:
            self._pause.wait(self._token)
            self._take_slot()
            job = next(jobs, None)
            if job is None:
                self._put(self._read, None)
                return
            with self._fewer:
                self._in_work += 1
            item = _Item(job)
            with self._capturing_errors(item):
                self._read_one(item)
            self._put(self._read, item)

    def _take_slot(self) -> None:
        while not self._slots.acquire(timeout=POLL_S):
            self._token.raise_if_cancelled()

    def _read_one(self, item: _Item) -> None:
        def read() -> tuple[Picture, float]:
            started = time.perf_counter()
            self._require_folder(item.job.output.parent)
            require_name(item.job.output)
            item.allocate = _allocator(item.job)
            try:
                picture = image_io.read(item.job.source, token=self._token, allocate=item.allocate)
            except PictureTooLargeError:
                # The pictures before it may be what leaves no room.
                if not self._wait_alone():
                    raise
                started = time.perf_counter()
                picture = image_io.read(item.job.source, token=self._token, allocate=item.allocate)
            return picture, time.perf_counter() - started

        picture, seconds = self._retrying_when_disk_full(item.job, Stage.READ, read)
        item.source = picture
        item.target = item.job.settings.target.size_for(picture.width, picture.height)
        item.seconds = replace(item.seconds, read=seconds)
        for note in picture.source.notes:
            self._tell(FileNotice(item.job, note))

    def _require_folder(self, folder: Path) -> None:
        """Make a folder of results, and check that it is writable before the network works for nothing."""
        _make_folder(folder)
        if folder in self._writable:
            return
        require_writable(folder)
        self._writable.add(folder)

    def _wait_alone(self) -> bool:
        """Wait until no picture but the one being read is in memory; False if that is already so."""
        with self._fewer:
            if self._in_work == 1:
                return False
            while not self._fewer.wait_for(lambda: self._in_work == 1, POLL_S):
                self._token.raise_if_cancelled()
        return True

    # The network

    def _compute_all(self) -> None:
        while True:
            item = self._get(self._read)
            if item is None:
                self._put(self._computed, None)
                return
            if item.error is None:
                with self._capturing_errors(item):
                    self._compute_one(item)
            item.source = None
            self._put(self._computed, item)

    def _compute_one(self, item: _Item) -> None:
        from vdsr_app.core.upscale import upscale_picture

        job, picture, target = item.job, item.source, item.target
        assert picture is not None
        assert target is not None
        started = time.perf_counter()
        item.choice = choose_model(job.settings.model, picture.source.compression, has_photo=self._has_photo)
        engine = self._engines.get(item.choice.name)
        loaded = time.perf_counter()
        self._add(loading_seconds=loaded - started)
        self._tell(FileStarted(job, picture.width, picture.height, target, item.choice))
        started, paused = loaded, 0.0

        def on_progress(done: int, total: int) -> None:
            nonlocal paused
            self._tell(FileProgress(job, done, total))
            if self._pause.paused:
                stopped = time.perf_counter()
                self._pause.wait(self._token)
                paused += time.perf_counter() - stopped

        def enlarge() -> Picture:
            nonlocal started, paused
            started, paused = time.perf_counter(), 0.0
            return upscale_picture(
                picture,
                job.settings,
                engine,
                token=self._token,
                on_progress=on_progress,
                on_notice=lambda text: self._tell(FileNotice(job, text)),
                allocate=item.allocate,
            )

        result = self._retrying_when_disk_full(job, Stage.NETWORK, enlarge)
        spent = time.perf_counter() - started - paused
        self._add(network_seconds=spent, paused_seconds=paused)
        item.result, item.device, item.precision = result, engine.kind, engine.precision
        item.seconds = replace(item.seconds, network=spent)

    # Writing

    def _write_all(self) -> None:
        while True:
            item = self._get(self._computed)
            if item is None:
                return
            event: FileEvent | None = None
            if item.error is None:
                with self._capturing_errors(item):
                    event = self._write_one(item)
            if event is None:
                assert item.error is not None
                event = FileFailed(item.job, item.error)
            item.result = None
            self._add(**{"done" if isinstance(event, FileDone) else "failed": 1})
            with self._fewer:
                self._in_work -= 1
                self._fewer.notify_all()
            self._slots.release()
            self._tell(event)

    def _write_one(self, item: _Item) -> FileDone:
        job = item.job
        assert item.result is not None
        assert item.target is not None
        assert item.choice is not None
        started, result, allocate = time.perf_counter(), item.result, item.allocate

        def tell_written(path: Path) -> None:
            self._tell(FileWritten(job, path))

        def save() -> image_io.SaveReport:
            return image_io.save(
                result,
                job.output,
                job.settings.save,
                token=self._token,
                allocate=allocate,
                before_rename=tell_written,
            )

        saved = self._retrying_when_disk_full(job, Stage.WRITE, save)
        for note in saved.notes:
            self._tell(FileNotice(job, note))
        seconds = replace(item.seconds, write=time.perf_counter() - started)
        return FileDone(job, item.target, item.choice, item.device, item.precision, saved.size_bytes, seconds)

    # Shared by all stages

    def _retrying_when_disk_full(self, job: FileJob, stage: Stage, work: Callable[[], _T]) -> _T:
        """Run `work`, and again when the disk that was full may have room."""
        while True:
            try:
                return work()
            except SaveError as error:
                if self._on_no_room is None or not is_out_of_room(error):
                    raise
                # What was made so far is on that disk too, held by the frames in the error's traceback.
                traceback.clear_frames(error.__traceback__)
                self._on_no_room(job, stage, error)

    @contextmanager
    def _capturing_errors(self, item: _Item) -> Iterator[None]:
        """Store what goes wrong with one picture in its item."""
        try:
            yield
        except Cancelled:
            raise
        except VdsrError as error:
            if isinstance(error, UsageError):
                error.path = error.path or str(item.job.source)
            item.error = error
        except MemoryError as error:
            item.error = _described(PictureTooLargeError("There is not enough memory for this picture."), item, error)
            item.error.hint = "Close other programs, or choose a smaller scale."
        except Exception as error:  # an unexpected error in one picture must not end a night's work on the others
            item.error = _described(VdsrError("Something unexpected went wrong."), item, error)
            item.error.hint = "Try this picture by itself; the log has the details."

    def _tell(self, event: FileEvent) -> None:
        with self._telling:
            self._on_event(event)

    def _add(self, **amounts: float) -> None:
        with self._telling:
            sums = {name: getattr(self._report, name) + amount for name, amount in amounts.items()}
            self._report = replace(self._report, **sums)

    def _put(self, line: _Queue, item: _Item | None) -> None:
        """Hand over an item, once the next stage has taken the previous one."""
        while True:
            self._token.raise_if_cancelled()
            with suppress(queue.Full):
                line.put(item, timeout=POLL_S)
                return

    def _get(self, line: _Queue) -> _Item | None:
        """Wait for the next item."""
        while True:
            self._token.raise_if_cancelled()
            with suppress(queue.Empty):
                return line.get(timeout=POLL_S)


def _described(reported: VdsrError, item: _Item, error: BaseException) -> VdsrError:
    logger.error("%s failed in an unforeseen way.", item.job.source, exc_info=error)
    reported.path = str(item.job.source)
    return reported


def _allocator(job: FileJob) -> Allocator:
    """In memory, or beside the result if the picture is large, by its header alone."""
    info = image_io.probe(job.source)
    target = job.settings.target.size_for(info.width, info.height)
    pixels = info.width * info.height + target.width * target.height
    return allocator_for(pixels * (3 + info.has_alpha) * info.bits // 8, job.output.parent)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SaveError(
            f"The folder cannot be made: {error.strerror}.", path=folder, hint="Choose another folder."
        ) from error
