"""Self-ensemble: the network runs on a tile in all eight positions, turned and mirrored; residuals are averaged.

A network trained on pictures in every position still treats each a little differently; the mean of the eight outputs
is closer to the truth than any of them. One with tied weights gives the rotated output for a rotated picture: then
fewer passes give the same mean. Pure geometry: the caller supplies the computation for one position.

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
"""Computes what the network adds to the core of a padded plane; see `Backend.residual`."""


class Position(NamedTuple):
    """One of the eight orientations of a picture.

    Attributes:
        mirrored: whether left and right are exchanged, before the rotation.
        quarters: quarter turns, counter-clockwise, 0 to 3.
    """

    mirrored: bool
    quarters: int

    def turn(self, plane: FloatPlane) -> FloatPlane:
        """Turn an upright (H, W) plane to this position: (H, W), or (W, H) if `quarters` is odd; C-contiguous."""
        mirrored = plane[:, ::-1] if self.mirrored else plane
        return np.array(np.rot90(mirrored, self.quarters), order="C")

    def turn_back(self, plane: FloatPlane) -> FloatPlane:
        """Undo `turn`."""
        turned = np.rot90(plane, -self.quarters)
        return np.array(turned[:, ::-1] if self.mirrored else turned, order="C")

    def turn_insets(self, insets: Insets) -> Insets:
        """Insets of the core in a padded plane after `turn`."""
        left, top, right, bottom = insets
        if self.mirrored:
            left, right = right, left
        for _ in range(self.quarters):
            left, top, right, bottom = top, right, bottom, left
        return Insets(left, top, right, bottom)


POSITIONS = tuple(Position(mirrored, quarters) for mirrored in (False, True) for quarters in range(4))
"""All eight, the upright one first."""

_PROBE_PX = 16
_ALIKE = 1e-4
"""Tolerance relative to the largest output: more than the rounding error of tied weights, less than is visible."""


def positions_that_differ(answer: Callable[[FloatPlane], npt.NDArray[Any]]) -> tuple[Position, ...]:
    """One of each set of positions in which a network gives the same output: their mean is that of all eight.

    Args:
        answer: computes what the network adds to a whole (H, W) plane, precisely enough that tied weights give equal
            outputs when turned back; called with a random square in each position.

    Returns:
        Eight, four, two or one of `POSITIONS`, the upright one first.
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
    # The positions under which a network is equivariant form a group, so the sets are equally large.
    if len({len(alike) for _, alike in sets}) > 1:
        return POSITIONS
    return tuple(alike[0] for _, alike in sets)


def averaged(
    compute: Compute, luma: FloatPlane, insets: Insets, positions: Sequence[Position] = POSITIONS
) -> FloatPlane:
    """Mean over `positions` of what `compute` adds, with one call for each.

    Args:
        compute: returns the residual of the core for a padded plane and its insets.
        luma: (h, w) float32, the padded rectangle.
        insets: where the core lies in it.
        positions: orientations in which the network sees it.

    Returns:
        (h - top - bottom, w - left - right) float32.
    """
    height, width = luma.shape
    core = (height - insets.top - insets.bottom, width - insets.left - insets.right)
    # In float64 the order of summation does not show, so a turned picture gives exactly the turned result.
    total = np.zeros(core)
    for position in positions:
        total += position.turn_back(compute(position.turn(luma), position.turn_insets(insets)))
    return (total / len(positions)).astype(np.float32)
