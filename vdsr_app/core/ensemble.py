"""Self-ensemble: the network sees a tile in all eight positions, turned and mirrored, and what it adds is averaged.

A network that has learned from pictures in every position still answers each a little differently; the mean of the
eight answers is nearer to the truth than any of them. One whose weights are tied answers a turned picture with the
turned answer: then fewer passes give the same mean. Pure geometry: whoever calls says how one position is computed.

Source: Timofte et al., "Seven ways to improve example-based single image super resolution", CVPR 2016
(arXiv 1511.02228), the sixth of them, "enhanced prediction".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vdsr_app.core.tiling import Insets

FloatPlane = npt.NDArray[np.float32]
"""(H, W) float32."""

Compute = Callable[[FloatPlane, Insets], FloatPlane]
"""What the network adds to the core of a padded plane; see `Backend.residual`."""


class Position(NamedTuple):
    """One of the eight ways to lay a picture.

    Attributes:
        mirrored: left and right exchanged, before it is turned.
        quarters: quarter turns, counter-clockwise, 0 to 3.
    """

    mirrored: bool
    quarters: int

    def turn(self, plane: FloatPlane) -> FloatPlane:
        """(H, W) as it lies, to this position: (H, W), or (W, H) after an odd number of quarters; C-contiguous."""
        mirrored = plane[:, ::-1] if self.mirrored else plane
        return np.array(np.rot90(mirrored, self.quarters), order="C")

    def turn_back(self, plane: FloatPlane) -> FloatPlane:
        """From this position to as it lay: undoes `turn`."""
        turned = np.rot90(plane, -self.quarters)
        return np.array(turned[:, ::-1] if self.mirrored else turned, order="C")

    def turn_insets(self, insets: Insets) -> Insets:
        """Where the core lies in a padded plane after `turn`."""
        left, top, right, bottom = insets
        if self.mirrored:
            left, right = right, left
        for _ in range(self.quarters):
            left, top, right, bottom = top, right, bottom, left
        return Insets(left, top, right, bottom)


POSITIONS = tuple(Position(mirrored, quarters) for mirrored in (False, True) for quarters in range(4))
"""All eight, the picture as it lies first."""

_PROBE_PX = 16
_ALIKE = 1e-4
"""Of the largest number of an answer: more than rounding makes of weights that are tied, less than anyone can see."""


def positions_that_differ(answer: Callable[[FloatPlane], npt.NDArray[Any]]) -> tuple[Position, ...]:
    """One of each set of positions in which a network gives the same answer: their mean is that of all eight.

    Args:
        answer: what the network adds to a whole plane, (H, W), in a precision in which turned answers of tied weights
            are equal; it is asked about a made-up square in each position.

    Returns:
        Eight, four, two or one of `POSITIONS`, the picture as it lies first.
    """
    square = np.random.default_rng(0).random((_PROBE_PX, _PROBE_PX), np.float32)
    sets: list[tuple[npt.NDArray[Any], list[Position]]] = []
    for position in POSITIONS:
        given = position.turn_back(answer(position.turn(square)))
        for other, alike in sets:
            if np.abs(given - other).max() <= _ALIKE * np.abs(other).max():
                alike.append(position)
                break
        else:
            sets.append((given, [position]))
    # The turns under which a network is even-handed are a group, so that its sets are equally large.
    if len({len(alike) for _, alike in sets}) > 1:
        return POSITIONS
    return tuple(alike[0] for _, alike in sets)


def averaged(
    compute: Compute, luma: FloatPlane, insets: Insets, positions: Sequence[Position] = POSITIONS
) -> FloatPlane:
    """Mean over `positions` of what `compute` adds; a call for each.

    Args:
        compute: gives, for a padded plane and its insets, the residual of the core.
        luma: (h, w) float32, the padded rectangle.
        insets: where the core lies in it.
        positions: in which the network sees it.

    Returns:
        (h - top - bottom, w - left - right) float32.
    """
    height, width = luma.shape
    core = (height - insets.top - insets.bottom, width - insets.left - insets.right)
    # In float64 the order of the terms does not show, so a turned picture has exactly the turned result.
    total = np.zeros(core)
    for position in positions:
        total += position.turn_back(compute(position.turn(luma), position.turn_insets(insets)))
    return (total / len(positions)).astype(np.float32)
