"""Icons of one family, drawn as text in the colours of the theme, so that they are crisp at any scale."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QIconEngine, QPainter, QPaintEvent, QPixmap
from PySide6.QtWidgets import QWidget

from vdsr_app.gui.theme import tokens_in_use

FAMILY = "mdi6"
SMALL_PX = 16
LARGE_PX = 20


def icon(name: str, color: str = "text") -> QIcon:
    """An icon that follows the theme by itself.

    The icon font is loaded when the first icon is painted, not before.

    Args:
        name: name in the family, such as "content-save-outline".
        color: a token of the theme: "text", "quiet", "on_accent" (upon a filled button), "good", "caution", "bad".
    """
    return QIcon(_ThemedEngine(name, color))


class IconLabel(QWidget):
    """An icon beside words; says nothing by itself."""

    def __init__(self, name: str = "", color: str = "text", size_px: int = SMALL_PX) -> None:
        super().__init__()
        self._icon = icon(name, color) if name else QIcon()
        self.setFixedSize(size_px, size_px)

    def set_icon(self, name: str, color: str = "text") -> None:
        """Show another icon."""
        self._icon = icon(name, color)
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the icon."""
        painter = QPainter(self)
        self._icon.paint(painter, self.rect())
        painter.end()


class _ThemedEngine(QIconEngine):
    """Looks its colour up when it paints."""

    def __init__(self, name: str, color: str) -> None:
        super().__init__()
        self._name = name
        self._color = color

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        import qtawesome  # loads fonts and 0.1 s of modules: only when something is painted

        tokens = tokens_in_use()
        color = tokens.disabled if mode == QIcon.Mode.Disabled else getattr(tokens, self._color)
        if mode == QIcon.Mode.Selected:
            color = tokens.on_accent
        painter.save()
        painter.setFont(qtawesome.font(FAMILY, rect.height()))
        painter.setPen(QColor(color))
        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, qtawesome.charmap(f"{FAMILY}.{self._name}"))
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
