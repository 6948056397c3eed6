"""Names of the results of `vdsr upscale`: no two are one file, however long the names of the sources are."""

from __future__ import annotations

from pathlib import Path

import pytest

from vdsr_app.core.job import FileFormat, Target
from vdsr_app.core.naming import collision_key, plan_outputs

OUT = Path("/out")


def names(*sources: str) -> list[str]:
    planned = plan_outputs([Path("/in") / each for each in sources], OUT, "vdsr", Target(value=2.0), FileFormat.PNG)
    assert all(each.output.parent == OUT for each in planned)
    return [each.output.name for each in planned]


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["a.png", "b.png"], ["a_vdsr_x2.png", "b_vdsr_x2.png"]),
        (["a.png", "a.jpg"], ["a_png_vdsr_x2.png", "a_jpg_vdsr_x2.png"]),
        (["A.png", "a.PNG"], ["A_png_vdsr_x2.png", "a_png-2_vdsr_x2.png"]),
        (["a.b.png", "a.c.png"], ["a.b_vdsr_x2.png", "a.c_vdsr_x2.png"]),
    ],
)
def test_names_that_would_collide_are_told_apart(sources: list[str], expected: list[str]) -> None:
    assert names(*sources) == expected


@pytest.mark.parametrize("letter", ["n", "\N{CJK UNIFIED IDEOGRAPH-6C34}", "\N{GRINNING FACE}"])
@pytest.mark.parametrize("kinds", [(".png", ".png", ".png"), (".png", ".jpg", ".webp")])
def test_long_names_that_differ_only_at_their_end_stay_apart(letter: str, kinds: tuple[str, ...]) -> None:
    room = 255 - len(".webp") - 1
    stem = letter * (room // len(letter.encode()))
    planned = names(*(f"{stem}{number if kinds[0] == kinds[1] else ''}{kind}" for number, kind in enumerate(kinds)))
    assert len({collision_key(name) for name in planned}) == len(kinds)
    assert all(len(name.encode()) <= 255 for name in planned)
    assert all(name.endswith("_vdsr_x2.png") for name in planned)
