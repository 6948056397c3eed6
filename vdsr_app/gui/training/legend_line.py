"""The legend of a plot, which also shows the values at the cursor."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from vdsr_app.gui.theme import LIGHT, Tokens
from vdsr_app.gui.training.plot_model import LineStyle
from vdsr_app.gui.training.plot_theme import line_pen, tick_font

ROW_PX = 18

_WIDTHS = {
    LineStyle.SOLID: 2.0,
    LineStyle.THIN: 1.5,
    LineStyle.FAINT: 1.0,
    LineStyle.DASHED: 1.25,
    LineStyle.DOTTED: 1.5,
}
_SWATCH_PX = 17
_GAP_PX = 5
_ENTRY_GAP_PX = 12
_MOST_ROWS = 3
_NAME_PX = 180


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the legend.

    Attributes:
        name: name of the line.
        ink: name of its colour; with "" no sample of the line is drawn.
        style: style of the line.
        value: value at the cursor; "" for none.
    """

    name: str
    ink: str = ""
    style: LineStyle = LineStyle.SOLID
    value: str = ""

    @property
    def text(self) -> str:
        """Name and value."""
        return f"{self.name} {self.value}".strip()


class LegendLine(QWidget):
    """Entries in a row that wraps as needed. A changing value does not move the others."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: tuple[Entry, ...] = ()
        self._widths: dict[tuple[str, str], float] = {}
        self._tokens = LIGHT
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The entries that are shown."""
        return self._entries

    @property
    def text(self) -> str:
        """All entries as one text."""
        return ", ".join(entry.text for entry in self._entries)

    def set_tokens(self, tokens: Tokens) -> None:
        """Use the colours of a theme."""
        self._tokens = tokens
        self.update()

    def show_entries(self, entries: tuple[Entry, ...]) -> None:
        """Show other entries or values."""
        if entries == self._entries:
            return
        known = {(entry.name, entry.ink) for entry in entries}
        widths = {key: width for key, width in self._widths.items() if key in known}
        for entry in entries:
            key = (entry.name, entry.ink)
            # The widest it has been, so that a changing number of digits does not move the others.
            widths[key] = max(widths.get(key, 0.0), self._width_of(entry))
        self._entries = entries
        if widths != self._widths:
            self._widths = widths
            self.updateGeometry()
        self.update()

    def hasHeightForWidth(self) -> bool:
        """True, because the entries wrap."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Height of the wrapped lines."""
        boxes = self._boxes(width)
        return round(boxes[-1].bottom()) + 2 if boxes else ROW_PX

    def sizeHint(self) -> QSize:
        """Size of all entries on one line."""
        return QSize(round(sum(self._widths.values()) + _ENTRY_GAP_PX * len(self._widths)), ROW_PX + 2)

    def minimumSizeHint(self) -> QSize:
        """Small, because the entries wrap."""
        return QSize(60, ROW_PX)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw line samples, names and values."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for entry, box in zip(self._entries, self._boxes(self.width()), strict=False):
            self._draw(painter, entry, box)
        painter.end()

    def _draw(self, painter: QPainter, entry: Entry, box: QRectF) -> None:
        left = box.left()
        if entry.ink:
            pen = line_pen(entry.ink, entry.style, self._tokens, _WIDTHS[entry.style])
            painter.setPen(pen)
            middle = round(box.center().y()) + 0.5
            painter.drawLine(QPointF(left, middle), QPointF(left + _SWATCH_PX, middle))
            left += _SWATCH_PX + _GAP_PX
        font = tick_font()
        name = _shortened(entry.name, font)
        name_width = QFontMetricsF(font).horizontalAdvance(name)
        flags = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
        painter.setFont(font)
        painter.setPen(QColor(self._tokens.quiet))
        painter.drawText(QRectF(left, box.top(), box.right() - left, box.height()), flags, name)
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        painter.setPen(QColor(self._tokens.text))
        left += name_width + _GAP_PX
        painter.drawText(QRectF(left, box.top(), box.right() - left + 2, box.height()), flags, entry.value)

    def _width_of(self, entry: Entry) -> float:
        font = tick_font()
        width = QFontMetricsF(font).horizontalAdvance(_shortened(entry.name, font))
        width += _SWATCH_PX + _GAP_PX if entry.ink else 0
        if entry.value:
            font.setWeight(QFont.Weight.DemiBold)
            width += _GAP_PX + QFontMetricsF(font).horizontalAdvance(entry.value)
        return width

    def _boxes(self, width: int) -> list[QRectF]:
        """Rectangle of each entry; entries beyond the last line are left out."""
        boxes: list[QRectF] = []
        left, row = 0.0, 0
        for entry in self._entries:
            wide = self._widths[(entry.name, entry.ink)]
            if left > 0 and left + wide > width:
                left, row = 0.0, row + 1
            if row == _MOST_ROWS:
                break
            boxes.append(QRectF(left, 2 + row * ROW_PX, wide, ROW_PX))
            left += wide + _ENTRY_GAP_PX
        return boxes


def _shortened(name: str, font: QFont) -> str:
    return QFontMetricsF(font).elidedText(name, Qt.TextElideMode.ElideRight, _NAME_PX)
