"""Which files of a folder are pictures."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from vdsr_app.core.image_io import READABLE_SUFFIXES
from vdsr_app.errors import UnreadablePictureError, UsageError


def list_pictures(folder: Path, *, deep: bool = True) -> list[Path]:
    """Files in `folder` that end as pictures do, with `deep` also in folders below, by name; no hidden ones.

    Raises:
        OSError: the folder cannot be listed. One below it that cannot be counts as empty.
    """
    os.scandir(folder).close()  # `rglob` would say nothing
    return sorted(
        path
        for path in (folder.rglob("*") if deep else folder.iterdir())
        if path.suffix.lower() in READABLE_SUFFIXES and not path.name.startswith(".") and os.path.isfile(path)
    )


def picture_files(place: Path, *, deep: bool = True) -> list[Path]:
    """`place` itself where it is a file, else its pictures as `list_pictures` gives them.

    Raises:
        UnreadablePictureError: there is no such file or folder, or the folder may not be looked into.
        UsageError: the folder holds no picture.
    """
    if os.path.isfile(place):
        return [place]
    try:
        files = list_pictures(place, deep=deep)
    except (OSError, ValueError) as error:
        raise _unreadable(place, error) from error
    if not files:
        raise UsageError("The folder holds no picture.", path=place, hint="Choose a folder with pictures.")
    return files


def require_there(place: Path) -> None:
    """See that there is a file, or a folder that can be listed.

    Raises:
        UnreadablePictureError: there is neither.
    """
    try:
        if stat.S_ISDIR(os.stat(place).st_mode):
            os.scandir(place).close()
    except (OSError, ValueError) as error:
        raise _unreadable(place, error) from error


def _unreadable(place: Path, error: OSError | ValueError) -> UnreadablePictureError:
    if isinstance(error, FileNotFoundError | NotADirectoryError | ValueError):
        return UnreadablePictureError("There is no such file or folder.", path=place, hint="Check the name.")
    if isinstance(error, PermissionError):
        return UnreadablePictureError(
            "You may not look at this file or folder.", path=place, hint="Ask for permission to read it."
        )
    return UnreadablePictureError(f"It cannot be read: {error.strerror}.", path=place, hint="Check the name.")
