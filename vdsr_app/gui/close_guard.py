"""Stands between closing the window and what would be lost by it."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from vdsr_app.gui.close_dialog import CloseAnswer


class CloseGuard(QObject):
    """Asks what shall become of something that is not on the disk yet, and waits for it where that is the answer.

    What is lost takes the wish to quit back: the window stays and tells it. A subclass says what is unfinished and how
    to ask, and calls `_on_finished` and `_on_lost`.

    Signals:
        all_finished: the person wanted to quit after that, and nothing is left to wait for.
    """

    all_finished = Signal()

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._waiting = False
        self._lost = False

    def may_close(self) -> bool:
        """Ask where something would be lost; whether the window may close now.

        Each question stands for itself: an earlier wish to quit afterwards is forgotten.
        """
        self._waiting = self._lost = False
        if not self._is_unfinished():
            return True
        answer = self._ask()
        if answer is not CloseAnswer.WAIT:
            return answer is CloseAnswer.QUIT
        # All may have been finished, or something lost, while the question was open.
        self._waiting = self._is_unfinished() and not self._lost
        return not self._waiting and not self._lost

    def _is_unfinished(self) -> bool:
        raise NotImplementedError

    def _ask(self) -> CloseAnswer:
        raise NotImplementedError

    def _on_finished(self) -> None:
        if self._waiting and not self._is_unfinished():
            self._waiting = False
            self.all_finished.emit()

    def _on_lost(self) -> None:
        self._waiting = False
        self._lost = True
