"""Steps that take account of a layer's inputs, centred or whitened."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from vdsr_app.core.network import VDSR, VDSRConfig, initialise
from vdsr_trainer import stepper as module
from vdsr_trainer.cpu_network import CpuNetwork
from vdsr_trainer.data.dataset import Patches
from vdsr_trainer.layer_inputs import LayerInput, centred, look_at, whitening
from vdsr_trainer.learner import Learner, forward_detail
from vdsr_trainer.muon import Muon, orthogonal
from vdsr_trainer.presets import preset

CONFIG = replace(
    preset("robust"),
    loss="mse",
    consistency=0.0,
    depth=5,
    width=16,
    batch=8,
    patch_px=18,
    precision="fp32",
    threads=1,
    device="cpu",
)
CENTRED, WHITENED = replace(CONFIG, inputs="centred"), replace(CONFIG, inputs="whitened")


def _luma(seed: int, count: int = 8) -> npt.NDArray[np.float32]:
    """Bright patches with little structure, as in pictures: their mean is far from 0."""
    rng = np.random.default_rng(seed)
    bright = rng.uniform(0.2, 0.9, (count, 1, 1, 1))
    return (bright + rng.normal(0, 0.05, (count, 1, 18, 18))).astype(np.float32)


def _patches(seed: int) -> Patches:
    target = _luma(seed)
    return Patches(target + np.random.default_rng(seed + 1000).normal(0, 0.02, target.shape).astype(np.float32), target)


def _seen(mean: Tensor, covariance: Tensor | None = None) -> LayerInput:
    spread = torch.eye(len(mean)) if covariance is None else covariance
    return LayerInput(mean, spread + torch.outer(mean, mean), 1)


def test_centred_step_equals_step_on_parameters_of_centred_inputs() -> None:
    torch.manual_seed(1)
    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 2, 3, padding=1)]
    means = [torch.tensor([0.5, 2.0, -1.0]), torch.rand(4)]
    luma = torch.rand(2, 3, 9, 9)

    def loss(parameters: list[tuple[Tensor, Tensor]]) -> Tensor:
        hidden = torch.relu(conv2d(luma, *parameters[0], padding=1))
        return conv2d(hidden, *parameters[1], padding=1).square().mean()

    # The reference learns w and c, and computes b from them.
    own = []
    for layer, mean in zip(layers, means, strict=True):
        assert layer.bias is not None
        c = layer.bias + layer.weight.sum(dim=(2, 3)) @ mean
        own.append((layer.weight.detach().clone().requires_grad_(), c.detach().clone().requires_grad_()))

    def plain() -> list[tuple[Tensor, Tensor]]:
        return [(w, c - w.sum(dim=(2, 3)) @ mean) for (w, c), mean in zip(own, means, strict=True)]

    reference = torch.optim.Adam([tensor for pair in own for tensor in pair], lr=0.05)
    optimiser = torch.optim.Adam([p for layer in layers for p in layer.parameters()], lr=0.05)
    for _ in range(5):
        reference.zero_grad()
        loss(plain()).backward()  # type: ignore[no-untyped-call]
        reference.step()
        optimiser.zero_grad()
        hidden = torch.relu(layers[0](luma))
        layers[1](hidden).square().mean().backward()
        with centred(layers, [_seen(mean) for mean in means]):
            optimiser.step()
    for layer, (weight, bias) in zip(layers, plain(), strict=True):
        torch.testing.assert_close(layer.weight.detach(), weight.detach(), rtol=1e-4, atol=1e-5)
        assert layer.bias is not None
        torch.testing.assert_close(layer.bias.detach(), bias.detach(), rtol=1e-4, atol=1e-5)


def test_centred_step_on_weights_keeps_mean_output_of_channels() -> None:
    learner = Learner(CENTRED)
    for step in range(3):
        layer = learner.model.convolutions[0]
        before = copy.deepcopy(layer)
        learner.step(_patches(step), step)
        assert layer.bias is not None
        assert before.bias is not None
        mean = torch.from_numpy(_patches(step).bicubic)[:, :, 3::6].mean()
        of_weights = (layer.weight - before.weight).sum(dim=(1, 2, 3)) * mean
        of_bias = layer.bias - before.bias
        # Each bias has compensated for the shift, except for its own step, which is at most the rate.
        own = float((of_weights + of_bias).detach().abs().max())
        assert own <= 1.05 * learner.optimiser.parts[1].param_groups[0]["lr"]
        assert float(of_weights.detach().abs().max()) > own


@pytest.mark.parametrize(("fast", "precision"), [(True, "fp32"), (False, "fp32"), (False, "bf16")])
def test_collected_inputs_give_mean_and_covariance_of_each_layer(fast: bool, precision: str) -> None:
    model = VDSR(VDSRConfig(5, 16))
    initialise(model, 3)
    cpu_network = CpuNetwork(model.convolutions) if fast else None
    luma = torch.from_numpy(_luma(0))
    inputs: list[Tensor] = []
    with torch.no_grad():
        forward_detail(model, luma, precision, cpu_network, inputs)
        features = luma
        for layer, seen in zip(model.convolutions, map(look_at, inputs), strict=True):
            places = features[:, :, 3::6].transpose(0, 1).flatten(1)  # (C, places)
            near = {"rtol": 0.03, "atol": 0.003} if precision == "bf16" else {"rtol": 1e-4, "atol": 1e-5}
            torch.testing.assert_close(seen.mean, places.mean(dim=1), **near)
            torch.testing.assert_close(
                seen.covariance, torch.cov(places, correction=0).reshape(len(places), -1), **near
            )
            features = torch.relu(layer(features))


def test_bf16_inputs_are_summed_in_fp32_and_products_only_when_whitened(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[LayerInput] = []

    def spy(features: Tensor, *, covariance: bool) -> LayerInput:
        reported.append(look_at(features, covariance=covariance))
        return reported[-1]

    monkeypatch.setattr(module, "look_at", spy)
    Learner(replace(WHITENED, precision="bf16")).step(_patches(0), 0)
    assert len(reported) == 5
    for seen in reported:
        assert seen.products is not None
        assert seen.total.dtype == seen.products.dtype == torch.float32
    reported.clear()
    Learner(CENTRED).step(_patches(0), 0)
    assert [seen.products for seen in reported] == [None] * 5  # centred steps need the means alone
    with pytest.raises(ValueError, match="not summed"):
        _ = reported[0].covariance


def test_look_at_samples_every_row_of_small_inputs() -> None:
    features = torch.rand(2, 3, 4, 5)
    torch.testing.assert_close(look_at(features).mean, features.mean(dim=(0, 2, 3)))


@pytest.mark.parametrize("config", [CENTRED, WHITENED])
def test_micro_batches_match_whole_batch(config: object) -> None:
    assert isinstance(config, type(CONFIG))
    whole, pieces = Learner(config), Learner(replace(config, micro_batch=3))
    for step in range(3):
        whole.step(_patches(step), step)
        pieces.step(_patches(step), step)
    for one, other in zip(whole.model.parameters(), pieces.model.parameters(), strict=True):
        torch.testing.assert_close(one.detach(), other.detach(), rtol=5e-3, atol=1e-4)


def test_whitening_equalises_variance_of_all_directions() -> None:
    torch.manual_seed(2)
    mix = torch.randn(6, 6, dtype=torch.float64)
    covariance = (mix @ mix.mT).float()
    right = whitening([_seen(torch.rand(6), covariance)])[0]
    white = right @ covariance @ right.mT
    # All directions vary equally, as the channels did on average; those that hardly vary are amplified within limits.
    mean = float(covariance.diagonal().mean())
    strengths = torch.linalg.eigvalsh(covariance) / mean
    expected = strengths / (strengths + 0.01)
    torch.testing.assert_close(torch.linalg.eigvalsh(white) / mean, expected.sort().values, rtol=1e-3, atol=1e-3)


def test_whitening_only_rescales_white_inputs() -> None:
    right = whitening([_seen(torch.rand(4), 0.3 * torch.eye(4))])[0]
    torch.testing.assert_close(right, torch.eye(4) / 1.01**0.5)


def test_whitening_is_finite_for_constant_inputs() -> None:
    seen = LayerInput(torch.ones(4), torch.ones(4, 4), 1)
    assert bool(torch.isfinite(whitening([seen])).all())


def test_muon_steps_on_whitened_weights() -> None:
    torch.manual_seed(4)
    matrix = nn.Parameter(torch.randn(3, 4 * 9))
    before, gradient = matrix.detach().clone(), torch.randn(3, 4 * 9)
    right = torch.randn(1, 4, 4) + 2.0 * torch.eye(4)
    optimiser = Muon([matrix], lr=0.1, momentum=0.0, weight_decay=0.0)
    optimiser.whiten(right)
    matrix.grad = gradient.clone()
    optimiser.step()
    # The step is on V, where the weights are V * R at each of nine positions; V's gradient is by the chain rule.
    of_v = torch.einsum("ock,dc->odk", gradient.view(3, 4, 9), right[0]).reshape(1, 3, 36)
    step = torch.einsum("ock,cd->odk", orthogonal(of_v).view(3, 4, 9), right[0]).reshape(3, 36)
    torch.testing.assert_close(matrix.detach() - before, -0.1 * step, rtol=1e-4, atol=1e-5)


def test_dominant_input_direction_does_not_dominate_whitened_step() -> None:
    """A layer's output changes about equally for all directions of its input; with plain Muon it does not."""
    torch.manual_seed(6)
    loud = torch.tensor([1.0, 0.0, 0.0, 0.0])
    covariance = 0.04 * torch.eye(4) + 4.0 * torch.outer(loud, loud)
    root = torch.linalg.cholesky(covariance)
    changes = {}
    for way in ("plain", "whitened"):
        matrix = nn.Parameter(torch.zeros(4, 4))
        optimiser = Muon([matrix], lr=1.0, momentum=0.0, weight_decay=0.0)
        matrix.grad = torch.randn(4, 4) @ root @ root.mT  # as for errors correlated with the inputs
        if way == "whitened":
            optimiser.whiten(whitening([_seen(torch.zeros(4), covariance)]))
        optimiser.step()
        strengths = torch.linalg.svdvals(matrix.detach() @ root)
        changes[way] = float(strengths[0] / strengths[-1])
    assert changes["whitened"] < 3
    assert changes["plain"] > 5


