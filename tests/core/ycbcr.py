"""Conversion between RGB and YCbCr: the reference for the program, which works without Cb and Cr."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

# ITU-R BT.601-7 in studio range, as in MathWorks' rgb2ycbcr.
_RGB_TO_YCBCR = (
    np.array(
        [
            [65.481, 128.553, 24.966],
            [-37.797, -74.203, 112.0],
            [112.0, -93.786, -18.214],
        ]
    )
    / 255.0
)
_OFFSET = np.array([16.0, 128.0, 128.0])
_YCBCR_TO_RGB = np.linalg.inv(_RGB_TO_YCBCR)


def rgb_to_ycbcr(rgb: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """YCbCr of (..., 3) RGB in [0, 255]; not rounded."""
    return np.asarray(np.asarray(rgb, dtype=np.float64) @ _RGB_TO_YCBCR.T + _OFFSET)


def ycbcr_to_rgb(ycbcr: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Inverse of `rgb_to_ycbcr`; neither rounded nor clipped."""
    return np.asarray((np.asarray(ycbcr, dtype=np.float64) - _OFFSET) @ _YCBCR_TO_RGB.T)
