"""Sliders and number boxes for panes that scroll: the wheel changes them only where the person is at work on them."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QDoubleSpinBox, QSlider, QSpinBox, QWidget


class CalmSlider(QSlider):
    """A slider that the wheel moves only while it has the focus."""

    def __init__(self, orientation: Qt.Orientation = Qt.Orientation.Horizontal) -> None:
        super().__init__(orientation)
        _leave_focus_to_clicks_and_keys(self)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll the pane, but for a slider with the focus."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class CalmSpinBox(QSpinBox):
    """A whole number that the wheel changes only while its box has the focus."""

    def __init__(self) -> None:
        super().__init__()
        _leave_focus_to_clicks_and_keys(self)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll the pane, but for a box with the focus."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class CalmDoubleSpinBox(QDoubleSpinBox):
    """A number that the wheel changes only while its box has the focus."""

    def __init__(self) -> None:
        super().__init__()
        _leave_focus_to_clicks_and_keys(self)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll the pane, but for a box with the focus."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


def _leave_focus_to_clicks_and_keys(control: QWidget) -> None:
    # By itself a number box takes the focus from the wheel, and would then be changed by it.
    control.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
