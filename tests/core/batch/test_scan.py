"""Scanner: it finds each picture once, skips what is not a file, and keeps a stable order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vdsr_app.control import CancelToken
from vdsr_app.core.batch.scan import Scanner, natural_key
from vdsr_app.errors import Cancelled


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def names(folder: Path, *inputs: Path, recursive: bool = True) -> list[str]:
    found = Scanner(folder / "out", recursive=recursive).scan(inputs or [folder])
    return [each.path.relative_to(folder).as_posix() for each in found]


def test_folders_are_mirrored_and_files_are_in_natural_order(tmp_path: Path) -> None:
    for name in ("page 10.png", "page 9.png", "b/deep/x.jpg", "a.TIF", "notes.txt"):
        touch(tmp_path / name)
    found = list(Scanner(tmp_path / "out", recursive=True).scan([tmp_path]))
    assert [each.path.name for each in found] == ["a.TIF", "page 9.png", "page 10.png", "x.jpg"]
    assert [each.folder.as_posix() for each in found] == [".", ".", ".", "b/deep"]
    assert names(tmp_path, recursive=False) == ["a.TIF", "page 9.png", "page 10.png"]


def test_hidden_files_and_folders_are_skipped(tmp_path: Path) -> None:
    for name in (".a.png", "._b.png", ".git/c.png", "d.png"):
        touch(tmp_path / name)
    assert names(tmp_path) == ["d.png"]


def test_output_folder_inside_the_input_is_skipped(tmp_path: Path) -> None:
    touch(tmp_path / "a.png")
    touch(tmp_path / "out" / "a_vdsr_x2.png")
    assert names(tmp_path) == ["a.png"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_each_file_is_found_once_and_links_out_of_the_folder_are_skipped(tmp_path: Path) -> None:
    real, outside = touch(tmp_path / "in" / "a.png"), touch(tmp_path / "elsewhere" / "x.png")
    os.link(real, tmp_path / "in" / "b.png")
    (tmp_path / "in" / "c.png").symlink_to(real)
    (tmp_path / "in" / "d.png").symlink_to(outside)
    (tmp_path / "in" / "far").symlink_to(outside.parent)
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "me.png").symlink_to(tmp_path / "in" / "me.png")
    assert names(tmp_path, tmp_path / "in", real, tmp_path / "in") == ["in/a.png"]


def test_too_long_name_is_returned_when_given(tmp_path: Path) -> None:
    assert names(tmp_path, tmp_path / ("n" * 300)) == ["n" * 300]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_pipe_is_skipped_in_a_folder_and_returned_when_given(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    assert names(tmp_path) == []
    assert names(tmp_path, tmp_path / "a.png") == ["a.png"]


def test_given_file_is_returned_whatever_its_name(tmp_path: Path) -> None:
    given = [touch(tmp_path / ".hidden"), tmp_path / "not there.png"]
    assert names(tmp_path, *given) == [".hidden", "not there.png"]


@pytest.mark.skipif(os.name == "nt" or os.uname().sysname == "Darwin", reason="names are Unicode there")
def test_finds_names_of_arbitrary_bytes(tmp_path: Path) -> None:
    odd = [
        b"\xff\xfe.png",
        b"new\nline.png",
        "\u202ertl.png".encode(),
        "🎈.png".encode(),
        b"%s" % (b"n" * 251) + b".png",
    ]
    for name in odd:
        touch(tmp_path / os.fsdecode(name))
    assert sorted(names(tmp_path)) == sorted(os.fsdecode(name) for name in odd)


def test_scan_raises_cancelled_when_its_token_is_cancelled(tmp_path: Path) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        list(Scanner(tmp_path / "out", recursive=True).scan([tmp_path], token))


def test_scan_stops_within_a_folder_and_between_given_files(tmp_path: Path) -> None:
    given = [touch(tmp_path / "in" / f"{number}.png") for number in range(3)]
    for inputs in ([tmp_path / "in"], given):
        token = CancelToken()
        found = Scanner(tmp_path / "out", recursive=True).scan(inputs, token)
        assert next(found).path == given[0]
        token.cancel()
        with pytest.raises(Cancelled):
            next(found)


def test_natural_key_is_unique_and_orders_numbers_by_value() -> None:
    mixed = ["a1", "A1", "a01", "a10", "a9", "²", "a²"]
    assert len({natural_key(name) for name in mixed}) == len(mixed)
    assert sorted(["a10", "a9", "a1"], key=natural_key) == ["a1", "a9", "a10"]


def test_natural_order_puts_prefixes_before_longer_names(tmp_path: Path) -> None:
    expected = ["", "2", "10", "album", "album2", "album2b", "album2b1", "album10", "ALBUM10x", "album 3"]
    assert sorted([*expected[5:], *expected[:5]], key=natural_key) == expected
    for folder in ("scan10", "scan", "scan2"):
        touch(tmp_path / folder / "a.png")
    assert names(tmp_path) == ["scan/a.png", "scan2/a.png", "scan10/a.png"]
