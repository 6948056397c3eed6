"""Finding the pictures in a folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from vdsr_app.control import CancelToken
from vdsr_app.core.formats import READABLE_SUFFIXES
from vdsr_app.errors import UnreadablePictureError, UsageError


def list_pictures(folder: Path, *, token: CancelToken | None = None) -> list[Path]:
    """List the files in `folder` and its subfolders that have a picture's suffix, sorted by path.

    Hidden files and the contents of hidden subfolders are left out; links to folders are not followed.

    Args:
        folder: where to look; it may be hidden itself.
        token: tested at each folder.

    Raises:
        OSError: the folder cannot be listed. A subfolder that cannot be listed counts as empty.
        Cancelled: `token` was cancelled.
    """
    os.scandir(folder).close()  # `walk` would not raise
    found: list[Path] = []
    for place, folders, files in os.walk(folder):
        if token is not None:
            token.raise_if_cancelled()
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(place, name) for name in files if not name.startswith("."))
        found += (path for path in paths if path.suffix.lower() in READABLE_SUFFIXES and os.path.isfile(path))
    return sorted(found)


def picture_files(place: Path) -> list[Path]:
    """`place` itself if it is a file, else its pictures as listed by `list_pictures`.

    Raises:
        UnreadablePictureError: there is no such file or folder, or the folder cannot be listed.
        UsageError: the folder contains no pictures.
    """
    if os.path.isfile(place):
        return [place]
    try:
        files = list_pictures(place)
    except (OSError, ValueError) as error:
        raise _unreadable(place, error) from error
    if not files:
        raise UsageError("The folder contains no pictures.", path=place, hint="Choose a folder with pictures.")
    return files


def require_exists(place: Path) -> None:
    """Check that there is a file, or a folder that can be listed.

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
            "You do not have permission to read this file or folder.", path=place, hint="Ask for permission to read it."
        )
    return UnreadablePictureError(f"It cannot be read: {error.strerror}.", path=place, hint="Check the name.")
