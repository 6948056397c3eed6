"""Atomic replacement: a name refers to the complete old or new file, and nothing else is left behind."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from vdsr_app.core import atomic
from vdsr_app.core.atomic import (
    atomic_file,
    is_out_of_room,
    remove_leftovers,
    require_name,
    require_writable,
    write_atomically,
)
from vdsr_app.errors import SaveError

posix_only = pytest.mark.skipif(os.name == "nt", reason="POSIX files")


def _names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


@pytest.fixture
def umask_027() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def test_write_atomically_creates_and_replaces_a_file(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    write_atomically(target, b"one")
    write_atomically(target, b"two")
    assert target.read_bytes() == b"two"
    assert _names(tmp_path) == ["a.bin"]


@posix_only
@pytest.mark.usefixtures("umask_027")
def test_new_file_gets_its_mode_from_the_umask(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.bin", b"one")
    assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == 0o640


@posix_only
def test_replaced_file_keeps_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"one")
    target.chmod(0o604)
    write_atomically(target, b"two")
    assert stat.S_IMODE(target.stat().st_mode) == 0o604


def test_exception_keeps_the_earlier_file_and_leaves_no_other(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"one")

    def fail_half_way() -> None:
        with atomic_file(target) as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert target.read_bytes() == b"one"
    assert _names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "no space"), (errno.EROFS, "read-only"), (errno.EACCES, "does not allow"), (errno.EIO, "written")],
)
def test_system_error_is_reported_with_reason_and_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"one")

    def fail(_descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SaveError, match=words) as caught:
        write_atomically(target, b"two")
    assert caught.value.path == str(target)
    assert caught.value.hint
    assert is_out_of_room(caught.value) is (code == errno.ENOSPC)
    assert target.read_bytes() == b"one"
    assert _names(tmp_path) == ["a.bin"]


@posix_only
def test_exceeding_a_file_size_limit_is_reported_as_too_large(tmp_path: Path) -> None:
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from vdsr_app.core.atomic import write_atomically\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "write_atomically(Path(sys.argv[1]), bytes(100_000))\n"
    )
    target = tmp_path / "a.bin"
    target.write_bytes(b"one")
    done = subprocess.run([sys.executable, "-c", code, target], capture_output=True, text=True, check=False)
    assert "SaveError" in done.stderr
    assert "larger than the disk allows" in done.stderr
    assert target.read_bytes() == b"one"
    assert _names(tmp_path) == ["a.bin"]


class Held:
    """Replacement for `os.replace` that fails as on Windows while another program has the target open."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, refusals: int, number: int | None) -> None:
        self.slept_s: list[float] = []
        self._left, self._number, self._replace = refusals, number, os.replace
        monkeypatch.setattr(os, "replace", self)
        monkeypatch.setattr(time, "sleep", self.slept_s.append)

    def __call__(self, source: Path, target: Path) -> None:
        if self._left > 0:
            self._left -= 1
            error = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            if self._number is not None:
                error.winerror = self._number  # type: ignore[attr-defined, unused-ignore]
            raise error
        self._replace(source, target)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file that already exists."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    return path


@pytest.mark.parametrize("number", [5, 32])
def test_file_briefly_opened_by_another_program_is_replaced_after_retries(
    target: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    held = Held(monkeypatch, 3, number)
    write_atomically(target, b"two")
    assert target.read_bytes() == b"two"
    assert len(held.slept_s) == 3
    assert _names(target.parent) == ["a.bin"]


@pytest.mark.parametrize("number", [5, 32])
def test_file_kept_open_by_another_program_is_reported_after_a_second(
    target: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    held = Held(monkeypatch, 1000, number)
    with pytest.raises(SaveError, match="another program has it open") as caught:
        write_atomically(target, b"two")
    assert "Close it" in str(caught.value.hint)
    assert caught.value.path == str(target)
    assert sum(held.slept_s) == pytest.approx(1)
    assert target.read_bytes() == b"one"
    assert _names(target.parent) == ["a.bin"]


@posix_only
def test_missing_permission_is_reported_at_once_outside_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch, 1000, None)
    with pytest.raises(SaveError, match="folder does not allow writing"):
        write_atomically(tmp_path / "a.bin", b"two")
    assert held.slept_s == []
    assert _names(tmp_path) == []


@pytest.mark.usefixtures("short_paths")
def test_path_too_long_for_windows_is_reported_as_such(long_path: Path) -> None:
    with pytest.raises(SaveError, match="too long for Windows") as caught:
        write_atomically(long_path, b"")
    assert "shorter name" in caught.value.hint
    with pytest.raises(SaveError, match="too long for Windows"):
        require_name(long_path)
    assert _names(long_path.parent) == []
    write_atomically(long_path.with_stem(long_path.stem[1:]), b"")


@pytest.mark.usefixtures("short_paths")
def test_require_writable_reports_folder_path_too_long_for_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("f" * (240 - len(str(tmp_path)) - 1))
    folder.mkdir()

    def refuse(path: Path, _mode: str) -> None:
        error = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        error.winerror = None  # type: ignore[attr-defined, unused-ignore]
        raise error

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SaveError, match="too long for Windows"):
        require_writable(folder)


@posix_only
def test_long_path_is_accepted_outside_windows(long_path: Path) -> None:
    write_atomically(long_path, b"")
    assert _names(long_path.parent) == [long_path.name]


def test_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SaveError, match="folder does not exist"):
        write_atomically(tmp_path / "none" / "a.bin", b"")


def test_folder_with_the_target_name_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.bin").mkdir()
    with pytest.raises(SaveError, match="folder with that name"):
        write_atomically(tmp_path / "a.bin", b"")
    assert _names(tmp_path) == ["a.bin"]


