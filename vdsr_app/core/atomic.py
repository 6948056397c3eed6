"""Replacing a file so that its name never stands for half a file."""

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
"""A file of `atomic_file`, with the machine that writes it."""
_NO_SUCH_FILE = 2
"""What Windows tells of a file that is missing in a folder that is there."""
_RENAME_GRACE_S = 60.0

_unfinished: set[Path] = set()
"""What this process is writing."""
_cleaned: set[str] = set()
"""Folders that this process has rid of leftovers."""

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
"""Characters, the nought at the end included, unless Windows was told to allow more."""

_SHARING_WAITS_S = (0.01, 0.03, 0.06, 0.1, 0.2, 0.3, 0.3)
"""A second in all: a virus scanner that looks at each new file has gone by then, a viewer has not."""

_Result = TypeVar("_Result")


def save_error(path: str | os.PathLike[str], error: OSError) -> SaveError:
    """`error` in words for people; the type is told by errno, never by text."""
    what, hint = _REASONS.get(
        error.errno or 0, (f"The file could not be written: {error.strerror or error}.", "Choose another folder.")
    )
    if _is_of_long_path(error):
        what, hint = _TOO_LONG
    return SaveError(what, path=path, hint=hint)


def is_out_of_room(error: BaseException | None) -> bool:
    """Whether a `SaveError`, or the `OSError` behind it, means that the disk is full: then waiting may help."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return True
        error = error.__cause__
    return False


def outlast_sharing(action: Callable[[], _Result], waits_s: Sequence[float] = _SHARING_WAITS_S) -> _Result:
    """The result of `action`, tried again after each of `waits_s` while Windows refuses to share a file.

    There a file that another program has open can often be neither replaced nor opened, and that is told just like a
    missing right. On other systems `action` is done once.
    """
    for wait_s in waits_s:
        try:
            return action()
        except PermissionError as error:
            if not _is_of_windows(error):
                raise
            time.sleep(wait_s)
    return action()


def replace_file(finished: Path, path: Path) -> None:
    """Give the file `finished` the name `path`, in place of what has it.

    Raises:
        SaveError: it cannot be; both are as they were.
    """
    try:
        outlast_sharing(lambda: os.replace(finished, path))
    except PermissionError as error:
        if not _is_of_windows(error):
            raise save_error(path, error) from error
        # The folder allows writing, or `finished` would not be there.
        raise SaveError(
            "The file cannot be replaced, most likely because another program has it open.",
            path=path,
            hint="Close it there and try again, or choose another name.",
        ) from error
    except OSError as error:
        raise save_error(path, error) from error


def _is_of_windows(error: OSError) -> bool:
    # On Windows alone errors have its number, though it is None where the C library was between.
    return hasattr(error, "winerror")


def _is_of_long_path(error: OSError) -> bool:
    """Whether Windows cannot go where a path leads, most likely because it takes no path of that length."""
    if error.errno != errno.ENOENT or getattr(error, "winerror", _NO_SUCH_FILE) == _NO_SUCH_FILE:
        return False
    names = [os.path.abspath(os.fsdecode(name)) for name in (error.filename, error.filename2) if name]
    return any(len(name.encode("utf-16-le", "surrogatepass")) // 2 >= _MAX_WINDOWS_PATH for name in names)


@contextlib.contextmanager
def atomic_file(
    path: Path,
    *,
    verify: Callable[[Path], None] | None = None,
    before_naming: Callable[[Path], None] | None = None,
) -> Iterator[BinaryIO]:
    """Open a hidden file beside `path`; on a clean exit it is flushed to disk and takes the name, else it vanishes.

    A new file gets the permissions that the umask leaves, a replaced one keeps those it had. Where `path` is a symbolic
    link, the link is replaced and the file that it led to stays as it is.

    Args:
        path: the final name.
        verify: called with the finished hidden file before it takes the name; what it raises stops the exchange.
        before_naming: likewise, last of all: nothing changes the file any more, but its name.

    Raises:
        SaveError: the file could not be written; what stood at `path` before is untouched.
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
                # Still open, and so still locked, until it has its name; Windows cannot rename open files.
                _give_name(temporary, path, before_naming)
        if os.name == "nt":
            _give_name(temporary, path, before_naming)
        _sync_folder(path.parent)
    except OSError as error:
        raise save_error(path, error) from error
    finally:
        _remove_part(temporary)


