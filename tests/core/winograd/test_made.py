"""Where machine code is kept, and that it is known to be there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vdsr_app import paths
from vdsr_app.core.winograd import made
from vdsr_app.core.winograd.made import is_made


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("VDSR_CACHE", str(tmp_path / "cache"))
    made._fingerprint.cache_clear()
    yield
    made._fingerprint.cache_clear()


def fingerprint() -> str:
    made._fingerprint.cache_clear()
    return made.folder().name


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """What numba writes."""
    path = made.folder() / "winograd_0123" / "kernels.convolve-315.py311.nbi"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def test_it_is_known_for_each_processor_by_itself(code: Path, tmp_path: Path) -> None:
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
def test_a_list_that_is_damaged_is_none(code: Path, content: bytes) -> None:
    made.note_made("Ours")
    (made.folder() / "processors.txt").write_bytes(content)
    assert not is_made("Ours")
    made.note_made("Ours")
    assert is_made("Ours")


def test_where_nothing_can_be_kept_it_is_made_each_time(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"a file")
    made.note_made("Ours")
    assert not is_made("Ours")
    assert not made.can_be_kept()


def test_elsewhere_it_can_be_kept() -> None:
    assert made.can_be_kept()
    assert list(made.folder().iterdir()) == []


def test_code_that_was_deleted_is_made_again(code: Path) -> None:
    made.note_made("Ours")
    assert is_made("Ours")
    code.unlink()
    assert not is_made("Ours")


def test_code_is_looked_for_where_the_environment_tells_numba_to_keep_it(
    code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "elsewhere"))
    made.note_made("Ours")
    assert not is_made("Ours")
    (tmp_path / "elsewhere" / "winograd_0123").mkdir(parents=True)
    code.rename(tmp_path / "elsewhere" / "winograd_0123" / code.name)
    assert is_made("Ours")


@pytest.mark.parametrize("name", ["NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_CACHE_DIR"])
def test_what_the_environment_asks_of_numba_has_a_folder_of_its_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint()
    monkeypatch.setenv(name, "generic")
    assert fingerprint() != before


def test_another_version_has_another_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint()
    assert made.folder().parent == paths.kernels_dir()
    monkeypatch.setattr(made, "package_version", lambda package: "another")
    assert fingerprint() != before


def test_so_has_another_source_and_another_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = set()
    for place, source in (("a", "x = 1"), ("a", "x = 2"), ("b", "x = 2")):
        (tmp_path / place).mkdir(exist_ok=True)
        (tmp_path / place / "kernels.py").write_text(source)
        monkeypatch.setattr(made, "__file__", str(tmp_path / place / "made.py"))
        found.add(fingerprint())
    assert len(found) == 3


def test_a_program_that_is_updated_goes_on_with_what_it_has_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprint()
    monkeypatch.setattr(made, "__file__", str(tmp_path / "made.py"))
    assert made.folder().name == before


def test_so_has_another_packed_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (("vdsr", 10), ("window", 10)):
        (tmp_path / name).write_bytes(bytes(size))
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    found = set()
    for name in ("vdsr", "window"):
        monkeypatch.setattr(sys, "executable", str(tmp_path / name))
        found.add(fingerprint())
    (tmp_path / "window").write_bytes(bytes(11))
    found.add(fingerprint())
    assert len(found) == 3
