"""The evaluation protocol of the super-resolution papers, for `vdsr evaluate` and for validation in training.

Y of the 8-bit picture, rounded (MATLAB's rgb2ycbcr on uint8; a gray file is its own luma), is cropped to a multiple of
the scale factor, then downscaled by antialiased bicubic and enlarged by bicubic, both unrounded as in the authors'
release. The result is rounded to 8 bits, and a border as wide as the scale factor is dropped. This reproduces published
bicubic values to 0.001 dB.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from vdsr_app.core.color import rgb_to_luma
from vdsr_app.core.metrics import psnr_db, ssim
from vdsr_app.core.resize import resize
from vdsr_app.errors import UsageError

Plane = npt.NDArray[np.float64]
"""(H, W) float64 in [0, 255]."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One picture at one scale factor.

    Attributes:
        reference: luma of the picture, whole numbers, (H, W) in [0, 255].
        bicubic: input of the network, of the same size; neither rounded nor clipped.
        border_px: rows and columns that the metrics drop on each side.
    """

    reference: Plane
    bicubic: Plane
    border_px: int


@dataclass(frozen=True, slots=True)
class Score:
    """PSNR in dB, infinite if nothing differs, and SSIM of one result."""

    psnr_db: float
    ssim: float


def protocol_luma(pixels: npt.NDArray[Any]) -> Plane:
    """Rounded luma of (H, W, 1 or 3) uint8 pixels, (H, W) in [0, 255]; 16-bit pixels are reduced to 8 bits first."""
    if pixels.dtype == np.uint16:
        pixels = np.rint(pixels / 257.0)
    if pixels.shape[2] == 1:
        return pixels[..., 0].astype(np.float64)
    return np.asarray(np.floor(rgb_to_luma(pixels) + 0.5))


def make_trial(luma: Plane, scale: float) -> Trial:
    """Downscale and enlarge `luma` by `scale`.

    Args:
        luma: (H, W) from `protocol_luma`.
        scale: factor above 1; with a factor such as 2.5 the picture is cropped to a multiple of 5.

    Raises:
        UsageError: the picture is too small for the factor and the metrics' windows.
    """
    factor = Fraction(scale).limit_denominator(20)
    height, width = (size - size % factor.numerator for size in luma.shape)
    border_px = math.ceil(scale)
    if min(height, width) < 2 * border_px + 11:
        raise UsageError(f"{luma.shape[1]} x {luma.shape[0]} px is too small to evaluate at x{scale:g}.")
    reference = luma[:height, :width]
    small = resize(reference, round(height / factor), round(width / factor), dtype=np.float64)
    return Trial(reference, np.asarray(resize(small, height, width, dtype=np.float64)), border_px)


def score(trial: Trial, estimate: npt.NDArray[Any]) -> Score:
    """PSNR and SSIM of `estimate`, (H, W) in [0, 255]; it is rounded and clipped to 8 bits first."""
    rounded = np.clip(np.floor(np.asarray(estimate, dtype=np.float64) + 0.5), 0, 255)
    return Score(psnr_db(trial.reference, rounded, trial.border_px), ssim(trial.reference, rounded, trial.border_px))
