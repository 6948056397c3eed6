"""What a cluster machine does with one picture; run by Dask, but independent of it."""

from __future__ import annotations

import contextlib
import os
import queue
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from vdsr_app import __version__
from vdsr_app.control import CancelToken
from vdsr_app.core.atomic import is_out_of_room
from vdsr_app.core.engines import Engines
from vdsr_app.core.pipeline import FileDone, FileEvent, FileFailed, FileJob, FileNotice, run_files
from vdsr_app.errors import Cancelled, UnreadablePictureError, VdsrError

_LOOK_EVERY_S = 1.0
"""Interval at which a worker checks that its result is still wanted."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A weight file as sent to the cluster.

    Attributes:
        digest: SHA-256 of the content.
        content: the file.
    """

    digest: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Task:
    """One picture for a worker.

    Attributes:
        job: the picture; its output is the hidden name under which to leave the result.
        lease: file that exists for as long as the result is wanted.
    """

    job: FileJob
    lease: str


@dataclass(slots=True)
class Outcome:
    """Outcome of a task.

    Attributes:
        done: the event of success, or None.
        error: why there is no result, or None.
        no_room: whether the disk was full.
        notes: texts of the notices about the picture.
    """

    done: FileDone | None = None
    error: VdsrError | None = None
    no_room: bool = False
    notes: list[str] = field(default_factory=list)


def check_worker(lease: str, key: str, version: str) -> str:
    """Check that this machine sees the output folder and runs the same version; returns "" or what is wrong."""
    if version != __version__:
        return f"it runs version {__version__} and not {version}."
    try:
        seen = Path(lease).read_text("ascii", "replace")
        with tempfile.TemporaryFile(dir=Path(lease).parent):
            pass
    except OSError as error:
        return f"it cannot use the folder {Path(lease).parent}: {error.strerror}."
    return "" if seen == key else f"its folder {Path(lease).parent} is another one."


def enlarge(task: Task, weights: Weights) -> Outcome:
    """Process one picture on a free device, as `vdsr upscale` would."""
    outcome = Outcome()
    if not os.path.exists(task.lease):
        outcome.error = UnreadablePictureError("Nobody waits for this picture any more.", path=task.job.source)
        return outcome

    def on_event(event: FileEvent) -> None:
        match event:
            case FileDone():
                outcome.done = event
            case FileFailed():
                outcome.error, outcome.no_room = event.error, is_out_of_room(event.error)
                outcome.error.__cause__ = outcome.error.__context__ = outcome.error.__traceback__ = None
            case FileNotice():
                outcome.notes.append(event.text)
            case _:
                pass

    with _lasting(task.lease) as token, _devices().one() as engines:
        job = replace(task.job, settings=replace(task.job.settings, model=str(_weight_file(weights))))
        try:
            run_files([job], engines, on_event, token)
        except Cancelled:
            outcome.error = UnreadablePictureError("Nobody waits for this picture any more.", path=task.job.source)
    if outcome.done is not None:
        choice = replace(outcome.done.model, name=task.job.settings.model)
        outcome.done = replace(outcome.done, job=task.job, model=choice)
    return outcome


@contextlib.contextmanager
def _lasting(lease: str) -> Iterator[CancelToken]:
    """Yield a token that is cancelled when the lease is gone."""
    token, ended = CancelToken(), threading.Event()

    def look() -> None:
        while not ended.wait(_LOOK_EVERY_S):
            if not os.path.exists(lease):
                token.cancel()
                return

    thread = threading.Thread(target=look, name="lease", daemon=True)
    thread.start()
    try:
        yield token
    finally:
        ended.set()
        thread.join()


class _Devices:
    """The devices of this process; each processes one picture at a time, however many threads Dask has."""

    def __init__(self) -> None:
        from vdsr_app.core.device import available_devices

        graphics = [each["name"] for each in available_devices() if each["name"].startswith("cuda")]
        self._free: queue.Queue[Engines] = queue.Queue()
        for name in graphics or ["auto"]:
            self._free.put(Engines(name))

    @contextlib.contextmanager
    def one(self) -> Iterator[Engines]:
        engines = self._free.get()
        try:
            yield engines
        finally:
            self._free.put(engines)


_making = threading.Lock()


def _devices() -> _Devices:
    with _making:
        return _devices_once()


@cache
def _devices_once() -> _Devices:
    return _Devices()


def _weight_file(weights: Weights) -> Path:
    """The weights as a local file, written once per process; loading it verifies its checksum."""
    with _making:
        return _written_once(weights)


def _written_once(weights: Weights) -> Path:
    folder = _weights_folder()
    path = Path(folder.name) / f"{weights.digest[:16]}.safetensors"
    if not path.exists():
        path.write_bytes(weights.content)
    return path


@cache
def _weights_folder() -> tempfile.TemporaryDirectory[str]:
    """Temporary folder, removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix="vdsr-weights-")
