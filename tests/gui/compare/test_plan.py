"""Repaint plan: level, sampling and area, and pixels read, limited by the screen whatever the picture's size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdsr_app.gui.compare.geometry import Box, Camera, Size, place
from vdsr_app.gui.compare.plan import DrawOp, Sampling, Side, level_for, nearest_indices, plan_layer

HUGE = (8660, 5774)  # 50 megapixels
SCREEN = (2560, 1600)


def plan(camera: Camera, clip: Box | None = None, *, layer: Size = HUGE, smooth: bool = False) -> DrawOp:
    pane = Box(0, 0, *SCREEN)
    placement = place(camera, HUGE, SCREEN)
    op = plan_layer(Side.RIGHT, layer, placement, pane, clip or pane, smooth_enlarged=smooth)
    assert op is not None
    return op


def pixels_read(op: DrawOp) -> int:
    return op.source.width * op.source.height


@given(st.floats(0.05, 32), st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_frame_reads_at_most_four_pixels_per_screen_pixel(scale: float, x: float, y: float, smooth: bool) -> None:
    op = plan(Camera(x, y, scale, False), smooth=smooth)
    shown = op.clip.width * op.clip.height
    assert pixels_read(op) <= 4 * shown + 10 * (SCREEN[0] + SCREEN[1])
    if scale >= 1:
        assert pixels_read(op) <= shown / scale**2 + 8 * (SCREEN[0] + SCREEN[1])


def test_fit_reads_reduced_level() -> None:
    op = plan(Camera())
    assert op.level == 1
    assert pixels_read(op) <= 4 * SCREEN[0] * SCREEN[1]


def test_small_repaint_reads_few_pixels() -> None:
    op = plan(Camera(0.5, 0.5, 0.7, False), Box(100, 100, 20, 20))
    assert op.clip == Box(100, 100, 20, 20)
    assert pixels_read(op) <= 36**2


@pytest.mark.parametrize(
    ("scale", "level"), [(8, 0), (1, 0), (0.999, 0), (0.51, 0), (0.5, 1), (0.26, 1), (0.25, 2), (1e-9, 14)]
)
def test_level_for_selects_level_by_scale(scale: float, level: int) -> None:
    assert level_for(scale, HUGE) == level


@pytest.mark.parametrize(
    ("scale", "smooth", "sampling"),
    [
        (1, False, Sampling.COPY),
        (1, True, Sampling.COPY),
        (0.5, False, Sampling.COPY),
        (0.25, True, Sampling.COPY),
        (0.3, False, Sampling.SMOOTH),
        (4, False, Sampling.NEAREST),
        (4, True, Sampling.SMOOTH),
        (1.5, False, Sampling.NEAREST),
    ],
)
def test_sampling_depends_on_scale_and_smoothing(scale: float, smooth: bool, sampling: Sampling) -> None:
    assert plan(Camera(0.5, 0.5, scale, False), smooth=smooth).sampling is sampling


@given(st.floats(0.01, 32), st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_source_covers_drawn_area(scale: float, x: float, y: float, smooth: bool) -> None:
    op = plan(Camera(x, y, scale, False), smooth=smooth)
    level = tuple(-(-side // 2**op.level) for side in HUGE)
    for axis in (0, 1):
        start, length = op.source[axis], op.source[axis + 2]
        assert 0 <= start < start + length <= level[axis]
        begin = op.origin[axis] + start * op.step[axis]
        end = op.origin[axis] + (start + length) * op.step[axis]
        assert begin <= op.clip[axis] + 1e-3 * op.step[axis]
        # The last half pixel of the picture may be rounded away from its last device pixel.
        assert end >= op.clip[axis] + op.clip[axis + 2] - 0.5 - 1e-3


def test_layer_of_another_size_covers_same_area() -> None:
    half = plan(Camera(), layer=(4330, 2887))
    whole = plan(Camera())
    assert half.clip == whole.clip
    assert half.level == whole.level - 1
    assert half.step[0] == pytest.approx(whole.step[0])


def test_plan_layer_returns_none_when_layer_is_outside_clip() -> None:
    placement = place(Camera(0.5, 0.5, 1, False), (10, 10), (100, 100))
    pane, beside = Box(0, 0, 100, 100), Box(0, 0, 40, 100)
    assert plan_layer(Side.LEFT, (10, 10), placement, pane, beside, smooth_enlarged=False) is None


@given(st.integers(-9999, 0), st.floats(1, 32), st.integers(0, 500), st.integers(1, 500), st.integers(1, 500))
def test_nearest_indices_match_for_partial_and_panned_repaints(
    origin: int, step: float, start: int, first: int, second: int
) -> None:
    middle, stop = start + first, start + first + second
    whole = nearest_indices(start, stop, origin, step, 10**6)
    parts = [nearest_indices(start, middle, origin, step, 10**6), nearest_indices(middle, stop, origin, step, 10**6)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    np.testing.assert_array_equal(whole, nearest_indices(start + 7, stop + 7, origin + 7, step, 10**6))


def test_nearest_indices_select_pixel_under_centre() -> None:
    assert nearest_indices(0, 6, 0, 1.5, 100).tolist() == [0, 1, 1, 2, 3, 3]


def test_nearest_indices_repeat_evenly_at_whole_factors() -> None:
    for factor in range(1, 33):
        indices = nearest_indices(0, 100 * factor, 0, float(factor), 100)
        np.testing.assert_array_equal(indices, np.repeat(np.arange(100), factor))
