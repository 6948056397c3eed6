"""Which pictures are too large to open, told from the header and before anything is decoded."""

from __future__ import annotations

from os import PathLike

from vdsr_app.core.image_io.memory import available_memory_bytes
from vdsr_app.errors import PictureTooLargeError, UnreadablePictureError

DEFAULT_MAX_PIXELS = 250_000_000
"""Pixels that `read` accepts unless told otherwise.

Above the 200 megapixels of today's largest phone sensors and the 151 of medium-format backs; below what header lies and
decompression bombs usually claim. In 8-bit RGB it is 750 MB.
"""

_MEMORY_SHARE = 0.9
"""Part of the free memory that one picture may take while it is read."""


def check_size(
    width: int, height: int, bytes_a_pixel: int, path: str | PathLike[str], *, max_pixels: int, file_bytes: int = 0
) -> None:
    """Refuse a picture whose header claims more than the limit or than memory can hold.

    Args:
        width: columns.
        height: rows.
        bytes_a_pixel: of the decoded picture, transparency included.
        path: for the message.
        max_pixels: most pixels to accept.
        file_bytes: size of the file, which is held in memory as well.

    Raises:
        UnreadablePictureError: there is no pixel at all.
        PictureTooLargeError: there are too many.
    """
    if width < 1 or height < 1:
        raise UnreadablePictureError(f"The picture claims to be {width} x {height} pixels.", path=path)
    pixels = width * height
    size = f"{width} x {height} pixels ({pixels / 1e6:,.0f} megapixels)"
    if pixels > max_pixels:
        raise PictureTooLargeError(
            f"The picture has {size}; the limit is {max_pixels / 1e6:,.0f} megapixels.",
            path=path,
            hint="Make it smaller or cut it into parts first.",
        )
    # A decoder may hold the whole picture once more, for example to unravel interlaced rows or to turn it.
    needed = 2 * pixels * bytes_a_pixel + file_bytes
    available = available_memory_bytes()
    if available is not None and needed > available * _MEMORY_SHARE:
        raise PictureTooLargeError(
            f"The picture has {size} and needs {needed / 1e9:.1f} GB of memory; {available / 1e9:.1f} GB is free.",
            path=path,
            hint="Close other programs, or make the picture smaller first.",
        )


def out_of_memory(path: str | PathLike[str]) -> PictureTooLargeError:
    """The error for an allocation that failed although the estimate had let it pass."""
    return PictureTooLargeError(
        "There is not enough memory for this picture.",
        path=path,
        hint="Close other programs, or make the picture smaller first.",
    )
