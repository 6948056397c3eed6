"""Plots of a run: content, redraws, linked views, and saving."""

from __future__ import annotations

import math
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QGraphicsView, QLabel, QPushButton, QScrollArea
from pytestqt.qtbot import QtBot

from tests.gui.test_calm import notch
from tests.gui.training.plot_helpers import make_history, nameless, stepped, validated
from vdsr_app.errors import SaveError
from vdsr_app.gui.settings import Theme
from vdsr_app.gui.theme import ThemeManager
from vdsr_app.gui.training.live_plot import LivePlot
from vdsr_app.gui.training.plot_model import LineStyle
from vdsr_app.gui.training.run_content import marks_of
from vdsr_app.gui.training.run_curves import RunCurves
from vdsr_app.gui.training.run_plots import RunPlots
from vdsr_trainer.events import Preparing, Referenced, RolledBack, Started
from vdsr_trainer.history import RunHistory, Smoothed


@pytest.fixture
def plots(qtbot: QtBot, theme: ThemeManager) -> RunPlots:
    theme.apply(Theme.LIGHT)
    made = RunPlots()
    qtbot.addWidget(made)
    made.resize(1000, 640)
    return made


def show(qtbot: QtBot, plots: RunPlots, history: RunHistory | None, **other: object) -> None:
    with qtbot.waitSignal(plots.redrawn):
        plots.set_history(history, **other)  # type: ignore[arg-type]
        plots.show()


def words(plot: LivePlot) -> str:
    return " | ".join(entry.text for entry in plot.legend)


def labels(plots: RunPlots) -> list[str]:
    return [label.text() for label in plots.findChildren(QLabel) if label.isVisible() and label.text()]


# Content


def test_plots_say_why_they_are_empty(qtbot: QtBot, plots: RunPlots) -> None:
    show(qtbot, plots, None)
    assert labels(plots).count("No run is shown") == 4
    history = make_history(0)
    show(qtbot, plots, history)
    assert [text for text in labels(plots) if "first validation" in text] != []
    history.add(Preparing(0, 120, 800))
    with qtbot.waitSignal(plots.redrawn):
        plots.refresh()
    assert len([text for text in labels(plots) if "120 of 800" in text]) == 4
    assert plots.findChild(QGraphicsView) is None


def test_legends_show_every_series_with_its_newest_value(qtbot: QtBot, plots: RunPlots) -> None:
    show(qtbot, plots, make_history(1000))
    assert words(plots.loss).startswith("Step 1000 | Smoothed 0.00")
    assert [entry.name for entry in plots.loss.legend] == ["Step 1000", "Smoothed", "Raw"]
    assert [entry.name for entry in plots.psnr.legend] == ["Step 1000", "2×", "3×", "4×", "Bicubic"]  # noqa: RUF001
    assert "2× 31.90" in words(plots.psnr)  # noqa: RUF001
    assert words(plots.rate) == "Step 1000 | Rate 0.00100"


def test_bicubic_is_dashed_and_targets_are_dotted_in_colour_of_scale(qtbot: QtBot, plots: RunPlots) -> None:
    history = make_history(1000)
    history.add(Referenced(0, {"VDSR": {"2": 33.0, "9": 20.0}}))
    show(qtbot, plots, history)
    content = plots.psnr.content
    inks = {series.label: series.ink for series in content.series}
    lines = {level.label: (level.ink, level.style, level.y) for level in content.levels}
    assert len(set(inks.values())) == 3
    assert lines["2× bicubic"] == (inks["2×"], LineStyle.DASHED, 30.0)  # noqa: RUF001
    assert lines["2× VDSR"] == (inks["2×"], LineStyle.DOTTED, 33.0)  # noqa: RUF001
    assert len(lines) == 4
    history.add(Referenced(0, {"teacher": {"2": 34.0}}))
    show(qtbot, plots, history)
    assert [level.label for level in plots.psnr.content.levels if level.style is LineStyle.DOTTED] == [
        "2× teacher"  # noqa: RUF001
    ]
    assert plots.psnr.legend[-1].name == "Teacher"
    show(qtbot, plots, history, targets={"Mine": {"3": 29.0}})
    assert [level.label for level in plots.psnr.content.levels if level.style is LineStyle.DOTTED] == [
        "3× Mine"  # noqa: RUF001
    ]


