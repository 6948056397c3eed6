"""Resampling: exact small cases, windows, and properties that every kernel must have."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vdsr_app.core.resize import KERNELS, axis_table, resize, resize_region
from vdsr_app.errors import UsageError


def test_bicubic_doubles_ramp_as_computed_by_hand() -> None:
    # Computed by hand from Keys' kernel with a = -0.5 at distances 0.25, 0.75, 1.25, 1.75 and mirrored ends.
    row = np.array([[0.0, 1.0, 2.0, 3.0]])
    near, next_, far, last = 0.8671875, 0.2265625, -0.0703125, -0.0234375
    first = near * 0 + next_ * 0 + far * 1 + last * 1
    second = near * 0 + next_ * 1 + far * 0 + last * 2
    out = resize(row, 1, 8, dtype=np.float64)[0]
    assert out[:2] == pytest.approx([first, second])
    assert out[3:5] == pytest.approx([1.25, 1.75])
    assert out == pytest.approx(3.0 - out[::-1])


def test_shrinking_averages_unless_antialias_is_off() -> None:
    stripes = np.tile([0.0, 255.0], (48, 24))
    smooth = resize(stripes, 16, 16, dtype=np.float64)
    aliased = resize(stripes, 16, 16, antialias=False, dtype=np.float64)
    assert np.ptp(aliased[:, 2:-2]) > 200
    assert np.ptp(smooth[:, 2:-2]) < 20
    assert smooth[:, 2:-2] == pytest.approx(np.full((16, 12), 127.5), abs=10)


def test_nearest_repeats_pixels() -> None:
    pixels = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(resize(pixels, 6, 6, "nearest"), np.repeat(np.repeat(pixels, 3, 0), 2, 1))


@pytest.mark.parametrize("kernel", KERNELS)
def test_resize_to_same_size_changes_nothing(kernel: str) -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (7, 5, 3))
    assert resize(pixels, 7, 5, kernel, dtype=np.float64) == pytest.approx(pixels)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    out_h=st.integers(1, 90),
    out_w=st.integers(1, 90),
    kernel=st.sampled_from(KERNELS),
    data=st.data(),
)
def test_resize_region_equals_window_of_whole_and_flat_stays_flat(
    height: int, width: int, out_h: int, out_w: int, kernel: str, data: st.DataObject
) -> None:
    pixels = np.random.default_rng(height * 41 + width).uniform(0, 255, (height, width, 3))
    whole = resize(pixels, out_h, out_w, kernel, dtype=np.float64)
    top = data.draw(st.integers(0, out_h - 1))
    left = data.draw(st.integers(0, out_w - 1))
    rows = slice(top, data.draw(st.integers(top + 1, out_h)))
    cols = slice(left, data.draw(st.integers(left + 1, out_w)))
    window = resize_region(pixels, out_h, out_w, rows, cols, kernel, dtype=np.float64)
    assert window == pytest.approx(whole[rows, cols], abs=1e-9)
    # Weights sum to one, so a flat picture stays flat at any size.
    flat = resize(np.full((height, width), 77.0), out_h, out_w, kernel, dtype=np.float64)
    assert flat == pytest.approx(np.full((out_h, out_w), 77.0))


def test_float32_stays_within_a_thousandth_of_a_level() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    assert resize(pixels, 125, 175) == pytest.approx(resize(pixels, 125, 175, dtype=np.float64), abs=1e-3)


def test_channels_and_axes_are_independent() -> None:
    pixels = np.random.default_rng(4).uniform(0, 255, (9, 8, 3))
    whole = resize(pixels, 20, 30, dtype=np.float64)
    for channel in range(3):
        assert whole[..., channel] == pytest.approx(resize(pixels[..., channel], 20, 30, dtype=np.float64))
    turned = resize(pixels.transpose(1, 0, 2), 30, 20, dtype=np.float64)
    assert turned.transpose(1, 0, 2) == pytest.approx(whole)


def test_rejects_unknown_kernel_and_empty_size() -> None:
    with pytest.raises(UsageError, match="bicubik"):
        axis_table(4, 8, "bicubik")
    with pytest.raises(UsageError):
        resize(np.zeros((3, 3)), 0, 3)
