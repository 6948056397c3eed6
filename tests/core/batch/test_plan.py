"""Planner: the name, state, size, model and disk space of each picture, decided before any is read."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from vdsr_app.core.batch.items import Item, SourceFacts, Stamp, State
from vdsr_app.core.batch.options import BatchOptions, Existing, settings_from_json, settings_to_json
from vdsr_app.core.batch.plan import Planner, totals
from vdsr_app.core.batch.scan import Found
from vdsr_app.core.compression import Compression
from vdsr_app.core.formats import SourceFormat
from vdsr_app.core.job import FileFormat, Metadata, SaveOptions, Target, TargetKind, UpscaleSettings
from vdsr_app.core.naming import NameFacts, NameTemplate
from vdsr_app.errors import UsageError

OUT = Path("/out")
FACTS = SourceFacts(Stamp(10, 20), 100, 80)


class There:
    """Files at the paths of results, by name: current (True), stale (False), or somebody else's (None)."""

    def __init__(self, **files: bool | None) -> None:
        self.files = {OUT / name.replace("__", "."): current for name, current in files.items()}
        self.sources: set[Path] = set()
        self.makers: dict[Path, Path] = {}
        self.others: set[str] = set()

    def exists(self, path: Path) -> bool:
        return path in self.files

    def is_current(self, path: Path, item: Item) -> bool | None:
        return self.files[path]

    def is_of_another(self, path: Path, source: Path) -> bool:
        return path.name in self.others

    def is_source(self, path: Path) -> bool:
        return path in self.sources

    def maker_of(self, path: Path) -> Path | None:
        return self.makers.get(path)


def plan(
    *sources: str | Found, there: There | None = None, facts: SourceFacts = FACTS, options: BatchOptions | None = None
) -> list[Item]:
    planner = Planner(options or choose(), there or There())
    found = [each if isinstance(each, Found) else Found(Path("/in") / each, Path()) for each in sources]
    return [planner.plan(each, facts) for each in planner.expect(found)]


def choose(**changes: object) -> BatchOptions:
    settings = UpscaleSettings(Target(value=2.0), model="vdsr", save=changes.pop("save", SaveOptions()))  # type: ignore[arg-type]
    return BatchOptions(OUT, settings, **changes)  # type: ignore[arg-type]


def outputs(items: list[Item]) -> list[str]:
    return [item.output.relative_to(OUT).as_posix() for item in items]


def test_picture_is_queued_with_its_output_and_target_size() -> None:
    (item,) = plan(Found(Path("/in/deep/a.png"), Path("deep")))
    assert item.output == OUT / "deep" / "a_vdsr_x2.png"
    assert (item.state, item.note) == (State.QUEUED, "")
    assert item.target is not None
    assert (item.target.width, item.target.height, item.output_px) == (200, 160, 32000)


def test_auto_model_depends_on_the_compression_of_the_source() -> None:
    options = BatchOptions(OUT, UpscaleSettings())
    photo, clean = (
        plan("a.jpg", facts=SourceFacts(FACTS.stamp, 100, 80, compression=compression), options=options)[0]
        for compression in (Compression(SourceFormat.JPEG, 60), None)
    )
    assert (photo.output.name, clean.output.name) == ("a_photo_x2.png", "a_vdsr_x2.png")


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        (["a.png", "a.jpg"], ["a_png_vdsr_x2.png", "a_jpg_vdsr_x2.png"]),
        (["A.png", "a.PNG"], ["A_png_vdsr_x2.png", "a_png-2_vdsr_x2.png"]),
        (["é.png", unicodedata.normalize("NFD", "é") + ".png"], None),
        (["a.png", "b.png"], ["a_vdsr_x2.png", "b_vdsr_x2.png"]),
    ],
)
def test_colliding_names_are_made_unique_with_a_note(sources: list[str], names: list[str] | None) -> None:
    items = plan(*sources)
    assert names is None or outputs(items) == names
    folded = {unicodedata.normalize("NFC", str(item.output)).casefold() for item in items}
    assert len(folded) == len(items)
    if names != ["a_vdsr_x2.png", "b_vdsr_x2.png"]:
        assert all(item.note for item in items)


def test_equal_names_in_different_folders_do_not_collide() -> None:
    items = plan(Found(Path("/in/a.png"), Path()), Found(Path("/in/b/a.png"), Path("b")))
    assert outputs(items) == ["a_vdsr_x2.png", "b/a_vdsr_x2.png"]


def test_picture_added_later_gets_a_name_that_is_not_taken() -> None:
    planner = Planner(choose(), There())
    names = []
    for name in ("a.png", "a.jpg"):
        found = Found(Path("/in") / name, Path())
        planner.expect([found])
        names.append(planner.plan(found, FACTS).output.name)
    assert names == ["a_vdsr_x2.png", "a_jpg_vdsr_x2.png"]


