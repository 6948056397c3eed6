"""Helpers for tests of compression: a test picture, and the quality estimated before and after reading a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vdsr_app.core import image_io
from vdsr_app.core.formats import SourceFormat
from vdsr_app.core.image_io.compression import compression_of


def photograph(
    width: int = 96, height: int = 96, channels: int = 3, *, grain: float = 6.0, calm: float = 0.0
) -> np.ndarray[Any, Any]:
    """Picture with edges, even areas and fine texture, (height, width, channels) uint8.

    Args:
        width: columns.
        height: rows.
        channels: 1 to 4.
        grain: standard deviation of the texture.
        calm: share of the columns, from the left, without texture.
    """
    y, x = np.mgrid[0:height, 0:width] / max(96, min(width, height))
    shapes = 120 + 70 * np.sin(7 * x + 3 * y) + 50 * ((x - 0.5) ** 2 + (y - 0.4) ** 2 < 0.08)
    texture = np.random.default_rng(0).normal(0, grain, (height, width))
    texture[:, : round(calm * width)] = 0
    plane = np.clip(shapes + texture, 0, 255).astype(np.uint8)
    return np.stack([plane, plane[::-1], plane[:, ::-1], 255 - plane][:channels], axis=-1)


def estimated_quality(path: Path, data: bytes, source_format: SourceFormat) -> int | None:
    """Quality estimated for a file of that content; checks that it is the same before and after reading."""
    path.write_bytes(data)
    before = compression_of(path)
    assert image_io.read(path).source.compression == before
    assert before is None or before.format is source_format
    return None if before is None else before.quality
