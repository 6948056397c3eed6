"""Arithmetic of the target-size box: one size, expressed in any of its measures."""

from __future__ import annotations

import math

from vdsr_app.core.job import MAX_SCALE, MIN_SCALE, Target, TargetKind
from vdsr_app.errors import UsageError


def measure(kind: TargetKind, width: int, height: int) -> float:
    """Return a size's width, height, long side or short side in pixels, or its megapixels.

    Raises:
        UsageError: `kind` is a scale factor, which does not measure a size.
    """
    match kind:
        case TargetKind.WIDTH:
            return width
        case TargetKind.HEIGHT:
            return height
        case TargetKind.LONG_SIDE:
            return max(width, height)
        case TargetKind.SHORT_SIDE:
            return min(width, height)
        case TargetKind.MEGAPIXELS:
            return width * height / 1e6
        case TargetKind.SCALE:
            raise UsageError("A scale factor is no measure of one size.")


def limits(kind: TargetKind, width: int, height: int) -> tuple[float, float]:
    """Return the smallest and largest value of a measure that a `width` x `height` source can be scaled to."""
    if kind is TargetKind.SCALE:
        return MIN_SCALE, MAX_SCALE
    value = measure(kind, width, height)
    if kind is TargetKind.MEGAPIXELS:
        return value * MIN_SCALE**2, value * MAX_SCALE**2
    return value * MIN_SCALE, value * MAX_SCALE


def feasible(target: Target, width: int, height: int) -> Target:
    """Return `target`, or the nearest scale factor if it is out of reach for a `width` x `height` source."""
    try:
        target.size_for(width, height)
    except UsageError:
        least, most = limits(target.kind, width, height)
        if not math.isfinite(target.value):
            return Target()
        return Target(
            TargetKind.SCALE, MIN_SCALE if target.value < least else MAX_SCALE if target.value > most else 2.0
        )
    return target
