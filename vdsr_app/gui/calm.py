"""Sliders and spin boxes for scrolling panes: the wheel changes them only while they have the focus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QDoubleSpinBox, QSlider, QSpinBox, QWidget

if TYPE_CHECKING:
    _Control = QWidget
else:
    _Control = object  # a class can inherit from only one Qt class


class _Calm(_Control):
    """Leaves the wheel to the pane unless the control has the focus."""

    def __init__(self) -> None:
        super().__init__()
        # By default a wheel event gives a spin box the focus, and would then change it.
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll the pane unless the control has the focus."""
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
    """An integer spin box that the wheel changes only while it has the focus."""


class CalmDoubleSpinBox(_Calm, QDoubleSpinBox):
    """A floating-point spin box that the wheel changes only while it has the focus."""
