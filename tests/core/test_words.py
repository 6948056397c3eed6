"""Numbers with their noun."""

from __future__ import annotations

import pytest

from vdsr_app.core.words import counted


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0 patches"), (1, "1 patch"), (2, "2 patches"), (12_000, "12,000 patches")],
)
def test_the_noun_follows_the_number(number: int, words: str) -> None:
    assert counted(number, "patch", "patches") == words


def test_most_nouns_get_an_s() -> None:
    assert [counted(number, "picture") for number in (1, 2)] == ["1 picture", "2 pictures"]
