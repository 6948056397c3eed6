"""Taking the samples out of a Pillow image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vdsr_app.core.picture import Pixels

if TYPE_CHECKING:
    from PIL import Image

_STRIP_PX = 1 << 21


def samples_of(image: Image.Image) -> Pixels:
    """Samples of an 8-bit image, as (H, W, C).

    Row by row group, for Pillow hands out whole pictures under the interpreter lock and the window would stand still.
    """
    width, height = image.size
    out = np.empty((height, width, len(image.getbands())), np.uint8)
    step = max(1, _STRIP_PX // width)
    for top in range(0, height, step):
        bottom = min(top + step, height)
        strip = np.asarray(image.crop((0, top, width, bottom)))
        out[top:bottom] = strip.reshape(bottom - top, width, -1)
    return out
