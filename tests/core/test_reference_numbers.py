"""Colour, bicubic, PSNR and SSIM against stored numbers, and against the published ones where available."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.core.ycbcr import rgb_to_ycbcr, ycbcr_to_rgb
from vdsr_app.core import image_io
from vdsr_app.core.color import RGB_PER_LUMA, gray_to_luma, luma_to_gray, network_luma, rgb_to_luma
from vdsr_app.core.metrics import psnr_db, ssim
from vdsr_app.core.protocol import make_trial, protocol_luma, score
from vdsr_app.errors import ShapeMismatchError, UsageError


def _plane(height: int = 48, width: int = 60) -> np.ndarray:
    """Smooth waves, an edge and texture, from a formula: the same numbers on any machine."""
    y, x = np.mgrid[0:height, 0:width]
    waves = 128 + 60 * np.sin(x / 5.0) * np.cos(y / 7.0) + 30 * ((x + 2 * y) % 17 > 8)
    return np.clip(np.floor(waves + 0.5), 0, 255)


# Stored from this project's own code when it reproduced all 114 published values.
STORED = {2: (31.76190, 0.910717), 3: (29.61313, 0.851443), 4: (26.55459, 0.705610)}


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_scores_match_stored_values(scale: int) -> None:
    trial = make_trial(_plane(), scale)
    result = score(trial, trial.bicubic)
    assert (result.psnr_db, result.ssim) == pytest.approx(STORED[scale], abs=1e-4)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["set5", "set14"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_scores_match_published_values(shared_dir: Path, name: str, scale: int) -> None:
    published = json.loads((shared_dir / "reference" / "bicubic.json").read_text())[name][f"x{scale}"]["images"]
    for picture, values in published.items():
        luma = protocol_luma(image_io.read(shared_dir / "data" / name / f"{picture}.png").pixels)
        trial = make_trial(luma, scale)
        result = score(trial, trial.bicubic)
        assert result.psnr_db == pytest.approx(values["psnr_db"], abs=0.01), picture
        assert result.ssim == pytest.approx(values["ssim"], abs=0.0002), picture


def test_luma_of_primaries_is_in_studio_range() -> None:
    # Rounded values of MATLAB's rgb2ycbcr, as its documentation gives the matrix.
    colours = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]])
    assert np.rint(rgb_to_luma(colours)).tolist() == [16, 235, 81, 145, 41]
    assert np.rint(rgb_to_ycbcr(colours))[1:, 1:].tolist() == [[128, 128], [90, 240], [54, 34], [240, 110]]


def test_rgb_round_trips_through_ycbcr() -> None:
    rgb = np.random.default_rng(0).uniform(0, 255, (5, 7, 3))
    assert ycbcr_to_rgb(rgb_to_ycbcr(rgb)) == pytest.approx(rgb, abs=1e-9)


def test_luma_step_changes_red_green_and_blue_equally() -> None:
    ycbcr = rgb_to_ycbcr(np.array([[90.0, 120.0, 30.0]]))
    brighter = ycbcr_to_rgb(ycbcr + np.array([10.0, 0, 0]))
    assert brighter - [90.0, 120.0, 30.0] == pytest.approx(np.full((1, 3), 10 * RGB_PER_LUMA))


@pytest.mark.parametrize("full_scale", [255.0, 65535.0])
def test_network_luma_of_gray_equals_that_of_its_rgb_copy(full_scale: float) -> None:
    gray = np.linspace(0, full_scale, 256, dtype=np.float32).reshape(16, 16, 1)
    luma = network_luma(gray, full_scale)
    assert luma == pytest.approx(network_luma(np.repeat(gray, 3, axis=2), full_scale), abs=1e-6)
    assert (luma.min(), luma.max()) == (pytest.approx(16 / 255, abs=1e-6), pytest.approx(235 / 255, abs=1e-6))


def test_gray_round_trips_through_luma() -> None:
    gray = np.arange(256)
    luma = gray_to_luma(gray)
    assert luma == pytest.approx(rgb_to_luma(np.stack([gray] * 3, axis=-1)), abs=1e-9)
    assert luma_to_gray(luma) == pytest.approx(gray, abs=1e-9)


def test_sixteen_bit_luma_equals_eight_bit() -> None:
    eight = np.random.default_rng(1).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    assert np.array_equal(protocol_luma(eight), protocol_luma(eight.astype(np.uint16) * 257))


def test_metrics_of_flat_planes_match_known_values() -> None:
    flat = np.full((20, 20), 100.0)
    assert psnr_db(flat, flat, 2) == float("inf")
    assert psnr_db(flat, flat + 1.0, 2) == pytest.approx(48.1308, abs=1e-4)
    assert ssim(flat, flat, 2) == pytest.approx(1.0)
    # Two flat planes differ in the luminance term alone: (2ab + c1) / (a^2 + b^2 + c1).
    c1 = (0.01 * 255) ** 2
    assert ssim(flat, flat + 20, 0) == pytest.approx((2 * 100 * 120 + c1) / (100**2 + 120**2 + c1))


def test_psnr_excludes_the_border() -> None:
    flat = np.full((30, 30), 50.0)
    framed = flat.copy()
    framed[:3] = framed[-3:] = framed[:, :3] = framed[:, -3:] = 200.0
    assert psnr_db(flat, framed, 3) == float("inf")
    assert psnr_db(flat, framed, 2) < 40


def test_metrics_and_trials_reject_invalid_planes() -> None:
    with pytest.raises(ShapeMismatchError):
        psnr_db(np.zeros((4, 4)), np.zeros((4, 5)), 0)
    with pytest.raises(UsageError):
        psnr_db(np.zeros((4, 4)), np.zeros((4, 4)), 2)
    with pytest.raises(UsageError):
        ssim(np.zeros((12, 12)), np.zeros((12, 12)), 1)
    with pytest.raises(UsageError):
        make_trial(np.zeros((12, 40)), 2)


@pytest.mark.parametrize(("scale", "size"), [(2.5, (45, 60)), (1.5, (48, 60)), (3, (48, 60))])
def test_trial_reference_is_cropped_to_integer_lr_size(scale: float, size: tuple[int, int]) -> None:
    assert make_trial(_plane(), scale).reference.shape == size
