"""What to draw for one repaint of the comparison view: a pure plan of levels, sources and targets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
import numpy.typing as npt

from vdsr_app.gui.compare.geometry import Box, Placement, Size


class Side(Enum):
    """One half of the comparison."""

    LEFT = auto()
    RIGHT = auto()


class Sampling(Enum):
    """How pixels of a level become device pixels."""

    COPY = auto()
    """One to one."""
    NEAREST = auto()
    """Enlarged, with hard edges."""
    SMOOTH = auto()
    """Bilinear: reduced by less than a factor of two, or enlarged smoothly."""


@dataclass(frozen=True, slots=True)
class DrawOp:
    """Drawing of a part of one level of one layer.

    Attributes:
        side: whose layer.
        level: level of the pyramid.
        source: pixels of that level to read.
        origin: where the level's pixel (0, 0) begins, in device pixels of the canvas.
        step: device pixels per pixel of the level, across and down.
        clip: device pixels of the canvas to write.
        sampling: how pixels are resampled.
    """

    side: Side
    level: int
    source: Box
    origin: tuple[int, int]
    step: tuple[float, float]
    clip: Box
    sampling: Sampling


def plan_layer(
    side: Side, layer: Size, placement: Placement, pane: Box, clip: Box, *, smooth_enlarged: bool
) -> DrawOp | None:
    """Plan the drawing of one layer.

    A layer whose size differs from that of the placed picture is stretched over the same area.

    Args:
        side: whose layer.
        layer: size of the layer's level 0.
        placement: where the picture lies in its pane.
        pane: box of that pane on the canvas.
        clip: limits of the drawing in device pixels of the canvas: the side of the wipe, the part to be repainted.
        smooth_enlarged: whether enlarged pixels are blended instead of shown as squares.

    Returns:
        The operation, or None if no part of the layer is inside `clip`.
    """
    seen = placement.visible_box
    inside = None if seen is None else seen.moved(pane.x, pane.y).intersected(clip)
    if inside is None:
        return None
    across, down = (placement.scale * whole / own for whole, own in zip(placement.picture, layer, strict=True))
    level = level_for(max(across, down), layer)
    step = across * 2**level, down * 2**level
    origin = pane.x + placement.x, pane.y + placement.y
    sampling = _sampling(step, smooth_enlarged)
    # Bilinear sampling reaches half a pixel beyond; one more pixel absorbs rounding.
    margin = 2 if sampling is Sampling.SMOOTH else 0
    x, width = _source(inside.x - origin[0], inside.right - origin[0], step[0], _reduced(layer[0], level), margin)
    y, height = _source(inside.y - origin[1], inside.bottom - origin[1], step[1], _reduced(layer[1], level), margin)
    return DrawOp(side, level, Box(x, y, width, height), origin, step, inside, sampling)


def level_for(scale: float, layer: Size) -> int:
    """The coarsest level that still has at least one pixel per device pixel at `scale`."""
    if scale >= 1:
        return 0
    return min(math.floor(math.log2(1 / scale) + 1e-9), math.ceil(math.log2(max(layer))))


def nearest_indices(start: int, stop: int, origin: int, step: float, length: int) -> npt.NDArray[np.intp]:
    """Level pixel under the centre of each of the device pixels [start, stop).

    Depends only on the distance from `origin`, so that any two repaints agree on every pixel.
    """
    centres = np.arange(start, stop) + (0.5 - origin)
    indices: npt.NDArray[np.intp] = np.floor(centres / step).astype(np.intp)
    return np.clip(indices, 0, length - 1)


def _reduced(length: int, level: int) -> int:
    return -(-length >> level)


def _sampling(step: tuple[float, float], smooth_enlarged: bool) -> Sampling:
    if step == (1.0, 1.0):
        return Sampling.COPY
    if min(step) < 1 or smooth_enlarged:
        return Sampling.SMOOTH
    return Sampling.NEAREST


def _source(start: int, stop: int, step: float, length: int, margin: int) -> tuple[int, int]:
    """First pixel and number of pixels of a level under device pixels [start, stop), counted from its origin."""
    first = min(max(0, math.floor(start / step + 1e-9) - margin), length - 1)
    last = max(first + 1, min(math.ceil(stop / step - 1e-9) + margin, length))
    return first, last - first
