"""Dead channels get new weights and are heard of only as they learn; layers become of like strength."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vdsr_app.control import CancelToken
from vdsr_app.core.network import VDSR, VDSRConfig, initialise
from vdsr_app.core.weights import load_weights, save_weights
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.events import Event, Noticed, Validated
from vdsr_trainer.loop import train
from vdsr_trainer.revive import dead_channels, revive

KILLED = {0: [1, 4], 1: [0, 2, 3, 5, 6, 7, 8, 9, 10], 2: [11]}
"""Channels without life by layer."""


@pytest.fixture
def luma() -> Tensor:
    generator = torch.Generator().manual_seed(5)
    bright = torch.rand((16, 1, 1, 1), generator=generator)
    return bright + 0.1 * torch.randn((16, 1, 20, 20), generator=generator)


@pytest.fixture
def worn() -> VDSR:
    """A network of which a third is dead, with layers of unlike strength."""
    model = VDSR(VDSRConfig(4, 12))
    initialise(model, 2)
    with torch.no_grad():
        for number, channels in KILLED.items():
            model.convolutions[number].bias[channels] = -1e4
        model.convolutions[1].weight *= 20.0
        model.convolutions[-1].weight *= 0.02
    return model


def test_what_is_dead_is_found(worn: VDSR, luma: Tensor) -> None:
    found = dead_channels(worn, luma)
    features = luma
    for number, (layer, dead) in enumerate(zip(worn.convolutions[:-1], found, strict=True)):
        with torch.no_grad():
            features = torch.relu(layer(features))
        assert bool(dead[KILLED[number]].all())
        assert torch.equal(features.amax(dim=(0, 2, 3)) > 0, ~dead)  # none here lives but hardly


def test_nothing_changes_but_that_all_live(worn: VDSR, luma: Tensor) -> None:
    before = copy.deepcopy(worn)
    revive(worn, luma, seed=0)
    fresh = torch.rand((4, 1, 30, 30), generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        was, now = before(fresh) - fresh, worn(fresh) - fresh
    torch.testing.assert_close(now, was, rtol=1e-3, atol=1e-3 * float(was.abs().max()))
    assert not any(bool(layer.any()) for layer in dead_channels(worn, luma))


def test_layers_become_of_like_strength(worn: VDSR, luma: Tensor) -> None:
    revive(worn, luma, seed=0)
    features = luma
    with torch.no_grad():
        for layer in worn.convolutions[:-1]:
            features = torch.relu(layer(features))
            assert 0.1 < float(features.square().mean().sqrt()) < 0.25


def test_new_channels_say_nothing_and_have_something_to_learn(worn: VDSR, luma: Tensor) -> None:
    dead = [*dead_channels(worn, luma), torch.zeros(1, dtype=torch.bool)]  # what the last layer gives lives
    revive(worn, luma, seed=0)
    (worn(luma) - luma - 0.01).square().mean().backward()
    for number, layer in enumerate(worn.convolutions[1:]):
        new, live = dead[number], ~dead[number + 1]
        assert not layer.weight[live][:, new].any()
        assert layer.weight.grad is not None
        assert bool(layer.weight.grad[live][:, new].flatten(1).any())


def test_the_same_seed_gives_the_same_weights(worn: VDSR, luma: Tensor) -> None:
    one, same, other = worn, copy.deepcopy(worn), copy.deepcopy(worn)
    for model, seed in ((one, 3), (same, 3), (other, 4)):
        revive(model, luma, seed)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.layers[0].weight, other.layers[0].weight)


def test_a_layer_wholly_dead_is_no_obstacle(luma: Tensor) -> None:
    model = VDSR(VDSRConfig(4, 12))
    initialise(model, 2)
    with torch.no_grad():
        model.convolutions[1].bias.fill_(-100.0)
    revive(model, luma, seed=0)
    assert all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters())
    assert not dead_channels(model, luma)[1].any()


def test_a_run_revives_what_it_begins_with(worn: VDSR, small: TrainConfig, tmp_path: Path) -> None:
    start = tmp_path / "worn.safetensors"
    save_weights(worn, start, {"title": "worn"})
    for way in (True, False):
        told: list[Event] = []
        config = replace(small, start_from=str(start), revive=way, inputs="centred" if way else "plain")
        train(config, tmp_path / str(way), told.append, CancelToken())
        words = [event.message for event in told if isinstance(event, Noticed) and "dead" in event.message]
        assert len(words) == way
        if way:
            assert int(words[0].split()[0]) >= 12
            assert "of 36 channels" in words[0]
            first = next(event for event in told if isinstance(event, Validated))
            assert first.step == 0


def test_a_run_that_goes_on_is_not_revived_again(worn: VDSR, small: TrainConfig, tmp_path: Path) -> None:
    start = tmp_path / "worn.safetensors"
    save_weights(worn, start, {"title": "worn"})
    config = replace(small, start_from=str(start), revive=True)
    whole = train(config, tmp_path / "whole", lambda _: None, CancelToken())
    token, told = CancelToken(), []

    def stop(event: Event) -> None:
        told.append(event)
        if isinstance(event, Validated) and event.step == 15:
            token.cancel()

    train(config, tmp_path / "parts", stop, token)
    told.clear()
    parts = train(config, tmp_path / "parts", told.append, CancelToken(), resume=True)
    assert whole is not None
    assert parts is not None
    assert not [event for event in told if isinstance(event, Noticed) and "dead" in event.message]
    pairs = zip(load_weights(whole).model.parameters(), load_weights(parts).model.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
