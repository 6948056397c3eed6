"""Colours of the window: two sets of tokens, from which the palette and the style sheet are made."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template

from PySide6.QtCore import QDir, QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from vdsr_app.gui.settings import CanvasColor, Theme
from vdsr_app.paths import resources_dir

logger = logging.getLogger(__name__)

SEARCH_PREFIX = "vdsr"
"""Prefix under which style sheets and widgets find the files of `resources/`."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Colours by purpose, as "#rrggbb".

    Attributes:
        name: "light" or "dark"; also part of the names of themed resource files.
        window: behind bars and the menu.
        pane: inspector, menus, dialogs' fields of text.
        field: inside controls.
        line: separators.
        outline: around controls.
        hover: a control under the pointer.
        pressed: a control that is held down, or selected from several.
        text: text and icons.
        quiet: less important text; its contrast still meets AA.
        disabled: text of disabled controls.
        accent: the primary action, focus, selections.
        accent_hover: the primary action under the pointer.
        accent_pressed: the primary action held down.
        on_accent: text on the accent.
        good: success; never on its own, always with text or an icon.
        caution: a notice; as above.
        bad: a failure; as above.
        canvas: around the picture.
    """

    name: str
    window: str
    pane: str
    field: str
    line: str
    outline: str
    hover: str
    pressed: str
    text: str
    quiet: str
    disabled: str
    accent: str
    accent_hover: str
    accent_pressed: str
    on_accent: str
    good: str
    caution: str
    bad: str
    canvas: str


LIGHT = Tokens(
    name="light",
    window="#f5f5f5",
    pane="#ffffff",
    field="#ffffff",
    line="#dcdcdc",
    outline="#b9b9b9",
    hover="#ececec",
    pressed="#dedede",
    text="#1b1b1b",
    quiet="#5c5c5c",
    disabled="#9a9a9a",
    accent="#2f6fde",
    accent_hover="#2862c8",
    accent_pressed="#2154ae",
    on_accent="#ffffff",
    good="#1d7a3c",
    caution="#8a5a00",
    bad="#b8261f",
    canvas="#6e6e6e",
)

DARK = Tokens(
    name="dark",
    window="#1c1c1c",
    pane="#252525",
    field="#1f1f1f",
    line="#3a3a3a",
    outline="#565656",
    hover="#333333",
    pressed="#424242",
    text="#ececec",
    quiet="#a6a6a6",
    disabled="#6f6f6f",
    accent="#6aa1ff",
    accent_hover="#82b1ff",
    accent_pressed="#5a90ec",
    on_accent="#0f141c",
    good="#6fc98d",
    caution="#e3b354",
    bad="#ff8f85",
    canvas="#3c3c3c",
)

BODY_PX = 13


class ThemeManager(QObject):
    """Applies the chosen theme, and follows the system's if that is chosen.

    Signals:
        changed: the `Tokens` now in use.
    """

    changed = Signal(object)

    def __init__(self, app: QApplication, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._app = app
        self._theme = Theme.SYSTEM
        self._tokens: Tokens | None = None
        QDir.setSearchPaths(SEARCH_PREFIX, [str(resources_dir())])
        app.setStyle("Fusion")
        app.setFont(body_font(app.font()))
        app.styleHints().colorSchemeChanged.connect(self._on_scheme_changed)

    @property
    def tokens(self) -> Tokens:
        """The colours in use."""
        return self._tokens or LIGHT

    def apply(self, theme: Theme) -> None:
        """Apply the colours of `theme` to the whole application."""
        self._theme = theme
        hints = self._app.styleHints()
        match theme:
            case Theme.SYSTEM:
                hints.unsetColorScheme()
            case Theme.LIGHT:
                hints.setColorScheme(Qt.ColorScheme.Light)
            case Theme.DARK:
                hints.setColorScheme(Qt.ColorScheme.Dark)
        self._refresh()

    def canvas_color(self, choice: CanvasColor) -> QColor:
        """Return the colour around the picture for a choice in the settings."""
        named = {CanvasColor.BLACK: "#000000", CanvasColor.GRAY: "#808080", CanvasColor.WHITE: "#ffffff"}
        return QColor(named.get(choice, self.tokens.canvas))

    def _on_scheme_changed(self, _scheme: Qt.ColorScheme) -> None:
        if self._theme is Theme.SYSTEM:
            self._refresh()

    def _system_is_dark(self) -> bool:
        return self._app.styleHints().colorScheme() == Qt.ColorScheme.Dark

    def _refresh(self) -> None:
        dark = self._theme is Theme.DARK or (self._theme is Theme.SYSTEM and self._system_is_dark())
        tokens = DARK if dark else LIGHT
        if tokens is self._tokens:
            return
        self._tokens = tokens
        self._app.setPalette(palette_for(tokens))
        self._app.setStyleSheet(style_sheet(tokens))
        self.changed.emit(tokens)


def tokens_in_use() -> Tokens:
    """Return the colours that the application has now."""
    window = QGuiApplication.palette().color(QPalette.ColorRole.Window).name()
    return DARK if window == DARK.window else LIGHT


def style_sheet(tokens: Tokens, template: Path | None = None) -> str:
    """Return the style sheet with the colours of `tokens` filled in; empty, and logged, if it cannot be read.

    Raises:
        KeyError: the template names a token that does not exist.
    """
    path = template or resources_dir() / "style.qss"
    try:
        source = path.read_text(encoding="utf-8")
    except OSError as error:
        logger.error("The style sheet cannot be read: %s", error)
        return ""
    return Template(source).substitute(asdict(tokens))


def palette_for(tokens: Tokens) -> QPalette:
    """Build the palette for everything that the style sheet does not paint, such as file dialogs."""
    role, group = QPalette.ColorRole, QPalette.ColorGroup
    colors = {
        role.Window: tokens.window,
        role.WindowText: tokens.text,
        role.Base: tokens.field,
        role.AlternateBase: tokens.hover,
        role.Text: tokens.text,
        role.PlaceholderText: tokens.quiet,
        role.Button: tokens.pane,
        role.ButtonText: tokens.text,
        role.BrightText: tokens.bad,
        role.ToolTipBase: tokens.pane,
        role.ToolTipText: tokens.text,
        role.Highlight: tokens.accent,
        role.HighlightedText: tokens.on_accent,
        role.Accent: tokens.accent,
        role.Link: tokens.accent,
        role.LinkVisited: tokens.accent,
        role.Light: tokens.hover,
        role.Midlight: tokens.line,
        role.Mid: tokens.outline,
        role.Dark: tokens.outline,
        role.Shadow: tokens.line,
    }
    palette = QPalette()
    for which, color in colors.items():
        palette.setColor(which, QColor(color))
    for which in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(group.Disabled, which, QColor(tokens.disabled))
    palette.setColor(group.Disabled, role.Highlight, QColor(tokens.outline))
    return palette


def body_font(base: QFont) -> QFont:
    """Return the system font at the size of body text, with tabular digits."""
    font = QFont(base)
    font.setPixelSize(BODY_PX)
    font.setFeature(QFont.Tag("tnum"), 1)
    return font


def set_role(widget: QWidget, role: str) -> None:
    """Mark `widget` for the style sheet: "head", "caption", "quiet", "primary", "segment" and so on."""
    widget.setProperty("role", role)
    widget.style().unpolish(widget)
    widget.style().polish(widget)
