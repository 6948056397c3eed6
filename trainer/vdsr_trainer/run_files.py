"""The files of a run folder, its locks, and the window's requests to a training process. No torch.

The training process holds `run.lock` while it lives, and the OS releases it however that process ends; so nothing here
relies on process ids or on the age of a file.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vdsr_app.core.atomic import outlast_sharing, save_error, write_atomically
from vdsr_app.errors import SaveError, TrainingError

if TYPE_CHECKING:
    from filelock import BaseFileLock

CONFIG_NAME = "config.toml"
RUN_NAME = "run.json"
EVENTS_NAME = "events.jsonl"
NEWEST_NAME = "checkpoint.safetensors"
PREVIOUS_NAME = "checkpoint-previous.safetensors"
NEXT_NAME = "checkpoint-next.safetensors"
START_WEIGHTS_NAME = "start.safetensors"
WEIGHTS_NAME = "vdsr.safetensors"
CARD_NAME = "vdsr.md"
RESULT_NAME = "result.json"
CROPS_NAME = "crops"
TEACHER_NAME = "teacher"
TEACHER_WEIGHTS_NAME = "teacher.safetensors"
ANSWERS_NAME = "answers"
OUTPUT_NAME = "output.log"
CONTROL_NAME = "control.json"
RESERVE_NAME = "reserve"
RUN_LOCK_NAME = "run.lock"
WINDOW_LOCK_NAME = "window.lock"

Command = Literal["run", "pause", "stop", "discard"]
WhenWindowEnds = Literal["go on", "save"]
COMMANDS: tuple[Command, ...] = ("run", "pause", "stop", "discard")
WHEN_WINDOW_ENDS: tuple[WhenWindowEnds, ...] = ("go on", "save")

_LOCK_PATIENCE_S = 2.0
"""How long a starting run waits for its lock: a mere check whether the run is alive holds it for an instant."""
_PROBE_PATIENCE_S = 0.01
"""How long one such check waits for another, where locks cannot be shared (Windows)."""
_SHARING_WAITS_S = (0.02,) * 4
"""Replacing a file takes microseconds, and nothing here waits for the user."""


FOUND_IN_RUNS_ALONE = (RUN_NAME, EVENTS_NAME, NEWEST_NAME)
"""Any of these identifies the folder of a run, wherever it is. A configuration does not: other folders have one, too,
and must not be taken for a run that may be deleted."""


@dataclass(frozen=True, slots=True)
class Control:
    """What the window requests of a running process; see `write_control`."""

    command: Command = "run"
    when_window_ends: WhenWindowEnds = "go on"


class RunLock:
    """A file that one process locks while it works with a run; the OS releases the lock when the process ends.

    Args:
        run: folder of the run.
        name: `RUN_LOCK_NAME` for the training process, `WINDOW_LOCK_NAME` for the window.
    """

    def __init__(self, run: Path, name: str = RUN_LOCK_NAME) -> None:
        self._run = run
        self._path = run / name
        # Imported late: the window lists runs, but only once it is on screen.
        from filelock import FileLock

        # thread_local=False: created in one thread, it may be released in another.
        self._lock: BaseFileLock = FileLock(self._path, thread_local=False)

    def try_acquire(self, timeout_s: float = 0.0) -> bool:
        """Acquire the lock within `timeout_s` seconds; False if somebody else holds it.

        Raises:
            SaveError: the file cannot be created.
        """
        from filelock import Timeout

        try:
            self._lock.acquire(timeout=timeout_s, poll_interval=0.02)
        except Timeout:
            return False
        except OSError as error:
            raise save_error(self._path, error) from error
        return True

    def release(self) -> None:
        """Release the lock; does nothing if it is not held."""
        self._lock.release(force=True)

    def __enter__(self) -> RunLock:
        """Acquire the lock.

        Raises:
            TrainingError: another process holds it.
            SaveError: the file cannot be created.
        """
        if not self.try_acquire(_LOCK_PATIENCE_S):
            raise TrainingError(
                "Another process is training this run.", path=self._run, hint="Wait for it, or stop it first."
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def has_state(folder: Path) -> bool:
    """Whether the folder of a run, or that of its teacher, holds a checkpoint to continue from, valid or not."""
    return any((folder / name).exists() for name in (NEWEST_NAME, PREVIOUS_NAME))


def has_learned(run: Path) -> bool:
    """Whether the network of a run, or its teacher before it, has a checkpoint to continue from."""
    return has_state(run) or has_state(run / TEACHER_NAME)


def is_alive(folder: Path) -> bool:
    """Whether a process is training this run now. A run whose lock cannot be opened counts as not alive."""
    if not os.path.exists(folder / RUN_LOCK_NAME):
        return False
    if sys.platform != "win32":
        return _is_held(folder / RUN_LOCK_NAME)
    lock = RunLock(folder)
    try:
        if not lock.try_acquire(_PROBE_PATIENCE_S):
            return True
    except SaveError:
        return False
    lock.release()
    return False


def _is_held(lock: Path) -> bool:
    """Whether a process holds this file; any number may ask at once, and none is taken for the holder."""
    if sys.platform == "win32":
        raise NotImplementedError
    import fcntl

    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return isinstance(error, BlockingIOError | PermissionError)  # some network drives raise the latter
    finally:
        os.close(descriptor)
    return False


def write_control(run: Path, command: Command, when_window_ends: WhenWindowEnds = "go on") -> None:
    """Send a request to the training process of a run; it looks within a fraction of a second.

    Args:
        run: its folder.
        command: "run" (continue), "pause", "stop" (save, then end) or "discard" (end and delete the folder).
        when_window_ends: "save": stop when the window's lock is free, that is, when the window has ended.

    Raises:
        SaveError: the folder cannot be written.
    """
    payload = json.dumps({"command": command, "when_window_ends": when_window_ends}).encode()
    write_atomically(run / CONTROL_NAME, payload)


def read_control(run: Path) -> Control:
    """The last request by `write_control`; a missing or damaged file requests nothing."""
    try:
        # Windows refuses to open a file while it is being replaced; giving up would lose a pause.
        values = json.loads(outlast_sharing((run / CONTROL_NAME).read_bytes, _SHARING_WAITS_S))
        command, ends = values.get("command"), values.get("when_window_ends", "go on")
    except (OSError, ValueError, AttributeError, RecursionError):
        return Control()
    return Control(command if command in COMMANDS else "run", ends if ends in WHEN_WINDOW_ENDS else "go on")
