"""Machine code of the kernels: where it is kept, and whether it exists for a processor."""

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
    """The index file that numba writes."""
    path = made.folder() / "winograd_0123" / "kernels.convolve-315.py311.nbi"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def test_made_code_is_recorded_per_processor(code: Path, tmp_path: Path) -> None:
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
def test_damaged_list_of_processors_counts_as_empty(code: Path, content: bytes) -> None:
    made.note_made("Ours")
    (made.folder() / "processors.txt").write_bytes(content)
    assert not is_made("Ours")
    made.note_made("Ours")
    assert is_made("Ours")


def test_code_is_not_recorded_as_made_when_cache_is_unusable(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"a file")
    made.note_made("Ours")
    assert not is_made("Ours")
    assert not made.can_be_kept()


def test_code_can_be_kept_in_writable_folder_which_stays_empty() -> None:
    assert made.can_be_kept()
    assert list(made.folder().iterdir()) == []


def test_deleted_code_no_longer_counts_as_made(code: Path) -> None:
    made.note_made("Ours")
    assert is_made("Ours")
    code.unlink()
    assert not is_made("Ours")


def test_code_is_searched_for_in_numba_cache_dir(code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "elsewhere"))
    made.note_made("Ours")
    assert not is_made("Ours")
    (tmp_path / "elsewhere" / "winograd_0123").mkdir(parents=True)
    code.rename(tmp_path / "elsewhere" / "winograd_0123" / code.name)
    assert is_made("Ours")


@pytest.mark.parametrize("name", ["NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_CACHE_DIR"])
def test_folder_changes_with_numba_environment_variables(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint()
    monkeypatch.setenv(name, "generic")
    assert fingerprint() != before


def test_folder_changes_with_numba_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint()
    assert made.folder().parent == paths.kernels_dir()
    monkeypatch.setattr(made, "package_version", lambda package: "another")
    assert fingerprint() != before


def test_folder_changes_with_source_and_location(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = set()
    for place, source in (("a", "x = 1"), ("a", "x = 2"), ("b", "x = 2")):
        (tmp_path / place).mkdir(exist_ok=True)
        (tmp_path / place / "kernels.py").write_text(source)
        monkeypatch.setattr(made, "__file__", str(tmp_path / place / "made.py"))
        found.add(fingerprint())
    assert len(found) == 3


def test_folder_stays_the_same_when_program_is_updated_while_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprint()
    monkeypatch.setattr(made, "__file__", str(tmp_path / "made.py"))
    assert made.folder().name == before


def test_folder_changes_with_executable_of_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
