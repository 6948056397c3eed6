"""Which names lead to one file, also on drives that give their files no numbers."""

from __future__ import annotations

import os

Identity = tuple[int, int] | str
"""Device and number of a file or folder, or where it has no number its path without links: equal for all its names."""


def identity_of(path: str | os.PathLike[str], status: os.stat_result) -> Identity:
    """What tells a file or folder from all others.

    Args:
        path: of the file.
        status: of the file, with links followed.
    """
    if status.st_ino:
        return status.st_dev, status.st_ino
    # Windows tells 0 for each file of some network and cloud drives.
    return os.path.normcase(os.path.realpath(path))


def same_file(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> bool:
    """Whether two names lead to one file or folder.

    Raises:
        OSError: one of them cannot be looked at.
    """
    return identity_of(first, os.stat(first)) == identity_of(second, os.stat(second))
