"""The quality setting at which a JPEG was saved, from its quantisation table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

# ITU-T T.81, table K.1, in zigzag order as files store it.
_STANDARD_LUMA = (
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40,
    26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61, 60, 57, 51,
    56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87,
    95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
)  # fmt: skip


def estimate_quality(luma_table: Sequence[int]) -> int:
    """Quality on the scale of the Independent JPEG Group whose table comes nearest.

    Exact for files of libjpeg and its kin; for other programs, which scale tables of their own, a fair comparison.

    Args:
        luma_table: the 64 steps of quantisation table 0 in zigzag order.

    Returns:
        1 to 100.

    Source: `jpeg_quality_scaling` and `jpeg_add_quant_table` of libjpeg 6b (jcparam.c), inverted by trying them all.
    """
    return max(range(1, 101), key=lambda quality: (-_distance(_scaled_table(quality), luma_table), quality))


def _distance(first: Sequence[int], second: Sequence[int]) -> int:
    return sum(abs(one - other) for one, other in zip(first, second, strict=True))


@cache
def _scaled_table(quality: int) -> tuple[int, ...]:
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return tuple(min(max((step * percent + 50) // 100, 1), 255) for step in _STANDARD_LUMA)
