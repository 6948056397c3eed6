"""Sliders and number boxes for panes that scroll: the wheel changes them only where the person is at work on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QDoubleSpinBox, QSlider, QSpinBox, QWidget

if TYPE_CHECKING:
    _Control = QWidget
else:
    _Control = object  # Qt lets one of its classes stand in a family tree, no more


class _Calm(_Control):
    """Leaves the wheel to the pane, but while the control has the focus."""

    def __init__(self) -> None:
        super().__init__()
        # By itself a number box takes the focus from the wheel, and would then be changed by it.
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll the pane, but for a control with the focus."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class CalmSlider(_Calm, QSlider):
    """A horizontal slider that the wheel moves only while it has the focus."""

    def __init__(self) -> None:
        super().__init__()
        self.setOrientation(Qt.Orientation.Horizontal)


class CalmSpinBox(_Calm, QSpinBox):
    """A whole number that the wheel changes only while its box has the focus."""


class CalmDoubleSpinBox(_Calm, QDoubleSpinBox):
    """A number that the wheel changes only while its box has the focus."""
