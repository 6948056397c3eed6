"""Facts panel of a run: its values and their layout."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QCoreApplication, QRect
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.training.plot_helpers import make_history, stepped
from vdsr_app.gui.training.run_facts import RunFactsPanel
from vdsr_trainer.events import Failed, Finished, Preparing


@pytest.fixture
def facts(qtbot: QtBot) -> RunFactsPanel:
    made = RunFactsPanel()
    qtbot.addWidget(made)
    made.resize(900, 60)
    made.show()
    return made


def displayed(facts: RunFactsPanel) -> dict[str, str]:
    names = [w.accessibleName() for w in facts.findChildren(QWidget) if w.isVisible() and w.accessibleName()]
    return dict(name.split(": ", 1) for name in names)


def test_facts_are_dashes_without_run(facts: RunFactsPanel) -> None:
    assert set(displayed(facts).values()) == {"–"}  # noqa: RUF001
    assert "GPU memory" not in displayed(facts)


def test_facts_show_newest_values_of_run(facts: RunFactsPanel) -> None:
    facts.show_history(make_history(1000))
    assert displayed(facts) == {
        "Step": "1000 of 5000",
        "Time left": "about 10 min",
        "Speed": "310 patches/s",
        "Learning rate": "0.00100",
        "Memory": "1.3 GB",
        "Waiting for data": "3.0 %",
    }


def test_gpu_memory_is_shown_only_if_run_reports_it(qtbot: QtBot, facts: RunFactsPanel) -> None:
    history = make_history(100)
    history.add(stepped(110, device_memory_bytes=12_340_000_000))
    facts.show_history(history)
    qtbot.waitUntil(lambda: displayed(facts).get("GPU memory") == "12.3 GB")
    facts.show_history(make_history(100))
    assert "GPU memory" not in displayed(facts)


def test_time_left_shows_preparation_or_how_run_ended(facts: RunFactsPanel) -> None:
    history = make_history(0)
    history.add(Preparing(0, 30, 120))
    facts.show_history(history)
    assert displayed(facts)["Time left"] == "reading pictures, 25 %"
    history.add(Preparing(0, 300, 1200, "teacher", 700.0))
    facts.show_history(history)
    assert displayed(facts)["Time left"] == "teacher learns, 25 %"
    history = make_history(100)
    for event, words in (
        (Finished(100, "", False), "stopped"),
        (Finished(100, "", True), "finished"),
        (Failed(100, "No."), "failed"),
    ):
        history.add(event)
        facts.show_history(history)
        assert displayed(facts)["Time left"] == words


def test_shorter_values_do_not_move_layout(facts: RunFactsPanel) -> None:
    def places() -> list[QRect]:
        for _ in range(5):  # layouts notify their parents, one event after the other
            QCoreApplication.processEvents()
        return [label.geometry().translated(label.parentWidget().pos()) for label in facts.findChildren(QLabel)]

    facts.resize(290, 400)
    history = make_history(1000)
    history.add(stepped(1010, samples_per_second=1e14))  # wider than half of the panel
    facts.show_history(history)
    before = places()
    history.add(stepped(1020, samples_per_second=9.5))
    facts.show_history(history)
    assert displayed(facts)["Speed"] == "9.50 patches/s"
    assert places() == before


@pytest.mark.parametrize(("width", "rows"), [(900, 1), (290, 3), (120, 6)])
def test_panel_uses_as_many_rows_as_its_width_requires(
    qtbot: QtBot, facts: RunFactsPanel, width: int, rows: int
) -> None:
    facts.show_history(make_history(1000))
    facts.resize(width, 400)

    def tops() -> set[int]:
        return {w.geometry().top() for w in facts.children() if isinstance(w, QWidget) and w.isVisible()}

    qtbot.waitUntil(lambda: len(tops()) == rows)
    assert facts.width() == width
