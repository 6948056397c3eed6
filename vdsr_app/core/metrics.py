"""PSNR and SSIM of luma planes, by the evaluation protocol of the super-resolution papers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from vdsr_app.errors import ShapeMismatchError, UsageError

Luma = npt.NDArray[np.floating[Any]]
"""(H, W) float in [0, 255]."""

_SSIM_WINDOW_PX = 11
_SSIM_SIGMA_PX = 1.5


def _shaved(reference: Luma, estimate: Luma, border_px: int) -> tuple[npt.NDArray[np.float64], ...]:
    if reference.shape != estimate.shape or reference.ndim != 2:
        raise ShapeMismatchError(f"Cannot compare planes of {reference.shape} and {estimate.shape}.")
    if min(reference.shape) <= 2 * border_px:
        raise UsageError(
            f"A border of {border_px} px leaves nothing of {reference.shape[1]} x {reference.shape[0]} px."
        )
    inner = slice(border_px, -border_px) if border_px else slice(None)
    return reference[inner, inner].astype(np.float64), estimate[inner, inner].astype(np.float64)


def psnr_db(reference: Luma, estimate: Luma, border_px: int) -> float:
    """Peak signal-to-noise ratio of two luma planes.

    Args:
        reference: (H, W) float in [0, 255]; studio-range Y, or the values of a gray file.
        estimate: same shape and range.
        border_px: rows and columns dropped on each side; the scale factor, by convention.

    Returns:
        Decibels; `inf` where the planes are equal.

    Raises:
        ShapeMismatchError: the planes differ in size.
        UsageError: the border leaves nothing.

    Source: evaluation protocol of Kim et al., CVPR 2016 (arXiv 1511.04587).
    """
    first, second = _shaved(reference, estimate, border_px)
    mse = float(np.mean((first - second) ** 2))
    return math.inf if mse == 0 else 10.0 * math.log10(255.0**2 / mse)


def _gaussian_blur_valid(plane: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(H, W) -> (H - 10, W - 10): separable Gaussian, only where the whole window lies inside."""
    reach = _SSIM_WINDOW_PX // 2
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / _SSIM_SIGMA_PX) ** 2)
    taps /= taps.sum()
    rows = plane.shape[0] - 2 * reach
    tall = sum(tap * plane[i : i + rows] for i, tap in enumerate(taps))
    cols = plane.shape[1] - 2 * reach
    return np.asarray(sum(tap * np.asarray(tall)[:, i : i + cols] for i, tap in enumerate(taps)))


def ssim(reference: Luma, estimate: Luma, border_px: int) -> float:
    """Structural similarity of two luma planes, 1 where they are equal.

    Args and errors as in `psnr_db`; what is left must be at least 11 px per side.

    Source: Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 13(4), 2004: Gaussian window 11x11 with sigma 1.5,
    K1 = 0.01, K2 = 0.03, L = 255, only windows wholly inside the plane.
    """
    first, second = _shaved(reference, estimate, border_px)
    if min(first.shape) < _SSIM_WINDOW_PX:
        raise UsageError(f"SSIM needs at least {_SSIM_WINDOW_PX} px a side after the border is dropped.")
    c1, c2 = (0.01 * 255.0) ** 2, (0.03 * 255.0) ** 2
    mean_1, mean_2 = _gaussian_blur_valid(first), _gaussian_blur_valid(second)
    var_1 = _gaussian_blur_valid(first * first) - mean_1 * mean_1
    var_2 = _gaussian_blur_valid(second * second) - mean_2 * mean_2
    covariance = _gaussian_blur_valid(first * second) - mean_1 * mean_2
    index = ((2 * mean_1 * mean_2 + c1) * (2 * covariance + c2)) / (
        (mean_1 * mean_1 + mean_2 * mean_2 + c1) * (var_1 + var_2 + c2)
    )
    return float(index.mean())
