"""Stands between closing the window and names of runs that are not on the disk yet."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from vdsr_app.gui.close_dialog import CloseAnswer, ask_about_renaming
from vdsr_app.workers.messages import ErrorReport
from vdsr_app.workers.training_desk import TrainingDesk
from vdsr_trainer.runs import RunInfo


class RenameGuard(QObject):
    """Asks what shall become of such names, and waits for them where that is the answer.

    A name that cannot be given takes the wish to quit back: the window stays and tells it.

    Signals:
        all_renamed: the person wanted to quit after that, and nothing is left to rename.
    """

    all_renamed = Signal()

    def __init__(self, window: QWidget, desk: TrainingDesk) -> None:
        super().__init__(window)
        self._window = window
        self._desk = desk
        self._waiting = False
        self._lost = False
        desk.renamed.connect(self._on_renamed)
        desk.failed.connect(self._on_failed)

    def may_close(self) -> bool:
        """Ask where a name would be lost; whether the window may close now."""
        self._waiting = self._lost = False
        if not self._desk.renaming:
            return True
        answer = ask_about_renaming(self._window)
        if answer is not CloseAnswer.WAIT:
            return answer is CloseAnswer.QUIT
        # All may have been renamed, or something lost, while the question was open.
        self._waiting = self._desk.renaming and not self._lost
        return not self._waiting and not self._lost

    def _on_renamed(self, _: RunInfo) -> None:
        if self._waiting and not self._desk.renaming:
            self._waiting = False
            self.all_renamed.emit()

    def _on_failed(self, _: ErrorReport) -> None:
        self._waiting = False
        self._lost = True
