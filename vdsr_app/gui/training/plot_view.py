"""How a plot responds to wheel and drag.

Imports pyqtgraph; import it only when the first plot is made.
"""

from __future__ import annotations

from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import Qt

_X, _Y = 0, 1


class PlotView(pg.ViewBox):  # type: ignore[misc]
    """Wheel and drag act on x while y fits its values; over the left axis they act on y, which is free from then on.

    Attributes:
        y_is_free: whether the user chose the range of y.
    """

    def __init__(self) -> None:
        super().__init__(enableMenu=False, defaultPadding=0.0)
        self.y_is_free = False
        self.disableAutoRange()

    def wheelEvent(self, event: Any, axis: int | None = None) -> None:
        """Zoom at the cursor; pyqtgraph passes the axis when the mouse is over one."""
        self.y_is_free = self.y_is_free or axis == _Y
        super().wheelEvent(event, _X if axis is None else axis)

    def mouseDragEvent(self, event: Any, axis: int | None = None) -> None:
        """Pan with the left button; ignore others."""
        if event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
            return
        self.y_is_free = self.y_is_free or axis == _Y
        super().mouseDragEvent(event, _X if axis is None and not self.y_is_free else axis)
