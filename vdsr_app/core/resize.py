"""Separable resampling that reproduces MATLAB's imresize: bicubic, and three other kernels for comparison.

Each axis is described by a small table: for each output sample, the input samples it reads and their weights. An
output window reads only its own rows of the table, so the cost of a tile is in proportion to its size, and it equals
the same window of the whole result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from vdsr_app.errors import UsageError

FloatArray = npt.NDArray[np.floating[Any]]
_Kernel = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]


def _box(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return ((x >= -0.5) & (x < 0.5)).astype(np.float64)


def _triangle(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.maximum(0.0, 1.0 - np.abs(x))


def cubic(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Weights of a cubic kernel at distances in samples; 0 from 2 on.

    Source: Keys, "Cubic convolution interpolation for digital image processing", 1981, with a = -0.5.
    """
    ax = np.minimum(np.abs(x), 2.0)  # where the outer piece is 0
    inner = (1.5 * ax - 2.5) * ax * ax + 1.0
    outer = ((-0.5 * ax + 2.5) * ax - 4.0) * ax + 2.0
    return np.where(ax <= 1.0, inner, outer)


def _lanczos3(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(np.abs(x) < 3.0, np.sinc(x) * np.sinc(x / 3.0), 0.0)


_KERNELS: dict[str, tuple[_Kernel, float]] = {
    "nearest": (_box, 1.0),
    "bilinear": (_triangle, 2.0),
    "bicubic": (cubic, 4.0),
    "lanczos": (_lanczos3, 6.0),
}
KERNELS = tuple(_KERNELS)
"""Names of the kernels, simplest first."""


@dataclass(frozen=True, slots=True, eq=False)
class AxisTable:
    """How one axis is resampled.

    Attributes:
        indices: (out, taps) int64, input positions, mirrored at the ends.
        weights: (out, taps) float64, each row sums to 1.
    """

    indices: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float64]

    def window(self, start: int, stop: int) -> tuple[int, int, npt.NDArray[np.float64]]:
        """Input range [first, last) that outputs start:stop read, and the (stop-start, last-first) matrix."""
        indices, weights = self.indices[start:stop], self.weights[start:stop]
        first, last = int(indices.min()), int(indices.max()) + 1
        matrix = np.zeros((stop - start, last - first))
        # add.at: a mirrored edge reads one input sample more than once.
        np.add.at(matrix, (np.arange(stop - start)[:, None], indices - first), weights)
        return first, last, matrix


@lru_cache(maxsize=32)
def axis_table(size_in: int, size_out: int, kernel: str = "bicubic", antialias: bool = True) -> AxisTable:
    """Table that resamples `size_in` samples to `size_out`.

    Sample centres map as in MATLAB's imresize when it is given an output size; edges are mirrored with the edge
    sample repeated. When shrinking with `antialias`, the kernel is stretched by the inverse of the factor.

    Raises:
        UsageError: unknown kernel, or a size below 1.

    Source: MathWorks' documentation of imresize; the mapping u = x / s + (1 - 1 / s) / 2 for 1-based x.
    """
    if kernel not in _KERNELS:
        raise UsageError(f"'{kernel}' is not a kernel.", hint=f"Choose one of {', '.join(KERNELS)}.")
    if size_in < 1 or size_out < 1:
        raise UsageError(f"Cannot resize {size_in} samples to {size_out}.")
    function, width = _KERNELS[kernel]
    scale = size_out / size_in
    stretch = min(scale, 1.0) if antialias and kernel != "nearest" else 1.0
    width /= stretch
    centres = (np.arange(size_out) + 0.5) / scale - 0.5
    left = np.floor(centres - width / 2 + 1e-9).astype(np.int64)
    indices = left[:, None] + np.arange(math.ceil(width) + 2)
    weights = function((centres[:, None] - indices) * stretch)
    weights /= weights.sum(axis=1, keepdims=True)
    used = np.flatnonzero(np.abs(weights).max(axis=0) > 0)
    indices, weights = indices[:, used], np.ascontiguousarray(weights[:, used])
    return AxisTable(mirrored(indices, size_in), weights)


