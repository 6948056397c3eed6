"""The file formats that are read and written: names, suffixes, limits. Imports no decoder."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from os import PathLike
from pathlib import PurePath
from types import MappingProxyType

from vdsr_app.core.job import FileFormat
from vdsr_app.errors import SaveError


class SourceFormat(StrEnum):
    """Formats that can be read; the value is `SourceInfo.format`."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    TIFF = "tiff"
    AVIF = "avif"
    HEIC = "heic"
    JXL = "jxl"
    BMP = "bmp"
    GIF = "gif"


TITLES: Mapping[SourceFormat, str] = MappingProxyType(
    {
        SourceFormat.JPEG: "JPEG",
        SourceFormat.PNG: "PNG",
        SourceFormat.WEBP: "WebP",
        SourceFormat.TIFF: "TIFF",
        SourceFormat.AVIF: "AVIF",
        SourceFormat.HEIC: "HEIC",
        SourceFormat.JXL: "JPEG XL",
        SourceFormat.BMP: "BMP",
        SourceFormat.GIF: "GIF",
    }
)
"""Display names."""

_SUFFIXES: Mapping[SourceFormat, tuple[str, ...]] = MappingProxyType(
    {
        SourceFormat.JPEG: (".jpg", ".jpeg", ".jpe", ".jfif"),
        SourceFormat.PNG: (".png", ".apng"),
        SourceFormat.WEBP: (".webp",),
        SourceFormat.TIFF: (".tif", ".tiff"),
        SourceFormat.AVIF: (".avif", ".avifs"),
        SourceFormat.HEIC: (".heic", ".heif", ".hif"),
        SourceFormat.JXL: (".jxl",),
        SourceFormat.BMP: (".bmp",),
        SourceFormat.GIF: (".gif",),
    }
)

READABLE_SUFFIXES: frozenset[str] = frozenset(suffix for group in _SUFFIXES.values() for suffix in group)
"""Lower-case file name suffixes, with the dot, by which pictures are found in folders.

Only a first guess: `read` goes by the bytes, whatever the name says.
"""

WRITABLE_SUFFIXES: Mapping[FileFormat, tuple[str, ...]] = MappingProxyType(
    {
        FileFormat.PNG: (".png",),
        FileFormat.JPEG: (".jpg", ".jpeg", ".jpe", ".jfif"),
        FileFormat.WEBP: (".webp",),
        FileFormat.TIFF: (".tif", ".tiff"),
        FileFormat.AVIF: (".avif",),
    }
)
"""File name suffixes that select a format, the usual one first; without those of animations."""

USUAL_SUFFIX: Mapping[FileFormat, str] = MappingProxyType(
    {target: suffixes[0] for target, suffixes in WRITABLE_SUFFIXES.items()}
)
"""The suffix of results that the program names."""

MAX_SIDE_PX: Mapping[FileFormat, int] = MappingProxyType(
    {
        FileFormat.PNG: 2**31 - 1,
        FileFormat.TIFF: 2**32 - 1,
        FileFormat.JPEG: 65_500,
        FileFormat.WEBP: 16_383,
        FileFormat.AVIF: 16_384,
    }
)
"""Longest side that can be written, in pixels.

Sources: PNG (ISO 15948) 4-byte signed, TIFF 6.0 LONG, WebP (RFC 9649) 14 bits. JPEG allows 65,535, but libjpeg
(`JPEG_MAX_DIMENSION`) stops at 65,500, so few programs could open more; libheif's encoder stops at 16,384.
"""

DEEP = frozenset({FileFormat.PNG, FileFormat.TIFF})
"""Formats that hold 16 bits per sample, so that the depth can be chosen. AVIF keeps 12 of them, the others 8."""

LOSSY = frozenset({FileFormat.JPEG, FileFormat.WEBP, FileFormat.AVIF})
"""Formats that are written with a quality setting; the others ignore it."""

STREAMED = frozenset({FileFormat.PNG, FileFormat.TIFF, FileFormat.JPEG})
"""Formats whose encoders take a picture from top to bottom and hold only a few rows; the others hold all of it."""

READABLE_TITLES = ", ".join(TITLES.values())
WRITABLE_TITLES: Mapping[FileFormat, str] = MappingProxyType(
    {target: TITLES[SourceFormat(target.value)] for target in FileFormat}
)
"""Display names of the formats that can be written."""


def is_lossless(target: FileFormat, quality: int) -> bool:
    """Whether samples are written exactly, apart from their depth: without a quality, or at 100 where that is exact.

    Args:
        target: file format.
        quality: 1 to 100.
    """
    return target not in LOSSY or (quality == 100 and target is not FileFormat.JPEG)


def format_of_suffix(path: str | PathLike[str]) -> SourceFormat | None:
    """The readable format that the file's name indicates, or None."""
    suffix = PurePath(path).suffix.lower()
    return next((name for name, suffixes in _SUFFIXES.items() if suffix in suffixes), None)


def format_for_path(path: str | PathLike[str]) -> FileFormat:
    """The format in which a file of this name is written.

    Raises:
        SaveError: the name has no suffix, or one of a format that is not written.
    """
    suffix = PurePath(path).suffix.lower()
    for target, suffixes in WRITABLE_SUFFIXES.items():
        if suffix in suffixes:
            return target
    what = f'The ending "{suffix}" belongs to no format that can be written.' if suffix else "The name has no ending."
    raise SaveError(what, path=path, hint=f"Choose one of {', '.join(WRITABLE_TITLES.values())}.")
