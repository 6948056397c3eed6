"""A workspace that is created when first shown, so that the window does not wait for it."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget


class LateHost(QWidget):
    """Placeholder for a workspace, to be filled when it is first shown.

    Signals:
        first_shown: it is about to become visible; fill it now.
    """

    first_shown = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._shown = False

    def fill(self, page: QWidget) -> None:
        """Insert the workspace."""
        self._column.addWidget(page)
        page.show()  # at once: a hidden widget cannot take the focus

    def showEvent(self, event: QShowEvent) -> None:
        """Emit `first_shown` the first time."""
        super().showEvent(event)
        if not self._shown:
            self._shown = True
            self.first_shown.emit()
