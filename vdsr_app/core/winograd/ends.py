"""The first and the last layer: from one channel to many and back, as products of small matrices too."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vdsr_app.core.winograd.compiling import compiled
from vdsr_app.core.winograd.kernels import Floats
from vdsr_app.core.winograd.product import PANEL, ROWS, rows_times_panel

_TAPS = 9
_DEPTH = 12
"""Numbers of a pixel in the first layer's product: 9 taps, a one for the bias, zeros up to a multiple of 4."""

_ZERO = np.float32(0)


def first_filter(weight: npt.NDArray[np.floating[Any]], bias: npt.NDArray[np.floating[Any]]) -> Floats:
    """Filter and bias of the first layer as `spread` takes them.

    Args:
        weight: (channels, 1, 3, 3), channels a multiple of 16.
        bias: (channels,).

    Returns:
        (channels / 16, 12, 16) float32.
    """
    channels = len(weight)
    rows = np.zeros((_DEPTH, channels), np.float32)
    rows[:_TAPS] = weight.reshape(channels, _TAPS).T
    rows[_TAPS] = bias
    return np.ascontiguousarray(rows.reshape(_DEPTH, channels // PANEL, PANEL).transpose(1, 0, 2))


def last_filter(weight: npt.NDArray[np.floating[Any]]) -> Floats:
    """Filter of the last layer as `gather` takes it.

    Args:
        weight: (1, channels, 3, 3).

    Returns:
        (channels, 16) float32, of which 9 columns are used.
    """
    columns = np.zeros((weight.shape[1], PANEL), np.float32)
    columns[:, :_TAPS] = weight.reshape(weight.shape[1], _TAPS)
    return columns


@compiled
def spread(luma: Floats, filters: Floats, target: Floats, box: tuple[int, int, int, int]) -> None:
    """The first layer with ReLU over a box.

    Args:
        luma: (h + 2, w + 2) float32, with a ring of one pixel.
        filters: from `first_filter`.
        target: plane of features, see `kernels.plane_shape`.
        box: first row, last row + 1, first column, last column + 1, without the ring.
    """
    top, bottom, left, right = box
    channels = target.shape[2]
    taps = np.zeros((ROWS, _DEPTH), np.float32)
    taps[:, _TAPS] = np.float32(1)
    made = np.empty((ROWS, channels), np.float32)
    for y in range(top, bottom):
        for start in range(left, right, ROWS):
            count = min(ROWS, right - start)
            for i in range(count):
                for dy in range(3):
                    for dx in range(3):
                        taps[i, 3 * dy + dx] = luma[y + dy, start + i + dx]
            for panel in range(channels // PANEL):
                rows_times_panel(
                    taps.ctypes.data,
                    _DEPTH,
                    filters.ctypes.data + 4 * panel * _DEPTH * PANEL,
                    made.ctypes.data + 4 * panel * PANEL,
                    channels,
                    _DEPTH,
                )
            for i in range(count):
                for c in range(channels):
                    value = made[i, c]
                    # So that NaN stays NaN.
                    target[y + 1, start + i + 1, c] = _ZERO if value < _ZERO else value


@compiled
def gather(source: Floats, filters: Floats, bias: float, target: Floats, box: tuple[int, int, int, int]) -> None:
    """The last layer over a box.

    Args:
        source: plane of features.
        filters: from `last_filter`.
        bias: one number.
        target: (rows, columns) float32, the box alone.
        box: first row, last row + 1, first column, last column + 1, without the ring.
    """
    top, bottom, left, right = box
    channels, width = source.shape[2], source.shape[1]
    needed = right - left + 2
    # The last products of a row may reach beyond it, at most into the plane's next row; they are not used.
    products = np.zeros((3, (needed + ROWS - 1) // ROWS * ROWS, PANEL), np.float32)
    for y in range(top, bottom + 2):
        made = products[y % 3]
        for start in range(0, needed, ROWS):
            at = source.ctypes.data + 4 * ((y * width + left + start) * channels)
            rows_times_panel(at, channels, filters.ctypes.data, made[start:].ctypes.data, PANEL, channels)
        if y >= top + 2:
            above, middle, below = products[(y - 2) % 3], products[(y - 1) % 3], products[y % 3]
            for x in range(right - left):
                target[y - 2 - top, x] = (
                    np.float32(bias)
                    + (above[x, 0] + above[x + 1, 1] + above[x + 2, 2])
                    + (middle[x, 3] + middle[x + 1, 4] + middle[x + 2, 5])
                    + (below[x, 6] + below[x + 1, 7] + below[x + 2, 8])
                )
