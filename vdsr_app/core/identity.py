"""Whether two names refer to the same file, also on drives that give their files no inode numbers."""

from __future__ import annotations

import os

Identity = tuple[int, int] | str
"""Device and inode number of a file or folder, or its resolved path if it has none: equal for all its names."""


def identity_of(path: str | os.PathLike[str], status: os.stat_result) -> Identity:
    """Identify a file or folder, under whatever name.

    Args:
        path: of the file.
        status: of the file, with links followed.
    """
    if status.st_ino:
        return status.st_dev, status.st_ino
    # Windows reports 0 for every file on some network and cloud drives.
    return os.path.normcase(os.path.realpath(path))


def same_file(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> bool:
    """Whether two names refer to the same file or folder.

    Raises:
        OSError: one of them cannot be accessed.
    """
    return identity_of(first, os.stat(first)) == identity_of(second, os.stat(second))
