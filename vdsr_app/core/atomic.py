"""Atomic replacement of files: a name never refers to a half-written file."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import platform
import re
import secrets
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO, TypeVar

from vdsr_app.errors import SaveError

TEMPORARY_PREFIX = ".vdsr-"
TEMPORARY_SUFFIX = ".part"

_MACHINE = hashlib.sha256(platform.node().encode(errors="replace")).hexdigest()[:8]
_PART = re.compile(rf"{re.escape(TEMPORARY_PREFIX)}([0-9a-f]{{8}})-[0-9a-f]{{12}}{re.escape(TEMPORARY_SUFFIX)}")
"""Name of a temporary file of `atomic_file`; the group is the machine that writes it."""
_NO_SUCH_FILE = 2
"""Windows' error code for a missing file in an existing folder."""
_RENAME_GRACE_S = 60.0

_unfinished: set[Path] = set()
"""Temporary files that this process is writing."""
_cleaned: set[str] = set()
"""Folders that this process has cleared of leftovers."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_REASONS = {
    errno.ENOSPC: ("There is no space left on the disk.", "Free some space or choose another folder."),
    errno.EDQUOT: ("Your disk quota is used up.", "Free some space or choose another folder."),
    errno.EACCES: ("The folder does not allow writing.", "Choose another folder."),
    errno.EPERM: ("The folder does not allow writing.", "Choose another folder."),
    errno.EROFS: ("The disk is read-only.", "Choose another folder."),
    errno.ENOENT: ("The folder does not exist.", "Make the folder first, or choose another."),
    errno.ENOTDIR: ("The folder does not exist.", "Make the folder first, or choose another."),
    errno.EISDIR: ("A folder with that name is in the way.", "Choose another name."),
    errno.EEXIST: ("A device or pipe with that name is in the way.", "Choose another name."),
    errno.ENAMETOOLONG: ("The file name is too long.", "Choose a shorter name."),
    errno.EFBIG: ("The file would be larger than the disk allows.", "Choose another folder or a smaller scale."),
}
_TOO_LONG = ("The path is too long for Windows.", "Choose a folder nearer to the drive, or a shorter name.")
_MAX_WINDOWS_PATH = 260
"""Characters, including the terminating NUL, unless Windows is configured to allow more."""

_SHARING_WAITS_S = (0.01, 0.03, 0.06, 0.1, 0.2, 0.3, 0.3)
"""One second in total: a virus scanner that checks each new file is done by then, a viewer is not."""

_Result = TypeVar("_Result")


def save_error(path: str | os.PathLike[str], error: OSError) -> SaveError:
    """Describe `error` to the user; its kind is determined by errno, never by its text."""
    what, hint = _REASONS.get(
        error.errno or 0, (f"The file could not be written: {error.strerror or error}.", "Choose another folder.")
    )
    if _is_path_too_long(error):
        what, hint = _TOO_LONG
    return SaveError(what, path=path, hint=hint)


def is_out_of_room(error: BaseException | None) -> bool:
    """Whether `error`, or an `OSError` that caused it, means that the disk or quota is full: then waiting may help."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return True
        error = error.__cause__
    return False


def outlast_sharing(action: Callable[[], _Result], waits_s: Sequence[float] = _SHARING_WAITS_S) -> _Result:
    """Run `action`, retrying after each of `waits_s` while Windows refuses to share a file.

    There a file that another program has open can often be neither replaced nor opened, and the error is the same as
    for a missing permission. On other systems `action` runs once.
    """
    for wait_s in waits_s:
        try:
            return action()
        except PermissionError as error:
            if not _is_windows_error(error):
                raise
            time.sleep(wait_s)
    return action()


def replace_file(finished: Path, path: Path) -> None:
    """Rename the file `finished` to `path`, replacing what is there.

    Raises:
        SaveError: it cannot be replaced; both files are as they were.
    """
    try:
        outlast_sharing(lambda: os.replace(finished, path))
    except PermissionError as error:
        if not _is_windows_error(error):
            raise save_error(path, error) from error
        # The folder is writable, or `finished` would not be there.
        raise SaveError(
            "The file cannot be replaced, most likely because another program has it open.",
            path=path,
            hint="Close it there and try again, or choose another name.",
        ) from error
    except OSError as error:
        raise save_error(path, error) from error


def _is_windows_error(error: OSError) -> bool:
    # Errors have `winerror` on Windows only; it is None for those that come through the C library.
    return hasattr(error, "winerror")


