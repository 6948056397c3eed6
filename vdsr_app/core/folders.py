"""Which files of a folder are pictures."""

from __future__ import annotations

from pathlib import Path

from vdsr_app.core.image_io import READABLE_SUFFIXES
from vdsr_app.errors import UnreadablePictureError, UsageError


def list_pictures(folder: Path, *, deep: bool = True) -> list[Path]:
    """Files in `folder` that end as pictures do, with `deep` also in folders below, by name; no hidden ones."""
    return sorted(
        path
        for path in (folder.rglob("*") if deep else folder.iterdir())
        if path.suffix.lower() in READABLE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def picture_files(place: Path, *, deep: bool = True) -> list[Path]:
    """`place` itself where it is a file, else its pictures as `list_pictures` gives them.

    Raises:
        UnreadablePictureError: there is no such file or folder.
        UsageError: the folder holds no picture.
    """
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise UnreadablePictureError("There is no such folder.", path=place, hint="Check the name.")
    files = list_pictures(place, deep=deep)
    if not files:
        raise UsageError("The folder holds no picture.", path=place, hint="Choose a folder with pictures.")
    return files
