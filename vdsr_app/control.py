"""Cancelling, pausing and reporting progress, without Qt and without torch."""

from __future__ import annotations

import threading
from collections.abc import Callable

from vdsr_app.errors import Cancelled

ProgressCallback = Callable[[int, int], None]
"""Called with (done, total) in a unit that the caller names, on the thread that does the work."""

POLL_S = 0.05
"""How often a waiting thread checks its token; well under the 100 ms in which a cancel is acknowledged."""


class CancelToken:
    """A flag that one thread sets and another tests between units of work."""

    def __init__(self, parent: CancelToken | None = None) -> None:
        """A token that is not cancelled.

        Args:
            parent: if this token is cancelled, so is the new one, but not the other way round.
        """
        self._event = threading.Event()
        self._parent = parent

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` has been called, here or on the parent."""
        return self._event.is_set() or (self._parent is not None and self._parent.cancelled)

    def cancel(self) -> None:
        """Ask the work to stop at its next unit; safe from any thread, any number of times."""
        self._event.set()

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` once `cancel` has been called."""
        if self.cancelled:
            raise Cancelled


class PauseGate:
    """A gate that work passes between its units; open until `pause`. Thread-safe."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()

    @property
    def paused(self) -> bool:
        """Whether work that reaches the gate has to wait."""
        return not self._open.is_set()

    def pause(self) -> None:
        """Close the gate: work in progress completes its current unit and waits."""
        self._open.clear()

    def resume(self) -> None:
        """Open the gate; everything that waits continues."""
        self._open.set()

    def wait(self, token: CancelToken | None = None) -> None:
        """Return at once if the gate is open, else as soon as it opens.

        Args:
            token: ends the wait when cancelled.

        Raises:
            Cancelled: `token` is cancelled, even if the gate is open.
        """
        while True:
            if token is not None:
                token.raise_if_cancelled()
            if self._open.wait(POLL_S):
                return
