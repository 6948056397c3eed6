"""The quality setting at which a JPEG was saved, estimated from its quantisation table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import log
from typing import BinaryIO

from vdsr_app.core.image_io.jpeg_segments import read_info

# ITU-T T.81, table K.1, in zigzag order as files store it.
_STANDARD_LUMA = (
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40,
    26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61, 60, 57, 51,
    56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87,
    95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
)  # fmt: skip

# Standard deviation of the coefficients of 8 x 8 blocks of luma, in zigzag order; measured over Set5 and Set14.
_PHOTO_SPREAD = (
    424, 103, 96, 52, 52, 53, 32, 34, 34, 33, 23, 23, 26, 24, 23, 16,
    17, 19, 19, 17, 17, 13, 13, 14, 15, 15, 13, 11, 8.2, 9.5, 12, 12,
    12, 11, 9.6, 8.9, 7.5, 8.5, 9.2, 9.8, 9.9, 9.0, 7.0, 6.7, 7.8, 7.9,
    7.6, 7.3, 6.7, 6.0, 6.3, 6.4, 6.2, 5.8, 5.1, 5.4, 5.4, 5.4, 4.7, 4.8,
    4.5, 4.3, 4.4, 4.0,
)  # fmt: skip


def read_quality(stream: BinaryIO) -> int | None:
    """Estimate the quality of a JPEG file; None if it has no luma table."""
    table = read_info(stream).luma_table
    return None if table is None else estimate_quality(table)


def estimate_quality(luma_table: Sequence[int]) -> int:
    """Quality, on the Independent JPEG Group's scale, whose error on a photograph is closest to that of this table.

    Exact for files from libjpeg and its derivatives. Other programs and cameras use tables of another shape;
    Photoshop's preserve fine detail that hardly any photograph has and are coarse where it matters, so the numerically
    nearest table would give far too high a quality.

    Args:
        luma_table: the 64 steps of quantisation table 0 in zigzag order.

    Returns:
        1 to 100.

    Source: `jpeg_quality_scaling` and `jpeg_add_quant_table` of libjpeg 6b (jcparam.c), inverted by trying them all.
    """
    error = _expected_error(luma_table)
    if error <= 0:  # steps of 0, which only a damaged file has
        return 100
    return max(range(1, 101), key=lambda quality: (-abs(log(_error_at(quality) / error)), quality))


def _expected_error(luma_table: Sequence[int]) -> float:
    """Expected mean squared error per coefficient, summed over all 64.

    Rounding to a step costs a twelfth of its square, but never more than the power of the coefficient.
    """
    total = 0.0
    for step, spread in zip(luma_table, _PHOTO_SPREAD, strict=True):
        rounding, power = step * step / 12, spread * spread
        total += rounding * power / (rounding + power)
    return total


@cache
def _error_at(quality: int) -> float:
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return _expected_error([min(max((step * percent + 50) // 100, 1), 255) for step in _STANDARD_LUMA])
