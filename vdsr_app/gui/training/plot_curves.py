"""The curves of a plot as pyqtgraph items, downsampled and drawn so that long runs stay fluid.

Imports pyqtgraph; import it only when the first plot is made.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt

from vdsr_app.gui.theme import LIGHT, Tokens
from vdsr_app.gui.training.plot_model import LineStyle, Series, Values, mapped
from vdsr_app.gui.training.plot_theme import line_pen

_PATHS_UP_TO = 256
_CALM = 6.0
"""Up to this total variation, in multiples of its range, a long curve is drawn as one path."""
_WIDTHS = {
    LineStyle.SOLID: 2.0,
    LineStyle.THIN: 1.5,
    LineStyle.FAINT: 1.0,
    LineStyle.DASHED: 2.0,
    LineStyle.DOTTED: 1.5,
}


class PlotCurves:
    """Draws series into two views.

    Args:
        view: view of the left axis.
        shares: view of the right axis.
    """

    def __init__(self, view: Any, shares: Any) -> None:
        self._view = view
        self._shares = shares
        self._items: list[Any] = []
        self._series: tuple[Series, ...] = ()
        self._tokens: Tokens = LIGHT
        self._ratio = 1.0

    @property
    def items(self) -> tuple[Any, ...]:
        """The `PlotDataItem` of each series."""
        return tuple(self._items)

    def show(self, series: tuple[Series, ...], log: bool) -> None:
        """Draw exactly these series; `log` applies to the left axis."""
        same = [_look(one) for one in series] == [_look(one) for one in self._series]
        self._series = series
        if not same:
            for item in self._items:
                item.getViewBox().removeItem(item)
            self._items = [self._make(one) for one in series]
            self._style()
        for item, one in zip(self._items, series, strict=True):
            y = mapped(one.y, log and not one.on_right)
            # Long zigzag paths are very slow with a wide pen; separate segments are not, and in a zigzag no seams show.
            is_path = len(one.x) <= _PATHS_UP_TO or (one.style is LineStyle.SOLID and _is_calm(y))
            item.curve.setSegmentedLineMode("off" if is_path else "on")
            item.setData(one.x, y)

    def set_tokens(self, tokens: Tokens) -> None:
        """Use the colours of a theme."""
        self._tokens = tokens
        self._style()

    def set_ratio(self, ratio: float) -> None:
        """Set the device pixel ratio to draw for."""
        self._ratio = ratio
        self._style()

    def _make(self, series: Series) -> Any:
        item = pg.PlotDataItem(connect="finite", clipToView=True, autoDownsample=True)
        item.opts["autoDownsampleFactor"] = 1.0  # per pixel column the mean, or the minimum and maximum
        item.opts["downsampleMethod"] = "mean" if series.style is LineStyle.SOLID else "peak"
        # A fine zigzag gains nothing from it, and draws several times as fast without.
        item.opts["antialias"] = series.style is not LineStyle.FAINT
        item.setZValue(-1 if series.style is LineStyle.FAINT else 1)
        (self._shares if series.on_right else self._view).addItem(item, ignoreBounds=True)
        return item

    def _style(self) -> None:
        for item, series in zip(self._items, self._series, strict=True):
            # Cosmetic pens keep their width at any zoom, so it is given in device pixels.
            pen = line_pen(series.ink, series.style, self._tokens, _WIDTHS[series.style] * self._ratio)
            pen.setCosmetic(True)
            if series.style is not LineStyle.FAINT:
                pen.setCapStyle(Qt.PenCapStyle.RoundCap)
            item.setPen(pen)


def _look(series: Series) -> tuple[str, LineStyle, bool]:
    return series.ink, series.style, series.on_right


def _is_calm(y: Values) -> bool:
    """Whether a curve varies so little that drawing it as one path is fast."""
    good = y[np.isfinite(y)]
    return len(good) < 2 or float(np.abs(np.diff(good)).sum()) <= _CALM * float(np.ptp(good))
