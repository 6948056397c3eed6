"""Stands between closing the window and files that are not saved yet."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from vdsr_app.gui.close_dialog import CloseAnswer, ask_about_saving
from vdsr_app.gui.session import Session


class SaveGuard(QObject):
    """Asks what shall become of such files, and waits for them where that is the answer.

    A file that fails or is given up takes the wish to quit back: the window stays and tells it.

    Signals:
        all_saved: the person wanted to quit after saving, and nothing is left to save.
    """

    all_saved = Signal()

    def __init__(self, window: QWidget, session: Session) -> None:
        super().__init__(window)
        self._window = window
        self._exporter = session.exporter
        self._waiting = False
        self._lost = False
        session.not_saved.connect(self._on_lost)
        session.exporter.failed.connect(self._on_lost)
        session.exporter.saved.connect(self._on_saved)

    def may_close(self) -> bool:
        """Ask where a save would be lost; whether the window may close now.

        Each question stands for itself: an earlier wish to quit after saving is forgotten.
        """
        self._waiting = self._lost = False
        unsaved = self._unsaved()
        if not unsaved:
            return True
        answer = ask_about_saving(self._window, unsaved[0])
        if answer is not CloseAnswer.WAIT:
            return answer is CloseAnswer.QUIT
        # All may have been saved, or something lost, while the question was open.
        self._waiting = bool(self._unsaved()) and not self._lost
        return not self._waiting and not self._lost

    def _unsaved(self) -> list[str]:
        pending = self._exporter.pending
        return [str(path) for path in (*self._exporter.saving, *([] if pending is None else [pending.path]))]

    def _on_saved(self) -> None:
        if self._waiting and not self._unsaved():
            self.all_saved.emit()

    def _on_lost(self) -> None:
        self._waiting = False
        self._lost = True
