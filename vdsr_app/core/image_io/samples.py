"""Arithmetic on samples: depth, orientation, transparency; in strips, which saves memory and lets other threads run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from vdsr_app.core.picture import Pixels
from vdsr_app.core.scratch import Allocator, in_memory
from vdsr_app.core.tiling import plan_tiles

_STRIP_SAMPLES = 1 << 21
"""Samples processed at a time."""
_TURN_PX = 512


def scale_depth(samples: Pixels, from_max: int, bits: int, allocate: Allocator = in_memory) -> Pixels:
    """Stretch samples of 0…`from_max` to the full range of 8 or 16 bits, rounded to nearest.

    Args:
        samples: any shape, uint8 or uint16; values above `from_max` are clipped to it.
        from_max: value of full intensity, such as 1023.
        bits: 8 for uint8 or 16 for uint16.
        allocate: where the result goes.

    Returns:
        An array of the same shape; `samples` itself if nothing has to be done.
    """
    target: np.dtype[Any] = np.dtype(np.uint16 if bits == 16 else np.uint8)
    full = (1 << bits) - 1
    if from_max == full and samples.dtype == target:
        return samples
    levels = np.arange(int(np.iinfo(samples.dtype).max) + 1, dtype=np.int64).clip(max=from_max)
    table = ((levels * full + from_max // 2) // from_max).astype(target)
    return _by_strips(samples, target, lambda strip: table[strip], allocate)


def to_8_bits(samples: Pixels, allocate: Allocator = in_memory) -> Pixels:
    """Convert full-range uint16 to uint8, rounded to nearest; uint8 is returned as it is."""
    return scale_depth(samples, int(np.iinfo(samples.dtype).max), 8, allocate)


def to_16_bits(samples: Pixels, allocate: Allocator = in_memory) -> Pixels:
    """Convert full-range uint8 to uint16, exactly times 257; uint16 is returned as it is."""
    return scale_depth(samples, int(np.iinfo(samples.dtype).max), 16, allocate)


def round_to_12_bits(samples: Pixels) -> Pixels:
    """Round full-range uint16 to nearest at 12 bits, stored in the upper bits as libvips expects them for AVIF."""
    levels = np.arange(65_536, dtype=np.int64)
    table = (((levels * 4095 + 32_767) // 65_535) << 4).astype(np.uint16)
    return _by_strips(samples, np.dtype(np.uint16), lambda strip: table[strip])


def turns_sideways(orientation: int) -> bool:
    """Whether applying an EXIF orientation swaps rows and columns."""
    return orientation >= 5


def turn_upright(samples: Pixels, orientation: int, allocate: Allocator = in_memory) -> Pixels:
    """Apply an EXIF orientation.

    Args:
        samples: (H, W, C) or (H, W).
        orientation: 1 to 8, as in EXIF 3.0, section 4.6.5.1.6.
        allocate: where the result goes.

    Returns:
        A C-contiguous array; `samples` itself if it already is and the orientation is 1.
    """
    if turns_sideways(orientation):
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    if samples.flags.c_contiguous:
        return samples
    out = allocate(samples.shape, samples.dtype)
    for tile in plan_tiles(samples.shape[1], samples.shape[0], _TURN_PX, 0):
        window = (tile.core.rows, tile.core.cols)
        out[window] = samples[window]
    return out


def unpremultiply(pixels: Pixels, alpha: Pixels, allocate: Allocator = in_memory) -> Pixels:
    """Undo the multiplication of colours by `alpha`; fully transparent pixels become 0.

    Args:
        pixels: (H, W, C).
        alpha: (H, W) of the same dtype.
        allocate: where the result goes.
    """
    full = int(np.iinfo(pixels.dtype).max)
    out = allocate(pixels.shape, pixels.dtype)
    for rows in _strips(pixels):
        weight = alpha[rows].astype(np.uint32)[..., None]
        whole = pixels[rows].astype(np.uint32) * full + weight // 2
        divided = np.minimum(whole // np.maximum(weight, 1), full)
        out[rows] = np.where(weight > 0, divided, 0)
    return out


def flatten_on_white(pixels: Pixels, alpha: Pixels, allocate: Allocator = in_memory) -> Pixels:
    """Composite a transparent picture onto white.

    Args:
        pixels: (H, W, C).
        alpha: (H, W) of the same dtype.
        allocate: where the result goes.
    """
    full = int(np.iinfo(pixels.dtype).max)
    out = allocate(pixels.shape, pixels.dtype)
    for rows in _strips(pixels):
        # At most full scale squared plus half of full scale, which just fits into 32 bits.
        weight = alpha[rows].astype(np.uint32)[..., None]
        out[rows] = (pixels[rows] * weight + full * (full - weight) + full // 2) // full
    return out


def _strips(samples: Pixels) -> Iterator[slice]:
    row = max(1, int(np.prod(samples.shape[1:])))
    step = max(1, _STRIP_SAMPLES // row)
    for top in range(0, samples.shape[0], step):
        yield slice(top, top + step)


def _by_strips(
    samples: Pixels, target: np.dtype[Any], change: Callable[[Pixels], Pixels], allocate: Allocator = in_memory
) -> Pixels:
    out = allocate(samples.shape, target)
    for rows in _strips(samples):
        out[rows] = change(samples[rows])
    return out