def _is_path_too_long(error: OSError) -> bool:
    """Whether Windows could not follow a path, most likely because it is too long."""
    if error.errno != errno.ENOENT or getattr(error, "winerror", _NO_SUCH_FILE) == _NO_SUCH_FILE:
        return False
    names = [os.path.abspath(os.fsdecode(name)) for name in (error.filename, error.filename2) if name]
    return any(len(name.encode("utf-16-le", "surrogatepass")) // 2 >= _MAX_WINDOWS_PATH for name in names)


@contextlib.contextmanager
def atomic_file(
    path: Path,
    *,
    verify: Callable[[Path], None] | None = None,
    before_rename: Callable[[Path], None] | None = None,
) -> Iterator[BinaryIO]:
    """Open a hidden file beside `path`; on a clean exit it is flushed to disk and renamed, otherwise deleted.

    A new file gets its permissions from the umask, a replaced one keeps those it had. If `path` is a symbolic link, the
    link is replaced and its target stays as it is.

    Args:
        path: the final name.
        verify: called with the finished hidden file before it is renamed; an exception prevents the replacement.
        before_rename: likewise, as the last step before the rename: only the name changes after it.

    Raises:
        SaveError: the file could not be written; what was at `path` before is untouched.
    """
    _remove_leftovers_once(path.parent)
    try:
        mode = _mode_to_keep(path)
        temporary, opened = _open_part(path.parent)
    except OSError as error:
        raise save_error(path, error) from error
    try:
        with opened as file:
            yield file
            file.flush()
            if mode is not None and sys.platform != "win32":
                with contextlib.suppress(OSError):
                    os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
            if verify is not None:
                verify(temporary)
            if os.name != "nt":
                # Still open, and so still locked, until it is renamed; Windows cannot rename open files.
                _rename_into_place(temporary, path, before_rename)
        if os.name == "nt":
            _rename_into_place(temporary, path, before_rename)
        _sync_folder(path.parent)
    except OSError as error:
        raise save_error(path, error) from error
    finally:
        _remove_part(temporary)


def require_writable(folder: Path) -> None:
    """Check that files can be created in a folder, by creating one and deleting it at once.

    Raises:
        SaveError: they cannot.
    """
    try:
        temporary, file = _open_part(folder)
    except OSError as error:
        raise save_error(folder, error) from error
    file.close()
    _remove_part(temporary)


def require_name(path: Path) -> None:
    """Check in advance that `atomic_file` can write a file of this name; its folder is assumed to exist.

    Raises:
        SaveError: it cannot.
    """
    try:
        _mode_to_keep(path)
    except OSError as error:
        raise save_error(path, error) from error


def _rename_into_place(finished: Path, path: Path, before_rename: Callable[[Path], None] | None) -> None:
    if before_rename is not None:
        before_rename(finished)
    replace_file(finished, path)


def write_atomically(path: Path, payload: bytes) -> None:
    """Write `payload` to `path`, completely or not at all; raises as `atomic_file`."""
    with atomic_file(path) as file:
        file.write(payload)


def remove_leftovers(folder: Path) -> int:
    """Delete the hidden files that killed processes left in `folder`; those still being written stay.

    Locks tell them apart. On some network disks these hold on one machine only, so files of another machine stay until
    that machine removes them. Files with the same prefix and suffix that are not from `atomic_file`, such as a
    cluster's finished results, are deleted too unless they are locked: call this only where none of them is wanted.

    Returns:
        Number of files deleted. A folder that cannot be listed counts as empty.
    """
    return _remove_where(folder, lambda name: _machine_of(name) in (None, _MACHINE))


def remove_unfinished() -> None:
    """Delete the hidden files that this process is writing: for an exit that does not wait for its threads."""
    for temporary in list(_unfinished):
        _remove_part(temporary)


def _remove_leftovers_once(folder: Path) -> None:
    """Delete what killed processes of this machine left of `atomic_file` in `folder`, on the first call for it."""
    absolute = os.path.abspath(folder)
    if absolute not in _cleaned:
        _cleaned.add(absolute)
        _remove_where(folder, lambda name: _machine_of(name) == _MACHINE)


def _machine_of(name: str) -> str | None:
    """Machine that writes a hidden file of `atomic_file`; None for any other file."""
    found = _PART.fullmatch(name)
    return None if found is None else found[1]


def _remove_where(folder: Path, wanted: Callable[[str], bool]) -> int:
    try:
        with os.scandir(folder) as entries:
            names = [
                entry.name
                for entry in entries
                if entry.name.startswith(TEMPORARY_PREFIX) and entry.name.endswith(TEMPORARY_SUFFIX)
            ]
    except OSError:
        return 0
    return sum(_remove_abandoned(folder / name) for name in names if wanted(name))


def _mode_to_keep(path: Path) -> int | None:
    """Permissions of the regular file at `path`, else None; raises `OSError` for what is neither file nor link."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError as error:
        if _is_path_too_long(error):
            raise
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    return stat.S_IMODE(mode) if stat.S_ISREG(mode) else None


def _open_part(folder: Path) -> tuple[Path, BinaryIO]:
    """Create a hidden file that no process can take for a leftover."""
    while True:
        temporary = folder / f"{TEMPORARY_PREFIX}{_MACHINE}-{secrets.token_hex(6)}{TEMPORARY_SUFFIX}"
        file = temporary.open("xb")
        _unfinished.add(temporary)
        # Another process may have found and deleted it before it was locked.
        hold(file)
        try:
            temporary.stat()
        except FileNotFoundError:
            _unfinished.discard(temporary)
            file.close()
        except OSError:  # a folder in which files can be created but not looked at
            file.close()
            _remove_part(temporary)
            raise
        else:
            return temporary, file


def hold(file: IO[Any]) -> None:
    """Lock the file as being written for as long as it is open; best effort, as not every file system can.

    Waits while another process holds the lock: a check for leftovers does so for an instant.
    """
    if sys.platform != "win32":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)


def _remove_abandoned(path: Path) -> bool:
    """Delete the file if no process holds it any more, and return whether it was deleted."""
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            # Windows refuses to delete an open file; a finished one is closed shortly before it is renamed.
            if time.time() - path.stat().st_mtime > _RENAME_GRACE_S:
                path.unlink()
                return True
            return False
        import fcntl

        # Not only for reading: network disks lock only files that are open for writing.
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # While it is locked: its creator checks, once it has the lock, that the file still exists.
            path.unlink()
        finally:
            os.close(descriptor)
        return True
    return False


def _remove_part(temporary: Path) -> None:
    with contextlib.suppress(OSError):
        temporary.unlink()
    _unfinished.discard(temporary)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable where folders can be flushed (not on Windows)."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
