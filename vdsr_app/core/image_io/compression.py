"""The lossy compression of a file, read without decoding it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from types import MappingProxyType
from typing import BinaryIO

from vdsr_app.core.compression import Compression
from vdsr_app.core.formats import SourceFormat
from vdsr_app.core.image_io import avif_quality, jpeg_quality, webp_quality
from vdsr_app.core.image_io.picture_file import PictureFile
from vdsr_app.core.image_io.sniff import identify
from vdsr_app.errors import PictureError

_READERS: Mapping[SourceFormat, Callable[[BinaryIO], int | None]] = MappingProxyType(
    {
        SourceFormat.JPEG: jpeg_quality.read_quality,
        SourceFormat.WEBP: webp_quality.read_quality,
        SourceFormat.AVIF: avif_quality.read_quality,
    }
)


def compression_of(path: str | PathLike[str]) -> Compression | None:
    """How a JPEG, WebP or AVIF was compressed: the same as `SourceInfo.compression` after reading the picture.

    Only the headers before the pixels are read, so this costs next to nothing. The file name does not matter.

    Returns:
        None if the file is of another format, lossless, or unreadable; in the last case reading it reports why.
    """
    try:
        with PictureFile(path) as file:
            return read_compression(file.stream, identify(file.head).format)
    except (PictureError, OSError):
        return None


def read_compression(stream: BinaryIO, source_format: SourceFormat | None) -> Compression | None:
    """Like `compression_of`, for a stream of a known format, whose position it moves; None if the format has no reader.

    Raises:
        OSError: the stream cannot be read.
    """
    if source_format is None or source_format not in _READERS:
        return None
    quality = _READERS[source_format](stream)
    return None if quality is None else Compression(source_format, quality)
