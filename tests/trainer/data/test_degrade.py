"""Degradation: a patch equals the same part of the whole degraded picture, for every kind of degradation."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vdsr_app.core.resize import resize
from vdsr_trainer.data.degrade import (
    Degradation,
    Source,
    degrade_whole,
    degraded_patches,
    noise_plane,
    reach_px,
    through_jpeg,
)


def picture(height: int, width: int, *, seed: int = 0) -> np.ndarray:
    """Smooth shades with edges and some grain, so that JPEG and rounding have an effect."""
    rng = np.random.default_rng([seed, height, width])
    y, x = np.mgrid[0:height, 0:width]
    plane = (
        120 + 60 * np.sin(x / 7) * np.cos(y / 11) + 40 * ((x // 9 + y // 13) % 2) + rng.normal(0, 6, (height, width))
    )
    return np.clip(np.rint(plane), 16, 235).astype(np.uint8)


def blurred(plane: np.ndarray, sigma: float, axis: int) -> np.ndarray:
    radius = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    pad = [(0, 0), (0, 0)]
    pad[axis] = (radius, radius)
    padded = np.pad(plane, pad, mode="symmetric")
    return np.apply_along_axis(np.convolve, axis, padded, kernel, mode="valid")


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=quality)
    return np.asarray(Image.open(file))


def wholly_degraded(luma: np.ndarray, done: Degradation) -> np.ndarray:
    """Reference: the documented degradation, computed naively on the whole picture."""
    height, width = luma.shape
    small_h, small_w = (max(1, round(size / done.scale)) for size in luma.shape)
    plane = luma.astype(np.float64)
    if done.blur_sigma:
        plane = blurred(blurred(plane, done.blur_sigma * height / small_h, 0), done.blur_sigma * width / small_w, 1)
    small = resize(plane, small_h, small_w, dtype=np.float64)
    if not done.clean:
        pixels = (small - 16) * 255 / 219
        if done.noise_sigma:
            pixels = pixels + done.noise_sigma * noise_plane(done.noise_seed, 0, 0, small_h, small_w)
        pixels = np.floor(np.clip(pixels, 0, 255) + 0.5 + 1e-6).astype(np.uint8)
        if done.jpeg_quality:
            pixels = jpeg(pixels, done.jpeg_quality)
        small = pixels.astype(np.float64) * 219 / 255 + 16
    return resize(small, height, width, dtype=np.float64)


degradations = st.builds(
    Degradation,
    scale=st.one_of(st.sampled_from([1.0, 2.0, 3.0, 4.0, 8.0]), st.floats(1.0, 8.0)),
    blur_sigma=st.sampled_from([0.0, 0.3, 0.8, 2.0]),
    noise_sigma=st.sampled_from([0.0, 4.0]),
    jpeg_quality=st.sampled_from([0, 30, 75, 95]),
    noise_seed=st.integers(0, 2**63 - 1),
)


@settings(max_examples=150, deadline=None)
@given(height=st.integers(10, 120), width=st.integers(10, 120), done=degradations, data=st.data())
def test_patch_equals_part_of_whole_degraded_picture(
    height: int, width: int, done: Degradation, data: st.DataObject
) -> None:
    luma = picture(height, width)
    side = data.draw(st.integers(1, 10))
    top, left = data.draw(st.integers(0, height - side)), data.draw(st.integers(0, width - side))
    patch = degraded_patches([Source(luma, height)], [(top, left)], (side, side), [done])[0]
    whole = wholly_degraded(luma, done)
    # One level of difference in a single LR sample would show as 0.2 or more.
    assert patch == pytest.approx(whole[top : top + side, left : left + side], abs=1e-3)


@settings(max_examples=20, deadline=None)
@given(done=degradations)
def test_patches_degraded_together_match_each_degraded_alone(done: Degradation) -> None:
    sources = [Source(luma, luma.shape[0]) for luma in (picture(60, 90), picture(33, 41), picture(200, 24))]
    places, others = [(0, 0), (9, 17), (176, 0)], [done, Degradation(2.0), Degradation(3.35, 0.5, 2.0, 40, 7)]
    together = degraded_patches(sources, places, (24, 24), others)
    for source, place, other, patch in zip(sources, places, others, together, strict=True):
        assert degraded_patches([source], [place], (24, 24), [other])[0] == pytest.approx(patch, abs=1e-3)


@pytest.mark.parametrize("scale", [1.2, 2.0, 3.7, 8.0])
def test_reach_px_covers_all_rows_that_affect_patch(scale: float) -> None:
    done = Degradation(scale, blur_sigma=0.8, noise_sigma=3.0, jpeg_quality=50, noise_seed=5)
    luma, reach = picture(1300, 40), reach_px(scale, 0.8)
    for top in (0, 301, 620, 643, 1300 - 24):
        first, last = max(0, top - reach), min(1300, top + 24 + reach)
        part = Source(luma[first:last], 1300, first)
        patch = degraded_patches([part], [(top, 3)], (24, 24), [done])
        assert np.array_equal(patch, degraded_patches([Source(luma, 1300)], [(top, 3)], (24, 24), [done]))


@pytest.mark.parametrize("done", [Degradation(2.0), Degradation(3.0, 0.6, 3.0, 40, 9)])
def test_degrade_whole_matches_reference_for_picture_larger_than_tile(done: Degradation) -> None:
    luma = picture(301, 530)
    assert degrade_whole(luma, done) == pytest.approx(wholly_degraded(luma, done), abs=1e-3)


def test_degrade_whole_preserves_black_and_white() -> None:
    luma = np.full((40, 40), 16, np.uint8)
    luma[:, 20:] = 235
    degraded = degrade_whole(luma, Degradation(2.0, jpeg_quality=95))
    assert degraded[:, 2:10] == pytest.approx(16, abs=3)
    assert degraded[:, 30:38] == pytest.approx(235, abs=3)


def test_blur_noise_and_jpeg_have_expected_effects() -> None:
    luma = picture(96, 96)
    plain = degrade_whole(luma, Degradation(2.0))
    soft = degrade_whole(luma, Degradation(2.0, blur_sigma=0.8))
    noisy = degrade_whole(luma, Degradation(2.0, noise_sigma=8.0, noise_seed=1))
    good, poor = (degrade_whole(luma, Degradation(2.0, jpeg_quality=quality)) for quality in (95, 20))
    assert np.abs(np.diff(soft, axis=1)).mean() < 0.8 * np.abs(np.diff(plain, axis=1)).mean()
    assert 3 < np.std(noisy - plain) < 9
    assert np.std(good - plain) < np.std(poor - plain)


def test_through_jpeg_matches_pillow() -> None:
    for quality in (1, 30, 75, 95, 100):
        pixels = picture(37, 51, seed=quality)
        assert np.array_equal(through_jpeg(pixels, quality), jpeg(pixels, quality))


def test_noise_is_normal_uncorrelated_and_tied_to_position() -> None:
    plane = noise_plane(3, 0, 0, 400, 500)
    assert abs(plane.mean()) < 0.01
    assert plane.std() == pytest.approx(1, abs=0.01)
    assert np.mean(np.abs(plane) < 1) == pytest.approx(0.6827, abs=0.005)
    for by in ((0, 1), (1, 0), (1, 1), (3, 5)):
        shifted = np.roll(plane, by, (0, 1))
        assert abs(np.corrcoef(plane.ravel(), shifted.ravel())[0, 1]) < 0.01
    assert np.array_equal(noise_plane(3, 100, 30, 20, 40), plane[100:120, 30:70])
    assert abs(np.corrcoef(plane.ravel(), noise_plane(4, 0, 0, 400, 500).ravel())[0, 1]) < 0.01
