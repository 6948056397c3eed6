"""The facts of a run."""

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


def test_without_a_run_there_are_dashes(facts: RunFactsPanel) -> None:
    assert set(displayed(facts).values()) == {"–"}  # noqa: RUF001
    assert "GPU memory" not in displayed(facts)


def test_it_tells_the_newest_of_a_run(facts: RunFactsPanel) -> None:
    facts.show_history(make_history(1000))
    assert displayed(facts) == {
        "Step": "1000 of 5000",
        "Time left": "about 10 min",
        "Speed": "310 patches/s",
        "Learning rate": "0.00100",
        "Memory": "1.3 GB",
        "Waiting for data": "3.0 %",
    }


def test_memory_of_the_gpu_where_there_is_one(qtbot: QtBot, facts: RunFactsPanel) -> None:
    history = make_history(100)
    history.add(stepped(110, device_memory_bytes=12_340_000_000))
    facts.show_history(history)
    qtbot.waitUntil(lambda: displayed(facts).get("GPU memory") == "12.3 GB")
    facts.show_history(make_history(100))
    assert "GPU memory" not in displayed(facts)


def test_how_it_ended_stands_in_place_of_the_time_left(facts: RunFactsPanel) -> None:
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


def test_numbers_that_shrink_move_nothing(facts: RunFactsPanel) -> None:
    def places() -> list[QRect]:
        for _ in range(5):  # a layout asks its parent's, one event after the other
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
def test_it_takes_as_many_rows_as_it_needs(qtbot: QtBot, facts: RunFactsPanel, width: int, rows: int) -> None:
    facts.show_history(make_history(1000))
    facts.resize(width, 400)

    def tops() -> set[int]:
        return {w.geometry().top() for w in facts.children() if isinstance(w, QWidget) and w.isVisible()}

    qtbot.waitUntil(lambda: len(tops()) == rows)
    assert facts.width() == width
