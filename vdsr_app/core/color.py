"""Colour as the super-resolution literature measures it: BT.601 luma in studio range, as MATLAB's rgb2ycbcr.

Luma Y runs from 16 (black) to 235 (white) on the 8-bit scale, so a step of 1 in Y is a step of 255/219 in each of
R, G and B. The network sees Y / 255.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]

LUMA_WEIGHTS = (65.481 / 255.0, 128.553 / 255.0, 24.966 / 255.0)
"""Weights of R, G and B in Y - 16, all on the same scale. Source: ITU-R BT.601-7; MathWorks' rgb2ycbcr."""

LUMA_OFFSET = 16.0 / 255.0
"""Y of black, as a fraction of full scale."""

RGB_PER_LUMA = 255.0 / 219.0
"""Change in each of R, G and B per unit of Y, with Cb and Cr constant. Source: inverse of BT.601's matrix."""


def rgb_to_luma(rgb: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Luma of (..., 3) RGB in [0, 255]: float64 in [16, 235], not rounded."""
    return np.asarray(np.asarray(rgb, dtype=np.float64) @ LUMA_WEIGHTS + 16.0)


def gray_to_luma(gray: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Luma of gray in [0, 255], any shape, equal to `rgb_to_luma` of R = G = B: float64 in [16, 235], not rounded."""
    return np.asarray(np.asarray(gray, dtype=np.float64) / RGB_PER_LUMA + 16.0)


def luma_to_gray(luma: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The inverse of `gray_to_luma`; float64, neither rounded nor clipped."""
    return np.asarray((np.asarray(luma, dtype=np.float64) - 16.0) * RGB_PER_LUMA)


def network_luma(pixels: FloatArray, full_scale: float) -> npt.NDArray[np.float32]:
    """Luma of `pixels`, as input of the network.

    Args:
        pixels: (H, W, 1 or 3) float, from black 0 to white `full_scale`; a single channel counts as R = G = B.
        full_scale: 255 or 65535.

    Returns:
        (H, W) float32 in studio range, with 1 as full scale.
    """
    # Gray is not passed in full range, as in the papers' protocol: the network was trained on pictures in colour, and
    # a gray picture should give the same result as its copy in RGB.
    shares = LUMA_WEIGHTS if pixels.shape[2] == 3 else (sum(LUMA_WEIGHTS),)
    weights = np.array(shares, dtype=np.float32) / np.float32(full_scale)
    return np.asarray(pixels.astype(np.float32, copy=False) @ weights + np.float32(LUMA_OFFSET), dtype=np.float32)
