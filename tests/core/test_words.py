"""Counts with their noun in singular or plural."""

from __future__ import annotations

import pytest

from vdsr_app.core.words import counted


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0 patches"), (1, "1 patch"), (2, "2 patches"), (12_000, "12,000 patches")],
)
def test_count_selects_singular_or_plural(number: int, words: str) -> None:
    assert counted(number, "patch", "patches") == words


def test_default_plural_appends_s() -> None:
    assert [counted(number, "picture") for number in (1, 2)] == ["1 picture", "2 pictures"]
