"""Tiling: coverage, halos, and the order of tiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdsr_app.core.tiling import Insets, Rect, Tile, TileQueue, plan_tiles
from vdsr_app.errors import UsageError

SIZES = st.integers(1, 90)


def drain(queue: TileQueue, tile_px: int, visible: Rect | None = None) -> list[Tile]:
    return [queue.pop(tile_px, visible) for _ in range(len(queue))]


@given(width=SIZES, height=SIZES, tile_px=st.integers(1, 100), halo_px=st.integers(0, 25))
def test_cores_partition_picture_and_insets_match_halo(width: int, height: int, tile_px: int, halo_px: int) -> None:
    covered = np.zeros((height, width), int)
    for tile in plan_tiles(width, height, tile_px, halo_px):
        covered[tile.core.rows, tile.core.cols] += 1
        assert max(tile.core.width, tile.core.height) <= tile_px
        left, top, right, bottom = tile.insets
        assert left == min(halo_px, tile.core.x)
        assert top == min(halo_px, tile.core.y)
        assert right == min(halo_px, width - tile.core.right)
        assert bottom == min(halo_px, height - tile.core.bottom)
    assert (covered == 1).all()


@given(width=SIZES, height=SIZES, tile_px=st.integers(1, 100))
def test_tiles_are_as_few_and_as_even_as_possible(width: int, height: int, tile_px: int) -> None:
    cores = [tile.core for tile in plan_tiles(width, height, tile_px, 3)]
    assert len(cores) == -(-width // tile_px) * -(-height // tile_px)
    assert max(core.width for core in cores) - min(core.width for core in cores) <= 1
    assert max(core.height for core in cores) - min(core.height for core in cores) <= 1


def test_tiles_are_ordered_row_by_row() -> None:
    assert [tile.core for tile in plan_tiles(4, 4, 2, 0)] == [(0, 0, 2, 2), (2, 0, 2, 2), (0, 2, 2, 2), (2, 2, 2, 2)]
    assert plan_tiles(9, 9, 3, 1)[4] == Tile(Rect(3, 3, 3, 3), Rect(2, 2, 5, 5))
    assert plan_tiles(9, 9, 3, 1)[0].insets == Insets(0, 0, 1, 1)
    assert drain(TileQueue(9, 7, 3, 1), 3) == plan_tiles(9, 7, 3, 1)


@pytest.mark.parametrize("arguments", [(0, 5, 8, 1), (5, 0, 8, 1), (5, 5, 0, 1), (5, 5, 8, -1)])
def test_plan_tiles_rejects_invalid_sizes(arguments: tuple[int, int, int, int]) -> None:
    with pytest.raises(UsageError):
        plan_tiles(*arguments)


def test_queue_returns_visible_tiles_first_and_nearest_to_their_centre() -> None:
    visible = Rect(60, 0, 40, 10)
    cores = [tile.core for tile in drain(TileQueue(100, 100, 10, 2), 10, visible)]
    seen = [core.intersects(visible) for core in cores]
    assert seen == sorted(seen, reverse=True)
    assert sum(seen) == 4
    assert cores[0].x in (70, 80)
    assert {cores[2].x, cores[3].x} == {60, 90}
    assert cores[-1] == (0, 90, 10, 10)
    assert len(set(cores)) == 100


def test_queue_order_follows_the_visible_region() -> None:
    queue = TileQueue(100, 100, 10, 2)
    corners = [(0, 0), (90, 90), (0, 90), (90, 0)]
    assert [queue.pop(10, Rect(x, y, 10, 10)).core[:2] for x, y in corners] == corners
    assert len(queue) == 96


def test_tile_put_back_is_split_and_every_pixel_is_returned_once() -> None:
    queue = TileQueue(64, 40, 32, 4)
    queue.put_back(queue.pop(32))
    first = queue.pop(16)
    assert first == Tile(Rect(0, 0, 16, 10), Rect(0, 0, 20, 14))
    covered = np.zeros((40, 64), int)
    covered[first.core.rows, first.core.cols] += 1
    # When the limit rises again, tiles that have not been split yet stay whole.
    while queue:
        core = queue.pop(32).core
        covered[core.rows, core.cols] += 1
        if core.x >= 32:
            assert (core.width, core.height) == (32, 20)
    assert (covered == 1).all()


def test_split_tiles_are_ordered_by_the_visible_region() -> None:
    queue = TileQueue(64, 64, 64, 4)
    assert queue.pop(16, Rect(50, 50, 4, 4)).core == (48, 48, 16, 16)
    assert queue.pop(16, Rect(50, 50, 4, 4)).core in ((32, 48, 16, 16), (48, 32, 16, 16))
    assert queue.pop(16, Rect(0, 50, 4, 4)).core == (0, 48, 16, 16)


@given(st.tuples(SIZES, SIZES, SIZES, SIZES), st.tuples(SIZES, SIZES, SIZES, SIZES))
def test_rectangles_intersect_exactly_when_they_share_a_pixel(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    a, b = Rect(*first), Rect(*second)
    pixels = np.zeros((180, 180), int)
    pixels[a.rows, a.cols] += 1
    pixels[b.rows, b.cols] += 1
    assert a.intersects(b) == b.intersects(a) == bool((pixels == 2).any())


@pytest.mark.parametrize(
    "visible", [Rect(0, 0, 20, 100), Rect(0, 0, 100, 20), Rect(20, 40, 20, 60), Rect(40, 20, 60, 20)]
)
def test_queue_starts_at_centre_of_visible_region_of_any_shape(visible: Rect) -> None:
    first = [tile.core for tile in drain(TileQueue(100, 100, 10, 2), 10, visible)][:4]
    middle = (visible.x + visible.width // 2, visible.y + visible.height // 2)
    assert {(core.x, core.y) for core in first} == {(middle[0] - x, middle[1] - y) for x in (10, 0) for y in (10, 0)}
