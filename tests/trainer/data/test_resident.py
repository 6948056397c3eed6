"""Resident batches: patches cut on a device equal those cut by the CPU. Here the device is the CPU, too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.trainer.conftest import Opener, draw_picture
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.dataset import TrainingData
from vdsr_trainer.data.resident import ResidentBatches, resident_batches, shrunk_and_enlarged

CPU = torch.device("cpu")


@pytest.fixture
def uneven(pictures: Path, small: TrainConfig) -> TrainConfig:
    """Pictures of various sizes, down to that of one patch, and shrunk copies of them."""
    for seed, (height, width) in enumerate([(24, 24), (25, 131), (300, 27), (97, 101)]):
        picture = draw_picture(50 + seed, height, width)[..., 0] if seed % 2 else draw_picture(50 + seed, height, width)
        Image.fromarray(picture).save(pictures / f"uneven{seed}.png")
    return replace(small, batch=64, shrunk_copies=(0.8, 0.6), scales=(1.5, 2.0, 3.0, 4.0))


def _assert_equal(data: TrainingData, config: TrainConfig, steps: range) -> None:
    resident = ResidentBatches(data, config, CPU)
    for step in steps:
        expected, made = data.batch(step), resident.batch(step)
        assert made.bicubic.dtype == made.target.dtype == torch.float32
        assert made.bicubic.shape == made.target.shape == (config.batch, 1, config.patch_px, config.patch_px)
        # Equal pixels mean equal positions and turns; what is computed from them differs by float32 rounding.
        assert np.array_equal(made.target.numpy(), expected.target)
        assert np.abs(made.bicubic.numpy() - expected.bicubic).max() < 2e-6
        if config.consistency:
            assert made.grid is not None
            assert expected.grid is not None
            assert np.array_equal(made.grid.numpy(), expected.grid)
        else:
            assert made.grid is None
            assert expected.grid is None


@pytest.mark.parametrize("candidates", [1, 2, 5])
def test_batches_match_those_cut_by_cpu(uneven: TrainConfig, opened: Opener, candidates: int) -> None:
    config = replace(uneven, hard_candidates=candidates, fixed_share=0.5)
    _assert_equal(opened(config), config, range(6))


def test_lr_grids_match_those_of_cpu(uneven: TrainConfig, opened: Opener) -> None:
    config = replace(uneven, consistency=1.0, fixed_share=0.5)
    _assert_equal(opened(config), config, range(3))


def test_batches_match_for_scale_factors_from_one_to_eight(uneven: TrainConfig, opened: Opener) -> None:
    config = replace(uneven, fixed_share=0.0, scale_min=1.0, scale_max=8.0, patch_px=16)
    _assert_equal(opened(config), config, range(6))


def test_every_picture_and_copy_is_sampled(uneven: TrainConfig, opened: Opener) -> None:
    config = replace(uneven, shrunk_copies=(0.5,))
    resident = ResidentBatches(opened(config), config, CPU)
    seen: set[int] = set()
    for step in range(40):
        draws = torch.from_numpy(np.random.default_rng(step).random((64, 2)))
        seen |= set(resident._odds.pick(draws[:, 0], draws[:, 1]).tolist())
    assert seen == set(range(len(resident._bands.heights)))


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Callable[[TrainingData, TrainConfig, int], bool]:
    """Tells whether pictures would go to a card with that much free memory; nothing is loaded there."""

    def goes(data: TrainingData, config: TrainConfig, free: int) -> bool:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 1 << 40))
        monkeypatch.setattr("vdsr_trainer.data.resident.ResidentBatches", lambda *_: "made")
        return resident_batches(data, config, torch.device("cuda")) is not None

    return goes


@pytest.mark.parametrize(
    "change",
    [{"jpeg_share": 0.1}, {"blur_share": 0.1}, {"noise_share": 0.1}, {"sampling": "grid"}],
)
def test_degradations_and_grid_sampling_stay_on_cpu(
    small: TrainConfig, opened: Opener, card: Callable[..., bool], change: dict[str, object]
) -> None:
    assert card(opened(small), small, 1 << 40)
    config = replace(small, **change)
    assert not card(opened(config), config, 1 << 40)


def test_pictures_larger_than_cache_stay_on_cpu(
    small: TrainConfig, opened: Opener, card: Callable[..., bool], pictures: Path
) -> None:
    for seed in range(6):
        noise = np.random.default_rng(seed).integers(0, 256, (800, 800), np.uint8)
        Image.fromarray(noise).save(pictures / f"large{seed}.png")
    config = replace(small, cache_mb=1)
    assert not card(opened(config), config, 1 << 40)


def test_pictures_take_at_most_half_of_free_card_memory(
    small: TrainConfig, opened: Opener, card: Callable[..., bool]
) -> None:
    data = opened(small)
    assert not card(data, small, 2 * data.bytes_held - 2)
    assert card(data, small, 2 * data.bytes_held)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("CUBLAS_STATUS_ALLOC_FAILED")]
)
def test_falls_back_to_cpu_with_notice_when_card_runs_out_of_memory(
    small: TrainConfig, opened: Opener, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1 << 40, 1 << 40))
    monkeypatch.setattr("vdsr_trainer.data.resident.ResidentBatches", fail)
    notices: list[str] = []
    assert resident_batches(opened(small), small, torch.device("cuda"), notices.append) is None
    assert ["do not fit" in text for text in notices] == [True]


def test_resident_batches_returns_none_for_cpu_and_mps(small: TrainConfig, opened: Opener) -> None:
    for name in ("cpu", "mps"):
        assert resident_batches(opened(small), small, torch.device(name)) is None


def test_shrunk_and_enlarged_preserves_constant_axis() -> None:
    sizes = torch.tensor([48, 481, 3000])
    scales = torch.tensor([1.2, 4.5, 8.0], dtype=torch.float64)
    matrices = shrunk_and_enlarged(sizes, scales, torch.tensor([0, 433, 1500]), 48, 40)
    assert torch.allclose(matrices.sum(dim=2), torch.ones(3, 48), atol=1e-5)
