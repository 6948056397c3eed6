"""Replacing a file so that its name never stands for half a file."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from vdsr_app.errors import SaveError

TEMPORARY_PREFIX = ".vdsr-"
TEMPORARY_SUFFIX = ".part"

_REASONS = {
    errno.ENOSPC: ("There is no room left on the disk.", "Free some space or choose another folder."),
    errno.EDQUOT: ("Your disk quota is used up.", "Free some space or choose another folder."),
    errno.EACCES: ("The folder does not allow writing.", "Choose another folder."),
    errno.EPERM: ("The folder does not allow writing.", "Choose another folder."),
    errno.EROFS: ("The disk is read-only.", "Choose another folder."),
    errno.ENOENT: ("The folder does not exist.", "Make the folder first, or choose another."),
    errno.ENOTDIR: ("The folder does not exist.", "Make the folder first, or choose another."),
    errno.EISDIR: ("A folder of that name is in the way.", "Choose another name."),
    errno.ENAMETOOLONG: ("The file name is too long.", "Choose a shorter name."),
    errno.EFBIG: ("The file would be larger than the disk allows.", "Choose another folder or a smaller scale."),
}


def save_error(path: str | os.PathLike[str], error: OSError) -> SaveError:
    """`error` in words for people; the type is told by errno, never by text."""
    what, hint = _REASONS.get(
        error.errno or 0, (f"The file could not be written: {error.strerror or error}.", "Choose another folder.")
    )
    return SaveError(what, path=path, hint=hint)


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a hidden file beside `path`; on a clean exit it is flushed to disk and takes the name, else it vanishes.

    Raises:
        SaveError: the file could not be written; what stood at `path` before is untouched.
    """
    temporary = path.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}{TEMPORARY_SUFFIX}"
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise save_error(path, error) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, payload: bytes) -> None:
    """Put `payload` at `path`, whole or not at all; raises as `atomic_file`."""
    with atomic_file(path) as file:
        file.write(payload)


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
