"""A workspace that is made when it is first shown, so that the window does not wait for it."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget


class LateHost(QWidget):
    """Stands for a workspace until it is first shown.

    Signals:
        first_shown: it is about to be seen; fill it now.
    """

    first_shown = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._shown = False

    def fill(self, page: QWidget) -> None:
        """Put the workspace in."""
        self._column.addWidget(page)
        page.show()  # at once: what is not seen takes no focus

    def showEvent(self, event: QShowEvent) -> None:
        """Tell the first time."""
        super().showEvent(event)
        if not self._shown:
            self._shown = True
            self.first_shown.emit()
