"""What a file tells of its lossy compression, without decoding it."""

from __future__ import annotations

from os import PathLike
from typing import BinaryIO

import numpy as np

from vdsr_app.core.compression import Compression
from vdsr_app.core.formats import SourceFormat
from vdsr_app.core.image_io import av1_header, heif_items, jpeg_segments, webp_quality
from vdsr_app.core.image_io.jpeg_quality import estimate_quality
from vdsr_app.core.image_io.picture_file import PictureFile
from vdsr_app.core.image_io.sniff import identify
from vdsr_app.errors import PictureError

_AV1_HEADER_BYTES = 4096
"""Enough for the headers of a picture, and metadata of HDR between them."""
_AVIF_INDICES = (0, 16, 32, 60, 76, 92, 120, 148, 172, 196, 236, 255)
_AVIF_QUALITIES = (100, 95, 90, 80, 75, 70, 60, 50, 40, 30, 10, 0)


def compression_of(path: str | PathLike[str]) -> Compression | None:
    """How a JPEG, WebP or AVIF was compressed, as `SourceInfo.compression` will give it once the picture is read.

    Only what stands before the pixels is read, so this costs next to nothing. The name of the file does not matter.

    Returns:
        None where the file is of another kind or lossless, or cannot be read: then whoever reads it will say why.
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
    quality = None
    match source_format:
        case SourceFormat.JPEG:
            table = jpeg_segments.read_info(stream).luma_table
            quality = None if table is None else estimate_quality(table)
        case SourceFormat.WEBP:
            quality = webp_quality.read_quality(stream)
        case SourceFormat.AVIF:
            index = av1_header.base_q_idx(heif_items.primary_data(stream, _AV1_HEADER_BYTES))
            quality = None if not index else avif_quality(index)
    return None if source_format is None or quality is None else Compression(source_format, quality)


def avif_quality(base_q_idx: int) -> int:
    """The setting, 0 to 100, at which libavif and libheif with libaom 3.14 and 3.15 use that index; measured."""
    return round(float(np.interp(base_q_idx, _AVIF_INDICES, _AVIF_QUALITIES)))
