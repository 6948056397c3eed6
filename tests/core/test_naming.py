"""Names of the results of `vdsr upscale`: distinct however long the sources' names are, and recognised as results."""

from __future__ import annotations

from pathlib import Path

import pytest

from vdsr_app.core.job import FileFormat, Target
from vdsr_app.core.naming import NameFacts, NameTemplate, collision_key, plan_outputs, results_among

OUT = Path("/out")


def names(*sources: str) -> list[str]:
    paths = [Path("/in") / each for each in sources]
    planned = plan_outputs(paths, OUT, ["vdsr"] * len(paths), Target(value=2.0), FileFormat.PNG)
    assert all(each.output.parent == OUT for each in planned)
    return [each.output.name for each in planned]


@pytest.mark.parametrize("template", ["{folder}_{name}", "{name}_{folder}", "{folder}"])
def test_copies_stay_distinct_where_the_name_of_the_folder_leaves_no_room(template: str) -> None:
    facts = NameFacts("photo", "vdsr", "x2", folder="f" * 252)
    filled = [NameTemplate(template).fill(facts, ".png", copy) for copy in range(1, 12)]
    assert len(set(filled)) == len(filled)
    assert all(len(name) <= 255 and name.endswith(".png") for name in filled)


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["a.png", "b.png"], ["a_vdsr_x2.png", "b_vdsr_x2.png"]),
        (["a.png", "a.jpg"], ["a_png_vdsr_x2.png", "a_jpg_vdsr_x2.png"]),
        (["A.png", "a.PNG"], ["A_png_vdsr_x2.png", "a_png-2_vdsr_x2.png"]),
        (["a.b.png", "a.c.png"], ["a.b_vdsr_x2.png", "a.c_vdsr_x2.png"]),
    ],
)
def test_plan_outputs_disambiguates_colliding_names(sources: list[str], expected: list[str]) -> None:
    assert names(*sources) == expected


def test_plan_outputs_disambiguates_equal_stems_with_different_models() -> None:
    paths, models = [Path("/in/a.png"), Path("/in/a.jpg"), Path("/in/b.jpg")], ["vdsr", "photo", "photo"]
    planned = plan_outputs(paths, OUT, models, Target(value=2.0), FileFormat.PNG)
    assert [each.output.name for each in planned] == ["a_png_vdsr_x2.png", "a_jpg_photo_x2.png", "b_photo_x2.png"]


@pytest.mark.parametrize("letter", ["n", "\N{CJK UNIFIED IDEOGRAPH-6C34}", "\N{GRINNING FACE}"])
@pytest.mark.parametrize("kinds", [(".png", ".png", ".png"), (".png", ".jpg", ".webp")])
def test_long_names_that_differ_only_at_the_end_stay_distinct(letter: str, kinds: tuple[str, ...]) -> None:
    room = 255 - len(".webp") - 1
    stem = letter * (room // len(letter.encode()))
    planned = names(*(f"{stem}{number if kinds[0] == kinds[1] else ''}{kind}" for number, kind in enumerate(kinds)))
    assert len({collision_key(name) for name in planned}) == len(kinds)
    assert all(len(name.encode()) <= 255 for name in planned)
    assert all(name.endswith("_vdsr_x2.png") for name in planned)


@pytest.mark.parametrize(
    ("name", "maker"),
    [
        ("photo_vdsr_x2.png", "photo.png"),
        ("photo_vdsr_x2.5.webp", "photo.png"),
        ("photo_vdsr_6000w.jpg", "photo.png"),
        ("photo_vdsr_24Mpx.jpg", "photo.png"),
        ("photo_my_own_x2.png", "photo.png"),
        ("two_jpg_vdsr_x2.png", "two.jpg"),
        ("two_JPG_vdsr_x2.png", None),
        ("TWO_png-2_vdsr_x2.png", "TWO.png"),
        ("photo_jpg_vdsr_x2.png", None),
        ("photo-2_vdsr_x2.png", None),
        ("photo_0001_vdsr_x2.png", None),
        ("photo_other_x2.png", None),
        ("photo_vdsr_final.png", None),
        ("photo_vdsr.png", None),
        ("other_vdsr_x2.png", None),
        ("photo_x2.png", None),
    ],
)
def test_results_among_recognises_names_of_results(name: str, maker: str | None) -> None:
    files = [Path("/in") / each for each in ("photo.png", "two.jpg", "TWO.png", name)]
    expected = {} if maker is None else {Path("/in") / name: Path("/in") / maker}
    assert results_among(files, {"vdsr", "my_own"}) == expected


def test_results_among_recognises_planned_outputs() -> None:
    sources = ["a.png", "a.jpg", "A.jpg", "b.c.png", "a_png.png"]
    results = names(*sources)
    found = results_among([Path(each) for each in sources + results], {"vdsr"})
    assert {each.name for each in found} == set(results)
