"""SIGTERM and SIGINT close the window instead of ending the process in the middle of something."""

from __future__ import annotations

import os
import signal
from types import FrameType

from PySide6.QtCore import QObject, QSocketNotifier, Signal


class UnixSignals(QObject):
    """Brings signals of the operating system into the event loop; does nothing on Windows, which has no SIGTERM.

    Python runs its handlers only between its own instructions, and the event loop has none while nothing happens; so
    the interpreter writes each signal's number into a pipe, and the event loop watches that.

    Signals:
        received: the number of the signal.
    """

    received = Signal(int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pipe: tuple[int, int] | None = None
        if os.name != "posix":
            return
        self._pipe = os.pipe()
        for end in self._pipe:
            os.set_blocking(end, False)
        self._notifier = QSocketNotifier(self._pipe[0], QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._on_activated)
        self._former_fd = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        self._former = {number: signal.signal(number, _ignore) for number in (signal.SIGTERM, signal.SIGINT)}

    def close(self) -> None:
        """Let signals do what they did before."""
        if self._pipe is None:
            return
        self._notifier.setEnabled(False)
        for number, handler in self._former.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._former_fd)
        for end in self._pipe:
            os.close(end)
        self._pipe = None

    def _on_activated(self) -> None:
        if self._pipe is not None:
            for number in os.read(self._pipe[0], 64):
                self.received.emit(number)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Python must be told of a handler, or the signal would end the process."""