def test_scale_keeps_its_colour_in_another_run(qtbot: QtBot, plots: RunPlots) -> None:
    show(qtbot, plots, make_history(500))
    before = {series.label: series.ink for series in plots.psnr.content.series}
    show(qtbot, plots, make_history(500, scales=("3", "4")))
    after = {series.label: series.ink for series in plots.psnr.content.series}
    assert after == {label: before[label] for label in after}


def test_gradient_plot_shows_clipped_share_only_if_anything_was_clipped(qtbot: QtBot, plots: RunPlots) -> None:
    show(qtbot, plots, make_history(100))
    assert "Clipped" not in words(plots.gradient)
    show(qtbot, plots, make_history(100, clipped=0.25))
    assert "Clipped 25 %" in words(plots.gradient)
    assert plots.gradient.content.series[-1].on_right


def test_rollback_and_continuation_are_marked_in_all_plots_and_listed(qtbot: QtBot, plots: RunPlots) -> None:
    history = make_history(1000)
    show(qtbot, plots, history)
    assert not plots.marks.isVisible()
    history.add(RolledBack(1000, 500, "The loss was no number.", 0.5))
    history.add(stepped(510, math.nan))
    history.add(Started(510, 5000, 1000, 10, (), "CPU"))
    with qtbot.waitSignal(plots.redrawn):
        plots.refresh()
    for plot in plots.plots:
        assert [(mark.x, mark.caution) for mark in plot.content.marks] == [(500, True), (510, False)]
    assert plots.marks.isVisible()
    assert plots.marks.lines == ("Step 510: The run continued.", "Step 500: Went back: The loss was no number.")
    assert set(plots.marks.lines) <= set(labels(plots))
    assert plots.loss.content.series[1].x.tolist()[-1] == 510


def test_marks_list_folds_all_but_newest_two(qtbot: QtBot, plots: RunPlots) -> None:
    history = make_history(1000)
    for step in (200, 400, 600, 800):
        history.marks.append((step, "It diverged."))
    show(qtbot, plots, history)
    reported = [text for text in labels(plots) if "It diverged" in text]
    assert len(reported) == 2
    assert "Step 800" in reported[0]
    next(b for b in plots.findChildren(QPushButton) if b.text() == "Show 2 more").click()
    qtbot.waitUntil(lambda: len([text for text in labels(plots) if "It diverged" in text]) == 4)


def test_marks_of_does_not_flag_continued_run_as_caution() -> None:
    history = make_history(100)
    history.add(Started(100, 5000, 1000, 10, (), "CPU"))
    assert [mark.caution for mark in marks_of(history)] == [False]


def test_curves_match_history_after_rollbacks_and_repeated_steps() -> None:
    history = make_history(3000)
    curves = RunCurves(history)
    curves.update()

    def agrees() -> None:
        curves.update()
        for mine, theirs in (
            (curves.steps, history.steps),
            (curves.losses, history.losses),
            (curves.clipped, history.clipped),
            (curves.smooth_losses, Smoothed().extend(history.losses)),
            (curves.smooth_norms, Smoothed().extend(history.norms)),
        ):
            np.testing.assert_array_equal(mine, theirs)

    agrees()
    history.add(stepped(3010, math.nan))
    agrees()
    history.add(RolledBack(3010, 1000, "It diverged.", 0.5))
    for step in range(1010, 3500, 10):
        history.add(stepped(step, 0.5))
    agrees()
    history.add(stepped(2000, 0.25))  # reported again without a rollback
    agrees()
    history.add(Started(500, 5000, 1000, 10, (), "CPU"))
    for step in range(510, 9000, 10):
        history.add(stepped(step, 0.125))
    agrees()


# Redraws


