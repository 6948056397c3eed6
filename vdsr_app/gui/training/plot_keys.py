"""The keys of a plot that has the focus.

Left and Right move the cursor to the previous and next entry, with Shift by ten; Home and End move it to the first and
the newest. Plus and minus zoom, 0 and Escape show everything again. These keys take precedence over menu actions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent

from vdsr_app.gui.training.plot_model import Values, nearest

if TYPE_CHECKING:
    from vdsr_app.gui.training.live_plot import LivePlot

_Key = Qt.Key
_ZOOM = 0.7
_WIDE = 10

_STEPS = {_Key.Key_Left: -1, _Key.Key_Right: 1}
_ENDS = (_Key.Key_Home, _Key.Key_End)
_ZOOMS = {_Key.Key_Plus: _ZOOM, _Key.Key_Equal: _ZOOM, _Key.Key_Minus: 1 / _ZOOM, _Key.Key_Underscore: 1 / _ZOOM}
_BACK = (_Key.Key_0, _Key.Key_Escape)


class PlotKeys:
    """Turns key presses into calls to the plot."""

    def __init__(self, plot: LivePlot) -> None:
        self._plot = plot

    def claims(self, event: QKeyEvent) -> bool:
        """Whether the plot takes a key even if an action of the window uses it too."""
        key = event.key()
        if not _plain(event) or self._plot.content.is_empty:
            return False
        if key == _Key.Key_Escape:
            return self._plot.is_zoomed or self._plot.cursor_x is not None
        return key in _STEPS or key in _ENDS or key in _ZOOMS or key in _BACK

    def press(self, event: QKeyEvent) -> bool:
        """Handle a key press; return False if the plot does not use the key."""
        if not self.claims(event):
            return False
        key, plot = event.key(), self._plot
        if key in _BACK:
            plot.point_at(None)
            plot.reset()
        elif key in _ZOOMS:
            plot.zoom(_ZOOMS[_Key(key)])
        elif key in _ENDS:
            xs = self._xs()
            plot.point_at(float(xs[0] if key == _Key.Key_Home else xs[-1]))
        else:
            wide = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            self._go(_STEPS[_Key(key)] * (_WIDE if wide else 1))
        return True

    def _go(self, steps: int) -> None:
        xs, cursor = self._xs(), self._plot.cursor_x
        index = len(xs) - 1 if cursor is None else nearest(xs, cursor) + steps
        self._plot.point_at(float(xs[min(max(index, 0), len(xs) - 1)]))

    def _xs(self) -> Values:
        return next(series.x for series in self._plot.content.series if len(series.x))


def _plain(event: QKeyEvent) -> bool:
    allowed = Qt.KeyboardModifier.KeypadModifier | Qt.KeyboardModifier.ShiftModifier
    return event.modifiers() & ~allowed == Qt.KeyboardModifier.NoModifier
