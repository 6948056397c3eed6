"""A handle for dragging the result into another program."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication, QPushButton, QWidget

from vdsr_app.gui.icons import icon
from vdsr_app.gui.sections import plain_tooltip


class ResultGrip(QPushButton):
    """Starts a drag of the result when pulled with the mouse; a click does nothing.

    Signals:
        pulled: the pointer has moved far enough with the button held down.
    """

    pulled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(self.tr("Drag out"), parent)
        self._pressed_at: QPoint | None = None
        self.setIcon(icon("cursor-move"))
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.allow("")

    def allow(self, why_not: str) -> None:
        """Enable dragging, or disable it and say why."""
        tip = self.tr("Drag the result from here into another program or a folder")
        self.setEnabled(not why_not)
        self.setToolTip(plain_tooltip(f"{tip}: {why_not}" if why_not else tip))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Remember where the pull began."""
        super().mousePressEvent(event)
        self._pressed_at = event.position().toPoint()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Emit `pulled` once the pull is long enough to be intended."""
        super().mouseMoveEvent(event)
        if self._pressed_at is None:
            return
        distance = (event.position().toPoint() - self._pressed_at).manhattanLength()
        if distance >= QApplication.startDragDistance():
            self._pressed_at = None
            self.setDown(False)
            self.pulled.emit()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Forget the pull."""
        super().mouseReleaseEvent(event)
        self._pressed_at = None
