"""Mip pyramid: means, premultiplied alpha, odd sides, and writing blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vdsr_app.core import pyramid as pyramid_module
from vdsr_app.core.pyramid import MipPyramid, Rgba
from vdsr_app.errors import ShapeMismatchError


def noise(height: int, width: int, *, opaque: bool, seed: int = 0) -> Rgba:
    rgba = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
    if opaque:
        rgba[:, :, 3] = 255
    return rgba


def ideal_reduction(level: Rgba) -> np.ndarray:
    """Plain floating-point mean of 2 x 2, edges repeated; no rounding."""
    height, width = level.shape[:2]
    padded = np.pad(level.astype(float), ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    corners = padded[0::2, 0::2], padded[1::2, 0::2], padded[0::2, 1::2], padded[1::2, 1::2]
    mean: np.ndarray = np.mean(corners, axis=0)
    return mean


def premultiplied(level: Rgba) -> np.ndarray:
    values = level.astype(float)
    values[:, :, :3] *= values[:, :, 3:] / 255
    return values


@given(st.integers(1, 40), st.integers(1, 40), st.booleans(), st.integers(0, 2**32 - 1))
def test_levels_are_means_down_to_one_pixel(height: int, width: int, opaque: bool, seed: int) -> None:
    pyramid = MipPyramid.from_rgba(noise(height, width, opaque=opaque, seed=seed))

    assert (pyramid.width, pyramid.height) == (width, height)
    assert pyramid.levels[-1].shape == (1, 1, 4)
    for index, (fine, coarse) in enumerate(zip(pyramid.levels, pyramid.levels[1:], strict=False)):
        assert coarse.shape == ((fine.shape[0] + 1) // 2, (fine.shape[1] + 1) // 2, 4)
        assert coarse.dtype == np.uint8
        assert coarse.flags.c_contiguous
        source = np.rint(premultiplied(fine)).astype(np.uint8) if index == 0 else fine
        assert np.abs(coarse - ideal_reduction(source)).max() <= 0.5


@given(st.data(), st.integers(1, 33), st.integers(1, 33), st.booleans(), st.booleans())
@settings(max_examples=200)
def test_write_matches_rebuilt_pyramid(
    data: st.DataObject, height: int, width: int, opaque: bool, opaque_block: bool
) -> None:
    whole = noise(height, width, opaque=opaque, seed=data.draw(st.integers(0, 999)))
    pyramid = MipPyramid.from_rgba(whole.copy())
    for _ in range(data.draw(st.integers(1, 3))):
        x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
        w, h = data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y))
        block = noise(h, w, opaque=opaque_block, seed=data.draw(st.integers(1000, 1999)))
        whole[y : y + h, x : x + w] = block
        pyramid.write(x, y, block)

    rebuilt = MipPyramid.from_rgba(whole)
    for level, expected in zip(pyramid.levels, rebuilt.levels, strict=True):
        np.testing.assert_array_equal(level, expected)
    assert pyramid.has_alpha >= rebuilt.has_alpha


def test_write_changes_only_affected_pixels() -> None:
    pyramid = MipPyramid.from_rgba(noise(64, 64, opaque=True))
    for level in pyramid.levels:
        level[:] = 77  # marks pixels that are not recomputed
    pyramid.write(16, 32, noise(8, 8, opaque=True))
    for index, level in enumerate(pyramid.levels[:4]):
        side = 8 >> index
        touched = np.zeros(level.shape[:2], dtype=bool)
        touched[32 >> index : (32 >> index) + side, 16 >> index : (16 >> index) + side] = True
        assert (level[~touched] == 77).all()
        assert (level[touched] != 77).any()


def test_colours_of_transparent_pixels_do_not_bleed() -> None:
    rgba = np.zeros((2, 2, 4), dtype=np.uint8)
    rgba[0, 0] = 0, 0, 200, 255
    rgba[0, 1] = rgba[1, 0] = rgba[1, 1] = 255, 255, 0, 0  # yellow, but fully transparent
    assert MipPyramid.from_rgba(rgba).levels[1][0, 0].tolist() == [0, 0, 50, 64]


def test_levels_keep_mean_brightness() -> None:
    rgba = noise(512, 512, opaque=True)
    pyramid = MipPyramid.from_rgba(rgba)
    for level in pyramid.levels:
        assert level[:, :, :3].mean() == pytest.approx(rgba[:, :, :3].mean(), abs=0.3 + 64 / level.shape[0] ** 2)


def test_levels_do_not_depend_on_strip_size(monkeypatch: pytest.MonkeyPatch) -> None:
    rgba = noise(37, 23, opaque=False)
    whole = MipPyramid.from_rgba(rgba.copy())
    monkeypatch.setattr(pyramid_module, "_STRIP_PX", 64)
    for level, expected in zip(MipPyramid.from_rgba(rgba).levels, whole.levels, strict=True):
        np.testing.assert_array_equal(level, expected)


def test_from_rgba_copies_only_when_necessary() -> None:
    rgba = noise(4, 4, opaque=True)
    assert MipPyramid.from_rgba(rgba).levels[0] is rgba

    locked = noise(4, 4, opaque=True)
    locked.flags.writeable = False
    pyramid = MipPyramid.from_rgba(locked)
    pyramid.write(0, 0, np.zeros((1, 1, 4), dtype=np.uint8))
    assert not np.shares_memory(pyramid.levels[0], locked)

    part = noise(4, 9, opaque=True)[:, ::2]
    assert MipPyramid.from_rgba(part).levels[0].flags.c_contiguous


def test_write_does_not_move_memory_of_levels() -> None:
    pyramid = MipPyramid.from_rgba(noise(16, 16, opaque=True))
    before = [level.ctypes.data for level in pyramid.levels]
    pyramid.write(3, 3, noise(5, 5, opaque=False))
    assert [level.ctypes.data for level in pyramid.levels] == before


def test_copy_is_independent() -> None:
    pyramid = MipPyramid.from_rgba(noise(8, 8, opaque=True))
    twin = pyramid.copy()
    twin.write(0, 0, np.zeros((8, 8, 4), dtype=np.uint8))
    assert twin.has_alpha
    assert not pyramid.has_alpha
    assert pyramid.levels[3][0, 0, 3] == 255


def test_has_alpha_detects_a_single_translucent_pixel() -> None:
    assert not MipPyramid.from_rgba(noise(3, 3, opaque=True)).has_alpha
    rgba = noise(3, 3, opaque=True)
    rgba[2, 2, 3] = 254
    assert MipPyramid.from_rgba(rgba).has_alpha


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 4, 3), np.uint8),
        np.zeros((4, 4, 4), np.float32),
        np.zeros((0, 4, 4), np.uint8),
        np.zeros((4, 4), np.uint8),
    ],
)
def test_rejects_arrays_of_wrong_shape_or_type(bad: np.ndarray) -> None:
    with pytest.raises(ShapeMismatchError):
        MipPyramid.from_rgba(bad)
    with pytest.raises(ShapeMismatchError):
        MipPyramid.from_rgba(noise(4, 4, opaque=True)).write(0, 0, bad)


@pytest.mark.parametrize(("x", "y"), [(-1, 0), (0, -1), (3, 0), (0, 3)])
def test_write_rejects_blocks_beyond_the_edge(x: int, y: int) -> None:
    pyramid = MipPyramid.from_rgba(noise(4, 4, opaque=True))
    with pytest.raises(ShapeMismatchError):
        pyramid.write(x, y, noise(2, 2, opaque=True))
