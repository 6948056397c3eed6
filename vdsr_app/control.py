"""Cancelling and reporting progress, without Qt and without torch."""

from __future__ import annotations

import threading
from collections.abc import Callable

from vdsr_app.errors import Cancelled

ProgressCallback = Callable[[int, int], None]
"""Called with (done, total) in a unit that the caller names, from the thread that works."""


class CancelToken:
    """A flag that one thread raises and another tests between units of work."""

    def __init__(self) -> None:
        self._event = threading.Event()

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` has been called."""
        return self._event.is_set()

    def cancel(self) -> None:
        """Ask the work to stop at its next unit; safe from any thread, any number of times."""
        self._event.set()

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` once `cancel` has been called."""
        if self._event.is_set():
            raise Cancelled
