"""Guards against closing the window while files are not saved yet."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from vdsr_app.gui.close_dialog import CloseAnswer, ask_about_saving
from vdsr_app.gui.close_guard import CloseGuard
from vdsr_app.gui.session import Session


class SaveGuard(CloseGuard):
    """Asks about unsaved files; one whose saving fails or is abandoned counts as lost."""

    def __init__(self, window: QWidget, session: Session) -> None:
        super().__init__(window)
        self._exporter = session.exporter
        session.not_saved.connect(self._on_lost)
        session.exporter.failed.connect(self._on_lost)
        session.exporter.saved.connect(self._on_finished)

    def _is_unfinished(self) -> bool:
        return bool(self._unsaved())

    def _ask(self) -> CloseAnswer:
        return ask_about_saving(self._window, self._unsaved()[0])

    def _unsaved(self) -> list[str]:
        pending = self._exporter.pending
        return [str(path) for path in (*self._exporter.saving, *([] if pending is None else [pending.path]))]
