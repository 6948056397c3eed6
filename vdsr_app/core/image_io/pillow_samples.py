"""Extracting the samples of a Pillow image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vdsr_app.core.picture import Pixels

if TYPE_CHECKING:
    from PIL import Image

_STRIP_PX = 1 << 21


def samples_of(image: Image.Image) -> Pixels:
    """Samples of an 8-bit image, as (H, W, C).

    Copied in groups of rows: Pillow exports a whole picture while holding the GIL, which would freeze the window.
    """
    width, height = image.size
    out = np.empty((height, width, len(image.getbands())), np.uint8)
    step = max(1, _STRIP_PX // width)
    for top in range(0, height, step):
        bottom = min(top + step, height)
        strip = np.asarray(image.crop((0, top, width, bottom)))
        out[top:bottom] = strip.reshape(bottom - top, width, -1)
    return out
