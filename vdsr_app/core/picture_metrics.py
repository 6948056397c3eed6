"""PSNR and SSIM of two pictures of any size, in strips, to use little memory and react to a cancel."""

from __future__ import annotations

import math

import numpy as np

from vdsr_app.control import CancelToken, ProgressCallback
from vdsr_app.core.metrics import ssim
from vdsr_app.core.picture import Picture, Pixels
from vdsr_app.core.protocol import Score, protocol_luma
from vdsr_app.errors import ShapeMismatchError, UsageError

_STRIP_PX = 1 << 20
"""Pixels per strip; SSIM holds about a dozen float64 planes of that size."""

_SSIM_OVERLAP_PX = 10
"""Rows that neighbouring strips share: SSIM's window is 11 rows high."""


def compare_pictures(
    reference: Picture,
    estimate: Picture,
    border_px: int,
    token: CancelToken | None = None,
    on_rows: ProgressCallback | None = None,
) -> Score:
    """Compare the luma of two pictures by the protocol of the super-resolution papers; transparency is ignored.

    Args:
        reference: the true picture.
        estimate: the result, of the same size; if only one of the two is gray, it counts as RGB.
        border_px: rows and columns dropped on each side.
        token: tested between strips.
        on_rows: called with (rows done, total rows).

    Returns:
        PSNR in dB, infinite if the lumas are equal, and SSIM; the same as for the whole planes at once.

    Raises:
        ShapeMismatchError: the sizes differ.
        UsageError: less than 11 x 11 pixels are left inside the border.
        Cancelled: `token` was cancelled.
    """
    inner_rows, inner_cols = _check_sizes(reference, estimate, border_px)
    spread = reference.is_gray != estimate.is_gray
    cols = slice(border_px, border_px + inner_cols)
    step = max(1, _STRIP_PX // inner_cols)
    squares, similarity = 0.0, 0.0
    for top in range(0, inner_rows, step):
        if token is not None:
            token.raise_if_cancelled()
        bottom = min(top + step, inner_rows)
        # Windows that start in rows top:bottom extend further down.
        reach = min(bottom + _SSIM_OVERLAP_PX, inner_rows)
        rows = slice(border_px + top, border_px + reach)
        truth = protocol_luma(_rgb_if(spread, reference.pixels[rows, cols]))
        guess = protocol_luma(_rgb_if(spread, estimate.pixels[rows, cols]))
        squares += float(np.sum((truth[: bottom - top] - guess[: bottom - top]) ** 2))
        windows = reach - top - _SSIM_OVERLAP_PX
        if windows > 0:
            similarity += ssim(truth, guess, 0) * windows
        if on_rows is not None:
            on_rows(bottom, inner_rows)
    mse = squares / (inner_rows * inner_cols)
    psnr_db = math.inf if mse == 0 else 10.0 * math.log10(255.0**2 / mse)
    return Score(psnr_db, similarity / (inner_rows - _SSIM_OVERLAP_PX))


def _check_sizes(reference: Picture, estimate: Picture, border_px: int) -> tuple[int, int]:
    if reference.pixels.shape[:2] != estimate.pixels.shape[:2]:
        raise ShapeMismatchError(
            f"The reference is {reference.width} x {reference.height} pixels, "
            f"the result {estimate.width} x {estimate.height}.",
            hint="Choose a reference of the result's size, or the size of the reference as the target.",
        )
    rows, cols = reference.height - 2 * border_px, reference.width - 2 * border_px
    if min(rows, cols) <= _SSIM_OVERLAP_PX:
        raise UsageError(f"{reference.width} x {reference.height} pixels are too few to measure PSNR and SSIM.")
    return rows, cols


def _rgb_if(spread: bool, pixels: Pixels) -> Pixels:
    """(h, w, 1) -> (h, w, 3) if `spread`."""
    return np.repeat(pixels, 3, axis=2) if spread and pixels.shape[2] == 1 else pixels
