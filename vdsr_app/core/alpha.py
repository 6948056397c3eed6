"""Enlarging a picture with transparency, window by window and without colour fringes.

With straight alpha, fully transparent pixels still have a colour, often black or whatever the editor left there.
Interpolated like visible colour, it bleeds across the edge. Three measures together prevent that:

- Colours are weighted with alpha, so that enlarging the picture and compositing it over a background gives the same
  result as compositing first and enlarging afterwards.
- Where almost nothing shows, the weights carry no information. There the colours come from a fill that extends the
  visible ones smoothly.
- The network sees these colours, so the edge of the transparency is not an edge in the luma either.

Alpha itself is interpolated with the same kernel and clipped.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vdsr_app.control import CancelToken
from vdsr_app.core.picture import Pixels
from vdsr_app.core.resize import axis_table, both_axes, resize_region
from vdsr_app.core.tiling import plan_tiles

FloatPixels = npt.NDArray[np.float32]

_FAINT = 1.0 / 32.0
"""Alpha, 0 to 1, below which interpolated colours fade from the alpha-weighted mean to the plain one."""

_BLOCK_PX = 256
"""Rows, or rows and columns, processed at a time, an even number; avoids converting whole pictures to float."""


class PictureResampler:
    """Resamples windows of a picture to another size.

    Attributes:
        height: rows of the whole result.
        width: columns of the whole result.
    """

    def __init__(
        self,
        pixels: Pixels,
        alpha: Pixels | None,
        height: int,
        width: int,
        kernel: str = "bicubic",
        token: CancelToken | None = None,
    ) -> None:
        """Prepare to resample `pixels`.

        Args:
            pixels: (H, W, C) uint8 or uint16.
            alpha: (H, W) of the same dtype, or None.
            height: rows of the whole result.
            width: columns of the whole result.
            kernel: as in `resize_region`.
            token: tested while the fill is computed, which reads the whole picture.

        Raises:
            Cancelled: `token` was cancelled.
        """
        self.height = height
        self.width = width
        self._pixels = pixels
        self._alpha = alpha
        self._kernel = kernel
        self._full_scale = float(np.iinfo(pixels.dtype).max)
        # Nearest neighbour mixes no pixels, so there is nothing to keep apart.
        self._mixes = alpha is not None and kernel != "nearest"
        self._fill = half_size_fill(pixels, alpha, token) if alpha is not None and self._mixes else None

    def region(self, rows: slice, cols: slice) -> tuple[FloatPixels, FloatPixels | None]:
        """Compute one window of the result.

        Args:
            rows: `slice(start, stop)` within the result.
            cols: likewise.

        Returns:
            Colours (h, w, C) float32 in the units of the picture, neither clipped nor rounded, and alpha (h, w) float32
            from 0 to full scale, or None.
        """
        if self._alpha is None:
            return self._plain(self._pixels, rows, cols), None
        if not self._mixes:
            return self._plain(self._pixels, rows, cols), self._plain(self._alpha, rows, cols)
        top, bottom, vertical = axis_table(self._pixels.shape[0], self.height, self._kernel).window(
            rows.start, rows.stop
        )
        left, right, horizontal = axis_table(self._pixels.shape[1], self.width, self._kernel).window(
            cols.start, cols.stop
        )
        window = (slice(top, bottom), slice(left, right))
        alpha = self._alpha[window]
        least = alpha.min()
        if least > 0 and least == alpha.max():
            return self._plain(self._pixels, rows, cols), np.full(
                (rows.stop - rows.start, cols.stop - cols.start), least, np.float32
            )
        colours = self._filled(window)
        share = alpha.astype(np.float32)[..., None] / self._full_scale
        stack = np.concatenate([colours, colours * share, share], axis=2)  # (h, w, 2 * C + 1)
        return self._unmixed(
            np.asarray(both_axes(vertical.astype(np.float32), stack, horizontal.astype(np.float32)), np.float32)
        )

    def _plain(self, plane: Pixels, rows: slice, cols: slice) -> FloatPixels:
        region = resize_region(plane, self.height, self.width, rows, cols, self._kernel)
        return np.asarray(region, dtype=np.float32)

    def _filled(self, window: tuple[slice, slice]) -> FloatPixels:
        """Colours of a window of the source, with the fill where alpha is 0."""
        colours: FloatPixels = self._pixels[window].astype(np.float32)
        if self._fill is not None and self._alpha is not None:
            hidden = self._alpha[window] == 0
            if hidden.any():
                colours[hidden] = _doubled(self._fill, *window)[hidden]
        return colours

    def _unmixed(self, mixed: FloatPixels) -> tuple[FloatPixels, FloatPixels]:
        """Colours and alpha from the interpolated stack (h, w, [plain colours, colours * alpha, alpha])."""
        channels = mixed.shape[2] // 2
        plain, weighted, alpha = mixed[..., :channels], mixed[..., channels:-1], mixed[..., -1:]
        # From _FAINT up, the weighted mean, weighted / alpha; below, increasingly the plain one. The squares make the
        # transition smooth at both ends: at 0 a quotient would jump with the sign of a rounding error.
        seen = np.maximum(alpha, 0.0)
        at_least = np.maximum(alpha, np.float32(_FAINT))
        colours = weighted * (seen / at_least**2) + plain * (1.0 - (seen / at_least) ** 2)
        # With kernels that have negative lobes, the divisor can be small at an edge: bound the overshoot.
        margin = self._full_scale / 2
        np.clip(colours, -margin, self._full_scale + margin, out=colours)
        return colours, np.clip(alpha[..., 0], 0.0, 1.0) * np.float32(self._full_scale)


def half_size_fill(pixels: Pixels, alpha: Pixels, token: CancelToken | None = None) -> Pixels | None:
    """Colours for hidden pixels, extended from the visible ones.

    Pull: each level halves the picture, averaging 2x2 pixels weighted with alpha. Push: the hidden pixels of a level
    are interpolated bilinearly from the next smaller one.

    Args:
        pixels: (H, W, C) uint8 or uint16.
        alpha: (H, W) of the same dtype.
        token: tested between blocks.

    Returns:
        (ceil(H / 2), ceil(W / 2), C) of the same dtype, or None if every pixel shows or none does.

    Raises:
        Cancelled: `token` was cancelled.

    Source: Gortler et al., "The lumigraph", SIGGRAPH 1996, section 3.4 (pull-push).
    """
    if alpha.min() > 0 or alpha.max() == 0:
        return None
    return _filled_level(*_halved(pixels, alpha, token), token)


def _filled_level(colours: Pixels, shows: Pixels, token: CancelToken | None) -> Pixels:
    """Fill, in place, the pixels of one level where `shows` is 0."""
    if shows.min() > 0:
        return colours
    coarse = _filled_level(*_halved(colours, shows, token), token)
    height, width = shows.shape
    for tile in plan_tiles(width, height, _BLOCK_PX, 0):
        if token is not None:
            token.raise_if_cancelled()
        window = (tile.core.rows, tile.core.cols)
        hidden = shows[window] == 0
        if hidden.any():
            colours[window][hidden] = np.rint(_doubled(coarse, *window)[hidden])
    return colours


def _doubled(coarse: Pixels, rows: slice, cols: slice) -> FloatPixels:
    """Window of `coarse` enlarged bilinearly to twice its size."""
    height, width = coarse.shape[:2]
    region = resize_region(coarse, 2 * height, 2 * width, rows, cols, "bilinear")
    return np.asarray(region, dtype=np.float32)


def _halved(colours: Pixels, shows: Pixels, token: CancelToken | None) -> tuple[Pixels, Pixels]:
    """Level of half the size: weighted mean of each 2x2 block, and the largest of its weights."""
    height, width, channels = colours.shape
    half_h, half_w = (height + 1) // 2, (width + 1) // 2
    out = np.zeros((half_h, half_w, channels), colours.dtype)
    out_shows = np.zeros((half_h, half_w), shows.dtype)
    for top in range(0, height, _BLOCK_PX):
        if token is not None:
            token.raise_if_cancelled()
        weight = _even(shows[top : top + _BLOCK_PX])
        colour = _even(colours[top : top + _BLOCK_PX]).astype(np.float32)
        colour *= weight[..., None]
        total = np.maximum(_sum_2x2(weight.astype(np.float32)), 1.0)
        rows = slice(top // 2, top // 2 + total.shape[0])
        out[rows] = np.rint(_sum_2x2(colour) / total[..., None])
        out_shows[rows] = np.maximum(
            np.maximum(weight[0::2, 0::2], weight[0::2, 1::2]), np.maximum(weight[1::2, 0::2], weight[1::2, 1::2])
        )
    return out, out_shows


def _even(plane: Pixels) -> Pixels:
    """`plane` padded with a row and a column of zeros where its sides are odd."""
    odd = [(0, side % 2) for side in plane.shape[:2]]
    return np.pad(plane, [*odd, *[(0, 0)] * (plane.ndim - 2)]) if any(after for _, after in odd) else plane


def _sum_2x2(plane: FloatPixels) -> FloatPixels:
    tall = plane[0::2] + plane[1::2]
    return np.asarray(tall[:, 0::2] + tall[:, 1::2])
