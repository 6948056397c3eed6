"""Icons of one family, drawn as text in the colours of the theme, so that they are crisp at any scale."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import QColor, QGuiApplication, QIcon, QIconEngine, QPainter, QPalette, QPixmap

FAMILY = "mdi6"
_ROLES = {
    "text": QPalette.ColorRole.ButtonText,
    "on_accent": QPalette.ColorRole.HighlightedText,
}


def icon(name: str, color: str = "text") -> QIcon:
    """An icon that follows the theme by itself.

    The icon font is loaded when the first icon is painted, not before.

    Args:
        name: name in the family, such as "content-save-outline".
        color: "text", "on_accent" (upon a filled button), or a fixed "#rrggbb".
    """
    return QIcon(_ThemedEngine(name, color))


class _ThemedEngine(QIconEngine):
    """Looks its colour up when it paints."""

    def __init__(self, name: str, color: str) -> None:
        super().__init__()
        self._name = name
        self._color = color

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        import qtawesome  # loads fonts and 0.1 s of modules: only when something is painted

        glyph = qtawesome.charmap(f"{FAMILY}.{self._name}")
        painter.save()
        painter.setFont(qtawesome.font(FAMILY, rect.height()))
        painter.setPen(self._pen_color(mode))
        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, glyph)
        painter.restore()

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        pixmap = QPixmap(size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        self.paint(painter, QRect(QPoint(0, 0), size), mode, state)
        painter.end()
        return pixmap

    def clone(self) -> QIconEngine:
        return _ThemedEngine(self._name, self._color)

    def _pen_color(self, mode: QIcon.Mode) -> QColor:
        if self._color not in _ROLES:
            return QColor(self._color)
        palette = QGuiApplication.palette()
        if mode == QIcon.Mode.Disabled:
            return palette.color(QPalette.ColorGroup.Disabled, QPalette.ColorRole.ButtonText)
        return palette.color(_ROLES[self._color])
