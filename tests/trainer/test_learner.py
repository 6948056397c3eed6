"""Single steps: losses, micro-batches, memory shortages, non-finite numbers, and precision."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer.conftest import accelerator_error
from vdsr_app.core.network import VDSR, VDSRConfig
from vdsr_app.core.weights import save_weights
from vdsr_app.errors import DeviceError, DeviceMemoryError, TrainingError
from vdsr_trainer import learner as module
from vdsr_trainer import stepper
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.dataset import Patches
from vdsr_trainer.data.lr_grid import lr_matrices
from vdsr_trainer.learner import Learner
from vdsr_trainer.presets import preset
from vdsr_trainer.stepper import NotFiniteError, resolve_precision

CONFIG = replace(
    preset("robust"),
    loss="mse",
    consistency=0.0,
    depth=4,
    width=8,
    batch=6,
    patch_px=16,
    precision="fp32",
    threads=1,
    device="cpu",
    warmup_steps=0,
)


def _patches(seed: int = 0, config: TrainConfig = CONFIG) -> Patches:
    rng = np.random.default_rng(seed)
    target = rng.random((config.batch, 1, config.patch_px, config.patch_px), np.float32)
    return Patches(target + rng.normal(0, 0.05, target.shape).astype(np.float32), target)


def _weights(learner: Learner) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in learner.model.parameters()]


def _learn(config: TrainConfig, steps: int = 3) -> list[torch.Tensor]:
    learner = Learner(config)
    for step in range(steps):
        learner.step(_patches(step, config), step)
    return _weights(learner)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("micro_batch", [1, 4, 5, 100])
def test_micro_batches_match_whole_batch(optimizer: str, micro_batch: int) -> None:
    config = replace(CONFIG, optimizer=optimizer, clip_theta=1e-3 if optimizer == "sgd" else 0.0)
    for whole, pieces in zip(_learn(config), _learn(replace(config, micro_batch=micro_batch)), strict=True):
        torch.testing.assert_close(whole, pieces, rtol=1e-4, atol=1e-6)


def test_reported_loss_is_mean_square_for_any_micro_batch() -> None:
    patches = _patches()
    first = [float(Learner(replace(CONFIG, micro_batch=n)).step(patches, 0).mean_square) for n in (0, 1, 4)]
    assert first == pytest.approx([first[0]] * 3, rel=1e-5)
    with torch.no_grad():
        result = Learner(CONFIG).model(torch.from_numpy(patches.bicubic))
    assert first[0] == pytest.approx(float((result - torch.from_numpy(patches.target)).square().mean()), rel=1e-5)


@pytest.mark.parametrize("micro_batch", [0, 3])
@pytest.mark.parametrize("loss", ["mse", "rms", "charbonnier"])
def test_consistency_weights_errors_known_from_lr_picture(loss: str, micro_batch: int) -> None:
    config = replace(CONFIG, loss=loss, consistency=4.0, micro_batch=micro_batch)
    plain = _patches()
    grid = np.random.default_rng(3).uniform(1.0, 2.5, (len(plain.bicubic), 2, 2)).astype(np.float32)
    grid[1] = 0.0  # degraded: nothing is known there
    patches = replace(plain, grid=grid)
    learner = Learner(config)
    model = copy.deepcopy(learner.model)
    error = model(torch.from_numpy(patches.bicubic)) - torch.from_numpy(patches.target)

    def of_pixels(values: torch.Tensor) -> torch.Tensor:
        return (values.square() + 1e-6).sqrt() if loss == "charbonnier" else values.square()

    losses = []
    for each, axes in zip(error[:, 0], torch.from_numpy(grid), strict=True):
        rows, columns = (lr_matrices(axis[None], len(each))[0] for axis in axes)
        known = of_pixels(rows @ each @ columns.T).mean() * axes[0, 0] * axes[1, 0]
        of_patch = of_pixels(each).mean() + 4.0 * known
        losses.append((of_patch + 255.0**-2).sqrt() if loss == "rms" else of_patch)
    torch.stack(losses).mean().backward()
    assert float(learner._gradients(patches)) == pytest.approx(float(error.detach().square().mean()), rel=1e-5)
    for ours, expected in zip(learner.model.parameters(), model.parameters(), strict=True):
        assert ours.grad is not None
        assert expected.grad is not None
        torch.testing.assert_close(ours.grad, expected.grad, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("micro_batch", [0, 4])
def test_charbonnier_loss_matches_its_formula(micro_batch: int) -> None:
    config, patches = replace(CONFIG, loss="charbonnier", micro_batch=micro_batch), _patches()
    learner = Learner(config)
    with torch.no_grad():
        learner.model.layers[-1].bias.add_(0.5)  # errors of all signs and sizes
    model = copy.deepcopy(learner.model)
    error = model(torch.from_numpy(patches.bicubic)) - torch.from_numpy(patches.target)
    (error**2 + 1e-6).sqrt().mean().backward()
    reported = float(learner._gradients(patches))
    assert reported == pytest.approx(float(error.detach().square().mean()), rel=1e-5)
    for ours, plain in zip(learner.model.parameters(), model.parameters(), strict=True):
        assert ours.grad is not None
        assert plain.grad is not None
        torch.testing.assert_close(ours.grad, plain.grad, rtol=1e-3, atol=1e-6)


class SmallDevice:
    """Has memory for `room` patches at once; more raise `error`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int, error: Exception) -> None:
        self.tried: list[int] = []
        real = module.forward_detail

        def forward(model, bicubic, precision, inner=None, inputs=None):
            self.tried.append(len(bicubic))
            if len(bicubic) > room:
                raise error
            return real(model, bicubic, precision, inner, inputs)

        monkeypatch.setattr(module, "forward_detail", forward)


