"""Guards against losing unsaved work when the window closes."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from vdsr_app.gui.close_dialog import CloseAnswer


class CloseGuard(QObject):
    """Asks what to do about something that is not on disk yet, and waits for it if that is the answer.

    If it is lost, the request to quit is withdrawn: the window stays open and reports it. A subclass defines what is
    unfinished and how to ask, and calls `_on_finished` and `_on_lost`.

    Signals:
        all_finished: the user wanted to quit afterwards, and nothing is left to wait for.
    """

    all_finished = Signal()

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._waiting = False
        self._lost = False

    def may_close(self) -> bool:
        """Ask if something would be lost; return whether the window may close now.

        Each question stands alone: an earlier request to quit afterwards is discarded.
        """
        self._waiting = self._lost = False
        if not self._is_unfinished():
            return True
        answer = self._ask()
        if answer is not CloseAnswer.WAIT:
            return answer is CloseAnswer.QUIT
        # Everything may have finished, or something been lost, while the question was open.
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