def test_plots_redraw_at_most_twenty_times_a_second(qtbot: QtBot, plots: RunPlots) -> None:
    history = make_history(500)
    show(qtbot, plots, history)
    moments: list[float] = []
    plots.redrawn.connect(lambda: moments.append(time.monotonic()))
    step = 500

    def ask_on() -> bool:
        nonlocal step
        for _ in range(20):
            step += 10
            history.add(stepped(step))
            plots.refresh()
        return len(moments) >= 4

    qtbot.waitUntil(ask_on)
    assert min(b - a for a, b in pairwise(moments)) >= 0.045
    qtbot.waitUntil(lambda: plots.loss.content.x_end == step)


def test_hidden_plots_do_not_redraw_and_catch_up_when_shown(qtbot: QtBot, plots: RunPlots) -> None:
    history = make_history(500)
    show(qtbot, plots, history)
    plots.hide()
    history.add(stepped(510))
    with qtbot.assertNotEmitted(plots.redrawn, wait=120):
        plots.refresh()
    assert plots.loss.content.x_end == 500
    with qtbot.waitSignal(plots.redrawn):
        plots.show()
    assert plots.loss.content.x_end == 510


# Linked views


def test_zooming_one_plot_zooms_all_along_x_axis(qtbot: QtBot, plots: RunPlots) -> None:
    history = make_history(2000)
    show(qtbot, plots, history)
    plots.psnr.zoom(0.25)
    zoomed = plots.psnr.view[0]
    assert zoomed[1] - zoomed[0] < 600
    assert [plot.view[0] for plot in plots.plots] == [pytest.approx(zoomed)] * 4
    history.add(stepped(2010))
    history.add(validated(2250))
    with qtbot.waitSignal(plots.redrawn):
        plots.refresh()
    assert [plot.view[0] for plot in plots.plots] == [pytest.approx(zoomed)] * 4
    plots.loss.reset()
    assert not any(plot.is_zoomed for plot in plots.plots)
    assert plots.psnr.view[0][1] > 2250


def test_pointing_at_one_plot_moves_cursor_in_all(qtbot: QtBot, plots: RunPlots) -> None:
    show(qtbot, plots, make_history(1000))
    plots.loss.point_at(612.0)
    assert [plot.cursor_x for plot in plots.plots] == [610, 500, 610, 610]
    assert words(plots.psnr).startswith("Step 500 | ")
    plots.loss.point_at(None)
    assert {plot.cursor_x for plot in plots.plots} == {None}


def test_zoom_and_cursor_are_reset_for_another_run(qtbot: QtBot, plots: RunPlots) -> None:
    show(qtbot, plots, make_history(2000))
    plots.loss.zoom(0.1)
    plots.loss.point_at(300)
    show(qtbot, plots, make_history(300))
    assert not plots.loss.is_zoomed
    assert plots.loss.cursor_x is None
    assert 300 < plots.loss.view[0][1] < 320


@pytest.mark.parametrize(("width", "columns"), [(460, 1), (640, 2), (2560, 2)])
def test_plots_fit_small_and_large_windows(qtbot: QtBot, plots: RunPlots, width: int, columns: int) -> None:
    plots.resize(width, 420 if width < 2000 else 1440)
    show(qtbot, plots, make_history(1000, clipped=0.1))
    assert plots.width() == width
    loss, psnr = plots.loss.geometry(), plots.psnr.geometry()
    assert (psnr.top() == loss.top()) is (columns == 2)
    assert max(plot.geometry().right() for plot in plots.plots) <= width
    assert all(plot.findChild(QGraphicsView).height() >= 80 for plot in plots.plots)


def test_curves_keep_more_than_half_of_canvas_in_narrow_window(qtbot: QtBot, plots: RunPlots) -> None:
    history = make_history(1000)
    history.add(Referenced(0, {"A model with a long title": {"2": 33.0}}))
    plots.resize(240, 420)
    show(qtbot, plots, history)
    for plot in plots.plots:
        canvas = plot.findChild(QGraphicsView)
        assert canvas._view.sceneBoundingRect().width() > canvas.width() / 2, plot.spec.title  # type: ignore[attr-defined]


