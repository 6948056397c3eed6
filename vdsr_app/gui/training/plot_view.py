"""How a plot answers to wheel and drag.

Imports pyqtgraph; to be imported when the first plot is made, not before.
"""

from __future__ import annotations

from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import Qt

_X, _Y = 0, 1


class PlotView(pg.ViewBox):  # type: ignore[misc]
    """Wheel and drag go along x, and y follows its values; over the left axis they go along y, which is free from then.

    Attributes:
        y_is_free: whether the person chose the range of y.
    """

    def __init__(self) -> None:
        super().__init__(enableMenu=False, defaultPadding=0.0)
        self.y_is_free = False
        self.disableAutoRange()

    def wheelEvent(self, event: Any, axis: int | None = None) -> None:
        """Zoom at the cursor; pyqtgraph tells the axis when the mouse is over one."""
        self.y_is_free = self.y_is_free or axis == _Y
        super().wheelEvent(event, _X if axis is None else axis)

    def mouseDragEvent(self, event: Any, axis: int | None = None) -> None:
        """Pan with the left button; others do nothing."""
        if event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
            return
        self.y_is_free = self.y_is_free or axis == _Y
        super().mouseDragEvent(event, _X if axis is None and not self.y_is_free else axis)