def test_template_without_name_numbers_colliding_results() -> None:
    items = plan("a.png", "b.png", "c.png", options=choose(template="{folder} {width}x{height}"))
    assert outputs(items) == ["in 200x160.png", "in 200x160-2.png", "in 200x160-3.png"]
    assert outputs(plan("a.png", "b.png", options=choose(template="{number:03}"))) == ["001.png", "002.png"]


@pytest.mark.parametrize(
    "template", ["", "  ", "{nam}", "{name", "a/b", "{name}\n", "{name!r}", "{name:9}", "{0}", "a:b"]
)
def test_rejects_unusable_templates(template: str) -> None:
    with pytest.raises(UsageError):
        plan("a.png", options=choose(template=template))


@pytest.mark.parametrize("name", ["n" * 300, "ü" * 200, "🎈" * 90])
@pytest.mark.parametrize("template", ["{name}_{model}_{target}", "{name}", "{folder}-{name}", "x" * 400])
def test_names_fit_into_255_bytes(name: str, template: str) -> None:
    facts = NameFacts(name, "vdsr", "x2", folder="f")
    for copy in (1, 12):
        filled = NameTemplate(template).fill(facts, ".png", copy)
        assert len(filled.encode()) <= 255
        assert filled.endswith(".png")
        assert copy == 1 or "-12" in filled


@pytest.mark.parametrize(
    ("existing", "current", "state", "name"),
    [
        (Existing.SKIP, True, State.SKIPPED, "a_vdsr_x2.png"),
        (Existing.SKIP, False, State.QUEUED, "a_vdsr_x2.png"),
        (Existing.SKIP, None, State.SKIPPED, "a_vdsr_x2.png"),
        (Existing.OVERWRITE, True, State.QUEUED, "a_vdsr_x2.png"),
        (Existing.OVERWRITE, None, State.QUEUED, "a_vdsr_x2.png"),
        (Existing.RENAME, None, State.QUEUED, "a-2_vdsr_x2.png"),
        (Existing.RENAME, True, State.QUEUED, "a-2_vdsr_x2.png"),
    ],
)
def test_existing_result_is_skipped_replaced_or_renamed(
    existing: Existing, current: bool | None, state: State, name: str
) -> None:
    (item,) = plan("a.png", there=There(a_vdsr_x2__png=current), options=choose(existing=existing))
    assert (item.state, item.output.name) == (state, name)
    assert item.note or existing is Existing.OVERWRITE


@pytest.mark.parametrize(
    ("existing", "name"),
    [
        (Existing.SKIP, "a-3_vdsr_x2.png"),
        (Existing.RENAME, "a-2_vdsr_x2.png"),
        (Existing.OVERWRITE, "a_vdsr_x2.png"),
    ],
)
def test_result_of_another_picture_is_kept_unless_overwriting(existing: Existing, name: str) -> None:
    there = There(a_vdsr_x2__png=None)
    there.others = {"a_vdsr_x2.png", "a-2_vdsr_x2.png"}
    (item,) = plan("a.png", there=there, options=choose(existing=existing))
    assert (item.state, item.output.name) == (State.QUEUED, name)
    assert item.note or existing is Existing.OVERWRITE


def test_results_beside_their_sources_are_skipped_unless_renaming() -> None:
    for existing in Existing:
        there = There(a_vdsr_x2__png=True)
        planner = Planner(choose(existing=existing), there)
        found = [Found(OUT / name, Path()) for name in ("a.png", "a_vdsr_x2.png")]
        planner.expect(found)
        first, second = (planner.plan(each, FACTS) for each in found)
        assert second.state is State.SKIPPED or existing is Existing.RENAME
        assert first.output != second.output


def test_result_of_an_earlier_batch_is_skipped_unless_given_explicitly() -> None:
    there = There()
    there.makers[OUT / "a_vdsr_x2.png"] = OUT / "a.png"
    options = choose(template="{name}_x3")
    made, given = (Found(OUT / "a_vdsr_x2.png", Path(), given=itself) for itself in (False, True))
    assert plan(made, there=there, options=options)[0].state is State.QUEUED, "what it was made of is not there"
    there.sources.add(OUT / "a.png")
    (item,) = plan(made, there=there, options=options)
    assert (item.state, item.note) == (State.SKIPPED, "It is the result of a.png.")
    assert plan(given, there=there, options=options)[0].state is State.QUEUED


