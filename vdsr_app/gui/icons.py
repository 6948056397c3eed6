"""Icons of one family, drawn as text in the theme's colours, so that they are sharp at any scale.

The family is qtawesome's "mdi6". Its font and name table are read directly from the package's files: importing the
package takes a quarter of a second, which would delay the first window.
"""

from __future__ import annotations

import importlib.util
import json
import logging
from functools import lru_cache
from pathlib import Path

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QIcon, QIconEngine, QPainter, QPaintEvent, QPixmap
from PySide6.QtWidgets import QWidget

from vdsr_app.gui.theme import tokens_in_use

logger = logging.getLogger(__name__)

SMALL_PX = 16
LARGE_PX = 20
_FONT = "materialdesignicons6-webfont-*.ttf"
_CHARMAP = "materialdesignicons6-webfont-charmap-*.json"


def icon(name: str, color: str = "text", *, inverts: bool = True) -> QIcon:
    """Create an icon that follows the theme automatically.

    The icon font is loaded when the first icon is painted, not before.

    Args:
        name: name in the family, such as "content-save-outline".
        color: a theme token: "text", "quiet", "on_accent" (on a filled button), "good", "caution", "bad".
        inverts: whether it takes the colour of text on the accent when selected; False in lists whose selected row
            does not have the accent as background.
    """
    return QIcon(_ThemedEngine(name, color, inverts))


def glyphs() -> dict[str, str]:
    """All icons of the family, as characters by name."""
    return _load()[1]


class IconLabel(QWidget):
    """A decorative icon beside text, without an accessible name."""

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
    """Looks up its colour when painting."""

    def __init__(self, name: str, color: str, inverts: bool = True) -> None:
        super().__init__()
        self._name = name
        self._color = color
        self._inverts = inverts

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        family, characters = _load()
        tokens = tokens_in_use()
        color = getattr(tokens, self._color)
        if mode == QIcon.Mode.Disabled:
            color = tokens.disabled
        elif mode == QIcon.Mode.Selected and self._inverts:
            color = tokens.on_accent
        font = QFont(family)
        font.setPixelSize(rect.height())
        painter.save()
        painter.setFont(font)
        painter.setPen(QColor(color))
        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, characters.get(self._name, ""))
        painter.restore()

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        pixmap = QPixmap(size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        self.paint(painter, QRect(QPoint(0, 0), size), mode, state)
        painter.end()
        return pixmap

    def clone(self) -> QIconEngine:
        return _ThemedEngine(self._name, self._color, self._inverts)


@lru_cache(maxsize=1)
def _load() -> tuple[str, dict[str, str]]:
    """Name of the font family, and the characters by name; empty, and logged, if they are missing."""
    spec = importlib.util.find_spec("qtawesome")
    if spec is None or not spec.submodule_search_locations:
        logger.error("qtawesome is not installed; there are no icons")
        return "", {}
    folder = Path(spec.submodule_search_locations[0]) / "fonts"
    fonts, tables = sorted(folder.glob(_FONT)), sorted(folder.glob(_CHARMAP))
    families = QFontDatabase.applicationFontFamilies(QFontDatabase.addApplicationFont(str(fonts[-1]))) if fonts else []
    if not families or not tables:
        logger.error("qtawesome has no usable font in %s; there are no icons", folder)
        return "", {}
    codes = json.loads(tables[-1].read_text(encoding="utf-8"))
    return families[0], {name: chr(int(code, 16)) for name, code in codes.items()}
