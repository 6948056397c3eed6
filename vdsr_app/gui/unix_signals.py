"""SIGTERM and SIGINT close the window instead of the process."""

from __future__ import annotations

import signal
import socket
from types import FrameType

from PySide6.QtCore import QObject, QSocketNotifier, Signal


class UnixSignals(QObject):
    """Brings signals of the operating system into the event loop.

    Python runs its handlers only between its own instructions, and the event loop has none while nothing happens; so
    the interpreter writes a byte into a socket, and the event loop watches that.

    Signals:
        received: the number of the signal.
    """

    received = Signal(int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._notifier = QSocketNotifier(self._reader.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._on_activated)
        self._former_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._former = {number: signal.signal(number, _ignore) for number in (signal.SIGTERM, signal.SIGINT)}

    def close(self) -> None:
        """Let signals do what they did before."""
        self._notifier.setEnabled(False)
        for number, handler in self._former.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._former_fd)
        self._reader.close()
        self._writer.close()

    def _on_activated(self) -> None:
        for number in self._reader.recv(64):
            self.received.emit(number)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Python must be told of a handler, or the signal would end the process."""
