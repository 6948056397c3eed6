"""Where machine code is kept, and that it is known to be there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vdsr_app import paths
from vdsr_app.core.winograd import made
from vdsr_app.core.winograd.made import is_made


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VDSR_CACHE", str(tmp_path / "cache"))


def test_it_is_known_for_each_processor_by_itself(tmp_path: Path) -> None:
    assert not is_made("Ours")
    made.note_made("Ours")
    made.note_made("Ours")
    assert is_made("Ours")
    assert not is_made("Our")
    made.note_made("Theirs")
    assert is_made("Ours")
    assert is_made("Theirs")
    (file,) = (tmp_path / "cache").rglob("processors.txt")
    assert file.read_text("utf-8") == "Ours\nTheirs\n"
    assert file.parent == made.folder()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"\0" * 100])
def test_a_list_that_is_damaged_is_none(content: bytes) -> None:
    made.note_made("Ours")
    (made.folder() / "processors.txt").write_bytes(content)
    assert not is_made("Ours")
    made.note_made("Ours")
    assert is_made("Ours")


def test_where_nothing_can_be_kept_it_is_made_each_time(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"a file")
    made.note_made("Ours")
    assert not is_made("Ours")


def test_another_version_has_another_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    before = made.folder()
    assert before.parent == paths.kernels_dir()
    monkeypatch.setattr(made, "version", lambda package: "another")
    assert made.folder() != before


def test_so_has_another_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made, "__file__", str(tmp_path / "made.py"))
    (tmp_path / "kernels.py").write_text("x = 1")
    before = made.folder()
    (tmp_path / "kernels.py").write_text("x = 2")
    assert made.folder() != before


def test_so_has_another_packed_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (("vdsr", 10), ("window", 10)):
        (tmp_path / name).write_bytes(bytes(size))
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    found = set()
    for name in ("vdsr", "window"):
        monkeypatch.setattr(sys, "executable", str(tmp_path / name))
        found.add(made.folder())
    (tmp_path / "window").write_bytes(bytes(11))
    found.add(made.folder())
    assert len(found) == 3
