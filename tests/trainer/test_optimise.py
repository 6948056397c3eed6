"""Schedules, the paper's clipping, the moving average, and that every optimiser moves every weight."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vdsr_app.core.network import VDSR, VDSRConfig, initialise
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.learner import first_model
from vdsr_trainer.optimise import MovingAverage, Optimiser, clip_elements, schedule
from vdsr_trainer.presets import preset


def _model() -> VDSR:
    model = VDSR(VDSRConfig(4, 8))
    initialise(model, 0)
    return model


def _backward(model: VDSR, factor: float = 1.0) -> None:
    torch.manual_seed(0)
    (model(torch.rand(2, 1, 12, 12)).square().mean() * factor).backward()


@pytest.mark.parametrize("name", ["muon", "adam", "adamw", "sgd"])
def test_step_moves_every_weight_and_clears_gradients(name: str) -> None:
    model = _model()
    before = [p.detach().clone() for p in model.parameters()]
    optimiser = Optimiser(model, replace(preset("robust"), optimizer=name, warmup_steps=0))
    optimiser.set_step(0)
    _backward(model)
    norm, clipped = optimiser.step()
    assert norm > 0
    assert clipped == 0
    for (label, parameter), old in zip(model.named_parameters(), before, strict=True):
        assert not torch.equal(parameter, old), label
        assert parameter.grad is None


def test_muon_orthogonalises_steps_of_inner_kernels() -> None:
    model = _model()
    config = replace(preset("robust"), muon_rate=0.01, warmup_steps=0, schedule="constant")
    optimiser = Optimiser(model, config)
    before = model.layers[1].weight.detach().clone()
    optimiser.set_step(0)
    _backward(model)
    optimiser.step()
    move = (model.layers[1].weight.detach() - before).view(8, -1) / 0.01
    strengths = torch.linalg.svdvals(move)
    # Directions that are weak in the gradient stay small; all others are scaled to about one.
    assert float(strengths[4]) > 0.6
    assert float(strengths[0]) < 1.4


@pytest.mark.parametrize("optimizer", ["muon", "adam"])
def test_relative_rate_is_share_of_size_of_each_tensor(optimizer: str) -> None:
    model = _model()
    layers = model.convolutions
    with torch.no_grad():
        layers[0].weight *= 8
        layers[-1].weight *= 1e-4
        layers[1].bias += 3.0
    config = replace(preset("robust"), optimizer=optimizer, rate=0.01, relative_rates=True, schedule="constant")
    optimiser = Optimiser(model, replace(config, warmup_steps=0))
    before = [(layer.weight.detach().clone(), layer.bias.detach().clone()) for layer in layers]
    optimiser.set_step(0)
    _backward(model)
    optimiser.step()

    def moved(after: torch.Tensor, before: torch.Tensor) -> float:
        return float((after - before).abs().max())  # Adam's first step changes every number by the rate

    def size(tensor: torch.Tensor) -> float:
        return float(tensor.square().mean().sqrt())

    for i, (layer, (weight, bias)) in enumerate(zip(layers, before, strict=True)):
        if optimizer == "adam" or i in (0, 3):
            assert moved(layer.weight.detach(), weight) == pytest.approx(0.01 * size(weight), rel=1e-3)
        larger = max(size(bias), size(weight) if i else size(weight.sum(dim=(1, 2, 3)) / 3))
        assert moved(layer.bias.detach(), bias) == pytest.approx(0.01 * larger, rel=1e-3)


def test_relative_step_of_biases_is_small_for_filters_without_brightness() -> None:
    config = replace(preset("robust"), depth=4, width=16, relative_rates=True, rate=0.01, warmup_steps=0)
    model = first_model(config)
    optimiser = Optimiser(model, config)
    luma = 0.5 + 0.02 * torch.randn(1, 1, 24, 24, generator=torch.Generator().manual_seed(3))
    seen = model.convolutions[0](luma).detach()[..., 1:-1, 1:-1].std()
    optimiser.set_step(0)
    _backward(model)
    optimiser.step()
    assert 0 < float(model.convolutions[0].bias.detach().abs().max()) < 0.01 * float(seen)


def test_relative_rates_are_independent_of_strength_of_layers() -> None:
    # A layer 64 times as strong and the next a 64th as strong are the same network, and should learn the same.
    def learned(strength: float, *, relative: bool) -> torch.Tensor:
        model = _model()
        first, second, *_ = model.convolutions
        with torch.no_grad():
            for layer in model.convolutions:
                layer.bias += 0.5
            first.weight *= strength
            first.bias *= strength
            second.weight /= strength
        config = replace(preset("robust"), optimizer="adam", rate=0.01, relative_rates=relative, warmup_steps=0)
        optimiser = Optimiser(model, config)
        for step in range(20):
            optimiser.set_step(step)
            _backward(model)
            optimiser.step()
        result: torch.Tensor = model(torch.linspace(0, 1, 144).view(1, 1, 12, 12)).detach()
        return result

    usual = learned(1.0, relative=True)
    assert float((usual - learned(64.0, relative=True)).abs().max()) < 1e-4
    assert float((usual - learned(64.0, relative=False)).abs().max()) > 1e-2


def test_sgd_ignores_relative_rates() -> None:
    model, usual = _model(), _model()
    for each, relative in ((model, True), (usual, False)):
        optimiser = Optimiser(each, replace(preset("paper"), relative_rates=relative, steps=100))
        optimiser.set_step(0)
        _backward(each)
        optimiser.step()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), usual.parameters(), strict=True))


def test_clipping_is_by_element_not_by_norm() -> None:
    gradients = [torch.tensor([3.0, -0.5, -4.0]), torch.tensor([[0.25]])]
    assert clip_elements(gradients, 1.0) == 0.5
    assert gradients[0].tolist() == [1.0, -0.5, -1.0]
    assert gradients[1].tolist() == [[0.25]]


def test_largest_clipped_step_is_independent_of_rate() -> None:
    model = _model()
    config = replace(preset("paper"), steps=100, momentum=0.0, weight_decay=0.0, clip_theta=1e-6)
    optimiser = Optimiser(model, config)
    for step in (0, 30):
        optimiser.set_step(step)
        before = model.layers[1].weight.detach().clone()
        _backward(model, 1e3)
        _, clipped = optimiser.step()
        assert clipped > 0.5
        # rate * theta / rate: the largest move is theta whatever the rate is.
        assert float((model.layers[1].weight.detach() - before).abs().max()) == pytest.approx(1e-6, rel=0.2)


def test_schedules_return_expected_shares_of_rate() -> None:
    cosine = TrainConfig(steps=1100, warmup_steps=100)
    assert schedule(cosine, 0) == pytest.approx(1 / 101)
    assert schedule(cosine, 100) == 1.0
    assert schedule(cosine, 600) == pytest.approx(0.5)
    assert schedule(cosine, 1100) == pytest.approx(0.0, abs=1e-12)
    paper = replace(preset("paper"), steps=80)
    assert [schedule(paper, step) for step in (0, 19, 20, 40, 60, 79)] == pytest.approx([1, 1, 0.1, 0.01, 1e-3, 1e-3])
    assert schedule(replace(cosine, schedule="constant"), 900) == 1.0


def test_moving_average_lags_behind_weights() -> None:
    model = _model()
    average = MovingAverage(model, 0.9)
    start = model.layers[0].weight.detach().clone()
    with torch.no_grad():
        model.layers[0].weight.add_(1.0)
    average.update(model, 1000)
    assert average.model.layers[0].weight == pytest.approx(start + 0.1, abs=1e-6)
    # Early on the memory is short: at step 0 the average is mostly the current weights.
    average.update(model, 0)
    assert average.model.layers[0].weight == pytest.approx(start + 0.1 + 0.9 * 0.9, abs=1e-6)
