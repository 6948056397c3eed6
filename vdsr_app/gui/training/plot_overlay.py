"""What is drawn over the curves: levels, marks, end labels, and the cursor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QWidget

from vdsr_app.gui.theme import LIGHT, Tokens
from vdsr_app.gui.training.plot_model import Level, Mark, Range, spread
from vdsr_app.gui.training.plot_theme import ink_color, line_pen, tick_font

MARK_REACH_PX = 6
"""How far from a mark the mouse still counts as on it."""

_LABEL_GAP_PX = 13
_LABEL_OFFSET_PX = 8
_LABEL_ROOM_PX = 48
"""With less room, only the curves themselves have end labels."""
_DOT_PX = 3.5
_SMALL_DOT_PX = 2.5
_SIGN_PX = 9


@dataclass(frozen=True, slots=True)
class EndLabel:
    """Text at the right end of a line.

    Attributes:
        y: height of the line, in axis units.
        text: name of the line.
        ink: name of its colour.
        rank: where room is short, labels of a higher rank are dropped first.
        bold: whether the text is bold.
    """

    y: float
    text: str
    ink: str
    rank: int = 0
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Cursor:
    """A vertical line with a dot on each curve.

    Attributes:
        x: place of the line.
        dots: (y in axis units, ink).
    """

    x: float
    dots: tuple[tuple[float, str], ...] = ()


class PlotOverlay(QGraphicsItem):
    """Draws over the curves, in scene pixels.

    Args:
        ranges: returns the ranges of both axes; call `update` after they change.

    Attributes:
        levels: horizontal lines; `y` in axis units.
        marks: vertical lines.
        labels: texts at the right ends of lines.
        dots: (x, y in axis units, ink) of single values.
        reading: the cursor, or None.
        tokens: the theme.
    """

    def __init__(self, ranges: Callable[[], tuple[Range, Range]]) -> None:
        super().__init__()
        self._ranges = ranges
        self._bounds = QRectF()
        self._plot = QRectF()
        self.levels: tuple[Level, ...] = ()
        self.marks: tuple[Mark, ...] = ()
        self.labels: tuple[EndLabel, ...] = ()
        self.dots: tuple[tuple[float, float, str], ...] = ()
        self.reading: Cursor | None = None
        self.tokens: Tokens = LIGHT
        self.setZValue(100)
        self.setAcceptedMouseButtons(Qt.MouseButton.NoButton)

    def place(self, bounds: QRectF, plot: QRectF) -> None:
        """Follow the layout: set the whole scene and the part that holds the curves."""
        if (bounds, plot) != (self._bounds, self._plot):
            self.prepareGeometryChange()
            self._bounds, self._plot = QRectF(bounds), QRectF(plot)

    def boundingRect(self) -> QRectF:
        """The whole scene."""
        return self._bounds

    def x_of(self, x: float) -> float:
        """Scene column of an x."""
        low, high = self._ranges()[0]
        return self._plot.left() + (x - low) / (high - low) * self._plot.width()

    def y_of(self, y: float) -> float:
        """Scene row of a y in axis units."""
        low, high = self._ranges()[1]
        return self._plot.bottom() - (y - low) / (high - low) * self._plot.height()

    def marks_at(self, column: float) -> tuple[Mark, ...]:
        """Marks at a scene column."""
        return tuple(mark for mark in self.marks if abs(self.x_of(mark.x) - column) <= MARK_REACH_PX)

    def paint(self, painter: QPainter, _option: QStyleOptionGraphicsItem, _widget: QWidget | None = None) -> None:
        """Draw everything; lines are clipped to the plot."""
        if self._plot.width() < 2 or self._plot.height() < 2:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(tick_font())
        painter.save()
        painter.setClipRect(self._plot)
        for level in self.levels:
            row = self.y_of(level.y)
            painter.setPen(line_pen(level.ink, level.style, self.tokens, 1.25))
            painter.drawLine(QPointF(self._plot.left(), row), QPointF(self._plot.right(), row))
        for mark in self.marks:
            self._draw_mark(painter, mark)
        painter.setPen(Qt.PenStyle.NoPen)
        for x, y, ink in self.dots:
            painter.setBrush(ink_color(ink, self.tokens))
            painter.drawEllipse(QPointF(self.x_of(x), self.y_of(y)), _SMALL_DOT_PX, _SMALL_DOT_PX)
        painter.restore()
        self._draw_labels(painter)
        if self.reading is not None:
            self._draw_cursor(painter, self.reading)

    def _draw_mark(self, painter: QPainter, mark: Mark) -> None:
        """Draw a dashed line with a sign at its top: a triangle for caution, a dot otherwise."""
        column = self.x_of(mark.x)
        color = QColor(self.tokens.caution if mark.caution else self.tokens.quiet)
        pen = QPen(color, 1.0, Qt.PenStyle.CustomDashLine)
        pen.setDashPattern([3, 3])
        painter.setPen(pen)
        top = self._plot.top() + 1
        painter.drawLine(QPointF(column, top + _SIGN_PX), QPointF(column, self._plot.bottom()))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color)
        half = _SIGN_PX / 2
        if mark.caution:
            corners = [QPointF(column, top), QPointF(column + half + 1, top + _SIGN_PX)]
            painter.drawPolygon(QPolygonF([*corners, QPointF(column - half - 1, top + _SIGN_PX)]))
        else:
            painter.drawEllipse(QPointF(column, top + half), half - 1, half - 1)
        painter.setBrush(Qt.BrushStyle.NoBrush)

    def _draw_labels(self, painter: QPainter) -> None:
        room = self._bounds.right() - self._plot.right() - _LABEL_OFFSET_PX
        shown = [
            label for label in self.labels if self._plot.top() - 1 <= self.y_of(label.y) <= self._plot.bottom() + 1
        ]
        if room < _LABEL_ROOM_PX:  # the legend names the levels too
            shown = [label for label in shown if label.rank == 0]
        most = max(1, int(self._plot.height() // _LABEL_GAP_PX))
        shown = sorted(sorted(shown, key=lambda label: label.rank)[:most], key=lambda label: self.y_of(label.y))
        half = _LABEL_GAP_PX / 2
        rows = [self.y_of(label.y) for label in shown]
        rows = spread(rows, _LABEL_GAP_PX, self._plot.top() + half, self._plot.bottom() - half)
        for label, row in zip(shown, rows, strict=True):
            font = tick_font()
            font.setBold(label.bold)
            painter.setFont(font)
            painter.setPen(ink_color(label.ink, self.tokens))
            text = QFontMetricsF(font).elidedText(label.text, Qt.TextElideMode.ElideRight, room)
            box = QRectF(self._plot.right() + _LABEL_OFFSET_PX, row - half, room, _LABEL_GAP_PX)
            painter.drawText(box, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), text)

    def _draw_cursor(self, painter: QPainter, cursor: Cursor) -> None:
        column = self.x_of(cursor.x)
        if not self._plot.left() - 0.5 <= column <= self._plot.right() + 0.5:
            return
        painter.setPen(QPen(QColor(self.tokens.quiet), 1.0))
        painter.drawLine(QPointF(column, self._plot.top()), QPointF(column, self._plot.bottom()))
        for y, ink in cursor.dots:
            row = self.y_of(y)
            if self._plot.top() <= row <= self._plot.bottom():
                painter.setPen(QPen(QColor(self.tokens.pane), 1.5))
                painter.setBrush(ink_color(ink, self.tokens))
                painter.drawEllipse(QPointF(column, row), _DOT_PX, _DOT_PX)
        painter.setBrush(Qt.BrushStyle.NoBrush)


def labels_width(texts: list[str]) -> float:
    """Width in pixels of the longest end label, including its distance from the plot."""
    font = tick_font()
    font.setBold(True)
    metrics = QFontMetricsF(font)
    return max((metrics.horizontalAdvance(text) for text in texts), default=0.0) + _LABEL_OFFSET_PX + 4
