"""PSNR and SSIM of pictures: computation in strips, progress and errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vdsr_app.control import CancelToken
from vdsr_app.core import picture_metrics
from vdsr_app.core.metrics import psnr_db, ssim
from vdsr_app.core.picture import Picture
from vdsr_app.core.picture_metrics import compare_pictures
from vdsr_app.core.protocol import protocol_luma
from vdsr_app.errors import Cancelled, ShapeMismatchError, UsageError


def random_picture(shape, seed, dtype=np.uint8):
    high = int(np.iinfo(dtype).max) + 1
    return Picture(np.random.default_rng(seed).integers(0, high, shape, dtype=dtype))


@pytest.mark.parametrize("strip_px", [1, 40, 1000, 1 << 20])
@pytest.mark.parametrize(("channels", "dtype"), [(1, np.uint8), (3, np.uint8), (3, np.uint16)])
def test_metrics_in_strips_equal_those_of_whole_planes(monkeypatch, strip_px, channels, dtype):
    monkeypatch.setattr(picture_metrics, "_STRIP_PX", strip_px)
    reference, estimate = (random_picture((41, 29, channels), seed, dtype) for seed in (1, 2))
    result = compare_pictures(reference, estimate, 3)
    lumas = protocol_luma(reference.pixels), protocol_luma(estimate.pixels)
    assert result.psnr_db == pytest.approx(psnr_db(*lumas, 3), rel=1e-12)
    assert result.ssim == pytest.approx(ssim(*lumas, 3), rel=1e-12)


def test_equal_pictures_have_infinite_psnr_and_ssim_of_one():
    picture = random_picture((20, 20, 3), 1)
    result = compare_pictures(picture, picture, 2)
    assert math.isinf(result.psnr_db)
    assert result.ssim == pytest.approx(1.0)


def test_gray_picture_equals_its_rgb_copy():
    gray = random_picture((20, 20, 1), 1)
    rgb = Picture(np.repeat(gray.pixels, 3, axis=2))
    assert math.isinf(compare_pictures(gray, rgb, 2).psnr_db)


def test_progress_ends_at_the_last_row(monkeypatch):
    monkeypatch.setattr(picture_metrics, "_STRIP_PX", 100)
    seen = []
    picture = random_picture((30, 20, 3), 1)
    compare_pictures(picture, picture, 0, on_rows=lambda done, total: seen.append((done, total)))
    assert seen == [(5 * i, 30) for i in range(1, 7)]


def test_different_sizes_are_rejected_with_both_sizes_in_the_message():
    with pytest.raises(ShapeMismatchError, match=r"20 x 30 pixels.*20 x 31") as caught:
        compare_pictures(random_picture((30, 20, 3), 1), random_picture((31, 20, 3), 1), 0)
    assert caught.value.hint


def test_too_small_picture_raises_usage_error():
    picture = random_picture((14, 30, 3), 1)
    with pytest.raises(UsageError):
        compare_pictures(picture, picture, 2)


def test_compare_pictures_raises_when_cancelled():
    token = CancelToken()
    token.cancel()
    picture = random_picture((30, 30, 3), 1)
    with pytest.raises(Cancelled):
        compare_pictures(picture, picture, 0, token)
