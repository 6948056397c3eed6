"""Pixels of images for the screen."""

from __future__ import annotations

import numpy as np
from PySide6.QtGui import QImage

from vdsr_app.core.pyramid import Rgba


def rgba_from_qimage(image: QImage) -> Rgba:
    """Return (H, W, 4) uint8 with straight alpha, in its own memory."""
    converted = image.convertToFormat(QImage.Format.Format_RGBA8888)
    rows = np.frombuffer(converted.constBits(), dtype=np.uint8).reshape(converted.height(), converted.bytesPerLine())
    return rows[:, : 4 * converted.width()].reshape(converted.height(), converted.width(), 4).copy()
