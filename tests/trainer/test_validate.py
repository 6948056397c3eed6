"""Judging a network on held-out pictures, and the crops that are kept for viewing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.trainer.conftest import draw_picture
from vdsr_app.core.models import find_model
from vdsr_app.core.network import VDSR, VDSRConfig, initialise
from vdsr_app.core.protocol import Trial, make_trial, protocol_luma, score
from vdsr_app.core.weights import load_model
from vdsr_app.errors import TrainingError
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.presets import preset
from vdsr_trainer.trials import COMPARED_PX, JUDGED_PX, middle
from vdsr_trainer.validate import CropWriter, Judge

CONFIG = replace(preset("robust"), scales=(2.0, 3.0), steps=1000, validate_every=100)


def _luma(seed: int, height: int = 96, width: int = 110) -> np.ndarray:
    return protocol_luma(draw_picture(seed, height, width)).astype(np.uint8)


@pytest.fixture
def lumas() -> dict[str, np.ndarray]:
    return {f"p{seed}.png": _luma(seed) for seed in range(3)}


@pytest.fixture
def silent() -> VDSR:
    """Adds nothing: its result is bicubic."""
    model = VDSR(VDSRConfig(2, 4)).requires_grad_(False)
    for parameter in model.parameters():
        parameter.zero_()
    return model


def test_bicubic_psnr_matches_protocol(lumas: dict[str, np.ndarray], silent: VDSR) -> None:
    judge = Judge.prepare(lumas, CONFIG)
    for scale in (2, 3):
        expected = []
        for luma in lumas.values():
            trial = make_trial(luma.astype(np.float64), scale)
            expected.append(score(trial, trial.bicubic).psnr_db)
        assert judge.bicubic_psnr_db[str(scale)] == pytest.approx(np.mean(expected))
    assert judge.measure(silent) == pytest.approx(judge.bicubic_psnr_db, abs=0.01)


def test_measure_on_cpu_by_winograd_matches_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(find_model("vdsr")).model
    judge = Judge.prepare({"a": _luma(0), "b": _luma(1, 50, 70)}, replace(CONFIG, scales=(2.0,)))

    def by_pytorch(trial: Trial) -> float:
        with torch.inference_mode():
            luma = model(torch.from_numpy(trial.bicubic / 255.0).float()[None, None])[0, 0]
        return score(trial, luma.numpy() * 255.0).psnr_db

    exact = {key: np.mean([by_pytorch(trial) for trial in trials]) for key, trials in judge.trials.items()}
    monkeypatch.setattr(VDSR, "forward", lambda *_: pytest.fail("PyTorch takes three times as long"))
    assert judge.measure(model) == pytest.approx(exact, abs=1e-3)


def test_only_the_middle_of_a_large_picture_is_measured() -> None:
    large = Judge.prepare({"a": _luma(1, 400, 500)}, CONFIG)
    assert {trial.reference.shape for trial in large.trials["2"]} == {(180, 180)}


@pytest.mark.parametrize("height", [150, 181, 320, 321, 900, 901])
def test_area_kept_for_comparison_contains_area_of_validation(height: int) -> None:
    luma = np.arange(height, dtype=np.uint16)[:, None].repeat(401, axis=1)
    assert np.array_equal(middle(middle(luma, COMPARED_PX), JUDGED_PX), middle(luma, JUDGED_PX))


def test_run_on_jpegs_is_judged_on_jpegs_too(lumas: dict[str, np.ndarray]) -> None:
    judge = Judge.prepare(lumas, replace(CONFIG, jpeg_share=0.5))
    assert list(judge.trials) == ["2", "3", "2 jpeg 40", "3 jpeg 40"]
    assert judge.bicubic_psnr_db["2 jpeg 40"] < judge.bicubic_psnr_db["2"] - 0.5


def test_flat_pictures_have_finite_psnr() -> None:
    judge = Judge.prepare({"flat": np.full((64, 64), 90, np.uint8)}, CONFIG)
    assert judge.bicubic_psnr_db == {"2": 100.0, "3": 100.0}


def test_prepare_rejects_pictures_too_small_to_judge() -> None:
    with pytest.raises(TrainingError, match="too small to judge"):
        Judge.prepare({"dot": np.zeros((9, 9), np.uint8)}, CONFIG)


def test_referenced_reports_bundled_models_and_teacher(lumas: dict[str, np.ndarray]) -> None:
    judge = Judge.prepare({name: luma[:40, :40] for name, luma in lumas.items()}, CONFIG)
    reported = judge.referenced(torch.device("cpu"), 7, {"2": 31.5})
    assert reported.step == 7
    assert set(reported.psnr_db) == {"teacher", "vdsr", "photo"}
    assert reported.psnr_db["teacher"] == {"2": 31.5}
    assert reported.psnr_db["vdsr"]["2"] > judge.bicubic_psnr_db["2"]


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        assert picture.mode == "L"
        return np.asarray(picture).astype(int)


def test_crop_shows_where_bicubic_is_worst(tmp_path: Path, silent: VDSR) -> None:
    calm = np.full((180, 180), 120, np.uint8)
    judge = Judge.prepare({"calm": calm, "busy": _luma(2, 180, 180)}, CONFIG)
    crops = CropWriter(tmp_path, judge, CONFIG)
    crops.write_fixed()
    assert crops.write(silent, 100, 1000) == "crops/00000100.png"
    bicubic, original, mine = (
        _pixels(tmp_path / "crops" / f"{name}.png") for name in ("bicubic", "original", "00000100")
    )
    assert original.shape == bicubic.shape == mine.shape == (160, 160)
    assert original.std() > 10, "it is the calm picture"
    assert np.array_equal(bicubic, mine), "the silent network adds nothing"
    assert 0 < np.abs(bicubic - original).mean() < 60


def test_crop_expands_luma_to_full_range(tmp_path: Path) -> None:
    luma = np.full((160, 160), 16, np.uint8)
    luma[:, 80:] = 235
    CropWriter(tmp_path, Judge.prepare({"page": luma}, CONFIG), CONFIG).write_fixed()
    original, bicubic = (_pixels(tmp_path / "crops" / f"{name}.png") for name in ("original", "bicubic"))
    assert np.array_equal(original[:, [0, -1]], np.tile([0, 255], (len(original), 1)))
    assert np.abs(bicubic[:, [0, -1]] - [0, 255]).max() <= 1


@pytest.mark.parametrize(("steps", "most"), [(1000, 10), (100_000, 201)])
def test_number_of_crops_is_limited_in_long_runs(
    tmp_path: Path, lumas: dict[str, np.ndarray], silent: VDSR, steps: int, most: int
) -> None:
    config: TrainConfig = replace(CONFIG, steps=steps)
    crops = CropWriter(tmp_path, Judge.prepare(lumas, config), config)
    crops.write_fixed()
    written = [crops.write(silent, step, steps) for step in range(100, steps + 1, 100)]
    kept = [name for name in written if name]
    assert most / 2 < len(kept) <= most
    assert written[-1], "the last one is always kept"


def test_crop_of_random_network_differs_from_bicubic(tmp_path: Path, lumas: dict[str, np.ndarray]) -> None:
    model = VDSR(VDSRConfig(3, 4))
    initialise(model, 1)
    crops = CropWriter(tmp_path, Judge.prepare(lumas, CONFIG), CONFIG)
    crops.write_fixed()
    crops.write(model, 100, 1000)
    mine, bicubic = (_pixels(tmp_path / "crops" / f"{name}.png") for name in ("00000100", "bicubic"))
    assert np.abs(mine - bicubic).mean() > 1