def test_wheel_scrolls_plots_and_zooms_only_with_ctrl_or_focus(qtbot: QtBot, plots: RunPlots) -> None:
    plots.resize(460, 420)
    show(qtbot, plots, make_history(1000))
    bar = plots.findChild(QScrollArea).verticalScrollBar()
    canvas = plots.loss.findChild(QGraphicsView)
    notch(canvas, -120)
    assert bar.value() > 0
    assert not plots.loss.is_zoomed
    notch(canvas, 120, Qt.KeyboardModifier.ControlModifier)
    assert plots.loss.is_zoomed
    plots.loss.reset()
    before = bar.value()
    plots.activateWindow()
    qtbot.mouseClick(canvas.viewport(), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(plots.loss.hasFocus)
    notch(canvas, 120)
    assert plots.loss.is_zoomed
    assert bar.value() == before


def test_every_control_has_accessible_name(qtbot: QtBot, plots: RunPlots) -> None:
    history = make_history(1000)
    history.marks += [(step, "It diverged.") for step in (100, 200, 300)]
    show(qtbot, plots, history)
    plots.loss.zoom(0.5)
    assert nameless(plots) == []
    assert [plot.accessibleName() for plot in plots.plots] == ["Loss", "PSNR", "Learning rate", "Gradient"]


def test_long_run_is_drawn_from_few_points(qtbot: QtBot, plots: RunPlots) -> None:
    history = make_history(0, steps=400_000)
    rng = np.random.default_rng(1)
    for step, loss in enumerate(rng.uniform(0.001, 0.002, 50_000), 1):
        history.add(stepped(step, float(loss), clipped=0.1))
    show(qtbot, plots, history)
    plots.grab()
    for plot in (plots.loss, plots.rate, plots.gradient):
        for curve in plot.findChild(QGraphicsView)._curves.items:  # type: ignore[attr-defined]
            assert len(curve.curve.getData()[0]) < 3000


# Saving


@pytest.mark.parametrize("theme_name", [Theme.LIGHT, Theme.DARK])
def test_saved_png_is_light_and_double_resolution_in_every_theme(
    qtbot: QtBot, plots: RunPlots, theme: ThemeManager, tmp_path: Path, theme_name: Theme
) -> None:
    theme.apply(theme_name)
    history = make_history(1000)
    history.marks.append((500, "It diverged."))
    plots.set_history(history)
    plots.save_png(tmp_path / "plots.png")
    image = QImage(str(tmp_path / "plots.png"))
    assert image.width() > 2400
    assert image.height() > 1300
    assert image.pixelColor(4, 4).name() == "#ffffff"
    gray = image.convertToFormat(QImage.Format.Format_Grayscale8)
    values = np.frombuffer(gray.constBits(), np.uint8)
    assert np.median(values) > 240
    assert 0.002 < (values < 60).mean() < 0.08
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["plots.png"]


def test_empty_run_can_be_saved(plots: RunPlots, tmp_path: Path) -> None:
    plots.save_png(tmp_path / "plots.png")
    plots.save_csv(tmp_path / "plots.csv")
    assert not QImage(str(tmp_path / "plots.png")).isNull()
    assert (tmp_path / "plots.csv").read_text().startswith("step,loss")


def test_saved_csv_holds_every_value(plots: RunPlots, tmp_path: Path) -> None:
    history = make_history(1000)
    plots.set_history(history)
    plots.save_csv(tmp_path / "run.csv")
    assert (tmp_path / "run.csv").read_text() == history.to_csv()


@pytest.mark.parametrize("name", ["save_png", "save_csv"])
def test_saving_raises_save_error_when_folder_is_missing(plots: RunPlots, tmp_path: Path, name: str) -> None:
    plots.set_history(make_history(100))
    with pytest.raises(SaveError):
        getattr(plots, name)(tmp_path / "no folder" / "file")