def mirrored(indices: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """Fold positions on an axis that is mirrored at its ends, the edge sample repeated, into [0, size)."""
    folded = np.mod(indices, 2 * size)
    return np.where(folded < size, folded, 2 * size - 1 - folded)


def resize_region(
    pixels: npt.NDArray[Any],
    out_h: int,
    out_w: int,
    rows: slice,
    cols: slice,
    kernel: str = "bicubic",
    *,
    antialias: bool = True,
    dtype: npt.DTypeLike = np.float32,
) -> FloatArray:
    """One window of `pixels` resized to (out_h, out_w).

    Args:
        pixels: (H, W) or (H, W, C), any real dtype and range.
        out_h: rows of the whole result.
        out_w: columns of the whole result.
        rows: window of rows, `slice(start, stop)` within the result.
        cols: window of columns.
        kernel: one of `KERNELS`.
        antialias: widen the kernel when shrinking.
        dtype: float32 or float64, of the arithmetic and the result.

    Returns:
        (rows, cols[, C]) in the units of `pixels`; neither clipped nor rounded.

    Raises:
        UsageError: unknown kernel, or a size below 1.
    """
    row_first, row_last, vertical = axis_table(pixels.shape[0], out_h, kernel, antialias).window(rows.start, rows.stop)
    col_first, col_last, horizontal = axis_table(pixels.shape[1], out_w, kernel, antialias).window(
        cols.start, cols.stop
    )
    patch = pixels[row_first:row_last, col_first:col_last].astype(dtype)
    return both_axes(vertical.astype(dtype), patch, horizontal.astype(dtype))


def both_axes(vertical: FloatArray, patch: FloatArray, horizontal: FloatArray) -> FloatArray:
    """Apply a matrix to each axis of a patch.

    Args:
        vertical: (rows, h).
        patch: (h, w) or (h, w, C).
        horizontal: (cols, w).

    Returns:
        (rows, cols[, C]), C-contiguous, of the dtype of the arguments.
    """
    if patch.ndim == 2:
        return np.asarray(vertical @ patch @ horizontal.T)
    height, width, channels = patch.shape
    # Channel by channel, so that both are products of large matrices: with the channels last, the second would be a
    # product of a few columns for each row, at which BLAS is ten times slower.
    planes = np.ascontiguousarray(patch.transpose(0, 2, 1))  # (h, C, w)
    # MATLAB resizes the axis with the smaller factor first; without rounding in between, the order does not matter.
    half = (vertical @ planes.reshape(height, -1)).reshape(-1, width)  # (rows * C, w)
    wide = (half @ horizontal.T).reshape(len(vertical), channels, -1)  # (rows, C, cols)
    return np.ascontiguousarray(wide.transpose(0, 2, 1))


def resize(
    pixels: npt.NDArray[Any],
    out_h: int,
    out_w: int,
    kernel: str = "bicubic",
    *,
    antialias: bool = True,
    dtype: npt.DTypeLike = np.float32,
    strip_px: int = 256,
) -> FloatArray:
    """Resize all of `pixels` to (out_h, out_w); arguments and result as in `resize_region`.

    Works in blocks of `strip_px` rows and columns, so the dense matrices stay small on large pictures.

    Raises:
        UsageError: unknown kernel, or a size below 1.
    """
    if out_h < 1 or out_w < 1:
        raise UsageError(f"Cannot resize to {out_w} x {out_h} px.")
    out = np.empty((out_h, out_w, *pixels.shape[2:]), dtype=dtype)
    for top in range(0, out_h, strip_px):
        rows = slice(top, min(top + strip_px, out_h))
        for left in range(0, out_w, strip_px):
            cols = slice(left, min(left + strip_px, out_w))
            out[rows, cols] = resize_region(pixels, out_h, out_w, rows, cols, kernel, antialias=antialias, dtype=dtype)
    return out