def require_writable(folder: Path) -> None:
    """See whether files can be made in a folder, by making one that is gone at once.

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
    """See whether `atomic_file` can give this name to a file, before that is made; its folder is there.

    Raises:
        SaveError: it cannot.
    """
    try:
        _mode_to_keep(path)
    except OSError as error:
        raise save_error(path, error) from error


def _give_name(finished: Path, path: Path, before_naming: Callable[[Path], None] | None) -> None:
    if before_naming is not None:
        before_naming(finished)
    replace_file(finished, path)


def write_atomically(path: Path, payload: bytes) -> None:
    """Put `payload` at `path`, whole or not at all; raises as `atomic_file`."""
    with atomic_file(path) as file:
        file.write(payload)


def remove_leftovers(folder: Path) -> int:
    """Delete the hidden files that a killed process left in `folder`; those still being written stay.

    That is told by locks, which on some network disks hold on one machine only: so what another machine began stays,
    until that removes it. Files of such a name that are no part of `atomic_file`, as a cluster's finished results, go
    too where nobody holds them: only who knows that none are wanted may call this.

    Returns:
        How many were deleted. A folder that cannot be listed counts as empty.
    """
    return _remove_where(folder, lambda name: _machine_of(name) in (None, _MACHINE))


def remove_unfinished() -> None:
    """Delete what this process is writing just now: for one who leaves it at once, without waiting for its threads."""
    for temporary in list(_unfinished):
        _remove_part(temporary)


def _remove_leftovers_once(folder: Path) -> None:
    """Delete what a killed process of this machine left of `atomic_file` in `folder`, at the first call for that."""
    absolute = os.path.abspath(folder)
    if absolute not in _cleaned:
        _cleaned.add(absolute)
        _remove_where(folder, lambda name: _machine_of(name) == _MACHINE)


def _machine_of(name: str) -> str | None:
    """Which machine writes a file of `atomic_file`; None of any other file."""
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
    """Permissions of the file at `path`, None where there is none; refuses to replace what is no file."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError as error:
        if _is_of_long_path(error):
            raise
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    return stat.S_IMODE(mode) if stat.S_ISREG(mode) else None


def _open_part(folder: Path) -> tuple[Path, BinaryIO]:
    """A new hidden file that nobody can take for a leftover."""
    while True:
        temporary = folder / f"{TEMPORARY_PREFIX}{_MACHINE}-{secrets.token_hex(6)}{TEMPORARY_SUFFIX}"
        file = temporary.open("xb")
        _unfinished.add(temporary)
        # Between these two lines another process may have found it without a lock, and deleted it.
        hold(file)
        try:
            temporary.stat()
        except FileNotFoundError:
            _unfinished.discard(temporary)
            file.close()
        except OSError:  # a folder that lets files be made, and not be looked at
            file.close()
            _remove_part(temporary)
            raise
        else:
            return temporary, file


def hold(file: IO[Any]) -> None:
    """Mark the file as being written, for as long as it is open; best effort, as not every file system can.

    Returns when nobody else holds it: whoever only asks whether it is a leftover does so for an instant.
    """
    if sys.platform != "win32":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)


def _remove_abandoned(path: Path) -> bool:
    """Delete the file where no process holds it any more, and tell whether that was so."""
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            # It refuses to delete an open file; a finished one is closed shortly before it gets its name.
            if time.time() - path.stat().st_mtime > _RENAME_GRACE_S:
                path.unlink()
                return True
            return False
        import fcntl

        # Not only for reading: network disks want a file to be open for writing that is to be locked.
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # While it is locked, for whoever has just made it looks whether it is still there once it has the lock.
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
