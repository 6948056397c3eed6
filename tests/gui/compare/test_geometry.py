"""Geometry of the comparison view: fit, zoom, pan, zoom stops, and visible pixels."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vdsr_app.gui.compare import geometry
from vdsr_app.gui.compare.geometry import Box, Camera, Size, place

sizes = st.tuples(st.integers(1, 12000), st.integers(1, 12000))
panes = st.tuples(st.integers(1, 4000), st.integers(1, 3000))
cameras = st.builds(Camera, st.floats(-0.5, 1.5), st.floats(-0.5, 1.5), st.floats(0.001, 100), st.booleans())
unit = st.floats(0, 1)


@given(sizes, panes)
def test_fit_shows_whole_picture_touching_an_edge_or_at_whole_factor(picture: Size, pane: Size) -> None:
    placement = place(Camera(), picture, pane)
    assert placement.visible_region == (0, 0, *picture)
    box = placement.box
    assert box.x >= 0 and box.y >= 0 and box.right <= pane[0] and box.bottom <= pane[1]  # noqa: PT018
    if placement.scale < 1:
        assert box.width == pane[0] or box.height == pane[1]
    else:
        assert placement.scale == int(placement.scale)  # all pixels have the same size


@pytest.mark.parametrize(
    ("picture", "pane", "scale"),
    [((200, 100), (100, 100), 0.5), ((100, 100), (199, 300), 1), ((100, 100), (500, 300), 3), ((1, 1), (900, 900), 32)],
)
def test_fit_scale_reduces_to_pane_or_enlarges_by_whole_factor(picture: Size, pane: Size, scale: float) -> None:
    assert geometry.fit_scale(picture, pane) == scale


@given(cameras, sizes, panes)
def test_picture_is_centred_or_leaves_no_empty_space_at_edges(camera: Camera, picture: Size, pane: Size) -> None:
    placement = place(camera, picture, pane)
    for start, length, room in zip((placement.x, placement.y), placement.box[2:], pane, strict=True):
        assert isinstance(start, int)
        if length <= room:
            assert start == (room - length) // 2
        else:
            assert room - length <= start <= 0
    assert placement.visible_box is not None


@given(cameras, sizes, panes)
def test_scale_stays_within_limits(camera: Camera, picture: Size, pane: Size) -> None:
    scale = place(camera, picture, pane).scale
    assert min(0.05, geometry.fit_scale(picture, pane)) <= scale <= 32


@given(
    st.builds(Camera, st.floats(0.4, 0.6), st.floats(0.4, 0.6), st.floats(2, 20), st.just(False)),
    st.tuples(st.integers(5000, 9000), st.integers(5000, 9000)),
    st.tuples(st.integers(1, 1000), st.integers(1, 1000)),
    st.floats(1, 32),
    unit,
    unit,
)
def test_zoom_keeps_point_under_mouse(
    camera: Camera, picture: Size, pane: Size, scale: float, across: float, down: float
) -> None:
    before, anchor = place(camera, picture, pane), (across * pane[0], down * pane[1])
    after = place(geometry.zoomed(camera, scale, anchor, picture, pane), picture, pane)
    assert after.scale == scale
    point = (anchor[0] - before.x) / before.scale, (anchor[1] - before.y) / before.scale
    assert after.x + point[0] * after.scale == pytest.approx(anchor[0], abs=0.51)
    assert after.y + point[1] * after.scale == pytest.approx(anchor[1], abs=0.51)


@given(st.integers(-60, 60), st.integers(-60, 60))
def test_pan_moves_picture_by_exact_number_of_device_pixels(dx: int, dy: int) -> None:
    picture, pane, camera = (3001, 2000), (801, 601), Camera(0.51, 0.47, 1.7, False)
    before = place(camera, picture, pane)
    after = place(geometry.panned(camera, dx, dy, picture, pane), picture, pane)
    assert (after.x - before.x, after.y - before.y) == (dx, dy)


def test_pan_is_ignored_at_fit() -> None:
    assert geometry.panned(Camera(), 50, 50, (3000, 2000), (800, 600)) == Camera()


def test_camera_is_clamped_to_edge_only_in_pane_that_requires_it() -> None:
    picture, camera = (1000, 1000), Camera(0.2, 0.2, 1.0, False)
    small = place(camera, picture, (900, 900))
    assert small.x == 0  # clamped to the edge
    assert place(camera, picture, (100, 100)).x == 50 - 200


@given(sizes, st.floats(1.1, 4), st.floats(0.2, 8), unit, unit)
def test_carried_over_camera_shows_same_part_at_another_size(
    picture: Size, factor: float, scale: float, across: float, down: float
) -> None:
    assume(min(picture) > 200)
    pane = (640, 480)
    larger = round(picture[0] * factor), round(picture[1] * factor)
    camera = Camera(across, down, scale, False)
    carried = geometry.carried_over(camera, picture, larger, pane)
    assume(0.05 < carried.scale < 32)
    before, after = place(camera, picture, pane), place(carried, larger, pane)
    for box_before, box_after in zip(before.box, after.box, strict=True):
        assert box_after == pytest.approx(box_before, abs=3 + 0.01 * max(before.box[2:]))


def test_carried_over_camera_keeps_fit() -> None:
    assert geometry.carried_over(Camera(), (100, 100), (300, 300), (50, 50)).fits


@pytest.mark.parametrize(
    ("scale", "steps", "expected"),
    [
        (1, 1, 1.5),
        (1, 2, 2),
        (1, -1, 2 / 3),
        (0.4, 1, 0.5),
        (0.3, 1, 0.31),
        (0.31, -1, 0.25),
        (32, 3, 32),
        (0.05, -1, 0.05),
    ],
)
def test_next_stop_steps_through_zoom_stops_and_fit(scale: float, steps: int, expected: float) -> None:
    assert geometry.next_stop(scale, steps, fit=0.31) == pytest.approx(expected)


def test_zoom_reaches_fit_below_five_percent() -> None:
    assert geometry.next_stop(0.05, -1, fit=0.01) == 0.01
    assert place(Camera(scale=0.001, fits=False), (60000, 60000), (600, 600)).scale == pytest.approx(0.01)


def test_zoom_stops_are_evenly_spaced_and_include_powers_of_two() -> None:
    ratios = [after / before for before, after in zip(geometry.ZOOM_STOPS, geometry.ZOOM_STOPS[1:], strict=False)]
    assert all(1.3 < ratio < 1.51 for ratio in ratios)
    assert {1, 2, 4, 8} < set(geometry.ZOOM_STOPS)


@given(cameras, sizes, panes, unit, unit)
def test_visible_region_contains_pixel_at_every_visible_point(
    camera: Camera, picture: Size, pane: Size, across: float, down: float
) -> None:
    placement = place(camera, picture, pane)
    region, seen = placement.visible_region, placement.visible_box
    assert region is not None
    assert seen is not None
    x, y, width, height = region
    assert 0 <= x < x + width <= picture[0]
    assert 0 <= y < y + height <= picture[1]
    pixel = placement.pixel_at(seen.x + across * (seen.width - 1e-3), seen.y + down * (seen.height - 1e-3))
    assert pixel is not None
    assert x <= pixel[0] < x + width
    assert y <= pixel[1] < y + height


def test_pixel_at_returns_none_outside_picture() -> None:
    placement = place(Camera(0.5, 0.5, 1, False), (100, 50), (200, 200))
    assert placement.pixel_at(50, 75) == (0, 0)
    assert placement.pixel_at(149.9, 124.9) == (99, 49)
    assert placement.pixel_at(49.9, 80) is None
    assert placement.pixel_at(100, 125) is None


@given(cameras, sizes, panes, st.data())
def test_box_of_covers_pixels_and_margin(camera: Camera, picture: Size, pane: Size, data: st.DataObject) -> None:
    placement = place(camera, picture, pane)
    x, y = data.draw(st.integers(0, picture[0] - 1)), data.draw(st.integers(0, picture[1] - 1))
    box = placement.box_of((x, y, 1, 1))
    assert box.x <= placement.x + x * placement.scale <= box.right
    assert box.right >= placement.x + (x + 1) * placement.scale
    assert box.bottom >= placement.y + (y + 1) * placement.scale
    grown = placement.box_of((x, y, 1, 1), 3)
    assert grown.width >= box.width + math.floor(4 * placement.scale)


def test_box_edges_intersection_shift_and_containment() -> None:
    box = Box(2, 3, 4, 5)
    assert (box.right, box.bottom) == (6, 8)
    assert box.intersected(Box(5, 0, 9, 4)) == Box(5, 3, 1, 1)
    assert box.intersected(Box(6, 3, 1, 1)) is None
    assert box.moved(1, -1) == Box(3, 2, 4, 5)
    assert box.contains(2, 3)
    assert not box.contains(6, 3)
