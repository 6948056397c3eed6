"""Themes: contrast, completeness, icons, and following the system's choice."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QGuiApplication, QIcon, QPalette
from PySide6.QtWidgets import QApplication, QCheckBox, QPushButton
from pytestqt.qtbot import QtBot

from vdsr_app.gui import theme as themes
from vdsr_app.gui.icons import glyphs, icon
from vdsr_app.gui.parts import link, plain, primary
from vdsr_app.gui.settings import CanvasColor, Theme
from vdsr_app.gui.theme import DARK, LIGHT, ThemeManager, Tokens, set_role

AA = 4.5


def luminance(color: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=lambda t: t.name)
def test_text_has_enough_contrast_on_every_background(tokens: Tokens) -> None:
    for ground in (tokens.window, tokens.pane, tokens.field):
        for words in (tokens.text, tokens.quiet, tokens.good, tokens.caution, tokens.bad):
            assert contrast(words, ground) >= AA, (words, ground)
    for ground in (tokens.accent, tokens.accent_hover, tokens.accent_pressed):
        assert contrast(tokens.on_accent, ground) >= AA, ground
    assert contrast(tokens.accent, tokens.pane) >= AA  # links, and the focus ring with room to spare
    assert contrast(tokens.text, tokens.pressed) >= AA


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=lambda t: t.name)
def test_neutral_colours_have_no_tint(tokens: Tokens) -> None:
    for name in ("window", "pane", "field", "line", "outline", "hover", "pressed", "text", "quiet", "canvas"):
        red, green, blue = (asdict(tokens)[name][i : i + 2] for i in (1, 3, 5))
        assert red == green == blue, name


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=lambda t: t.name)
def test_style_sheet_has_no_placeholders_and_its_images_exist(tokens: Tokens) -> None:
    sheet = themes.style_sheet(tokens)
    assert "$" not in sheet
    for line in sheet.splitlines():
        if "url(vdsr:" in line:
            name = line.split("url(vdsr:")[1].split(")")[0]
            assert (themes.resources_dir() / name).is_file(), name


def test_missing_style_sheet_is_logged_and_empty(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert themes.style_sheet(LIGHT, tmp_path / "none.qss") == ""
    assert "none.qss" in caplog.text


def test_apply_sets_theme_and_emits_changed_once(qtbot: QtBot, qapp: QApplication, theme: ThemeManager) -> None:
    theme.apply(Theme.LIGHT)
    assert theme.tokens is LIGHT
    with qtbot.waitSignal(theme.changed) as blocker:
        theme.apply(Theme.DARK)
    assert blocker.args == [DARK]
    assert themes.tokens_in_use() is DARK
    window = QGuiApplication.palette().color(QPalette.ColorRole.Window).name()
    assert window == DARK.window
    assert DARK.pane in qapp.styleSheet()
    with qtbot.assertNotEmitted(theme.changed):
        theme.apply(Theme.DARK)


@pytest.mark.parametrize("look", [Theme.LIGHT, Theme.DARK])
@pytest.mark.parametrize("role", ["", "primary", "link", "card", "fold", "step"])
def test_button_focus_ring_looks_the_same_for_mouse_and_keyboard(
    qtbot: QtBot, theme: ThemeManager, look: Theme, role: str
) -> None:
    theme.apply(look)
    button = QPushButton("Copy")
    qtbot.addWidget(button)
    set_role(button, role)
    button.setFixedSize(120, 32)
    with qtbot.waitExposed(button):
        button.show()
    button.clearFocus()
    plain = button.grab().toImage()
    button.activateWindow()
    button.setFocus()
    qtbot.waitUntil(button.hasFocus)
    by_mouse = button.grab().toImage()
    button.setAttribute(Qt.WidgetAttribute.WA_KeyboardFocusChange)  # as the Tab key does
    assert button.grab().toImage() == by_mouse
    assert by_mouse != plain


@pytest.mark.parametrize(("choice", "expected"), [(Theme.SYSTEM, DARK), (Theme.LIGHT, LIGHT)])
def test_only_system_theme_follows_the_system(
    qapp: QApplication, theme: ThemeManager, monkeypatch: pytest.MonkeyPatch, choice: Theme, expected: Tokens
) -> None:
    monkeypatch.setattr(theme, "_system_is_dark", lambda: False)
    theme.apply(choice)
    assert theme.tokens is LIGHT
    monkeypatch.setattr(theme, "_system_is_dark", lambda: True)
    qapp.styleHints().colorSchemeChanged.emit(Qt.ColorScheme.Dark)
    assert theme.tokens is expected


@pytest.mark.parametrize("choice", [Theme.LIGHT, Theme.DARK])
def test_disabled_controls_are_drawn_in_disabled_colour(qtbot: QtBot, theme: ThemeManager, choice: Theme) -> None:
    theme.apply(choice)
    box = QCheckBox("With subfolders")
    box.setChecked(True)
    for control in (link("Change"), plain("Choose"), primary("Start"), box):
        qtbot.addWidget(control)
        with qtbot.waitExposed(control):
            control.show()
        control.clearFocus()
        control.setEnabled(False)
        image = control.grab().toImage()
        shown = {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())}
        assert theme.tokens.disabled in shown, control.text()
        assert theme.tokens.accent not in shown, control.text()


def test_canvas_color_returns_theme_black_or_white(theme: ThemeManager) -> None:
    theme.apply(Theme.DARK)
    assert theme.canvas_color(CanvasColor.THEME).name() == DARK.canvas
    assert theme.canvas_color(CanvasColor.BLACK).name() == "#000000"
    assert theme.canvas_color(CanvasColor.WHITE).name() == "#ffffff"


def test_existing_icons_follow_theme_changes(theme: ThemeManager) -> None:
    save = icon("content-save-outline")
    for choice, tokens in ((Theme.LIGHT, LIGHT), (Theme.DARK, DARK)):
        theme.apply(choice)
        assert tokens.text in colors_of(save, QIcon.Mode.Normal)
        assert tokens.disabled in colors_of(save, QIcon.Mode.Disabled)


def test_icons_are_drawn_in_device_pixels(theme: ThemeManager) -> None:
    pixmap = icon("close").pixmap(QSize(16, 16), 2.0)
    assert (pixmap.width(), pixmap.devicePixelRatio()) == (32, 2.0)


def colors_of(of: QIcon, mode: QIcon.Mode) -> set[str]:
    image = of.pixmap(QSize(64, 64), mode).toImage()
    pixels = (image.pixelColor(x, y) for x in range(64) for y in range(64))
    return {QColor(p).name() for p in pixels if p.alpha() == 255}


def test_every_used_icon_exists(checkout: Path) -> None:
    import re

    sources = [p.read_text(encoding="utf-8") for p in (checkout / "vdsr_app" / "gui").rglob("*.py")]
    pattern = re.compile(r'(?:icon|IconLabel|_make)\((?:self\.tr\([^)]*\), )?"([a-z0-9-]+)"')
    names = {name for source in sources for name in pattern.findall(source)}
    assert len(names) > 20
    assert names <= set(glyphs())
