"""Comparison plot of several runs."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QComboBox, QLabel
from pytestqt.qtbot import QtBot

from tests.gui.training.plot_helpers import make_history, nameless, stepped, validated
from vdsr_app.errors import SaveError
from vdsr_app.gui.training.runs_content import pace_s, runs_content, shared_scales
from vdsr_app.gui.training.runs_plot import RunsPlot
from vdsr_trainer.events import Finished
from vdsr_trainer.history import RunHistory


@pytest.fixture
def plot(qtbot: QtBot) -> RunsPlot:
    made = RunsPlot()
    qtbot.addWidget(made)
    made.resize(800, 480)
    made.show()
    return made


def finished(upto: int, seconds: float) -> RunHistory:
    history = make_history(upto)
    history.add(Finished(upto, "", True, False, seconds))
    return history


def box(plot: RunsPlot, name: str) -> QComboBox:
    return next(b for b in plot.findChildren(QComboBox) if b.accessibleName() == name)


def choose(plot: RunsPlot, name: str, words: str) -> None:
    box(plot, name).setCurrentText(words)


def legend(plot: RunsPlot) -> list[str]:
    return [entry.text for entry in plot.plot.legend]


def test_plot_says_why_it_is_empty(plot: RunsPlot) -> None:
    assert plot.plot.accessibleDescription() == "Choose the runs to compare"
    plot.set_runs([("A", make_history(100))])
    assert "validated" in plot.plot.accessibleDescription()


def test_each_run_has_line_with_its_own_title_and_colour(plot: RunsPlot) -> None:
    plot.set_runs([("Robust", make_history(2000)), ("Quick", make_history(500))])
    assert [entry.name for entry in plot.plot.legend] == ["Newest", "Robust", "Quick"]
    series = plot.plot.content.series
    assert [s.label for s in series] == ["Robust", "Quick"]
    assert series[0].ink != series[1].ink
    assert series[0].y[0] == pytest.approx(0.6636, abs=1e-3)  # 3 (1 - exp(-1/4)), the same at each scale
    plot.plot.point_at(500.0)
    assert legend(plot) == ["Step 500", "Robust 1.18", "Quick 1.18"]
    plot.plot.point_at(2000.0)
    assert legend(plot)[2] == "Quick –"  # noqa: RUF001


def test_mean_gain_uses_only_scales_shared_by_all_runs() -> None:
    one, other = RunHistory(), RunHistory()
    one.add(validated(100, 1.0))
    one.psnr_db["2"][1][0] += 30.0  # a scale that the other run lacks must not count
    other.add(validated(100, 2.0, scales=("3", "4")))
    runs = [("One", one), ("Other", other)]
    assert shared_scales(runs) == ["3", "4"]
    assert [float(series.y[0]) for series in runs_content(runs, "", None).series] == [1.0, 2.0]


def test_psnr_at_one_scale_shows_only_runs_with_that_scale(plot: RunsPlot) -> None:
    plot.set_runs([("A", make_history(500)), ("B", make_history(500, scales=("2",)))])
    choose(plot, "What is compared", "PSNR at 4×")  # noqa: RUF001
    assert [s.label for s in plot.plot.content.series] == ["A"]
    assert plot.plot.spec.title == "PSNR at 4×"  # noqa: RUF001
    assert any("No values: B." in label.text() for label in plot.findChildren(QLabel))
    plot.set_runs([("A", make_history(750)), ("B", make_history(500, scales=("2",)))])
    assert box(plot, "What is compared").currentText() == "PSNR at 4×"  # noqa: RUF001
    assert plot.plot.content.x_end == 750


def test_time_axis_shows_only_runs_of_known_pace(plot: RunsPlot) -> None:
    quick, slow, unknown = finished(1000, 600.0), finished(1000, 6000.0), make_history(1000)
    assert unknown.latest is not None
    unknown.add(stepped(1010, seconds_left=0.0))
    plot.set_runs([("Quick", quick), ("Slow", slow), ("Unknown", unknown)])
    choose(plot, "Against steps or time", "Time")
    assert [float(s.x[-1]) for s in plot.plot.content.series] == pytest.approx([10.0, 100.0])
    assert plot.plot.spec.x_title == "Time (min)"
    assert any("Time unknown: Unknown." in label.text() for label in plot.findChildren(QLabel))
    assert [s.ink for s in plot.plot.content.series] == ["run 0", "run 1"]


def test_time_axis_can_be_zoomed_to_minutes_of_a_run_of_hours(plot: RunsPlot) -> None:
    plot.set_runs([("Slow", finished(1000, 3.5 * 3600))])
    choose(plot, "Against steps or time", "Time")
    assert plot.plot.spec.x_title == "Time (h)"
    for _ in range(10):
        plot.plot.zoom(0.7)
    low, high = plot.plot.view[0]
    assert high - low < 0.2


def test_pace_s_returns_seconds_per_step_or_none() -> None:
    assert pace_s(finished(1000, 500.0)) == 0.5
    going = make_history(1000)  # 600 s left for 4000 steps
    assert pace_s(going) == pytest.approx(0.15)
    assert pace_s(RunHistory()) is None


def test_changing_measure_resets_zoom(plot: RunsPlot) -> None:
    plot.set_runs([("A", make_history(2000))])
    plot.plot.zoom(0.1)
    choose(plot, "What is compared", "PSNR at 2×")  # noqa: RUF001
    assert not plot.plot.is_zoomed
    assert plot.plot.view[1][0] > 29


def test_more_runs_than_colours_differ_by_line_style(plot: RunsPlot) -> None:
    plot.set_runs([(f"Run {i}", make_history(500)) for i in range(12)])
    looks = {
        (s.ink if int(s.ink.split()[1]) < 8 else f"run {int(s.ink.split()[1]) - 8}", s.style)
        for s in plot.plot.content.series
    }
    assert len(looks) == 12
    plot.grab()


def test_csv_and_png_are_saved_and_failures_raise_save_error(plot: RunsPlot, tmp_path: Path) -> None:
    plot.set_runs([("A, B", finished(1000, 500.0)), ("C", make_history(250, scales=("2",)))])
    plot.save_csv(tmp_path / "runs.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "runs.csv").read_text())))
    assert [row["run"] for row in rows] == ["A, B"] * 4 + ["C"]
    assert (rows[0]["step"], rows[0]["seconds"], rows[0]["bicubic_psnr_db_x4"]) == ("250", "125.0", "25")
    assert rows[-1]["psnr_db_x4"] == ""
    assert float(rows[0]["mean_gain_db"]) == pytest.approx(0.6636, abs=1e-3)
    plot.save_png(tmp_path / "runs.png")
    assert not QImage(str(tmp_path / "runs.png")).isNull()
    for save in (plot.save_csv, plot.save_png):
        with pytest.raises(SaveError):
            save(tmp_path / "none" / "file")


def test_every_control_has_accessible_name(plot: RunsPlot) -> None:
    plot.set_runs([("A", make_history(500))])
    assert nameless(plot) == []
