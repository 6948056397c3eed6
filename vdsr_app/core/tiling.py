"""Layout and order of tiles: pure geometry, no pixels.

A picture is partitioned into cores. A tile is a core and the padded rectangle around it that the network must see,
so that the core comes out as if the whole picture had been computed at once. At a true edge of the picture the
padded rectangle ends where the picture ends, so that the network pads with zeros exactly where it does untiled.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from vdsr_app.errors import UsageError


class Rect(NamedTuple):
    """A rectangle of whole pixels.

    Attributes:
        x: left edge.
        y: top edge.
        width: columns.
        height: rows.
    """

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """First column beyond it."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row beyond it."""
        return self.y + self.height

    @property
    def area(self) -> int:
        """Pixels inside."""
        return self.width * self.height

    @property
    def rows(self) -> slice:
        """Rows as an index."""
        return slice(self.y, self.bottom)

    @property
    def cols(self) -> slice:
        """Columns as an index."""
        return slice(self.x, self.right)

    def intersects(self, other: Rect) -> bool:
        """Whether the two share a pixel."""
        return self.x < other.right and other.x < self.right and self.y < other.bottom and other.y < self.bottom

    def grown(self, margin_px: int, bounds: Rect) -> Rect:
        """This rectangle extended by `margin_px` on each side, clipped to `bounds`."""
        left, top = max(bounds.x, self.x - margin_px), max(bounds.y, self.y - margin_px)
        right, bottom = min(bounds.right, self.right + margin_px), min(bounds.bottom, self.bottom + margin_px)
        return Rect(left, top, right - left, bottom - top)


class Insets(NamedTuple):
    """How far a core lies inside its padded rectangle, in pixels: the halo, or less at an edge of the picture."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class Tile:
    """One piece of work.

    Attributes:
        core: pixels that this tile delivers; the cores of all tiles partition the picture.
        padded: pixels that the network must see for it.
    """

    core: Rect
    padded: Rect

    @property
    def insets(self) -> Insets:
        """Where the core lies in the padded rectangle."""
        return Insets(
            self.core.x - self.padded.x,
            self.core.y - self.padded.y,
            self.padded.right - self.core.right,
            self.padded.bottom - self.core.bottom,
        )


def _edges(start: int, length: int, tile_px: int) -> list[int]:
    """Edges that cut one axis into the fewest pieces of at most `tile_px`, which differ by at most one pixel."""
    pieces = -(-length // tile_px)
    return [start + length * i // pieces for i in range(pieces + 1)]


def _tiles_of(region: Rect, bounds: Rect, tile_px: int, halo_px: int) -> list[Tile]:
    columns = _edges(region.x, region.width, tile_px)
    rows = _edges(region.y, region.height, tile_px)
    cores = [
        Rect(left, top, right - left, bottom - top)
        for top, bottom in pairwise(rows)
        for left, right in pairwise(columns)
    ]
    return [Tile(core, core.grown(halo_px, bounds)) for core in cores]


def plan_tiles(width: int, height: int, tile_px: int, halo_px: int) -> list[Tile]:
    """Tiles of a picture, row by row.

    The sides of the cores are balanced, so there is no sliver at the right or the bottom.

    Args:
        width: columns of the picture.
        height: rows of the picture.
        tile_px: longest side of a core.
        halo_px: pixels that the network sees beyond a core on each side.

    Raises:
        UsageError: a size below 1, or a negative halo.
    """
    if width < 1 or height < 1 or tile_px < 1 or halo_px < 0:
        raise UsageError(f"Cannot cut {width} x {height} px into tiles of {tile_px} px with a halo of {halo_px} px.")
    bounds = Rect(0, 0, width, height)
    return _tiles_of(bounds, bounds, tile_px, halo_px)


class TileQueue:
    """The remaining tiles, in the order in which the user would like them.

    Tiles that touch the visible region come first, nearest to its centre first, then the others likewise. Without a
    visible region they come row by row.
    """

    def __init__(self, width: int, height: int, tile_px: int, halo_px: int) -> None:
        self._bounds = Rect(0, 0, width, height)
        self._halo_px = halo_px
        self._sorted_for: Rect | None = None
        self._waiting = plan_tiles(width, height, tile_px, halo_px)
        self._waiting.reverse()  # the next one is last, where removing it is cheap

    def __len__(self) -> int:
        return len(self._waiting)

    def pop(self, tile_px: int, visible: Rect | None = None) -> Tile:
        """Take the next tile.

        Args:
            tile_px: longest side of a core allowed now; larger waiting tiles are split when their turn comes.
            visible: region on the screen now, or None.

        Raises:
            IndexError: nothing is left.
        """
        while True:
            if visible is not None and visible != self._sorted_for:
                region = visible
                self._waiting.sort(key=lambda tile: _urgency(tile.core, region), reverse=True)
                self._sorted_for = visible
            tile = self._waiting.pop()
            if max(tile.core.width, tile.core.height) <= tile_px:
                return tile
            pieces = _tiles_of(tile.core, self._bounds, tile_px, self._halo_px)
            self._waiting += reversed(pieces)
            self._sorted_for = None

    def put_back(self, tile: Tile) -> None:
        """Return `tile` unfinished; it is the next one again."""
        self._waiting.append(tile)


def _urgency(core: Rect, visible: Rect) -> tuple[bool, int, int, int]:
    """Sort key, least for the tile wanted first; ends with the position, so that the order is deterministic."""
    # Distances between centres, doubled to stay integer.
    dx = (2 * core.x + core.width) - (2 * visible.x + visible.width)
    dy = (2 * core.y + core.height) - (2 * visible.y + visible.height)
    return (not core.intersects(visible), dx * dx + dy * dy, core.y, core.x)
