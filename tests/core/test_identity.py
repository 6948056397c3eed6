"""Whether names refer to the same file: with inode numbers, and on drives that report 0 for each file (Windows)."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from vdsr_app.core.batch.scan import Scanner
from vdsr_app.core.identity import same_file
from vdsr_app.core.naming import refuse_overwriting_source
from vdsr_app.errors import SaveError


@pytest.fixture(params=["numbers", "no numbers"])
def drive(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on a drive of either kind, with two pictures and one in a subfolder."""
    for name in ("in/a.png", "in/b.png", "in/deep/c.png", "in/out/a_vdsr_x2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    if request.param == "no numbers":
        stat = os.stat

        def stat_without_number(path: os.PathLike[str], **options: bool) -> SimpleNamespace:
            status = stat(path, **options)
            fields = {name: getattr(status, name) for name in dir(status) if name.startswith("st_")}
            return SimpleNamespace(**fields | {"st_dev": 0, "st_ino": 0})

        monkeypatch.setattr(os, "stat", stat_without_number)
    return tmp_path / "in"


def test_scanner_finds_each_picture_once(drive: Path) -> None:
    scanner = Scanner(drive / "out", recursive=True)
    found = [each.path.relative_to(drive).as_posix() for each in scanner.scan([drive, drive / "a.png", drive])]
    assert found == ["a.png", "b.png", "deep/c.png"]
    assert scanner.has_found(drive / "deep" / ".." / "b.png")
    assert not scanner.has_found(drive / "out" / "a_vdsr_x2.png")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_symbolic_link_is_the_same_file_as_its_target(drive: Path) -> None:
    (drive / "again.png").symlink_to(drive / "a.png")
    (drive / "loop").symlink_to(drive)
    found = [each.path.name for each in Scanner(drive / "out", recursive=True).scan([drive])]
    assert found == ["a.png", "b.png", "c.png"]
    assert same_file(drive / "again.png", drive / "a.png")


def test_refuse_overwriting_source_rejects_only_sources(drive: Path) -> None:
    refuse_overwriting_source(drive / "b.png", [drive / "a.png"])
    with pytest.raises(SaveError, match="own source"):
        refuse_overwriting_source(drive / "deep" / ".." / "a.png", [drive / "b.png", drive / "a.png"])


def test_same_file_raises_when_a_file_is_missing(drive: Path) -> None:
    with pytest.raises(FileNotFoundError):
        same_file(drive / "a.png", drive / "none.png")


def test_paths_are_not_resolved_when_files_have_inode_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (tmp_path / f"{number}.png").write_bytes(b"x")
    resolved: list[object] = []
    realpath = os.path.realpath
    monkeypatch.setattr(os.path, "realpath", lambda path: (resolved.append(path), realpath(path))[1])
    scanner = Scanner(tmp_path / "out", recursive=True)
    assert len(list(scanner.scan([tmp_path]))) == 20
    assert all(scanner.has_found(tmp_path / f"{number}.png") for number in range(20))
    assert resolved == [tmp_path]
