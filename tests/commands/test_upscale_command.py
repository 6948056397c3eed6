"""`vdsr upscale`, as called by a user or a program."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vdsr_app.core.models import find_model
from vdsr_app.core.resize import resize

KEYS = {
    "input",
    "output",
    "state",
    "width",
    "height",
    "scale",
    "model",
    "model_reason",
    "device",
    "precision",
    "seconds",
    "error",
}


def test_scale_enlarges_a_picture_and_adds_detail(run, tiny, photo, tmp_path: Path) -> None:
    out = tmp_path / "big.png"
    status, said, _ = run("upscale", photo, "--scale", 3, "-o", out, "--model", tiny)
    assert status == 0
    assert "120 x 84 px" in said
    with Image.open(out) as result:
        assert result.size == (120, 84)
        pixels = np.asarray(result).astype(float)
    with Image.open(photo) as source:
        bicubic = np.clip(resize(np.asarray(source), 84, 120), 0, 255)
    difference = np.abs(pixels - bicubic)
    assert difference.mean() < 12, "the result is another picture"
    assert difference.max() > 1, "the network added nothing"


def test_json_is_one_object_per_picture(run, tiny, photo, tmp_path: Path) -> None:
    status, said, _ = run("upscale", photo, "--width", 100, "-o", tmp_path / "w.jpg", "--model", tiny, "--json")
    assert status == 0
    (line,) = [json.loads(text) for text in said.splitlines()]
    assert line.keys() == KEYS
    assert line["state"] == "done"
    assert (line["width"], line["height"], line["scale"]) == (100, 70, 2.5)
    assert line["model"] == tiny
    assert line["error"] is None
    assert set(line["seconds"]) == {"read", "network", "write", "total"}
    assert line["seconds"]["total"] > 0
    assert line["device"] == "cpu"
    assert line["precision"] in ("fp32", "bf16")


@pytest.mark.parametrize(
    ("option", "value", "size"),
    [
        ("--height", 56, (80, 56)),
        ("--long-side", 60, (60, 42)),
        ("--short-side", 56, (80, 56)),
        ("--megapixels", 0.01008, (120, 84)),
        ("--scale", 1.0, (40, 28)),
        ("--scale", 2.55, (102, 71)),
        ("--scale", 8, (320, 224)),
    ],
)
def test_each_size_option_determines_the_size_of_the_result(
    run, tiny, photo, tmp_path: Path, option: str, value: float, size
) -> None:
    status, _, said = run("upscale", photo, option, value, "-o", tmp_path / "x.png", "--model", tiny)
    assert (status, said) == (0, "")
    with Image.open(tmp_path / "x.png") as result:
        assert result.size == size


@pytest.mark.parametrize(("name", "kind"), [("o.jfif", "JPEG"), ("o.JPE", "JPEG"), ("o.tiff", "TIFF")])
def test_ending_of_the_output_selects_the_format(run, tiny, photo, tmp_path: Path, name: str, kind: str) -> None:
    assert run("upscale", photo, "-o", tmp_path / name, "--model", tiny)[0] == 0
    with Image.open(tmp_path / name) as result:
        assert result.format == kind


@pytest.mark.parametrize("name", ["o", "o.apng", "o.docx"])
def test_rejects_an_unknown_ending_with_a_hint(run, tiny, photo, tmp_path: Path, name: str) -> None:
    status, _, complaint = run("upscale", photo, "-o", tmp_path / name, "--model", tiny)
    assert status == 2
    assert "Use .png, .jpg, .webp, .tif, .avif, or give --format." in complaint


def test_bad_file_does_not_stop_the_others(run, tiny, photo, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"<html>not a picture</html>")
    other = shutil.copy(photo, tmp_path / "other.png")
    missing = tmp_path / "missing.png"
    out = tmp_path / "out"
    status, said, complaint = run("upscale", bad, photo, missing, other, "-o", out, "--model", tiny, "--json")
    assert status == 1
    lines = [json.loads(text) for text in said.splitlines()]
    assert [line["state"] for line in lines] == ["failed", "done", "failed", "done"]
    assert "bad.jpg" in lines[0]["error"]
    assert all(line.keys() == KEYS for line in lines)
    assert complaint.count("error: ") == 2
    assert sorted(path.name for path in out.iterdir()) == ["other_tiny_x2.png", "photo_tiny_x2.png"]


def test_folder_is_enlarged_into_a_folder(run, tiny, photo, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "b.PNG", ".hidden.png", "._a.png"):
        shutil.copy(photo, folder / name)
    (folder / "notes.txt").write_text("no picture")
    status, said, _ = run("upscale", folder, "-o", tmp_path / "out", "--model", tiny, "--format", "webp")
    assert status == 0
    assert "2 of 2 pictures done" in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a_tiny_x2.webp", "b_tiny_x2.webp"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_pictures_found_in_a_folder_match_those_of_batch(run, tiny, photo, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    (folder / "below").mkdir(parents=True)
    for name in ("page10.png", "page9.png", "below/a.png"):
        shutil.copy(photo, folder / name)
    (folder / "z.png").symlink_to("page9.png")
    (folder / "outside.png").symlink_to(photo)
    asked = (folder, "-o", out, "--model", tiny, "--json")
    _, planned, _ = run("batch", *asked, "--dry-run")
    status, said, _ = run("upscale", *asked)
    assert status == 0
    inputs = [json.loads(line)["input"] for line in said.splitlines()]
    assert inputs == [str(folder / name) for name in ("page9.png", "page10.png")]
    assert inputs == [each["input"] for each in map(json.loads, planned.splitlines()) if "input" in each]


def test_rejects_a_folder_without_pictures(run, tiny, photo, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    status, _, complaint = run("upscale", photo.parent, tmp_path / "empty", "-o", tmp_path / "out", "--model", tiny)
    assert status == 2
    assert "The folder contains no pictures." in complaint


def test_picture_given_twice_is_enlarged_once(run, tiny, photo, tmp_path: Path) -> None:
    _, said, _ = run("upscale", photo, photo.parent, photo.parent, "-o", tmp_path / "out", "--model", tiny, "--json")
    assert [json.loads(line)["input"] for line in said.splitlines()] == [str(photo)]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_link_to_a_given_picture_gets_its_own_result(run, tiny, photo, tmp_path: Path) -> None:
    link = tmp_path / "link.png"
    link.symlink_to(photo)
    assert run("upscale", photo, link, "-o", tmp_path / "out", "--model", tiny)[0] == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"photo_tiny_x2.png", "link_tiny_x2.png"}


def test_folder_requires_an_output_folder(run, tiny, photo) -> None:
    status, said, complaint = run("upscale", photo.parent, "--model", tiny)
    assert (status, said) == (2, "")
    assert "-o FOLDER" in complaint
    assert list(photo.parent.glob("*_tiny_x2.png")) == []


def test_results_among_their_sources_are_not_enlarged_again(run, tiny, photo, tmp_path: Path) -> None:
    Image.open(photo).save(tmp_path / "photo.jpg")
    before = {path: path.read_bytes() for path in tmp_path.glob("photo.*")}
    for _ in range(2):
        status, said, _ = run("upscale", tmp_path, "-o", tmp_path, "--model", tiny)
        assert status == 0
        assert "2 of 2 pictures done" in said
    assert sorted(path.name for path in tmp_path.glob("*_tiny_*")) == ["photo_jpg_tiny_x2.png", "photo_png_tiny_x2.png"]
    assert {path: path.read_bytes() for path in before} == before


def test_results_of_another_scale_among_the_sources_are_skipped(run, tiny, photo, tmp_path: Path) -> None:
    shutil.copy(photo, tmp_path / "no_tiny_x2.png")  # no picture beside it that it could be made from
    for scale, left_out in (("2", None), ("3", "2 pictures are left out"), ("3", "4 pictures are left out")):
        status, said, note = run("upscale", tmp_path, "-o", tmp_path, "--model", tiny, "--scale", scale)
        assert status == 0
        assert "2 of 2 pictures done" in said
        assert "left out" not in note if left_out is None else left_out in note
    made = [f"{stem}_tiny_x{scale}.png" for stem in ("no_tiny_x2", "photo") for scale in (2, 3)]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == sorted(["no_tiny_x2.png", "photo.png", *made])


def test_explicitly_given_result_is_enlarged(run, tiny, photo, tmp_path: Path) -> None:
    assert run("upscale", photo, "--model", tiny)[0] == 0
    result = photo.with_name("photo_tiny_x2.png")
    assert run("upscale", result, "-o", photo.parent, "--model", tiny)[0] == 0
    assert photo.with_name("photo_tiny_x2_tiny_x2.png").is_file()
    status, _, note = run("upscale", result, photo.parent, "-o", photo.parent, "--model", tiny, "--scale", "3")
    assert status == 0
    assert "A picture is left out" in note
    assert photo.with_name("photo_tiny_x2_tiny_x3.png").is_file()
    _, said, _ = run("upscale", photo.parent, "-o", photo.parent, "--model", tiny, "--existing", "skip", "--json")
    reported = {
        Path(each["input"]).name: (each["state"], each["output"]) for each in map(json.loads, said.splitlines())
    }
    assert reported["photo.png"] == ("skipped", str(result))
    assert reported["photo_tiny_x2.png"] == ("skipped", None)


def test_colliding_names_are_made_unique(run, tiny, photo, tmp_path: Path) -> None:
    Image.open(photo).save(tmp_path / "photo.jpg")
    status, _, _ = run("upscale", photo, tmp_path / "photo.jpg", "-o", tmp_path / "out", "--model", tiny)
    assert status == 0
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_result_is_written_beside_its_source_by_default(run, tiny, photo) -> None:
    before = photo.read_bytes()
    assert run("upscale", photo, "--model", tiny)[0] == 0
    assert photo.with_name("photo_tiny_x2.png").is_file()
    assert photo.read_bytes() == before


@pytest.mark.parametrize("through", ["same", "link", "hardlink"])
def test_source_is_never_replaced(run, tiny, photo, tmp_path: Path, through: str) -> None:
    before = photo.read_bytes()
    output = photo if through == "same" else tmp_path / "link.png"
    if through == "link":
        output.symlink_to(photo)
    if through == "hardlink":
        os.link(photo, output)
    status, _, said = run("upscale", photo, "-o", output, "--model", tiny)
    assert status == 1
    assert "replace its own source" in said
    assert photo.read_bytes() == before


def test_existing_results_are_skipped_on_request(run, tiny, photo, tmp_path: Path) -> None:
    out = tmp_path / "x.png"
    out.write_bytes(b"earlier")
    arguments = ("upscale", photo, "-o", out, "--model", tiny, "--json")
    status, said, _ = run(*arguments, "--existing", "skip")
    assert (status, json.loads(said)["state"]) == (0, "skipped")
    assert out.read_bytes() == b"earlier"
    assert run(*arguments)[0] == 0
    assert out.read_bytes() != b"earlier"


@pytest.mark.parametrize(
    ("requested", "said_of_it"),
    [
        (("--scale", "9"), "A picture cannot be scaled by 9."),
        (("--scale", "8.004"), "A picture cannot be scaled by 8.004."),
        (("--scale", "0.9996"), "A picture cannot be scaled by 0.9996."),
        (("--width", "321"), "A 40 x 28 picture cannot be scaled by 8.03."),
        (("--megapixels", "0.0717"), "A 40 x 28 picture cannot be scaled by 8.001116."),
    ],
)
def test_scale_factor_out_of_range_is_reported_without_rounding_into_range(
    run, tiny, photo, tmp_path: Path, requested, said_of_it
) -> None:
    status, _, complaint = run("upscale", photo, *requested, "-o", tmp_path / "out.png", "--model", tiny)
    assert status != 0
    assert f"{said_of_it} The scale factor must lie between 1 and 8." in complaint


@pytest.mark.parametrize(
    "arguments",
    [
        ("upscale",),
        ("upscale", "IN", "--scale", "9"),
        ("upscale", "IN", "--scale", "0.5"),
        ("upscale", "IN", "--scale", "nan"),
        ("upscale", "IN", "--scale", "two"),
        ("upscale", "IN", "--scale", "2", "--width", "100"),
        ("upscale", "IN", "-o", "OUT/x.xyz"),
        ("upscale", "IN", "--quality", "0"),
        ("upscale", "IN", "--tile", "0"),
        ("upscale", "IN", "--format", "bmp"),
        ("upscale", "IN", "IN", "-o", "IN"),
        ("upskale", "IN"),
        ("evaluate",),
        ("evaluate", "--data", "DIR", "--scales", "1"),
        ("train", "--out", "OUT/run"),
    ],
)
def test_wrong_usage_exits_with_status_2_and_an_error(run, tiny, photo, tmp_path: Path, arguments) -> None:
    names = {"IN": str(photo), "OUT": str(tmp_path / "o"), "DIR": str(tmp_path)}
    filled = [names.get(a, a.replace("OUT", names["OUT"])) for a in arguments]
    model = ["--model", tiny] if arguments[0] in ("upscale", "evaluate") else []
    status, said, complaint = run(*filled, *model)
    assert status == 2
    assert said == ""
    assert "error:" in complaint
    assert not (tmp_path / "o" / "x.xyz").exists()


def test_output_with_a_trailing_slash_is_a_folder(run, tiny, photo, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    second = shutil.copy(photo, tmp_path / "second.png")
    for source in (photo, second):
        assert run("upscale", source, "-o", "new/", "--format", "jpeg", "--model", tiny)[0] == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["photo_tiny_x2.jpg", "second_tiny_x2.jpg"]
    assert run("upscale", photo, "-o", "deep/er/", "--model", tiny)[0] == 0
    assert (tmp_path / "deep" / "er" / "photo_tiny_x2.png").is_file()


@pytest.mark.parametrize("name", ["own.SAFETENSORS", "own.bin"])
def test_result_is_named_after_the_stem_of_the_weight_file(
    run, tiny, photo, tmp_path: Path, monkeypatch, name: str
) -> None:
    shutil.copy(find_model(tiny).path, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for weights in (name, tmp_path / name):
        assert run("upscale", photo.parent, "-o", "out", "--model", weights)[0] == 0
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo_own_x2.png"]


def test_unknown_model_is_named(run, photo, tmp_path: Path) -> None:
    status, said, complaint = run("upscale", photo, "-o", tmp_path / "x.png", "--model", "nothing", "--json")
    assert status == 1
    assert "nothing" in json.loads(said)["error"]
    assert "nothing" in complaint


def test_file_names_are_printed_with_markup_but_no_control_characters(run, tiny, photo, tmp_path: Path) -> None:
    odd = tmp_path / "<b>x<b>\n\x1b[31m.png"
    shutil.copy(photo, odd)
    status, said, _ = run("upscale", odd, "-o", tmp_path / "x.png", "--model", tiny)
    assert status == 0
    assert "<b>x<b>" in said
    assert "\x1b" not in said
    assert len(said.splitlines()) == 1


def test_tile_size_makes_no_visible_difference(run, tiny, photo, tmp_path: Path) -> None:
    for name, extra in (("a", ("--precision", "fp32")), ("b", ("--precision", "fp32", "--tile", 16))):
        assert run("upscale", photo, "-o", tmp_path / f"{name}.png", "--model", tiny, *extra)[0] == 0
    first, second = (np.asarray(Image.open(tmp_path / f"{name}.png")).astype(int) for name in "ab")
    assert np.abs(first - second).max() <= 1


def test_colliding_names_are_unique_when_a_folder_is_spelled_in_two_ways(
    run, tiny, photo, tmp_path: Path, monkeypatch
) -> None:
    Image.open(photo).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    assert run("upscale", "photo.jpg", photo, "--model", tiny)[0] == 0
    assert len(list(tmp_path.glob("*_tiny_x2.png"))) == 2


@pytest.mark.parametrize("beside", [True, False])
def test_result_never_replaces_another_given_picture(run, tiny, photo, tmp_path: Path, beside: bool) -> None:
    second = tmp_path / "photo_tiny_x2.png"
    Image.open(photo).transpose(Image.Transpose.ROTATE_180).save(second)
    before = {path: path.read_bytes() for path in (photo, second)}
    place = () if beside else ("-o", tmp_path)
    status, said, complaint = run("upscale", photo, second, *place, "--model", tiny, "--json")
    assert status == 1
    assert [json.loads(line)["state"] for line in said.splitlines()] == ["failed", "done"]
    assert "would replace" in complaint
    assert {path: path.read_bytes() for path in before} == before
    assert (tmp_path / "photo_tiny_x2_tiny_x2.png").is_file()
