"""Live plot: reading values, zoom, axes, keys, labels, ticks, and colours."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QLocale, QPoint, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication, QGraphicsView, QMenu, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.training.plot_helpers import move_mouse, nameless, turn_wheel
from vdsr_app.gui.settings import Theme
from vdsr_app.gui.theme import DARK, LIGHT, ThemeManager
from vdsr_app.gui.training.live_plot import LivePlot
from vdsr_app.gui.training.plot_head import PlotSpec
from vdsr_app.gui.training.plot_model import Content, Level, LineStyle, Mark, Series, fit_y, nearest, spread
from vdsr_app.gui.training.plot_theme import ink_color, scale_ink
from vdsr_app.gui.training.plot_ticks import linear_ticks, log_ticks, short_text, tick_text


def series(y: list[float], name: str = "Loss", ink: str = "text", **other: object) -> Series:
    return Series(name, ink, np.arange(1.0, len(y) + 1), np.array(y), **other)  # type: ignore[arg-type]


def content(y: list[float], **other: object) -> Content:
    return Content((series(y),), **other)  # type: ignore[arg-type]


def step_text(x: float) -> str:
    return f"Step {x:g}"


@pytest.fixture
def plot(qtbot: QtBot, theme: ThemeManager) -> LivePlot:
    theme.apply(Theme.LIGHT)
    made = LivePlot(PlotSpec("Loss", "Steps", "Error", step_text, log=True))
    made.set_empty_text("Nothing yet")
    qtbot.addWidget(made)
    made.resize(500, 300)
    made.show()
    return made


def canvas(plot: LivePlot) -> QGraphicsView:
    return plot.findChild(QGraphicsView)


def shown(plot: LivePlot) -> str:
    return " | ".join(entry.text for entry in plot.legend)


def buttons(plot: LivePlot) -> dict[str, QToolButton]:
    return {b.accessibleName().split(":")[0].split(" (")[0]: b for b in plot.findChildren(QToolButton)}


def middle(plot: LivePlot) -> tuple[QWidget, float, float]:
    view = canvas(plot).viewport()
    return view, view.width() * 0.55, view.height() * 0.45


def test_plot_without_values_shows_its_empty_text(plot: LivePlot) -> None:
    plot.show_content(Content())
    assert plot.accessibleDescription() == "Nothing yet"
    assert canvas(plot) is None
    assert not buttons(plot)["Logarithmic axis"].isVisible()
    plot.show_content(content([math.nan, math.nan]))
    assert plot.accessibleDescription() == "Nothing yet"
    plot.show_content(content([1.0]))
    assert canvas(plot).isVisible()
    assert "Loss 1.00" in plot.accessibleDescription()


def test_mouse_shows_values_of_nearest_step_and_text_of_marks(plot: LivePlot) -> None:
    plot.show_content(content([1.0, 2.0, 3.0, 4.0, 5.0], marks=(Mark(3.0, "It went back.", True),)))
    assert shown(plot) == "Step 5 | Loss 5.00"
    view, x, y = middle(plot)
    move_mouse(view, x, y)
    assert shown(plot) == "Step 3 | Loss 3.00"
    overlay = canvas(plot)._overlay  # type: ignore[attr-defined]
    move_mouse(view, overlay.x_of(3.0) + 3, y)
    assert plot.toolTip() == "It went back."
    move_mouse(view, overlay.x_of(4.0), y)
    assert plot.toolTip() == ""
    QApplication.sendEvent(canvas(plot), QEvent(QEvent.Type.Leave))
    assert shown(plot) == "Step 5 | Loss 5.00"


def test_zoomed_view_stays_when_values_arrive_until_reset(qtbot: QtBot, plot: LivePlot) -> None:
    plot.show_content(content([float(i) for i in range(1, 101)]))
    whole = plot.view
    assert not buttons(plot)["Show everything again"].isVisible()
    turn_wheel(*middle(plot))
    zoomed = plot.view
    assert zoomed[0][1] - zoomed[0][0] < whole[0][1] - whole[0][0]
    assert zoomed[1][1] - zoomed[1][0] < whole[1][1] - whole[1][0]
    plot.show_content(content([float(i) for i in range(1, 301)]))
    assert plot.view == zoomed
    buttons(plot)["Show everything again"].click()
    assert plot.view[0][1] > 300
    assert not plot.is_zoomed
    plot.show_content(content([float(i) for i in range(1, 501)]))
    assert plot.view[0][1] > 500


def test_wheel_over_left_axis_zooms_only_that_axis(plot: LivePlot) -> None:
    plot.show_content(content([float(i) for i in range(1, 101)]))
    whole = plot.view
    view, _, y = middle(plot)
    turn_wheel(view, 30, y)
    zoomed = plot.view
    assert zoomed[0] == whole[0]
    assert zoomed[1][1] - zoomed[1][0] < whole[1][1] - whole[1][0]
    plot.show_content(content([float(i) for i in range(1, 201)]))
    assert plot.view[0][1] > 200
    assert plot.view[1] == zoomed[1]
    plot.set_log(False)
    assert plot.view[1][1] > 200
    assert not plot.is_zoomed


def test_left_axis_fits_visible_values_when_zoomed_along_x(plot: LivePlot) -> None:
    plot.set_log(False)
    plot.show_content(content([100.0] * 50 + [1.0, 2.0] * 25))
    view, _, y = middle(plot)
    for _ in range(8):
        turn_wheel(view, view.width() - 40, y)
    assert plot.view[0][0] > 52
    assert plot.view[1][1] < 3


def test_drag_pans_and_double_click_resets_zoom(qtbot: QtBot, plot: LivePlot) -> None:
    plot.show_content(content([float(i) for i in range(1, 101)]))
    whole = plot.view
    view, x, y = middle(plot)
    start = QPoint(int(x), int(y))
    qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=start)
    for offset in range(5, 60, 5):
        move_mouse(view, x - offset, y, pressed=True)
    qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=start - QPoint(60, 0))
    assert plot.view[0][0] > whole[0][0]
    assert plot.view[0][1] - plot.view[0][0] == pytest.approx(whole[0][1] - whole[0][0])
    qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseDClick(view, Qt.MouseButton.LeftButton, pos=start)
    assert not plot.is_zoomed
    assert plot.view[0] == pytest.approx(whole[0])


def test_right_click_opens_no_menu(qtbot: QtBot, plot: LivePlot) -> None:
    plot.show_content(content([1.0, 2.0]))
    view, x, y = middle(plot)
    qtbot.mouseClick(view, Qt.MouseButton.RightButton, pos=QPoint(int(x), int(y)))
    assert QApplication.activePopupWidget() is None
    assert [m for m in QApplication.topLevelWidgets() if isinstance(m, QMenu) and m.isVisible()] == []


@pytest.mark.parametrize("log", [True, False])
def test_view_ignores_values_that_cannot_be_drawn(qtbot: QtBot, plot: LivePlot, log: bool) -> None:
    plot.set_log(log)
    plot.show_content(content([0.0, 1e-3, math.nan, math.inf, -math.inf, -1.0, 1e-2, 0.0]))
    (x0, x1), (y0, y1) = plot.view
    assert all(map(math.isfinite, (x0, x1, y0, y1)))
    low, high = (-3.0, -2.0) if log else (-1.0, 0.01)
    assert y0 < low < high < y1
    assert y1 - y0 < 1.3 * (high - low)
    plot.grab()
    plot.show_cursor(3)
    assert shown(plot).endswith("–")  # noqa: RUF001
    plot.grab()


def test_zeros_alone_can_be_drawn_on_logarithmic_axis(plot: LivePlot) -> None:
    plot.show_content(content([0.0, 0.0]))
    plot.grab()
    assert all(math.isfinite(end) for ends in plot.view for end in ends)


def test_axis_button_switches_logarithmic_axis(qtbot: QtBot, plot: LivePlot) -> None:
    plot.show_content(content([1.0, 1000.0]))
    assert plot.view[1][1] < 4
    with qtbot.waitSignal(plot.log_changed) as blocker:
        buttons(plot)["Logarithmic axis"].click()
    assert blocker.args == [False]
    assert plot.view[1][1] > 1000


def test_keys_move_cursor_zoom_and_reset(qtbot: QtBot, plot: LivePlot) -> None:
    plot.show_content(content([float(i) for i in range(1, 51)]))
    plot.activateWindow()
    plot.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.waitUntil(lambda: plot.property("focused") is True)
    keys = [(Qt.Key.Key_Left, 50), (Qt.Key.Key_Left, 49), (Qt.Key.Key_Home, 1), (Qt.Key.Key_Right, 2)]
    for key, step in keys:
        qtbot.keyClick(plot, key)
        assert plot.cursor_x == step
    qtbot.keyClick(plot, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert plot.cursor_x == 12
    qtbot.keyClick(plot, Qt.Key.Key_End)
    assert plot.cursor_x == 50
    qtbot.keyClick(plot, Qt.Key.Key_Plus)
    assert plot.is_zoomed
    qtbot.keyClick(plot, Qt.Key.Key_0)
    assert not plot.is_zoomed
    assert plot.cursor_x is None


def test_plot_overrides_menu_shortcuts_only_when_key_has_effect(plot: LivePlot) -> None:
    def claimed(key: Qt.Key) -> bool:
        event = QKeyEvent(QEvent.Type.ShortcutOverride, key, Qt.KeyboardModifier.NoModifier)
        event.ignore()
        QApplication.sendEvent(plot, event)
        return event.isAccepted()

    assert not claimed(Qt.Key.Key_0)
    plot.show_content(content([1.0, 2.0]))
    assert claimed(Qt.Key.Key_0)
    assert not claimed(Qt.Key.Key_Escape)
    plot.point_at(1.0)
    assert claimed(Qt.Key.Key_Escape)
    assert not claimed(Qt.Key.Key_W)


def test_plot_follows_theme(qtbot: QtBot, plot: LivePlot, theme: ThemeManager) -> None:
    plot.show_content(content([1.0, 2.0, 3.0]))

    def ground() -> str:
        picture = plot.grab().toImage()
        return picture.pixelColor(picture.width() // 2, picture.height() - 4).name()

    assert ground() == LIGHT.pane
    theme.apply(Theme.DARK)
    qtbot.waitUntil(lambda: ground() == DARK.pane)


def test_every_button_has_accessible_name(plot: LivePlot) -> None:
    plot.show_content(content([1.0, 2.0, 3.0]))
    plot.zoom(0.5)
    assert nameless(plot) == []


def test_few_values_are_drawn_as_dots_and_many_are_thinned_out(plot: LivePlot) -> None:
    plot.show_content(content([1.0, 2.0]))
    curves, overlay = canvas(plot)._curves, canvas(plot)._overlay  # type: ignore[attr-defined]
    assert [dot[0] for dot in overlay.dots] == [1.0, 2.0]
    rng = np.random.default_rng(1)
    plot.show_content(content(list(rng.uniform(1, 2, 50_000))))
    plot.grab()
    assert overlay.dots == ()
    assert len(curves.items[0].curve.getData()[0]) < 3000


# Numbers


def test_nearest_returns_index_of_closest_value() -> None:
    x = np.array([1.0, 5.0, 10.0])
    assert [nearest(x, wanted) for wanted in (-3, 1, 2.9, 3.1, 8, 99)] == [0, 0, 0, 1, 2, 2]


def test_floor_keeps_low_first_values_from_stretching_axis() -> None:
    levels = (Level(30.0, "text", LineStyle.DASHED, "bicubic"),)
    shown = Content((series([5.0, 31.0, 32.0]),), levels, floor=28.0)
    low, high = fit_y(shown, (0.0, 4.0), False)
    assert 27 < low < 28.1
    assert 32 < high < 33


def test_fit_y_uses_only_values_in_view() -> None:
    low, high = fit_y(content([100.0, 1.0, 2.0, 3.0]), (3.0, 4.0), False)
    assert 0 < low < 1
    assert 3 < high < 4


def test_spread_keeps_labels_from_overlapping() -> None:
    places = spread([10.0, 11.0, 12.0, 90.0], 13.0, 0.0, 100.0)
    assert all(b - a >= 13.0 - 1e-9 for a, b in pairwise(places))
    assert spread([95.0, 99.0], 13.0, 0.0, 100.0) == [87.0, 100.0]


def test_ticks_are_round_and_at_least_two() -> None:
    assert linear_ticks(0, 20_000, 4, whole=True) == [0, 5000, 10_000, 15_000, 20_000]
    assert len(linear_ticks(26.1, 33.9, 2)) >= 2
    assert linear_ticks(0.0, 2.0, 8, whole=True) == [0, 1, 2]
    assert [round(10**t, 9) for t in log_ticks(-3.2, -1.9, 6)] == [0.001, 0.002, 0.005, 0.01]
    assert log_ticks(-8.5, 3.5, 4) == [-8, -4, 0] or len(log_ticks(-8.5, 3.5, 4)) <= 5
    assert len(log_ticks(-1.7, -0.6, 1)) >= 2
    assert linear_ticks(math.nan, 1, 3) == []
    assert log_ticks(2.0, 2.0, 3) == []


def test_tick_and_short_texts_are_formatted() -> None:
    before = QLocale()
    QLocale.setDefault(QLocale("en_US"))
    try:
        assert tick_text(5000, 1000) == "5,000"
        assert tick_text(0.0025, 0.0025) == "0.0025"
        assert tick_text(3e-5, 1e-5) == "3·10⁻⁵"
        assert [short_text(v) for v in (0.00213, 1.25, 312, 1e-9, 0, math.nan)] == [
            *("0.00213", "1.25", "312", "10⁻⁹", "0"),
            "–",  # noqa: RUF001
        ]
    finally:
        QLocale.setDefault(before)


def test_scale_colours_are_distinct_and_contrast_with_pane() -> None:
    assert (
        len(
            {
                scale_ink("2"),
                scale_ink("3"),
                scale_ink("4"),
                scale_ink("1.5", ("1.5", "6")),
                scale_ink("6", ("1.5", "6")),
            }
        )
        == 5
    )
    for tokens in (LIGHT, DARK):
        inks = [scale_ink("2"), scale_ink("3"), scale_ink("4"), *(f"run {i}" for i in range(8)), "clipped"]
        assert min(contrast(ink_color(ink, tokens).name(), tokens.pane) for ink in inks) >= 3.0


def contrast(a: str, b: str) -> float:
    """Contrast ratio: ratio of luminances (WCAG 2.1)."""

    def luminance(color: str) -> float:
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_empty_plots_load_neither_pyqtgraph_nor_torch(checkout: Path) -> None:
    code = (
        "import sys; from PySide6.QtWidgets import QApplication; app = QApplication([])\n"
        "from vdsr_app.gui.training.run_plots import RunPlots; from vdsr_app.gui.training.runs_plot import RunsPlot\n"
        "plots = RunPlots(); plots.show(); other = RunsPlot(); app.processEvents()\n"
        "print('pyqtgraph' in sys.modules, 'torch' in sys.modules)"
    )
    env_path = f"import sys; sys.path[:0] = [{str(checkout)!r}, {str(checkout / 'trainer')!r}]\n"
    result = subprocess.run([sys.executable, "-c", env_path + code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False"]