@posix_only
def test_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SaveError, match="device or pipe"):
        write_atomically(tmp_path / "pipe", b"")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@posix_only
def test_symbolic_link_is_replaced_and_its_target_kept(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"one")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_atomically(tmp_path / "link", b"two")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "link").read_bytes() == b"two"
    assert (tmp_path / "real").read_bytes() == b"one"


def test_verify_sees_the_complete_file_and_can_reject_it(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"one")
    seen = []

    def refuse(temporary: Path) -> None:
        seen.append(temporary.read_bytes())
        raise SaveError("No.")

    with pytest.raises(SaveError, match="No"), atomic_file(target, verify=refuse) as file:
        file.write(b"two")
    assert seen == [b"two"]
    assert target.read_bytes() == b"one"
    assert _names(tmp_path) == ["a.bin"]


def test_file_does_not_change_after_before_rename_is_called(tmp_path: Path) -> None:
    target, seen = tmp_path / "a.bin", []

    def look(temporary: Path) -> None:
        status = temporary.stat()
        seen.append((status.st_size, status.st_mtime_ns, target.exists()))

    with atomic_file(target, before_rename=look) as file:
        file.write(b"one")
    assert seen == [(3, target.stat().st_mtime_ns, False)]


@posix_only
@pytest.mark.parametrize("name", ["n" * 255, "\N{GRINNING FACE}\n.png", os.fsdecode(b"caf\xe9.png")])
def test_any_name_that_the_system_allows_is_written(tmp_path: Path, name: str) -> None:
    write_atomically(tmp_path / name, b"one")
    assert (tmp_path / name).read_bytes() == b"one"


def test_too_long_name_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SaveError, match="too long"):
        write_atomically(tmp_path / ("n" * 300), b"one")
    assert _names(tmp_path) == []


_CHILD = """
import sys, time
from pathlib import Path
from vdsr_app.core.atomic import atomic_file
with atomic_file(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(600)
"""


@contextmanager
def _writing(target: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has written half of `target`; it is killed at the end."""
    with subprocess.Popen([sys.executable, "-c", _CHILD, target], stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "writing\n"
            yield child
        finally:
            child.send_signal(signal.SIGKILL)


@posix_only
def test_remove_leftovers_deletes_only_parts_of_killed_writers(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"one")
    with _writing(target):
        assert len(_names(tmp_path)) == 2
        assert remove_leftovers(tmp_path) == 0, "a file that is being written was taken for a leftover"
    assert target.read_bytes() == b"one"
    (tmp_path / ".hidden").write_bytes(b"someone else's")
    assert remove_leftovers(tmp_path) == 1
    assert _names(tmp_path) == [".hidden", "a.bin"]


@posix_only
def test_first_save_into_a_folder_deletes_leftovers_of_killed_writers(tmp_path: Path) -> None:
    with _writing(tmp_path / "a.bin"):
        pass
    assert len(_names(tmp_path)) == 1
    write_atomically(tmp_path / "b.bin", b"two")
    assert _names(tmp_path) == ["b.bin"]


@posix_only
def test_save_keeps_files_that_another_process_is_writing(tmp_path: Path) -> None:
    with _writing(tmp_path / "a.bin"):
        before = _names(tmp_path)
        write_atomically(tmp_path / "b.bin", b"two")
        assert _names(tmp_path) == sorted([*before, "b.bin"])


@pytest.mark.parametrize("name", [".vdsr-00000000-0123456789ab.part", ".vdsr-0123456789ab.part", ".vdsr-mine.part"])
def test_save_keeps_parts_that_may_belong_to_another_machine_or_a_cluster(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"whole")
    write_atomically(tmp_path / "b.bin", b"two")
    assert _names(tmp_path) == sorted([name, "b.bin"])


@posix_only
def test_hidden_file_is_recreated_when_another_process_removes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, held = atomic.hold, []

    def hold_late(file: IO[Any]) -> None:
        if not held:
            assert remove_leftovers(tmp_path) == 1
        held.append(file.name)
        hold(file)

    monkeypatch.setattr(atomic, "hold", hold_late)
    write_atomically(tmp_path / "a.bin", b"one")
    assert len(set(held)) == 2
    assert (tmp_path / "a.bin").read_bytes() == b"one"
    assert _names(tmp_path) == ["a.bin"]


def test_remove_unfinished_deletes_files_being_written(tmp_path: Path) -> None:
    kept = tmp_path / "a.bin"
    kept.write_bytes(b"one")
    code = (
        "import os, sys; from pathlib import Path; from vdsr_app.core.atomic import atomic_file, remove_unfinished\n"
        "with atomic_file(Path(sys.argv[1])) as file:\n"
        "    file.write(b'half'); file.flush(); print(len(os.listdir(sys.argv[2])))\n"
        "    remove_unfinished(); sys.stdout.flush(); os._exit(0)"
    )
    ended = subprocess.run([sys.executable, "-c", code, kept, tmp_path], capture_output=True, text=True, check=True)
    assert ended.stdout == "2\n"
    assert _names(tmp_path) == ["a.bin"]
    assert kept.read_bytes() == b"one"


def test_remove_leftovers_returns_zero_for_a_missing_folder(tmp_path: Path) -> None:
    assert remove_leftovers(tmp_path / "none") == 0


@posix_only
def test_file_is_flushed_to_disk_before_rename_and_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []
    flush, rename = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        log.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        flush(descriptor)

    def replace(*names: Path) -> None:
        log.append("name")
        rename(*names)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    write_atomically(tmp_path / "a.bin", b"one")
    assert log == ["file", "name", "folder"]
