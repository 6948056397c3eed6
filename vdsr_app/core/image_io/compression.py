"""What a file tells of its lossy compression, without decoding it."""

from __future__ import annotations

from os import PathLike
from typing import BinaryIO

from vdsr_app.core.compression import Compression
from vdsr_app.core.formats import SourceFormat
from vdsr_app.core.image_io import jpeg_segments, webp_quality
from vdsr_app.core.image_io.jpeg_quality import estimate_quality
from vdsr_app.core.image_io.picture_file import PictureFile
from vdsr_app.core.image_io.sniff import identify
from vdsr_app.errors import PictureError


def compression_of(path: str | PathLike[str]) -> Compression | None:
    """How a JPEG or a lossy WebP was compressed, as `SourceInfo.compression` will give it once the picture is read.

    Only what stands before the pixels is read, so this costs next to nothing. The name of the file does not matter.

    Returns:
        None where the file is of another kind, or cannot be read: then whoever reads the picture will say why.
    """
    try:
        with PictureFile(path) as file:
            return read_compression(file.stream, identify(file.head).format)
    except (PictureError, OSError):
        return None


def read_compression(stream: BinaryIO, source_format: SourceFormat | None) -> Compression | None:
    """Likewise for a stream, whose place it moves, of a format; None for one that is not known.

    Raises:
        OSError: the stream cannot be read.
    """
    match source_format:
        case SourceFormat.JPEG:
            return of_jpeg(jpeg_segments.read_info(stream))
        case SourceFormat.WEBP:
            quality = webp_quality.read_quality(stream)
            return None if quality is None else Compression(SourceFormat.WEBP, quality)
        case _:
            return None


def of_jpeg(info: jpeg_segments.JpegInfo) -> Compression | None:
    """That of a JPEG, by its segments."""
    table = info.luma_table
    return None if table is None else Compression(SourceFormat.JPEG, estimate_quality(table))
