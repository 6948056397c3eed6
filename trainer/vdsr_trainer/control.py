"""The user's requests to a run, read between its steps: from the control file, a signal, the end of the window."""

from __future__ import annotations

import logging
import time
from enum import Enum
from pathlib import Path

from vdsr_app.control import CancelToken
from vdsr_app.errors import SaveError
from vdsr_trainer.run_files import WINDOW_LOCK_NAME, RunLock, read_control, write_control

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.2
_LOOK_AT_WINDOW_EVERY_S = 2.0
_PAUSED_LOOK_EVERY_S = 0.1


class RunRequest(Enum):
    """What the run should do before its next step."""

    CONTINUE = "go on"
    PAUSE = "pause"
    STOP = "stop"
    """Save, measure the result, end."""
    INTERRUPT = "interrupt"
    """Save and end as soon as possible: a signal arrived, or the window is gone."""
    DISCARD = "discard"


class Controller:
    """Polls the control file a few times a second, so that a step costs nothing.

    Args:
        run: folder of the run, whose lock this process holds.
        token: cancelled by a signal.
    """

    def __init__(self, run: Path, token: CancelToken) -> None:
        self._run = run
        self._token = token
        self._request = RunRequest.CONTINUE
        self._next_look = 0.0
        self._next_window_look = time.monotonic() + _LOOK_AT_WINDOW_EVERY_S
        self._discard_stale_requests()

    def look(self) -> RunRequest:
        """The current request; the disk is read at most five times a second."""
        if self._token.cancelled:
            return RunRequest.INTERRUPT
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + _LOOK_EVERY_S
            self._request = self._read(now)
        return self._request

    def wait_while_paused(self) -> RunRequest:
        """Sleep until the request is no longer a pause, and return it."""
        while (request := self.look()) is RunRequest.PAUSE:
            time.sleep(_PAUSED_LOOK_EVERY_S)
        return request

    def _read(self, now: float) -> RunRequest:
        control = read_control(self._run)
        if control.when_window_ends == "save" and now >= self._next_window_look:
            self._next_window_look = now + _LOOK_AT_WINDOW_EVERY_S
            if self._window_is_gone():
                return RunRequest.INTERRUPT
        match control.command:
            case "pause":
                return RunRequest.PAUSE
            case "stop":
                return RunRequest.STOP
            case "discard":
                return RunRequest.DISCARD
            case _:
                return RunRequest.CONTINUE

    def _window_is_gone(self) -> bool:
        """Whether nobody holds the window's lock, which the OS releases however the window ends."""
        lock = RunLock(self._run, WINDOW_LOCK_NAME)
        try:
            if not lock.try_acquire():
                return False
        except SaveError as error:
            logger.warning("The window's lock cannot be looked at: %s", error)
            return False
        lock.release()
        return True

    def _discard_stale_requests(self) -> None:
        """Discard what an earlier part of the run was asked for.

        A window writes "run" before it starts a process, so any other command here is stale; and the request to save
        when the window ends counts only while that window is there.
        """
        control = read_control(self._run)
        ends = control.when_window_ends
        if ends == "save" and self._window_is_gone():
            ends = "go on"
        if control.command != "run" or ends != control.when_window_ends:
            write_control(self._run, "run", ends)
