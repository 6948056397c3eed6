"""Tied weights: the network's output turns with its input, and a patch teaches it the same as all its turns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vdsr_app.core.network import VDSR
from vdsr_app.core.weights import save_weights
from vdsr_app.errors import ConfigError
from vdsr_trainer.config import SYMMETRIES, TrainConfig
from vdsr_trainer.data.dataset import Patches
from vdsr_trainer.layer_inputs import look_at
from vdsr_trainer.learner import Learner, first_model, forward_detail
from vdsr_trainer.presets import preset
from vdsr_trainer.symmetry import Symmetry, turned

GROUPS = {"p4": 4, "p4m": 8}
CONFIG = replace(
    preset("robust"),
    symmetry="none",
    loss="mse",
    consistency=0.0,
    last_layer=1.0,
    hidden_layers=1.0,
    first_layer="he",
    depth=5,
    width=16,
    batch=4,
    patch_px=12,
    precision="fp32",
    threads=1,
    device="cpu",
)


def _of(group: str, **changes: object) -> TrainConfig:
    return replace(CONFIG, symmetry=group, **changes)  # type: ignore[arg-type]


def _luma(seed: int, side: int = 12, count: int = 4) -> Tensor:
    return torch.as_tensor(np.random.default_rng(seed).random((count, 1, side, side), np.float32))


def _patches(seed: int) -> Patches:
    luma = _luma(seed).numpy()
    return Patches(luma, luma + np.random.default_rng(seed + 99).normal(0, 0.05, luma.shape).astype(np.float32))


def _unevenness(model: VDSR, elements: Iterable[int]) -> float:
    """How far the detail of a turned picture is from the turned detail, as a share of the detail."""
    luma = _luma(5)
    with torch.no_grad():
        detail = model(luma) - luma
        off = [(model(turned(luma, g)) - turned(luma, g) - turned(detail, g)).abs().max() for g in elements]
    return float(max(off) / detail.abs().max())


@pytest.mark.parametrize("group", GROUPS)
def test_output_turns_with_the_picture(group: str) -> None:
    model = first_model(_of(group))
    assert _unevenness(model, range(GROUPS[group])) < 1e-5
    assert _unevenness(first_model(CONFIG), range(1, 4)) > 0.1
    if group == "p4":
        assert _unevenness(model, range(4, 8)) > 0.01  # it is free to distinguish a picture from its mirror image


@pytest.mark.parametrize("group", GROUPS)
def test_tied_random_weights_keep_their_strength(group: str) -> None:
    tied, free = (first_model(replace(config, width=64)) for config in (_of(group), CONFIG))
    for one, other in zip(tied.convolutions, free.convolutions, strict=True):
        assert float(one.weight.detach().std() / other.weight.detach().std()) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("group", GROUPS)
def test_tied_gradients_match_mean_over_all_turns(group: str) -> None:
    model = first_model(_of(group))
    luma, target = _luma(1), _luma(2)

    def gradients(elements: Iterable[int]) -> list[Tensor]:
        model.zero_grad()
        losses = [(model(turned(luma, g)) - turned(target, g)).square().mean() for g in elements]
        torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
        return [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]

    of_all = gradients(range(GROUPS[group]))
    of_one = gradients([0])
    assert any((one - all_).norm() > 0.1 * all_.norm() for one, all_ in zip(of_one, of_all, strict=True))
    Symmetry(group, model.convolutions).tie_gradients()
    for parameter, wanted in zip(model.parameters(), of_all, strict=True):
        torch.testing.assert_close(parameter.grad, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("group", GROUPS)
def test_tied_input_statistics_match_those_of_all_turns(group: str) -> None:
    model = first_model(_of(group))
    luma = _luma(3, side=6)  # with so few rows, every row is sampled
    by_turn: list[list[Tensor]] = []
    for element in range(GROUPS[group]):
        by_turn.append([])
        forward_detail(model, turned(luma, element), "fp32", inputs=by_turn[-1])
    seen = Symmetry(group, model.convolutions).tie_inputs([look_at(features) for features in by_turn[0]])
    for one, features in zip(seen, zip(*by_turn, strict=True), strict=True):
        wanted = look_at(torch.cat(features))
        torch.testing.assert_close(one.mean, wanted.mean)
        torch.testing.assert_close(one.covariance, wanted.covariance, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize(
    "changes",
    [
        {"inputs": "whitened"},
        {"inputs": "plain"},
        {"optimizer": "adam", "inputs": "centred"},
        {"optimizer": "adamw", "inputs": "plain", "weight_decay": 0.01},
        {"optimizer": "sgd", "inputs": "plain", "rate": 1e-3, "clip_theta": 1e-6},
        {"micro_batch": 3},
        {"precision": "bf16"},
    ],
    ids=str,
)
def test_steps_keep_weights_tied(group: str, changes: dict[str, object]) -> None:
    learner = Learner(_of(group, **{"warmup_steps": 0, "steps": 100, **changes}))
    before = [parameter.detach().clone() for parameter in learner.model.parameters()]
    for step in range(1, 13):  # between two of the steps that tie again what rounding has untied
        learner.step(_patches(step), step)
    assert all(not torch.equal(old, new) for old, new in zip(before, learner.model.parameters(), strict=True))
    for model in (learner.model, learner.average.model):
        assert _unevenness(model, range(GROUPS[group])) < 1e-4
        assert Symmetry(group, model.convolutions).holds()


def test_weights_untied_by_rounding_are_tied_again() -> None:
    learner = Learner(_of("p4"))
    learner.step(_patches(0), 0)
    with torch.no_grad():
        for parameter in learner.model.parameters():
            parameter += 1e-5 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    assert _unevenness(learner.model, range(4)) > 1e-5
    learner.step(_patches(1), 100)
    assert _unevenness(learner.model, range(4)) < 2e-6


@pytest.mark.parametrize("group", GROUPS)
def test_start_model_is_kept_tied_only_if_it_is_tied(group: str, tmp_path: Path) -> None:
    said: list[str] = []
    for name, made in (("tied", first_model(_of(group))), ("free", first_model(CONFIG))):
        path = tmp_path / f"{name}.safetensors"
        save_weights(made, path, {"title": name})
        learner = Learner(_of(group, start_from=str(path), warmup_steps=0), said.append)
        learner.step(_patches(1), 1)
        assert Symmetry(group, learner.model.convolutions).holds() == (name == "tied")
        assert len(said) == (name == "free")
    assert "without" in said[0]


def test_resumed_run_is_tied_only_if_its_own_weights_are(tmp_path: Path) -> None:
    path = tmp_path / "start.safetensors"
    save_weights(first_model(CONFIG), path, {"title": "free"})
    free = first_model(CONFIG).state_dict()
    learner = Learner(_of("p4", start_from=str(path)))
    learner.step(_patches(1), 1)
    save_weights(first_model(_of("p4")), path, {"title": "tied, and in the place of the other"})
    said: list[str] = []
    resumed = Learner(_of("p4", start_from=str(path)), said.append)
    resumed.model.load_state_dict(free)  # as loading a checkpoint does
    resumed.step(_patches(1), 1)
    assert len(said) == 1
    for ours, theirs in zip(resumed.model.parameters(), learner.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_widths_not_divisible_by_symmetry_are_rejected() -> None:
    assert set(GROUPS) | {"none"} == set(SYMMETRIES)
    replace(CONFIG, symmetry="p4", width=12)
    with pytest.raises(ConfigError, match="width = 12 is not a multiple of 8"):
        replace(CONFIG, symmetry="p4m", width=12)
    with pytest.raises(ConfigError, match="symmetry = 'p6' is not offered"):
        replace(CONFIG, symmetry="p6")
    with pytest.raises(ValueError, match="12 channels"):
        Symmetry("p4m", first_model(replace(CONFIG, width=12)).convolutions)