@pytest.mark.parametrize(
    "error",
    [
        *(torch.OutOfMemoryError("cuda"), MemoryError(), RuntimeError("DefaultCPUAllocator")),
        accelerator_error("CUDA error: out of memory", 2),
        RuntimeError("Unable to find a valid cuDNN algorithm to run convolution"),
    ],
)
def test_memory_shortage_halves_micro_batch_and_keeps_result(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    whole = _learn(CONFIG, 2)
    device = SmallDevice(monkeypatch, 2, error)
    notices: list[str] = []
    learner = Learner(CONFIG, notices.append)
    for step in range(2):
        learner.step(_patches(step), step)
    assert device.tried == [6, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    assert ["pieces of 1" in text for text in notices] == [True]
    for expected, found in zip(whole, _weights(learner), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_step_raises_device_memory_error_when_one_patch_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    SmallDevice(monkeypatch, 0, torch.OutOfMemoryError("cuda"))
    with pytest.raises(DeviceMemoryError, match="one patch"):
        Learner(CONFIG).step(_patches(), 0)


def test_device_failure_is_not_treated_as_memory_shortage(monkeypatch: pytest.MonkeyPatch) -> None:
    device = SmallDevice(monkeypatch, 0, torch.AcceleratorError("cuda"))
    with pytest.raises(DeviceError) as caught:
        Learner(CONFIG).step(_patches(), 0)
    assert not isinstance(caught.value, DeviceMemoryError)
    assert device.tried == [6]


@pytest.mark.parametrize(
    ("error", "tried"),
    [
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), [6, 3, 1]),
        (NotImplementedError("The operator 'aten::x' is not currently implemented for the MPS device."), [6]),
    ],
)
def test_other_errors_are_not_reported_as_memory_shortage(
    monkeypatch: pytest.MonkeyPatch, error: Exception, tried: list[int]
) -> None:
    device = SmallDevice(monkeypatch, 0, error)
    notices: list[str] = []
    with pytest.raises(RuntimeError) as caught:
        Learner(CONFIG, notices.append).step(_patches(), 0)
    assert caught.value is error
    assert device.tried == tried
    assert notices == []


def test_nan_loss_raises_and_changes_no_weight() -> None:
    learner = Learner(CONFIG)
    before = _weights(learner)
    patches = _patches()
    patches.target[2, 0, 3, 3] = np.nan
    with pytest.raises(NotFiniteError):
        learner.step(patches, 0)
    assert all(torch.equal(a, b) for a, b in zip(before, _weights(learner), strict=True))
    assert all(parameter.grad is None for parameter in learner.model.parameters())


def test_step_multiplies_scheduled_rate_by_rate_share() -> None:
    learner = Learner(replace(CONFIG, optimizer="adam", rate=0.5, schedule="constant"))
    learner.step(_patches(), 0, 0.25)
    assert learner.optimiser.rate == 0.125


def test_steps_in_bf16_are_near_those_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepper, "cpu_has_matrix_units", lambda: False)
    monkeypatch.setattr(module.CpuNetwork, "takes_bf16", lambda: True)
    config = replace(CONFIG, width=16, optimizer="sgd", rate=1e-4)
    exact, rounded = _learn(config, 5), _learn(replace(config, precision="bf16"), 5)
    first = _weights(Learner(config))
    moved = sum(float((a - b).norm()) for a, b in zip(exact, first, strict=True))
    apart = sum(float((a - b).norm()) for a, b in zip(exact, rounded, strict=True))
    assert 0 < apart < 0.1 * moved


@pytest.mark.parametrize(
    ("flags", "width", "expected", "ours"),
    [
        ({"amx_bf16": True, "avx512_bf16": True}, 64, "bf16", False),
        ({"avx512_bf16": True}, 64, "bf16", True),
        ({"avx512_bf16": True}, 20, "bf16", False),
        ({}, 64, "fp32", True),
        ({}, 20, "fp32", False),
    ],
)
def test_automatic_precision_follows_cpu_and_width(
    monkeypatch: pytest.MonkeyPatch, flags: dict[str, bool], width: int, expected: str, *, ours: bool
) -> None:
    monkeypatch.setattr("vdsr_app.core.device._cpu_capabilities", lambda: flags)
    monkeypatch.setattr(module.CpuNetwork, "takes_bf16", lambda: bool(flags))
    monkeypatch.setattr(module.CpuNetwork, "__init__", lambda self, _, *, bf16: made.append("bf16" if bf16 else "fp32"))
    made: list[str] = []
    Learner(replace(CONFIG, width=width, precision="auto"))
    assert made == ([expected] if ours else [])
    cpu = torch.device("cpu")
    assert resolve_precision("auto", cpu, width) == expected
    assert resolve_precision("bf16", cpu, width) == "bf16"
    assert resolve_precision("fp32", cpu, width) == "fp32"


@pytest.mark.parametrize("residual", [True, False])
def test_start_model_of_another_kind_is_told_apart_in_words(tmp_path: Path, residual: bool) -> None:
    start = tmp_path / "start.safetensors"
    save_weights(VDSR(VDSRConfig(CONFIG.depth, CONFIG.width, residual=not residual)), start)
    with pytest.raises(TrainingError) as caught:
        Learner(replace(CONFIG, start_from=str(start), residual=residual))
    one, other = ("without", "with") if residual else ("with", "without")
    assert f"has 4 layers of 8 channels {one} a skip connection; the run's has" in caught.value.what
    assert caught.value.what.endswith(f"4 layers of 8 channels {other} a skip connection.")
