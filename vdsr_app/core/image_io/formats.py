"""The file formats that are read and written, their names and their limits."""

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
"""Names for people."""

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
"""Lower-case file name endings, with the dot, under which pictures are looked for in folders.

Only a first guess: `read` goes by what the bytes are, whatever the name says.
"""

WRITABLE_FORMATS: Mapping[FileFormat, tuple[str, ...]] = MappingProxyType(
    {target: _SUFFIXES[SourceFormat(target.value)] for target in FileFormat}
)
"""File name endings of each format that can be written, the usual one first."""

MAX_SIDE_PX: Mapping[FileFormat, int] = MappingProxyType(
    {
        FileFormat.PNG: 2**31 - 1,
        FileFormat.TIFF: 2**32 - 1,
        FileFormat.JPEG: 65_500,
        FileFormat.WEBP: 16_383,
        FileFormat.AVIF: 16_384,
    }
)
"""Longest side that can be written.

Sources: PNG (ISO 15948) 4-byte signed, TIFF 6.0 LONG, WebP (RFC 9649) 14 bits. JPEG allows 65,535, but libjpeg
(`JPEG_MAX_DIMENSION`) stops at 65,500, so few programs could open more; libheif's encoder stops at 16,384.
"""

READABLE_TITLES = ", ".join(TITLES.values())
WRITABLE_TITLES = ", ".join(TITLES[SourceFormat(target.value)] for target in FileFormat)


def format_of_suffix(path: str | PathLike[str]) -> SourceFormat | None:
    """The readable format that the file's name promises, or None."""
    suffix = PurePath(path).suffix.lower()
    return next((name for name, suffixes in _SUFFIXES.items() if suffix in suffixes), None)


def format_for_path(path: str | PathLike[str]) -> FileFormat:
    """The format in which a file of this name is written.

    Raises:
        SaveError: the name has no ending, or one of a format that is not written.
    """
    suffix = PurePath(path).suffix.lower()
    for target, suffixes in WRITABLE_FORMATS.items():
        if suffix in suffixes:
            return target
    what = f'The ending "{suffix}" belongs to no format that can be written.' if suffix else "The name has no ending."
    raise SaveError(what, path=path, hint=f"Choose one of {WRITABLE_TITLES}.")
