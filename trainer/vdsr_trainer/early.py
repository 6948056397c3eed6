"""Before the first step of a run: work done there reports progress, can be paused, and can be cancelled."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from vdsr_app.control import CancelToken
from vdsr_trainer.control import Controller, RunRequest
from vdsr_trainer.events import EventCallback, Paused, PreparedKind, Preparing, Resumed
from vdsr_trainer.meter import TimeLeft

_TELL_EVERY_S = 0.1
"""Interval between reports, besides the first and the last of each task."""


class EarlyProgress(Protocol):
    """Takes progress before the first step, and a function that saves it, which is called before a pause."""

    def __call__(self, done: int, total: int, save: Callable[[], None] = ..., /) -> None:
        """Report progress and obey requests.

        Raises:
            Cancelled: the run is to end.
        """


class Early:
    """Obeys requests to a run that has nothing to save yet except what its parts save themselves.

    Args:
        controller: source of the requests.
        token: cancelled if the run is to end, for the threads that read.
        tell: called with the events.

    Attributes:
        request: the one that ended the run; `RunRequest.CONTINUE` while there is none.
    """

    def __init__(self, controller: Controller, token: CancelToken, tell: EventCallback) -> None:
        self.request = RunRequest.CONTINUE
        self._controller = controller
        self._token = token
        self._tell = tell

    def progress(self, what: PreparedKind, step: int) -> EarlyProgress:
        """Callback for the progress of one task before the first step.

        Args:
            what: the task.
            step: steps already done, to be reported with it.
        """
        time_left = TimeLeft()
        last_reported = 0.0

        def report(done: int, total: int, save: Callable[[], None] = lambda: None) -> None:
            nonlocal last_reported
            if self._controller.look() is RunRequest.PAUSE:
                self._pause(step, save)
                time_left.restart()
            request = self._controller.look()
            # Only the first one counts: afterwards the cancelled token itself looks like a signal.
            if (
                request in (RunRequest.STOP, RunRequest.INTERRUPT, RunRequest.DISCARD)
                and self.request is RunRequest.CONTINUE
            ):
                self.request = request
                self._token.cancel()
            now = time.monotonic()
            left = time_left.after(done, total)
            if done in (0, total) or now - last_reported > _TELL_EVERY_S:
                last_reported = now
                self._tell(Preparing(step, done, total, what, left))
            self._token.raise_if_cancelled()

        return report

    def _pause(self, step: int, save: Callable[[], None]) -> None:
        save()  # first, so that nothing is lost if the computer is switched off meanwhile
        self._tell(Paused(step))
        if self._controller.wait_while_paused() is RunRequest.CONTINUE:
            self._tell(Resumed(step))
