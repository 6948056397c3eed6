"""The first and last layers, from one channel to many and back, as products of small matrices too."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from vdsr_app.core.winograd.compiling import by_type, compiled
from vdsr_app.core.winograd.kernels import Floats, Halves
from vdsr_app.core.winograd.product import PANEL, ROWS, add_columns_times_panel, rows_times_panel
from vdsr_app.core.winograd.transforms import (
    load_pixels,
    store_masked_pixels,
    store_pixels,
)

_TAPS = 9
END_ROWS = 12
"""Numbers per pixel in the first layer's product: 9 taps, 1 for the bias, zeros up to a multiple of 4 and `ROWS`."""


def first_filter(weight: npt.NDArray[np.floating[Any]], bias: npt.NDArray[np.floating[Any]]) -> Floats:
    """Filter and bias of the first layer in the layout that `spread` takes.

    Args:
        weight: (channels, 1, 3, 3), channels a multiple of 16.
        bias: (channels,).

    Returns:
        (channels / 16, 12, 16) float32.
    """
    channels = len(weight)
    rows = np.zeros((END_ROWS, channels), np.float32)
    rows[:_TAPS] = weight.reshape(channels, _TAPS).T
    rows[_TAPS] = bias
    return np.ascontiguousarray(rows.reshape(END_ROWS, channels // PANEL, PANEL).transpose(1, 0, 2))


def last_filter(weight: npt.NDArray[np.floating[Any]]) -> Floats:
    """Filter of the last layer in the layout that `gather` takes.

    Args:
        weight: (1, channels, 3, 3).

    Returns:
        (channels, 16) float32, of which 9 columns are used.
    """
    columns = np.zeros((weight.shape[1], PANEL), np.float32)
    columns[:, :_TAPS] = weight.reshape(weight.shape[1], _TAPS)
    return columns


@by_type
def _in_floats(plane: Any, source: Any, count: Any, channels: Any, memory: Any) -> Any:
    """Address of a plane's pixels as floats: in place, or in `memory` after conversion."""
    if plane.dtype == types.float32:

        def where(plane: Any, source: Any, count: Any, channels: Any, memory: Any) -> Any:
            return source

    else:

        def where(plane: Any, source: Any, count: Any, channels: Any, memory: Any) -> Any:
            load_pixels(plane, source, channels, count, channels, memory.ctypes.data, channels, PANEL)
            return memory.ctypes.data

    return where


@compiled
def _put_taps(luma: Floats, y: int, start: int, count: int, taps: Floats) -> None:
    """Write the 3x3 luma around each of `count` adjacent pixels to the first nine numbers of its row in `taps`."""
    for i in range(count):
        for dy in range(3):
            for dx in range(3):
                taps[i, 3 * dy + dx] = luma[y + dy, start + i + dx]


@compiled
def spread(
    luma: Floats, filters: Floats, target: Floats | Halves, mask: Floats | Halves, box: tuple[int, int, int, int]
) -> None:
    """First layer over a box, with ReLU; or with a mask, which also yields the gradient of the last layer's input.

    Args:
        luma: (h + 2, w + 2) float32, with a ring of one pixel.
        filters: from `first_filter`.
        target: feature plane, see `kernels.plane_shape`, float32 or bfloat16.
        mask: an empty plane of that type, or one of the same shape: then, instead of ReLU, the result is 0 where this
            is not above 0.
        box: first row, last row + 1, first column, last column + 1, without the ring.
    """
    top, bottom, left, right = box
    channels, size = target.shape[2], target.itemsize
    row, masked = target.shape[1] * channels, mask.size > 0
    taps = np.zeros((ROWS, END_ROWS), np.float32)
    taps[:, _TAPS] = np.float32(1)
    made = np.empty((ROWS, channels), np.float32)
    for y in range(top, bottom):
        for start in range(left, right, ROWS):
            count = min(ROWS, right - start)
            _put_taps(luma, y, start, count, taps)
            for panel in range(channels // PANEL):
                rows_times_panel(
                    taps.ctypes.data,
                    END_ROWS,
                    filters.ctypes.data + 4 * panel * END_ROWS * PANEL,
                    made.ctypes.data + 4 * panel * PANEL,
                    channels,
                    END_ROWS,
                )
            at = size * ((y + 1) * row + (start + 1) * channels)
            write, other = target.ctypes.data + at, mask.ctypes.data + at
            if masked:
                store_masked_pixels(target, made.ctypes.data, channels, count, channels, write, channels, other)
            else:
                store_pixels(target, made.ctypes.data, channels, count, channels, write, channels, other)


@compiled
def put_where_above_zero(pixels: Floats, target: Floats | Halves, mask: Floats | Halves) -> None:
    """Write pixels to a plane where another one is above zero, and 0 elsewhere: a gradient back through a ReLU.

    Args:
        pixels: (h, w, channels) float32, contiguous.
        target: feature plane, see `kernels.plane_shape`, float32 or bfloat16; its ring is left as it is.
        mask: plane of the same type and shape.
    """
    rows, columns, channels = pixels.shape
    for y in range(rows):
        at = target.itemsize * ((y + 1) * target.shape[1] + 1) * channels
        write, other = target.ctypes.data + at, mask.ctypes.data + at
        store_masked_pixels(target, pixels[y].ctypes.data, channels, columns, channels, write, channels, other)


@compiled
def gather(
    source: Floats | Halves, filters: Floats, bias: float, target: Floats, box: tuple[int, int, int, int]
) -> None:
    """Last layer over a box.

    Args:
        source: feature plane, float32 or bfloat16.
        filters: from `last_filter`.
        bias: a scalar.
        target: (rows, columns) float32, the box alone.
        box: first row, last row + 1, first column, last column + 1, without the ring.
    """
    top, bottom, left, right = box
    channels, width = source.shape[2], source.shape[1]
    needed = right - left + 2
    # The last products of a row may reach beyond it, at most into the plane's next row; they are not used.
    products = np.zeros((3, (needed + ROWS - 1) // ROWS * ROWS, PANEL), np.float32)
    memory = np.empty((ROWS, channels), np.float32)
    for y in range(top, bottom + 2):
        made = products[y % 3]
        for start in range(0, needed, ROWS):
            at = source.ctypes.data + source.itemsize * ((y * width + left + start) * channels)
            floats = _in_floats(source, at, ROWS, channels, memory)
            rows_times_panel(floats, channels, filters.ctypes.data, made[start:].ctypes.data, PANEL, channels)
        if y >= top + 2:
            above, middle, below = products[(y - 2) % 3], products[(y - 1) % 3], products[y % 3]
            for x in range(right - left):
                target[y - 2 - top, x] = (
                    np.float32(bias)
                    + (above[x, 0] + above[x + 1, 1] + above[x + 2, 2])
                    + (middle[x, 3] + middle[x + 1, 4] + middle[x + 2, 5])
                    + (below[x, 6] + below[x + 1, 7] + below[x + 2, 8])
                )


@compiled
def add_end_gradient(luma: Floats, plane: Floats | Halves, rows: int, columns: int, out: Floats) -> None:
    """Add the contribution of one plane to the gradient of the first or last layer's filter.

    Args:
        luma: (rows + 2, columns + 2) float32, with a ring of zeros: input of the first layer, or gradient with respect
            to the output of the last one.
        plane: gradient with respect to the output of the first layer, or input of the last one.
        rows: pixels without the ring.
        columns: likewise.
        out: (12, channels) float32. Per channel, the sum of the plane's pixels times the luma at each tap is added to
            the first nine rows, and the sum of the pixels to the tenth. The last layer's taps thus come out reversed.
    """
    channels, size = plane.shape[2], plane.itemsize
    panels, depth = channels // PANEL, (columns + 3) // 4 * 4
    taps = np.zeros((depth, END_ROWS), np.float32)
    taps[:columns, _TAPS] = np.float32(1)
    values = np.zeros((panels, depth, PANEL), np.float32)
    for y in range(rows):
        _put_taps(luma, y, 0, columns, taps)
        read = plane.ctypes.data + size * ((y + 1) * plane.shape[1] + 1) * channels
        load_pixels(plane, read, channels, columns, channels, values.ctypes.data, PANEL, depth * PANEL)
        for panel in range(panels):
            b = values.ctypes.data + 4 * panel * depth * PANEL
            for i in range(0, END_ROWS, ROWS):
                c = out.ctypes.data + 4 * (i * channels + panel * PANEL)
                add_columns_times_panel(taps.ctypes.data + 4 * i, END_ROWS, b, c, channels, depth)
