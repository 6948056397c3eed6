"""The comparison at the end of a run: scores by the protocol, of the right models, on the right pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vdsr_app import paths
from vdsr_app.control import CancelToken
from vdsr_app.core.backend import TorchBackend
from vdsr_app.core.device import Precision
from vdsr_app.core.network import VDSR, VDSRConfig, initialise
from vdsr_app.core.protocol import make_trial, score
from vdsr_app.core.weights import save_weights
from vdsr_app.errors import Cancelled
from vdsr_trainer import trials
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.events import Compared, from_json, to_json
from vdsr_trainer.presets import preset
from vdsr_trainer.result import compare


def luma(seed: int, height: int = 60, width: int = 70) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 5 + 1, width // 5 + 1))
    return np.kron(coarse, np.ones((5, 5), int))[:height, :width].astype(np.uint8)


def written(run: Path) -> Compared:
    values = json.loads((run / "result.json").read_text("utf-8"))
    return Compared(values["step"], values["pictures"], values["rows"])


def network(seed: int, share: float) -> VDSR:
    """Three thin layers; with a `share` of 0 the result is bicubic."""
    model = VDSR(VDSRConfig(3, 4))
    initialise(model, seed)
    for parameter in model.layers[-1].parameters():
        parameter.data.mul_(share)
    return model.eval()


@pytest.fixture
def config() -> TrainConfig:
    return replace(preset("robust"), depth=3, width=4, scales=(2.0, 3.0), device="cpu")


@pytest.fixture(autouse=True)
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bundled"
    folder.mkdir()
    save_weights(network(1, 0.1), folder / "vdsr.safetensors")
    monkeypatch.setattr(paths, "models_dir", lambda: folder)
    paths.user_models_dir().mkdir(parents=True)
    save_weights(network(2, 0.2), paths.user_models_dir() / "mine.safetensors")
    return folder


def test_rows_match_scores_of_protocol(config: TrainConfig, tmp_path: Path) -> None:
    pictures = {"a": luma(0), "b": luma(1, 48, 90)}
    model = network(3, 0.3)
    before = [parameter.clone() for parameter in model.parameters()]
    compared = compare(model, pictures, config, tmp_path, step=7)
    assert (compared.step, compared.pictures) == (7, 2)
    assert list(compared.rows) == ["bicubic", "vdsr", "this run"]
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    for key in ("2", "3"):
        trials = [make_trial(picture.astype(float), float(key)) for picture in pictures.values()]
        bicubic = np.mean([score(trial, trial.bicubic).psnr_db for trial in trials])
        assert compared.rows["bicubic"][key][0] == pytest.approx(bicubic, abs=1e-3)
        with torch.inference_mode():
            made = [
                score(trial, model(torch.from_numpy(trial.bicubic / 255).float()[None, None])[0, 0].numpy() * 255.0)
                for trial in trials
            ]
        psnr_db, ssim = compared.rows["this run"][key]
        # The upscaler may work in bf16, which moves the last digits.
        assert psnr_db == pytest.approx(np.mean([each.psnr_db for each in made]), abs=0.02)
        assert ssim == pytest.approx(np.mean([each.ssim for each in made]), abs=1e-3)
    assert compared.rows["vdsr"] != compared.rows["bicubic"] != compared.rows["this run"]


def test_comparison_round_trips_through_file_and_event(config: TrainConfig, tmp_path: Path) -> None:
    compared = compare(network(3, 0.3), {"a": luma(0)}, config, tmp_path, step=7)
    assert written(tmp_path) == compared
    assert from_json(to_json(compared)) == compared


def test_start_model_is_compared(config: TrainConfig, tmp_path: Path) -> None:
    compared = compare(network(3, 0.3), {"a": luma(0)}, replace(config, start_from="mine"), tmp_path, step=1)
    assert list(compared.rows) == ["bicubic", "vdsr", "mine", "this run"]


def test_network_on_apple_gpu_is_compared(config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, devices = network(3, 0.3), []
    # On MPS a model's weights report their device with an index, even if it was moved to one without.
    monkeypatch.setattr(model, "parameters", lambda: iter([SimpleNamespace(device=torch.device("mps", 0))]))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)

    def on_the_processor(model: VDSR, device: torch.device, precision: str) -> TorchBackend:
        devices.append(device)
        return TorchBackend(model, torch.device("cpu"), Precision.FP32)

    monkeypatch.setattr("vdsr_app.core.engine.gpu_backend", on_the_processor)
    notices: list[str] = []
    compared = compare(model, {"a": luma(0)}, config, tmp_path, step=1, notice=notices.append)
    assert notices == []
    assert list(compared.rows) == ["bicubic", "vdsr", "this run"]
    assert devices == [torch.device("mps")] * 2


def test_damaged_model_is_skipped_with_notice(config: TrainConfig, tmp_path: Path, bundled: Path) -> None:
    data = bytearray((bundled / "vdsr.safetensors").read_bytes())
    data[-2] ^= 1
    (bundled / "vdsr.safetensors").write_bytes(data)
    notices: list[str] = []
    compared = compare(network(3, 0.3), {"a": luma(0)}, config, tmp_path, step=1, notice=notices.append)
    assert list(compared.rows) == ["bicubic", "this run"]
    assert len(notices) == 1
    assert "checksum" in notices[0]


def test_model_with_non_finite_output_is_skipped_with_notice(config: TrainConfig, tmp_path: Path, bundled) -> None:
    broken = VDSR(VDSRConfig(12, 4))
    for layer in broken.layers:
        layer.weight.data.fill_(1e4)  # each is within the allowed range: only their product is not finite
    save_weights(broken, bundled / "vdsr.safetensors")
    notices: list[str] = []
    compared = compare(network(3, 0.3), {"a": luma(0)}, config, tmp_path, step=1, notice=notices.append)
    assert list(compared.rows) == ["bicubic", "this run"]
    assert len(notices) == 1
    assert "not finite" in notices[0]
    assert written(tmp_path) == compared


def test_model_named_like_a_row_does_not_replace_it(config: TrainConfig, tmp_path: Path) -> None:
    for name in ("bicubic", "this run"):
        save_weights(network(2, 0.9), paths.user_models_dir() / f"{name}.safetensors")
        compared = compare(
            network(3, 0.0), {"a": luma(0)}, replace(config, start_from=name, scales=(2.0,)), tmp_path, step=1
        )
        assert list(compared.rows) == ["bicubic", "vdsr", "this run"]
        assert compared.rows["this run"]["2"] == pytest.approx(compared.rows["bicubic"]["2"], abs=1e-3)


def test_run_on_jpegs_is_compared_on_jpegs(config: TrainConfig, tmp_path: Path) -> None:
    compared = compare(network(3, 0.0), {"a": luma(0)}, replace(config, jpeg_share=0.5), tmp_path, step=1)
    for row in compared.rows.values():
        assert list(row) == ["2", "3", "2 jpeg 40", "3 jpeg 40"]
        assert row["2 jpeg 40"][0] < row["2"][0]
    assert compared.rows["this run"]["2 jpeg 40"] == pytest.approx(compared.rows["bicubic"]["2 jpeg 40"], abs=1e-3)


def test_flat_pictures_have_finite_psnr(config: TrainConfig, tmp_path: Path) -> None:
    flat = np.full((60, 60), 77, np.uint8)
    compared = compare(network(3, 0.0), {"a": flat}, config, tmp_path, step=1)
    assert compared.rows["bicubic"]["2"][0] == 100.0
    assert from_json(to_json(compared)) == compared


def test_scale_factors_too_large_for_pictures_are_skipped(config: TrainConfig, tmp_path: Path) -> None:
    wide = replace(config, scales=(1.0, 2.0, 8.0))
    compared = compare(network(3, 0.3), {"a": luma(0, 20, 20)}, wide, tmp_path, step=1)
    assert {tuple(row) for row in compared.rows.values()} == {("2",)}


def test_compare_limits_number_and_size_of_pictures(config: TrainConfig, tmp_path: Path, monkeypatch) -> None:
    seen: list[tuple[int, ...]] = []
    make = trials.make_trial
    monkeypatch.setattr(
        trials, "make_trial", lambda plane, scale: (seen.append(plane.shape), make(plane[:40, :40], scale))[1]
    )
    pictures = {f"{i:02}": luma(i, 30, 30) for i in range(40)} | {"00": luma(0, 700, 600)}
    one = replace(config, scales=(2.0,))
    done: list[tuple[int, int]] = []
    compared = compare(network(3, 0.3), pictures, one, tmp_path, step=1, on_progress=lambda *a: done.append(a))
    assert compared.pictures == 16
    assert max(seen) == (320, 320)
    assert done == [(i, 48) for i in range(1, 49)]


def test_cancel_stops_compare_before_result_is_written(config: TrainConfig, tmp_path: Path) -> None:
    token, done = CancelToken(), []

    def on_progress(count: int, total: int) -> None:
        done.append(count)
        token.cancel()

    pictures = {"a": luma(0), "b": luma(1)}
    with pytest.raises(Cancelled):
        compare(network(3, 0.3), pictures, config, tmp_path, step=1, token=token, on_progress=on_progress)
    assert done == [1]
    assert not (tmp_path / "result.json").exists()
