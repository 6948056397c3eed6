"""Texts for numbers, sizes, names and reports."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdsr_app.gui import texts
from vdsr_app.workers.messages import ErrorReport, JobProgress


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (12_400_000, "12.4 MB"),
        (123_456_789, "123 MB"),
        (10**13, "10.0 TB"),
    ],
)
def test_bytes_text_scales_the_unit(count: int, expected: str) -> None:
    assert texts.bytes_text(count) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.2, "0 s"), (5.6, "6 s"), (60, "1 min 0 s"), (125, "2 min 5 s"), (3600, "1 h 0 min"), (3780, "1 h 3 min")],
)
def test_duration_text_formats_seconds_minutes_and_hours(seconds: float, expected: str) -> None:
    assert texts.duration_text(seconds) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [(texts.pictures_text, ["1 picture", "2 pictures"]), (texts.steps_text, ["1 step", "2 steps"])],
)
def test_count_selects_singular_or_plural(words: Callable[[int], str], expected: list[str]) -> None:
    assert [words(count) for count in (1, 2)] == expected


def test_sizes_and_scales_are_formatted_with_units() -> None:
    assert texts.size_text(1840, 1220) == "1840 × 1220 px"  # noqa: RUF001
    assert texts.megapixels_text(450_000) == "0.45 Mpx"
    assert texts.megapixels_text(12_440_000) == "12.4 Mpx"
    assert [texts.scale_text(s) for s in (2.0, 2.5, 2.37)] == ["2.0×", "2.5×", "2.37×"]  # noqa: RUF001


def test_number_formats_whole_numbers_and_decimals() -> None:
    assert texts.number(300) == "300"
    assert texts.number(2.5, 2) == "2.50"


def test_progress_text_shows_percentage_and_time_left() -> None:
    assert texts.progress_text(JobProgress(43, 100, None)) == "43 %"
    assert texts.progress_text(JobProgress(43, 100, 6.2)) == "43 % · 6 s left"
    assert texts.progress_text(JobProgress(0, 0, None)) == "0 %"


def test_colours_and_scores_are_formatted() -> None:
    assert texts.hex_color((160, 177, 194, 255)) == "#a0b1c2"
    assert texts.hex_color((160, 177, 194, 128)) == "#a0b1c2 50 %"
    assert texts.score_text(33.657, 0.93) == "33.66 dB 0.9300"
    assert texts.score_text(float("inf"), 1.0).startswith("∞ dB")


def test_file_name_replaces_unprintable_characters() -> None:
    assert texts.file_name(Path("/tmp/a\nb\tc.png")) == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c.png"
    assert texts.file_name(Path("/tmp/caf\udce9.png")) == "caf\N{REPLACEMENT CHARACTER}.png"


@given(st.text(alphabet=st.characters(codec=None), max_size=40))
def test_printable_returns_one_printable_line_for_any_name(name: str) -> None:
    shown = texts.printable(name)
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in shown)
    shown.encode("utf-8")


def test_menu_text_escapes_ampersand() -> None:
    assert texts.menu_text("R&B.png") == "R&&B.png"


def test_report_is_formatted_as_one_line_and_in_full() -> None:
    report = ErrorReport("It is damaged.", "/home/me/a.png", "Open another.", "Traceback")
    assert texts.report_text(report) == "a.png: It is damaged. Open another."
    assert texts.report_details(report) == "It is damaged.\n/home/me/a.png\nOpen another.\nTraceback"
    assert texts.report_text(ErrorReport("It failed.")) == "It failed."


def test_breakable_splits_only_long_words() -> None:
    shorter = f"In use: {'a' * 24}\nAnd so on."
    assert texts.breakable(shorter) == shorter
    assert texts.breakable(f"In use: {'a' * 50}") == f"In use: {'a' * 24}\u200b{'a' * 24}\u200baa"
