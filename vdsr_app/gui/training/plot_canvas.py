"""The part of a plot that pyqtgraph draws: curves in a zoomable view, axes, and an overlay.

Imports pyqtgraph; import it only when the first plot is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QGraphicsGridLayout

from vdsr_app.gui.theme import Tokens
from vdsr_app.gui.training.plot_axes import LEFT_WIDTH, PlotAxis
from vdsr_app.gui.training.plot_curves import PlotCurves
from vdsr_app.gui.training.plot_model import Content, Level, LineStyle, Range, Series, place
from vdsr_app.gui.training.plot_overlay import Cursor, EndLabel, PlotOverlay
from vdsr_app.gui.training.plot_view import PlotView

MIN_RIGHT_PX = 16
_NEW_SCREEN = (QEvent.Type.Show, QEvent.Type.DevicePixelRatioChange, QEvent.Type.ScreenChangeInternal)
_LEAST_STEPS = 4.0
"""Zooming in ends here on an axis of whole numbers."""
_DOTS_UP_TO = 48
"""Curves of at most this many points show each as a dot."""


class PlotCanvas(pg.GraphicsView):  # type: ignore[misc]
    """Curves over rising x. `show_content` sets what is drawn; the caller or the user sets the ranges.

    Args:
        x_title: what the lower axis measures, with its unit.
        y_title: the same for the left axis.
        right_title: title of an axis for shares, 0 to 100 %; "" for none.
        whole_x: whether the lower axis shows whole numbers only.
        zooms: whether a wheel event zooms the plot; otherwise it goes to the pane around it.

    Signals:
        range_chosen: the user zoomed or panned.
        pointed: x under the mouse (float) and the marks there, or None and no marks.
        pressed: the user pressed a mouse button.
        reset_requested: the user double-clicked.
    """

    range_chosen = Signal()
    pointed = Signal(object, object)
    pressed = Signal()
    reset_requested = Signal()

    def __init__(
        self,
        x_title: str,
        y_title: str,
        right_title: str = "",
        *,
        whole_x: bool = True,
        zooms: Callable[[QWheelEvent], bool] = lambda _event: True,
    ) -> None:
        super().__init__(background=None)
        self.log = False
        self._zooms = zooms
        self._labels_width = -1.0
        self._ratio: float | None = None
        self._content = Content()
        self._view = PlotView()
        self._shares = pg.ViewBox(enableMenu=False, defaultPadding=0.0, enableMouse=False)
        self._curves = PlotCurves(self._view, self._shares)
        self._left = PlotAxis("left", y_title)
        self._bottom = PlotAxis("bottom", x_title, whole=whole_x)
        self._right = PlotAxis("right", right_title, share=True)
        self._overlay = PlotOverlay(self.ranges)
        self._build()

    def _build(self) -> None:
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAccessibleName(self._left.labelText)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_StyledBackground, False)
        body = pg.GraphicsLayout()
        body.layout.setContentsMargins(0, 6, 0, 0)
        body.layout.setSpacing(0)
        for item, row, column in ((self._left, 0, 0), (self._view, 0, 1), (self._right, 0, 2), (self._bottom, 1, 1)):
            body.layout.addItem(item, row, column)
        body.layout.setColumnStretchFactor(1, 100)
        self.setCentralItem(body)
        self._grid: QGraphicsGridLayout = body.layout
        self._left.linkToView(self._view)
        self._bottom.linkToView(self._view)
        self._right.linkToView(self._shares)
        self.scene().addItem(self._shares)
        self.scene().addItem(self._overlay)
        self._shares.setYRange(0.0, 1.05, padding=0)
        self._show_right(False)
        self._view.sigRangeChangedManually.connect(self._on_range_chosen)
        self._view.sigRangeChanged.connect(self._on_range_changed)
        self._view.sigResized.connect(self._place)

    # Content.

    def set_tokens(self, tokens: Tokens) -> None:
        """Use the colours of a theme."""
        self._overlay.tokens = tokens
        self.setBackground(tokens.pane)
        self._left.set_tokens(tokens, grid=True)
        self._bottom.set_tokens(tokens, grid=False)
        self._right.set_tokens(tokens, grid=False)
        self._curves.set_tokens(tokens)
        self._overlay.update()

    def set_pixel_ratio(self, ratio: float) -> None:
        """Draw for another device pixel ratio than that of the screen."""
        self._ratio = ratio
        self._curves.set_ratio(ratio)

    def set_titles(self, x_title: str, y_title: str, *, whole_x: bool) -> None:
        """Set other axis titles."""
        self._bottom.whole = whole_x
        self._bottom.set_title(x_title)
        self._left.set_title(y_title)

    def set_right_width(self, width: float) -> None:
        """Leave room for the end labels."""
        if width == self._labels_width:
            return
        self._labels_width = width
        self._right.setWidth(max(width, LEFT_WIDTH if self._right.style["showValues"] else MIN_RIGHT_PX))
        self._grid.activate()
        self._place()

    def show_content(self, content: Content, log: bool) -> None:
        """Draw other curves; the ranges are kept."""
        self._content, self.log = content, log
        if self._left.log != log:
            self._left.log = log
            self._left.picture = None
            self._left.update()
        self._curves.show(content.series, log)
        self._show_right(any(series.on_right for series in content.series))
        self._show_overlay()

    def show_cursor(self, x: float | None, values: list[tuple[Series, float]]) -> None:
        """Draw the vertical cursor line with a dot on each curve; None removes it."""
        if x is None:
            self._overlay.reading = None
        else:
            marked = [(series, value) for series, value in values if series.style is not LineStyle.FAINT]
            ys = [(self._to_axis(value, series.on_right), series.ink) for series, value in marked]
            self._overlay.reading = Cursor(x, tuple((y, ink) for y, ink in ys if math.isfinite(y)))
        self._overlay.update()

    # Range.

    @property
    def y_is_free(self) -> bool:
        """Whether the user chose the range of the left axis."""
        return self._view.y_is_free

    def fit_y(self) -> None:
        """Let the left axis fit its values again."""
        self._view.y_is_free = False

    def sizeHint(self) -> QSize:
        """Small, because the plot fills whatever space it gets."""
        return QSize(200, 90)

    def minimumSizeHint(self) -> QSize:
        """Room for the axes and a small plot area."""
        return QSize(160, 80)

    def ranges(self) -> tuple[Range, Range]:
        """Ranges of both axes, the left one's in axis units (see `plot_model.mapped`)."""
        (x0, x1), (y0, y1) = self._view.viewRange()
        return (x0, x1), (y0, y1)

    def set_ranges(self, x_range: Range, y_range: Range) -> None:
        """Show these ranges."""
        self._view.setRange(xRange=x_range, yRange=y_range, padding=0)
        # Otherwise pyqtgraph notifies its curves only while painting, and paints them twice.
        self.scene().prepareForPaint()

    def limit(self, x_range: Range, y_range: Range) -> None:
        """Keep zoom and pan near the data, so that the user cannot get lost."""
        (x0, x1), (y0, y1) = x_range, y_range
        width, height = x1 - x0, y1 - y0
        self._view.setLimits(
            xMin=x0 - width,
            xMax=x1 + width,
            yMin=y0 - 20 * height,
            yMax=y1 + 20 * height,
            minXRange=min(_LEAST_STEPS, width) if self._bottom.whole else 1e-3 * width,
            minYRange=1e-4 * height,
        )

    def zoom(self, factor: float, x: float | None = None) -> None:
        """Zoom along x around `x`, or the middle; a factor below 1 zooms in."""
        (x0, x1), _ = self.ranges()
        center = (x0 + x1) / 2 if x is None else min(max(x, x0), x1)
        self._view.setXRange(center - (center - x0) * factor, center + (x1 - center) * factor, padding=0)
        self.range_chosen.emit()

    # Events.

    def event(self, event: QEvent) -> bool:
        """Adapt to a screen of another scale."""
        if event.type() in _NEW_SCREEN:
            self._curves.set_ratio(self._ratio or self.devicePixelRatioF())
        return bool(super().event(event))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Report what is under the mouse."""
        super().mouseMoveEvent(event)
        point = self.mapToScene(event.position().toPoint())
        box = self._view.sceneBoundingRect()
        if event.buttons() == Qt.MouseButton.NoButton and box.contains(point):
            self.pointed.emit(self._view.mapSceneToView(point).x(), self._overlay.marks_at(point.x()))
        else:
            self.pointed.emit(None, ())

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom, or let the surrounding pane scroll."""
        if self._zooms(event):
            super().wheelEvent(event)
        else:
            event.ignore()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin a drag."""
        super().mousePressEvent(event)
        self.pressed.emit()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Request that everything be shown again."""
        super().mouseDoubleClickEvent(event)
        if event.button() == Qt.MouseButton.LeftButton:
            self.reset_requested.emit()

    def leaveEvent(self, event: QEvent) -> None:
        """Report that nothing is under the mouse any more."""
        super().leaveEvent(event)
        self.pointed.emit(None, ())

    def _on_range_chosen(self, _axes: object) -> None:
        self.range_chosen.emit()

    def _on_range_changed(self, *_: object) -> None:
        (x0, x1), _y = self.ranges()
        self._shares.setXRange(x0, x1, padding=0)
        self._overlay.update()

    # Drawing.

    def _show_right(self, shown: bool) -> None:
        """Show the axis for shares, or hide it and leave its place for the end labels."""
        self._shares.setVisible(shown)
        if self._right.style["showValues"] == shown and self._right.fixedWidth is not None:
            return
        self._right.set_shown(shown)
        width, self._labels_width = self._labels_width, -1.0
        self.set_right_width(width)

    def _show_overlay(self) -> None:
        content = self._content
        labels: list[EndLabel] = []
        for series in content.series:
            good = series.y[np.isfinite(series.y)]
            if series.label and len(good):
                labels.append(EndLabel(self._to_axis(float(good[-1])), series.label, series.ink, bold=True))
        levels: list[Level] = []
        for level in content.levels:
            y = self._to_axis(level.y)
            if math.isfinite(y):
                levels.append(Level(y, level.ink, level.style, level.label))
                labels.append(EndLabel(y, level.label, level.ink, level.rank))
        self._overlay.levels = tuple(levels)
        self._overlay.labels = tuple(label for label in labels if math.isfinite(label.y) and label.text)
        self._overlay.marks = content.marks
        self._overlay.dots = self._dots()
        self._overlay.update()

    def _dots(self) -> tuple[tuple[float, float, str], ...]:
        """The values of short curves as dots, so that even a single value is visible."""
        series = [s for s in self._content.series if s.style is not LineStyle.FAINT and not s.on_right]
        if max((len(s.x) for s in series), default=0) > _DOTS_UP_TO:
            return ()
        places = [(float(x), self._to_axis(float(y)), s.ink) for s in series for x, y in zip(s.x, s.y, strict=True)]
        return tuple(dot for dot in places if math.isfinite(dot[1]))

    def _to_axis(self, value: float, on_right: bool = False) -> float:
        if on_right:
            low, high = self.ranges()[1]
            return low + value / 1.05 * (high - low)
        return place(value, self.log)

    def _place(self, *_: object) -> None:
        box: QRectF = self._view.sceneBoundingRect()
        self._shares.setGeometry(box)
        self._overlay.place(QRectF(QPointF(0, 0), QPointF(self.width(), self.height())), box)
