"""Windows of resampled axes: which samples they read and with which weights, for many windows at once.

`core.resize` makes a table of a whole axis; here each patch has its own axis and scale factor, so only the rows of a
window are made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vdsr_app.core import resize

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]

BLUR_SIGMAS = 3
"""Standard deviations at which a blur is cut off."""
_SINGLE_THREAD_PRODUCTS = 250_000
"""Multiplications up to which OpenBLAS stays in the calling thread; more would wake a pool that contends with torch."""


@dataclass(frozen=True, slots=True, eq=False)
class Taps:
    """Which input samples the samples of some windows read, as if the inputs had no ends.

    Attributes:
        left: (windows, samples) int64, first input sample.
        weights: (windows, samples, taps) float64; 0 beyond a window's own number of taps.
        taps: (windows,) number of taps of each.
        counts: (windows,) number of samples of each.
    """

    left: _Ints
    weights: _Floats
    taps: _Ints
    counts: _Ints

    @classmethod
    def of(cls, size_in: _Ints, size_out: _Ints, first: _Ints, counts: _Ints) -> Taps:
        """Bicubic, antialiased when shrinking: the values of `core.resize.axis_table`, for a window only."""
        scale = size_out / size_in
        stretch = np.minimum(scale, 1.0)
        half = (2.0 / stretch)[:, None]
        centres = (first[:, None] + np.arange(counts.max()) + 0.5) / scale[:, None] - 0.5
        left = np.floor(centres - half + 1e-9)
        taps = np.ceil(2 * half[:, 0]).astype(np.int64) + 1
        distance = (centres - left)[..., None] - np.arange(taps.max())
        distance *= stretch[:, None, None]
        weights = resize.cubic(distance)
        weights /= weights.sum(axis=2, keepdims=True)
        return cls(left.astype(np.int64), weights, taps, counts)

    @property
    def first(self) -> _Ints:
        """First input sample that each window reads."""
        return np.asarray(self.left[:, 0])

    @property
    def last(self) -> _Ints:
        """Input sample after the last that each window reads."""
        return np.asarray(self.left[np.arange(len(self.left)), self.counts - 1] + self.taps)

    def blurred(self, sigmas: _Floats) -> Taps:
        """The same for an input blurred first, by Gaussians of these standard deviations in input samples."""
        radii = np.ceil(BLUR_SIGMAS * sigmas).astype(np.int64)
        count = self.weights.shape[2]
        weights = np.zeros((*self.left.shape, count + 2 * int(radii.max())))
        weights[:, :, :count] = self.weights
        some = np.flatnonzero(sigmas)
        # distance[window, t, u]: from input sample u, counted from `radius` before the window, to blurred sample t.
        distance = np.arange(weights.shape[2]) - np.arange(count)[:, None] - radii[some, None, None]
        gauss = np.exp(-0.5 * (distance / sigmas[some, None, None]) ** 2)
        gauss[np.abs(distance) > radii[some, None, None]] = 0.0
        gauss /= gauss.sum(axis=2, keepdims=True)
        weights[some] = self.weights[some] @ gauss
        return Taps(self.left - radii[:, None], weights, self.taps + 2 * radii, self.counts)

    def matrices(self) -> list[_Floats]:
        """(samples, input) matrix of each window over the input from `first` to `last`."""
        columns = self.left - self.left[:, :1]
        dense = np.zeros((*self.left.shape, int(columns.max()) + self.weights.shape[2]))
        np.put_along_axis(dense, columns[..., None] + np.arange(self.weights.shape[2]), self.weights, axis=2)
        widths = self.last - self.first
        return [dense[i, :count, :width] for i, (count, width) in enumerate(zip(self.counts, widths, strict=True))]


def mirrored(first: int, last: int, size: int) -> _Ints:
    """Samples first:last of an axis mirrored at its ends, as indices within it."""
    indices = np.arange(first, last)
    return indices if first >= 0 and last <= size else resize.mirrored(indices, size)


def matmul(one: _Floats, other: _Floats) -> _Floats:
    """Matrix product that stays in the calling thread."""
    rows, inner, cols = len(one), *other.shape
    if rows * inner * cols <= _SINGLE_THREAD_PRODUCTS:
        return np.asarray(one @ other)
    at_once = max(1, _SINGLE_THREAD_PRODUCTS // (inner * cols))
    out = np.empty((rows, cols))
    for first in range(0, rows, at_once):
        out[first : first + at_once] = one[first : first + at_once] @ other
    return out