def test_source_is_never_replaced() -> None:
    planner = Planner(choose(existing=Existing.OVERWRITE, template="{name}"), There(a__png=None))
    found = Found(OUT / "a.png", Path())
    planner.expect([found])
    item = planner.plan(found, FACTS)
    assert item.state is State.FAILED
    assert "replace a source" in item.note
    there = There(a_vdsr_x2__png=None)
    there.sources.add(OUT / "a_vdsr_x2.png")  # by another name
    assert plan("a.png", there=there, options=choose(existing=Existing.OVERWRITE))[0].state is State.FAILED


@pytest.mark.parametrize(
    ("file_format", "width", "fails"),
    [
        (FileFormat.WEBP, 8191, False),
        (FileFormat.WEBP, 8192, True),
        (FileFormat.JPEG, 32750, False),
        (FileFormat.JPEG, 32751, True),
        (FileFormat.PNG, 60000, False),
    ],
)
def test_result_too_large_for_its_format_fails_with_advice(file_format: FileFormat, width: int, fails: bool) -> None:
    options = choose(save=SaveOptions(file_format))
    (item,) = plan("a.png", facts=SourceFacts(FACTS.stamp, width, 10), options=options)
    assert (item.state is State.FAILED) is fails
    assert ("Choose PNG or TIFF" in item.note) is fails


def test_target_smaller_than_the_source_fails() -> None:
    options = BatchOptions(OUT, UpscaleSettings(Target(TargetKind.WIDTH, 50), model="vdsr"))
    (item,) = plan("a.png", options=options)
    assert item.state is State.FAILED
    assert "between 1 and 8" in item.note


def test_unreadable_source_fails_with_its_error() -> None:
    (item,) = plan("a.png", facts=SourceFacts(None, error="There is no such file."))
    assert (item.state, item.note, item.target) == (State.FAILED, "There is no such file.", None)


def test_disk_space_includes_temporary_files_of_the_largest_picture() -> None:
    small, large = SourceFacts(Stamp(10, 20), 100, 80), SourceFacts(Stamp(10, 20), 8000, 6000)
    alone = totals(plan("a.jpg", facts=small), choose()).disk_bytes
    assert alone == plan("a.jpg", facts=small)[0].disk_bytes
    items = [*plan("b.jpg", facts=large), *plan("c.jpg", facts=large)]
    source, result = 8000 * 6000 * 3, 16000 * 12000 * 3
    beside = totals(items, choose()).disk_bytes - sum(item.disk_bytes for item in items)
    assert source + result <= beside < 2 * (source + result)
    deeper = choose(save=SaveOptions(FileFormat.TIFF, bits=16))
    items = plan("b.jpg", facts=large, options=deeper)
    assert totals(items, deeper).disk_bytes >= 2 * items[0].disk_bytes + result + 2 * result  # plus its arrays


def test_totals_count_states_pixels_disk_space_and_memory() -> None:
    there = There(b_vdsr_x2__png=True)
    items = [*plan("a.png", "b.png", there=there), *plan("c.png", facts=SourceFacts(None, error="gone"))]
    found = totals(items, choose())
    assert (found.files, found.queued, found.skipped, found.failed) == (3, 1, 1, 1)
    assert found.output_px == 32000
    assert 32000 < found.disk_bytes <= 32000 * 3
    assert found.memory_bytes >= 32000 * 3


def test_settings_round_trip_through_json() -> None:
    settings = UpscaleSettings(
        Target(TargetKind.LONG_SIDE, 6000.0),
        "photo",
        "cpu",
        "fp32",
        96,
        SaveOptions(FileFormat.AVIF, 50, 16, Metadata.PRIVATE),
        True,
    )
    for each in (settings, UpscaleSettings()):
        assert settings_from_json(settings_to_json(each)) == each


def test_resumed_batch_reuses_no_name_or_number() -> None:
    options = choose(template="{folder} {width}x{height}")
    planner = Planner(options, There())
    planner.resume_from(plan("a.png", "b.png", options=options))
    found = Found(Path("/in/c.png"), Path())
    planner.expect([found])
    item = planner.plan(found, FACTS)
    assert (item.number, item.output.name) == (2, "in 200x160-3.png")


@pytest.mark.parametrize(("bits", "of_the_source", "times"), [(16, 8, 2.0), (8, 16, 0.5), (None, 16, 1.0), (8, 8, 1.0)])
def test_disk_space_of_a_result_follows_the_bit_depth_written(
    bits: int | None, of_the_source: int, times: float
) -> None:
    facts = SourceFacts(FACTS.stamp, 100, 80, bits=of_the_source)
    as_read, written = (
        plan("a.png", facts=facts, options=choose(save=SaveOptions(FileFormat.PNG, bits=each)))[0].disk_bytes
        for each in (None, bits)
    )
    assert written == times * as_read
