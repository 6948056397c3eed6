"""Guards against closing the window while new run names are not on disk yet."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from vdsr_app.gui.close_dialog import CloseAnswer, ask_about_renaming
from vdsr_app.gui.close_guard import CloseGuard
from vdsr_app.workers.training_desk import TrainingDesk


class RenameGuard(CloseGuard):
    """Asks what to do about unsaved run names; a rename that fails counts as lost."""

    def __init__(self, window: QWidget, desk: TrainingDesk) -> None:
        super().__init__(window)
        self._desk = desk
        desk.renamed.connect(self._on_finished)
        desk.failed.connect(self._on_lost)

    def _is_unfinished(self) -> bool:
        return self._desk.renaming

    def _ask(self) -> CloseAnswer:
        return ask_about_renaming(self._window)
