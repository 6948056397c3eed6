"""The quality setting at which an AVIF was saved, estimated from the headers of its main picture."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from vdsr_app.core.image_io import av1_header, heif_items

_READ_BYTES = 4096
"""Enough for the headers of a picture and any HDR metadata between them."""
_INDICES = (0, 16, 32, 60, 76, 92, 120, 148, 172, 196, 236, 255)
_QUALITIES = (100, 95, 90, 80, 75, 70, 60, 50, 40, 30, 10, 0)


def read_quality(stream: BinaryIO) -> int | None:
    """Estimate the quality of an AVIF file, 0 to 100, to within two for files from libavif and libheif.

    Returns:
        None if the file is lossless or damaged.
    """
    index = av1_header.base_q_idx(heif_items.primary_data(stream, _READ_BYTES))
    return quality_of_index(index) if index else None


def quality_of_index(base_q_idx: int) -> int:
    """The setting, 0 to 100, at which libavif and libheif use that index; measured with libaom 3.14 and 3.15."""
    return round(float(np.interp(base_q_idx, _INDICES, _QUALITIES)))
