"""Lets Ctrl+C in the terminal and SIGTERM close the window, instead of ending the process in mid-operation."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from PySide6.QtCore import QObject, QSocketNotifier, QTimer, Signal

LOOK_MS = 200

_NAMES = ("SIGTERM", "SIGINT", "SIGBREAK")
"""The last, Ctrl+Break, exists only on Windows."""


class SystemSignals(QObject):
    """Delivers operating system signals to the event loop.

    Python runs signal handlers only between its own instructions, and an idle event loop executes none; so the
    interpreter writes to a pipe at each signal, and the event loop watches that. On Windows it can only watch sockets,
    and a socket pair is a network connection there; so a timer gives Python its turn.

    Signals:
        received: the number of the signal.
    """

    received = Signal(int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._arrived: list[int] = []
        self._pipe: tuple[int, int] | None = None
        self._notifier: QSocketNotifier | None = None
        self._former_fd = -1
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._on_turn)
        if sys.platform == "win32":
            self._timer.start()
        else:
            self._pipe = os.pipe()
            for end in self._pipe:
                os.set_blocking(end, False)
            self._notifier = QSocketNotifier(self._pipe[0], QSocketNotifier.Type.Read, self)
            self._notifier.activated.connect(self._on_turn)
            self._former_fd = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
        self._former = {number: signal.signal(number, self._note) for number in numbers}

    def close(self) -> None:
        """Restore the previous signal handlers."""
        self._timer.stop()
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former.clear()
        if self._notifier is not None:
            self._notifier.setEnabled(False)
        if self._pipe is not None:
            signal.set_wakeup_fd(self._former_fd)
            for end in self._pipe:
                os.close(end)
            self._pipe = None

    def _note(self, number: int, _frame: FrameType | None) -> None:
        # This may have interrupted a slot at any point, so the window is closed later, by the event loop.
        self._arrived.append(number)

    def _on_turn(self) -> None:
        if self._pipe is not None:
            os.read(self._pipe[0], 64)
        while self._arrived:
            self.received.emit(self._arrived.pop(0))
