"""Axes of a plot: round ticks, localised numbers, unobtrusive grid lines.

Imports pyqtgraph; import it only when the first plot is made.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPen

from vdsr_app.gui.theme import Tokens
from vdsr_app.gui.training.plot_theme import TICK_PX, ink_color, tick_font
from vdsr_app.gui.training.plot_ticks import count_text, linear_ticks, log_ticks, share_text, tick_text

LEFT_WIDTH = 66
BOTTOM_HEIGHT = 36
_OVERHANG_PX = 30
"""How far a number at the end of the lower axis may stick out; on the other axes, a quarter of it."""
_X_TICK_ROOM = 66
_Y_TICK_ROOM = 34


class PlotAxis(pg.AxisItem):  # type: ignore[misc]
    """An axis with a title.

    Args:
        side: "left", "bottom" or "right".
        title: what it measures, with its unit.
        whole: show whole numbers only.
        share: show values from 0 to 1 as percentages.
    """

    # pyqtgraph lays out the axis in its constructor, which already needs a title.
    _title = ""

    def __init__(self, side: str, title: str, *, whole: bool = False, share: bool = False) -> None:
        super().__init__(side)
        self._ink = "clipped" if share else "quiet"
        self.log = False
        self._title = title
        self.whole = whole
        self._share = share
        self.enableAutoSIPrefix(False)
        self.setZValue(-100)
        overhang = _OVERHANG_PX if side == "bottom" else _OVERHANG_PX // 4
        self.setStyle(tickLength=0, tickTextOffset=6, maxTextLevel=0, hideOverlappingLabels=overhang)
        if side == "bottom":
            self.setHeight(BOTTOM_HEIGHT)
        else:
            self.setWidth(LEFT_WIDTH)

    def set_tokens(self, tokens: Tokens, *, grid: bool) -> None:
        """Use the colours of a theme and the tick font."""
        self.setTickFont(tick_font())
        color = ink_color(self._ink, tokens)
        self.setTextPen(color)
        self.setPen(QPen(Qt.PenStyle.NoPen) if self.orientation != "bottom" else pg.mkPen(tokens.outline))
        self.setTickPen(pg.mkPen(tokens.line))
        self.setStyle(tickAlpha=255 if grid else 0)
        self.setGrid(255 if grid else False)
        self.setLabel(self._title, **{"color": color.name(), "font-size": f"{TICK_PX}px"})
        self.showLabel(self._has_title())

    def set_shown(self, shown: bool) -> None:
        """Show numbers and title, or only reserve their space."""
        self.setStyle(showValues=shown)
        self.showLabel(self._has_title())

    def set_title(self, title: str) -> None:
        """Set another title."""
        self._title = title
        self.setLabel(title, **self.labelStyle)

    def resizeEvent(self, event: Any = None) -> None:
        """Hide the title where it would be cut off; the head of the plot shows it too."""
        super().resizeEvent(event)
        if self.orientation != "bottom" and self.label.isVisible() != self._has_title():
            self.showLabel(self._has_title())

    def boundingRect(self) -> QRectF:
        """Add room for numbers at the ends, which pyqtgraph omits when there is a grid."""
        rect: QRectF = super().boundingRect()
        return rect.adjusted(0, -_OVERHANG_PX // 4, 0, _OVERHANG_PX // 4) if self.grid is not False else rect

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:  # noqa: N803
        """Tick positions for pyqtgraph: one level of (spacing, positions)."""
        most = max(2, int(size / (_X_TICK_ROOM if self.orientation == "bottom" else _Y_TICK_ROOM)))
        low, high = minVal, maxVal
        ticks = log_ticks(low, high, most) if self.log else linear_ticks(low, high, most, whole=self.whole)
        if self.whole:
            ticks = [tick for tick in ticks if tick >= 0]
        return [(ticks[1] - ticks[0] if len(ticks) > 1 else 1.0, ticks)]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        """Tick labels."""
        if self._share:
            return [share_text(value) if 0 <= value <= 1.0001 else "" for value in values]
        if self.whole:
            return [count_text(value) for value in values]
        if self.log:
            return [_exponent_text(value, values) for value in values]
        return [tick_text(value, spacing) for value in values]

    def _has_title(self) -> bool:
        room = self.size().width() if self.orientation == "bottom" else self.size().height()
        fits = room < 1 or self.label.boundingRect().width() <= room
        return bool(self._title and self.style["showValues"] and fits)

    def mouseDragEvent(self, event: Any) -> None:
        """Pan along the axis with the left button, as in the plot; ignore other buttons."""
        if event.button() == Qt.MouseButton.LeftButton:
            super().mouseDragEvent(event)
        else:
            event.ignore()


def _exponent_text(value: float, values: list[float]) -> str:
    """10**`value` with enough digits to differ from its neighbours."""
    power = 10.0**value
    others = sorted(10.0**other for other in values)
    gaps = [b - a for a, b in pairwise(others)]
    near = min((gap for gap in gaps if gap > 0), default=power)
    wide = len(values) < 2 or max(values) - min(values) >= 0.8
    return tick_text(float(f"{power:.3g}"), float(f"{power:.0e}") if wide else float(f"{near:.1g}"))