def test_fewer_channels_die_with_centred_inputs() -> None:
    free = replace(CONFIG, symmetry="none", hidden_layers=1.0, first_layer="he")  # with the presets' values none die
    config = replace(free, last_layer=1.0, muon_rate=0.01, warmup_steps=10, steps=120, schedule="constant")
    died = {}
    for way in ("plain", "centred"):
        learner = Learner(replace(config, inputs=way))
        before = _dead(learner)
        for step in range(config.steps):
            learner.step(_patches(step), step)
        died[way] = _dead(learner) - before
    assert died["plain"] > 10  # of 64; otherwise the comparison would show nothing
    assert 2 * died["centred"] <= died["plain"]


def _dead(learner: Learner) -> int:
    """Number of channels that are positive at less than a thousandth of the positions."""
    dead, features = 0, torch.from_numpy(_luma(7, 64))
    with torch.no_grad():
        for layer in learner.model.convolutions[:-1]:
            features = torch.relu(layer(features))
            dead += int(((features > 0).float().mean(dim=(0, 2, 3)) < 1e-3).sum())
    return dead


def test_adam_treats_whitened_inputs_as_centred() -> None:
    ends = []
    for way in ("whitened", "centred", "plain"):
        learner = Learner(replace(CONFIG, inputs=way, optimizer="adam"))
        learner.step(_patches(0), 0)
        ends.append(torch.cat([parameter.detach().flatten() for parameter in learner.model.parameters()]))
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


def test_whitening_leaves_nan_for_the_loss_to_report() -> None:
    assert bool(whitening([LayerInput(torch.full((4,), torch.nan), torch.full((4, 4), torch.nan), 1)]).isnan().all())
