"""Converts pictures for the screen: 8-bit RGBA in sRGB, whatever the file was."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from vdsr_app.control import CancelToken
from vdsr_app.core.picture import Picture, Pixels

logger = logging.getLogger(__name__)

_CHUNK_PX = 1 << 18
"""Pixels converted in one go: a few milliseconds, so a cancel or another thread never waits long."""

_SAMPLE_LEVELS = (0, 16, 51, 102, 153, 204, 255)
_IDENTITY_TOLERANCE = 1
"""Levels, of 255, by which rounding may make an sRGB profile differ from the identity."""


def to_8_bits(samples: Pixels) -> Pixels:
    """Round uint8 or uint16 samples of any shape to the nearest of 256 levels; uint8 is returned uncopied."""
    if samples.dtype == np.uint8:
        return samples
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def picture_to_rgba(picture: Picture, token: CancelToken | None = None) -> Pixels:
    """Convert a whole picture for the screen: (H, W, 4) uint8, straight alpha, sRGB.

    Raises:
        Cancelled: `token` was cancelled.
    """
    return pixels_to_rgba(picture.pixels, picture.alpha, picture.icc, token)


def pixels_to_rgba(
    pixels: Pixels, alpha: Pixels | None = None, icc: bytes | None = None, token: CancelToken | None = None
) -> Pixels:
    """Convert a block of a picture, or all of it; safe from any thread.

    Args:
        pixels: (h, w, 1 or 3) uint8 or uint16.
        alpha: (h, w), straight, same dtype, or None for opaque.
        icc: profile of `pixels`. If it is missing, damaged, unsuitable or sRGB by any name, colours are not changed.
        token: tested every few milliseconds.

    Returns:
        (h, w, 4) uint8, C-contiguous, straight alpha, sRGB.

    Raises:
        Cancelled: `token` was cancelled.
    """
    height, width = pixels.shape[:2]
    transform = None if icc is None else _transform_to_srgb(icc, pixels.shape[2] == 1)
    out = np.empty((height, width, 4), dtype=np.uint8)
    for rows in _row_chunks(height, width):
        if token is not None:
            token.raise_if_cancelled()
        block = to_8_bits(pixels[rows])
        out[rows, :, :3] = block if transform is None else _apply(transform, block)
        out[rows, :, 3] = 255 if alpha is None else to_8_bits(alpha[rows])
    return out


def _row_chunks(height: int, width: int) -> Iterator[slice]:
    step = max(1, _CHUNK_PX // width)
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))


@lru_cache(maxsize=8)
def _transform_to_srgb(icc: bytes, gray: bool) -> ImageCms.ImageCmsTransform | None:
    """Transform from `icc` to sRGB, or None if it would change nothing or cannot be built."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        space = profile.profile.xcolor_space.strip()
        if space != "RGB" and not (space == "GRAY" and gray):
            logger.warning("A colour profile for %s does not fit these pixels; it is ignored on the screen.", space)
            return None
        transform = ImageCms.buildTransform(
            profile,
            ImageCms.createProfile("sRGB"),
            "L" if space == "GRAY" else "RGB",
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return None if _changes_nothing(transform) else transform
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        logger.warning("A damaged colour profile is ignored on the screen: %s", error)
        return None


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether colours across the whole range come out unchanged: an sRGB profile by whatever name."""
    levels = np.array(_SAMPLE_LEVELS, dtype=np.uint8)
    if transform.input_mode == "L":
        samples = levels[None, :, None]  # (1, n, 1)
    else:
        grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1)
        samples = grid.reshape(1, -1, 3)  # (1, n^3, 3)
    change = _apply(transform, samples).astype(np.int16) - samples
    return int(np.abs(change).max()) <= _IDENTITY_TOLERANCE


def _apply(transform: ImageCms.ImageCmsTransform, block: Pixels) -> Pixels:
    """(h, w, 1 or 3) uint8 -> (h, w, 3) uint8; a single channel is repeated if the profile is for RGB."""
    if transform.input_mode == "L":
        image = Image.fromarray(np.ascontiguousarray(block[..., 0]))
    else:
        image = Image.fromarray(np.ascontiguousarray(np.broadcast_to(block, (*block.shape[:2], 3))))
    shown = ImageCms.applyTransform(image, transform)
    assert shown is not None  # only an in-place transform returns None
    return np.asarray(shown)
