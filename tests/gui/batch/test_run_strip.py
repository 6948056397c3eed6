"""Run strip of a batch: texts and minimum width."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from vdsr_app.core.batch.events import Progress
from vdsr_app.gui.batch.run_strip import RunStrip


@pytest.fixture
def strip(qtbot: QtBot) -> RunStrip:
    made = RunStrip()
    qtbot.addWidget(made)
    with qtbot.waitExposed(made):
        made.show()
    return made


def progress(files: int = 3, left_s: float | None = None) -> Progress:
    return Progress(0, 1, 2, files - 1, files, 1, 10, 5000.0, left_s)


def least(strip: RunStrip) -> int:
    """Return the minimum width of the strip."""
    strip.layout().activate()
    return strip.minimumSizeHint().width()


def test_texts_do_not_increase_minimum_width(strip: RunStrip) -> None:
    before = least(strip)
    strip.show_progress(progress(10_000, 14_000.0), "a name that is much too long for the window " * 4)
    assert least(strip) == before
    strip.show_paused(True)
    assert least(strip) == before
    strip.show_waiting((10**12, 10**9))
    assert least(strip) == before


def test_time_left_is_shown_before_text_that_may_be_cut_off(strip: RunStrip) -> None:
    strip.show_progress(progress(10_000, 14_000.0), "a.png")
    assert strip._words.text().startswith("10 % · 3 h 53 min left · ")


def test_count_selects_singular_or_plural(strip: RunStrip) -> None:
    strip.show_progress(progress(1), "a.png")
    assert " · 0 of 1 picture · " in strip._words.text()
    strip.show_progress(progress(2), "a.png")
    assert " · 1 of 2 pictures · " in strip._words.text()


def test_time_left_is_hidden_while_paused(strip: RunStrip) -> None:
    strip.show_progress(progress(3, 60.0), "a.png")
    strip.show_paused(True)
    assert strip._words.text().startswith("Paused · 10 % · ")
    strip.show_progress(progress(3, 59.0), "a.png")  # from the tile that was being computed
    assert "left" not in strip._words.text()
    strip.show_paused(False)
    assert strip._words.text().startswith("10 % · 59 s left")


def test_network_tuning_is_shown_only_before_first_picture(strip: RunStrip) -> None:
    strip.begin()
    strip.show_fitting(True)
    assert strip._name.text() == "Tuning the network for this processor (first run only)"
    strip.show_fitting(False)
    assert strip._name.text() == "Starting…"
    strip.show_progress(progress(), "a.png")
    strip.show_fitting(True)  # for another batch or the window: this one already has its engine
    assert strip._name.text() == "a.png"
    strip.begin()
    strip.show_ending()
    strip.show_fitting(False)
    assert strip._name.text() == "Stopping…"
