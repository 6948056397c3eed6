"""Mip pyramid: a picture at every power-of-two reduction, so that a view never touches pixels it cannot show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from vdsr_app.errors import ShapeMismatchError

Rgba = npt.NDArray[np.uint8]
"""(H, W, 4) uint8, red, green, blue, alpha."""

_STRIP_PX = 1 << 19
"""Most source pixels per numpy call (2 MiB): they stay in the cache, and other threads get their turn."""

_EVEN_BYTES = np.uint32(0x00FF00FF)
_EIGHT = np.uint32(8)
_TWO = np.uint32(2)


class MipPyramid:
    """Levels of a picture for the screen; level k is 2**k times smaller, down to a single pixel.

    A pixel of level k + 1 is the mean of 2 x 2 pixels of level k; if a side is odd, its last row or column is
    repeated. Level 0 has straight alpha. All others are premultiplied (equal to straight where the picture is opaque),
    so the colours of transparent pixels do not bleed into their neighbours.

    Attributes:
        levels: arrays (ceil(H / 2**k), ceil(W / 2**k), 4) uint8, C-contiguous. Their memory never moves while the
            pyramid lives, so a view may wrap it; only `write` changes its contents.
        has_alpha: whether a pixel may be less than opaque. `write` can set it, but never clears it.
    """

    def __init__(self, levels: list[Rgba], has_alpha: bool) -> None:
        self.levels = levels
        self.has_alpha = has_alpha

    @classmethod
    def from_rgba(cls, rgba: npt.NDArray[Any]) -> MipPyramid:
        """Build all levels; they take about a third more memory than the picture itself.

        Args:
            rgba: (H, W, 4) uint8, straight alpha. It becomes level 0 without a copy if it is writable and
                C-contiguous, and then belongs to the pyramid.

        Raises:
            ShapeMismatchError: `rgba` is of another shape or type, or empty.
        """
        _check_rgba(rgba)
        base = rgba if rgba.flags.c_contiguous and rgba.flags.writeable else np.array(rgba, order="C")
        pyramid = cls([base], _has_alpha(base))
        while max(base.shape[:2]) > 1:
            height, width = base.shape[:2]
            base = np.empty(((height + 1) // 2, (width + 1) // 2, 4), dtype=np.uint8)
            pyramid.levels.append(base)
            pyramid._reduce(len(pyramid.levels) - 2, 0, 0, base.shape[1], base.shape[0])
        return pyramid

    @classmethod
    def empty(cls, width: int, height: int) -> MipPyramid:
        """A fully transparent picture; only what is written into it takes memory."""
        levels = [np.zeros((height, width, 4), np.uint8)]
        while max(levels[-1].shape[:2]) > 1:
            height, width = (height + 1) // 2, (width + 1) // 2
            levels.append(np.zeros((height, width, 4), np.uint8))
        return cls(levels, has_alpha=True)

    @property
    def width(self) -> int:
        """Columns of the picture."""
        return int(self.levels[0].shape[1])

    @property
    def height(self) -> int:
        """Rows of the picture."""
        return int(self.levels[0].shape[0])

    @property
    def nbytes(self) -> int:
        """Memory of all levels in bytes."""
        return sum(level.nbytes for level in self.levels)

    def copy(self) -> MipPyramid:
        """Return a pyramid with the same pixels in memory of its own."""
        return MipPyramid([level.copy() for level in self.levels], self.has_alpha)

    def write(self, x: int, y: int, rgba: npt.NDArray[Any]) -> None:
        """Replace a block, and in every level just the pixels that it affects.

        Afterwards all levels are what `from_rgba` of the whole picture would have given.

        Args:
            x: left edge of the block in pixels of the picture.
            y: top edge.
            rgba: (h, w, 4) uint8, straight alpha.

        Raises:
            ShapeMismatchError: the block is not an RGBA array, or does not lie within the picture.
        """
        _check_rgba(rgba)
        height, width = rgba.shape[:2]
        if x < 0 or y < 0 or x + width > self.width or y + height > self.height:
            raise ShapeMismatchError(
                f"A {width} x {height} block at {x}, {y} leaves the {self.width} x {self.height} picture."
            )
        self.levels[0][y : y + height, x : x + width] = rgba
        self.has_alpha = self.has_alpha or _has_alpha(rgba)
        left, top, right, bottom = x, y, x + width, y + height
        for source in range(len(self.levels) - 1):
            left, top, right, bottom = left // 2, top // 2, (right + 1) // 2, (bottom + 1) // 2
            self._reduce(source, left, top, right, bottom)

    def _reduce(self, source: int, left: int, top: int, right: int, bottom: int) -> None:
        """Recompute pixels [left, right) x [top, bottom) of level `source` + 1 from level `source`."""
        fine, coarse = self.levels[source], self.levels[source + 1]
        premultiply = source == 0 and self.has_alpha
        for first, last in _strips(top, bottom, right - left):
            block = fine[2 * first : 2 * last, 2 * left : 2 * right]
            if premultiply:
                block = _premultiplied(block)
            # Halves are rounded up and down on alternate levels, or the small ones would become brighter and brighter.
            coarse[first:last, left:right] = _box_mean(block, round_up=source % 2 == 0)


def _check_rgba(rgba: npt.NDArray[Any]) -> None:
    if rgba.ndim != 3 or rgba.shape[2] != 4 or 0 in rgba.shape or rgba.dtype != np.uint8:
        raise ShapeMismatchError(f"A block needs (H, W, 4) uint8 pixels, not {rgba.shape} {rgba.dtype}.")


def _strips(top: int, bottom: int, width: int) -> Iterator[tuple[int, int]]:
    """Cut rows [top, bottom) of a reduced level into strips that read at most `_STRIP_PX` source pixels."""
    rows = max(1, _STRIP_PX // (4 * width))
    for first in range(top, bottom, rows):
        yield first, min(first + rows, bottom)


def _has_alpha(rgba: Rgba) -> bool:
    rows = max(1, _STRIP_PX // rgba.shape[1])
    return any(bool((rgba[row : row + rows, :, 3] != 255).any()) for row in range(0, rgba.shape[0], rows))


def _premultiplied(rgba: Rgba) -> Rgba:
    """Colours times alpha, rounded to nearest; exact in 16 bits (Blinn, "Three Wrongs Make a Right", 1995)."""
    product = rgba.astype(np.uint16)
    alpha = product[:, :, 3:].copy()
    product[:, :, :3] *= alpha
    product[:, :, 3] *= 255
    product += 128
    product += product >> 8
    product >>= 8
    return product.astype(np.uint8)


def _box_mean(rgba: Rgba, *, round_up: bool) -> Rgba:
    """Mean of each 2 x 2 block, (h, w, 4) -> (ceil(h / 2), ceil(w / 2), 4); an odd last row or column counts twice.

    A pixel is one 32-bit word. Its even and odd bytes are spread over the 16-bit halves of two words, where sums of
    four bytes cannot overflow, so that one addition serves two channels.
    """
    words = np.ascontiguousarray(rgba).view(np.uint32)[:, :, 0]  # (h, w)
    even, odd = words & _EVEN_BYTES, (words >> _EIGHT) & _EVEN_BYTES
    rounding = np.uint32(0x00020002 if round_up else 0x00010001)
    even, odd = (((_pair_sums(half) + rounding) >> _TWO) & _EVEN_BYTES for half in (even, odd))
    mean = np.ascontiguousarray(even | (odd << _EIGHT))
    return mean.view(np.uint8).reshape(*mean.shape, 4)


def _pair_sums(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Sums over 2 x 2 words; an odd last row or column counts twice."""
    height, width = words.shape
    rows = words[0 : height - height % 2 : 2] + words[1::2]
    if height % 2:
        rows = np.concatenate((rows, words[-1:] * _TWO))
    sums = rows[:, 0 : width - width % 2 : 2] + rows[:, 1::2]
    if width % 2:
        sums = np.concatenate((sums, rows[:, -1:] * _TWO), axis=1)
    return sums
