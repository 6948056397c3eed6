"""Small versions of pictures for lists, made in a worker's thread. No torch."""

from __future__ import annotations

import logging
from pathlib import Path

from vdsr_app.core.picture import Pixels
from vdsr_app.errors import VdsrError
from vdsr_app.workers.runner import JobContext

logger = logging.getLogger(__name__)


def thumbnail(path: Path, side_px: int, context: JobContext) -> tuple[Path, Pixels | None]:
    """A picture halved until its short side is below 2 * `side_px`: (H, W, 4) uint8 for display, None if unreadable."""
    from vdsr_app.core.display import picture_to_rgba
    from vdsr_app.core.image_io import read

    try:
        rgba = picture_to_rgba(read(path, token=context.token), context.token)
    except VdsrError as error:
        logger.info("No thumbnail: %s", error)
        return path, None
    while min(rgba.shape[:2]) >= 2 * side_px:
        height, width = (size // 2 * 2 for size in rgba.shape[:2])
        blocks = rgba[:height, :width].reshape(height // 2, 2, width // 2, 2, 4)
        rgba = blocks.mean(axis=(1, 3), dtype="float32").astype("uint8")
    return path, rgba
