"""Refusing pictures too large to open, compare or write, before any work is done."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from types import MappingProxyType

from vdsr_app.core.formats import WRITABLE_TITLES, SourceFormat, is_lossless
from vdsr_app.core.job import FileFormat, TargetSize
from vdsr_app.core.memory import available_memory_bytes
from vdsr_app.core.picture import Picture
from vdsr_app.errors import PictureTooLargeError, SaveError, UnreadablePictureError

DEFAULT_MAX_PIXELS = 250_000_000
"""Pixels that `read` accepts unless told otherwise.

More than the 200 megapixels of today's largest phone sensors and the 151 of medium-format backs; less than forged
headers and decompression bombs usually claim. In 8-bit RGB it is 750 MB.
"""

MAX_PIXELS_THROUGH_DISK = 1_000_000_000
"""Pixels that `read` accepts when the samples go to disk."""

_MEMORY_SHARE = 0.9
"""Share of the free memory that one picture may take while it is read, compared or written."""

_SCREEN_BYTES_PER_PIXEL = 16 / 3
"""What displaying a layer takes besides its samples: four bytes, plus a third for its reduced levels."""

_BY_BATCH = "Choose a smaller size, or let the batch do it, which works through the disk."

_READ_COPIES: Mapping[SourceFormat, int] = MappingProxyType(
    {SourceFormat.AVIF: 6, SourceFormat.HEIC: 6, SourceFormat.JXL: 6, SourceFormat.WEBP: 4}
)
"""Memory for reading as a multiple of the decoded samples, measured; 2 for all other formats."""

_WRITE_COPIES: Mapping[FileFormat, int] = MappingProxyType(
    {FileFormat.PNG: 1, FileFormat.TIFF: 1, FileFormat.JPEG: 4, FileFormat.WEBP: 2, FileFormat.AVIF: 12}
)
_WEBP_LOSSLESS_COPIES = 11
"""Memory for writing as a multiple of the samples and in addition to them, measured."""


def check_size(
    width: int,
    height: int,
    bytes_per_pixel: int,
    path: str | PathLike[str] | None,
    *,
    source_format: SourceFormat,
    max_pixels: int,
    file_bytes: int,
    in_strips: bool = False,
    through_disk: bool = False,
) -> None:
    """Refuse a picture whose header claims more pixels than the limit or than memory can hold.

    Args:
        width: columns.
        height: rows.
        bytes_per_pixel: bytes per pixel of the decoded picture, transparency included.
        path: for the message.
        source_format: determines how much memory the decoder takes.
        max_pixels: most pixels to accept.
        file_bytes: size of the file, which is held in memory as well.
        in_strips: the decoder holds only a few rows, so the samples can go to disk.
        through_disk: neither samples nor file will be held in memory.

    Raises:
        UnreadablePictureError: a side is less than 1.
        PictureTooLargeError: the picture exceeds `max_pixels` or the free memory.
    """
    if width < 1 or height < 1:
        raise UnreadablePictureError(f"The picture claims to be {width} x {height} pixels.", path=path)
    pixels = width * height
    size = f"{width} x {height} pixels ({pixels / 1e6:,.0f} megapixels)"
    would_go_through_disk = in_strips and not through_disk and pixels <= MAX_PIXELS_THROUGH_DISK
    if pixels > max_pixels:
        raise PictureTooLargeError(
            f"The picture is {size}; the limit is {max_pixels / 1e6:,.0f} megapixels.",
            path=path,
            hint="Make it smaller or cut it into parts first.",
            through_disk=would_go_through_disk,
        )
    if through_disk:
        return
    needed = _READ_COPIES.get(source_format, 2) * pixels * bytes_per_pixel + file_bytes
    available = available_memory_bytes()
    if available is not None and needed > available * _MEMORY_SHARE:
        raise PictureTooLargeError(
            f"The picture is {size} and needs {needed / 1e9:.1f} GB of memory; {available / 1e9:.1f} GB is free.",
            path=path,
            hint="Close other programs, or make the picture smaller first.",
            through_disk=would_go_through_disk,
        )


def check_memory_to_compare(
    picture: Picture, size: TargetSize, *, layers: int, painted: int, read: int = 0, held_bytes: int = 0
) -> None:
    """Refuse to compare more layers of a picture than memory can hold at once.

    Call it before making any: the system grants arrays of any size, then kills the process while they are being filled.

    Args:
        picture: the source; its layers have its channels and its depth.
        size: of each layer.
        layers: how many there will be.
        painted: how many of them are shown tile by tile while being computed, each in a copy of its own.
        read: how many of them show a picture that is in memory anyway, and need memory only for display.
        held_bytes: memory held by earlier layers, which the new ones reuse or free.

    Raises:
        PictureTooLargeError: there is not enough memory.
    """
    samples = picture.pixels.shape[2] + (picture.alpha is not None)
    made_bytes = (layers - read) * samples * picture.pixels.itemsize
    needed = size.width * size.height * (made_bytes + (layers + painted) * _SCREEN_BYTES_PER_PIXEL)
    available = available_memory_bytes()
    if available is None:
        return
    available += held_bytes
    if needed > available * _MEMORY_SHARE:
        by_batch = picture.source.path is not None  # a pasted picture has no file for a batch to read
        raise PictureTooLargeError(
            f"Comparing {size.width} x {size.height} pixels needs about {needed / 1e9:.1f} GB of memory; "
            f"{available / 1e9:.1f} GB is free.",
            path=picture.source.path,
            hint=_BY_BATCH if by_batch else "Choose a smaller size.",
            through_disk=by_batch,
        )


def check_memory_to_write(sample_bytes: int, target: FileFormat, quality: int, path: str | PathLike[str]) -> None:
    """Refuse to encode a picture that would take more memory than is free.

    Args:
        sample_bytes: size of the picture's samples.
        target: file format.
        quality: 1 to 100.
        path: for the message.

    Raises:
        SaveError: there is not enough memory.
    """
    lossless_webp = target is FileFormat.WEBP and is_lossless(target, quality)
    needed = sample_bytes * (_WEBP_LOSSLESS_COPIES if lossless_webp else _WRITE_COPIES[target])
    available = available_memory_bytes()
    if available is not None and needed > available * _MEMORY_SHARE:
        raise SaveError(
            f"Writing this picture as {WRITABLE_TITLES[target]} needs about {needed / 1e9:.1f} GB "
            f"of memory; {available / 1e9:.1f} GB is free.",
            path=path,
            hint="Choose PNG or TIFF, or close other programs.",
        )


def out_of_memory(path: str | PathLike[str] | None) -> PictureTooLargeError:
    """The error for an allocation that failed although the estimate had allowed it."""
    return PictureTooLargeError(
        "There is not enough memory for this picture.",
        path=path,
        hint="Close other programs, or make the picture smaller first.",
    )
