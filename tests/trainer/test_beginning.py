"""Random initialisation: strength of layers, whitened first layers, and channels that are passed on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vdsr_app.core.network import VDSR, VDSRConfig, initialise
from vdsr_trainer.learner import first_model
from vdsr_trainer.presets import preset
from vdsr_trainer.symmetry import Symmetry

HE = {"hidden_layers": 1.0, "reach_px": 0, "first_layer": "he"}
FREE = replace(preset("robust"), symmetry="none", depth=6, width=12, last_layer=1.0, **HE)


def _features(model: VDSR, luma: torch.Tensor, layers: int) -> torch.Tensor:
    with torch.no_grad():
        for layer in model.convolutions[:layers]:
            luma = torch.relu(layer(luma))
    return luma


def test_first_model_matches_he_initialisation_at_full_strength() -> None:
    plain = VDSR(VDSRConfig(6, 12))
    initialise(plain, FREE.seed)
    for one, other in zip(first_model(FREE).parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other)


def test_last_layer_strength_scales_last_layer_alone() -> None:
    full, weak = first_model(FREE), first_model(replace(FREE, last_layer=0.5))
    torch.testing.assert_close(weak.convolutions[-1].weight, full.convolutions[-1].weight * 0.5)
    assert torch.equal(weak.convolutions[2].weight, full.convolutions[2].weight)


def test_last_layer_keeps_full_strength_without_skip_connection() -> None:
    bare = replace(FREE, residual=False, last_layer=0.01)
    assert torch.equal(first_model(bare).convolutions[-1].weight, first_model(FREE).convolutions[-1].weight)


def test_hidden_layers_of_zero_strength_pass_on_their_input() -> None:
    model = first_model(replace(FREE, hidden_layers=0.0))
    luma = torch.rand(1, 1, 9, 7)
    assert torch.equal(_features(model, luma, 5), _features(model, luma, 1))


@pytest.mark.parametrize("symmetry", ["none", "p4", "p4m"])
def test_weak_hidden_layers_pass_on_their_input_and_keep_symmetry(symmetry: str) -> None:
    config = replace(FREE, depth=20, width=16, symmetry=symmetry)
    luma = torch.rand(4, 1, 24, 24, generator=torch.Generator().manual_seed(1))
    full, weak = (first_model(replace(config, hidden_layers=share)) for share in (1.0, 0.3))

    def likeness(model: VDSR) -> float:
        pairs = [[_features(model, luma, n).flatten() for n in (layer, layer + 1)] for layer in (1, 4, 8)]
        return sum(float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in pairs) / len(pairs)

    assert likeness(weak) > likeness(full) + 0.4
    if symmetry != "none":
        assert Symmetry(symmetry, weak.convolutions).holds()


def _enlarged(random: torch.Generator, side: int) -> torch.Tensor:
    """(8, 1, side, side), as smooth as an enlargement by 3, and bright."""
    small = 0.6 + 0.1 * torch.randn(8, 1, side // 3, side // 3, generator=random)
    return torch.nn.functional.interpolate(small, (side, side), mode="bicubic", antialias=False)


def _inside(answers: torch.Tensor) -> torch.Tensor:
    return answers[..., 1:-1, 1:-1]


@pytest.mark.parametrize("symmetry", ["none", "p4", "p4m"])
def test_whitened_first_layer_responds_to_structure_not_brightness(symmetry: str) -> None:
    config = replace(FREE, width=64, symmetry=symmetry)
    luma = _enlarged(torch.Generator().manual_seed(1), 48)
    he, whitened = (first_model(replace(config, first_layer=kind)) for kind in ("he", "whitened"))

    def switching(model: VDSR) -> int:
        on = (_inside(model.convolutions[0](luma)) > 0).float().mean(dim=(0, 2, 3))
        return int(((on > 0.1) & (on < 0.9)).sum())

    with torch.no_grad():
        assert switching(he) < 32
        assert switching(whitened) == 56  # the others pass on the luma
        bright = _inside(whitened.convolutions[0](luma + 0.2)) - _inside(whitened.convolutions[0](luma))
    assert bright[:, :56].abs().max() < 1e-4
    assert bright[:, 56:].min() > 0.02
    if symmetry != "none":
        assert Symmetry(symmetry, whitened.convolutions).holds()
    for one, other in zip(whitened.convolutions[1:], he.convolutions[1:], strict=True):
        assert torch.equal(one.weight, other.weight)


def test_whitened_first_layer_depends_on_seed_and_allows_one_channel() -> None:
    one, other = (first_model(replace(FREE, first_layer="whitened", seed=seed)) for seed in (1, 2))
    assert not torch.equal(one.convolutions[0].weight, other.convolutions[0].weight)
    assert torch.isfinite(first_model(replace(FREE, first_layer="whitened", width=1)).convolutions[0].weight).all()


@pytest.mark.parametrize("symmetry", ["none", "p4", "p4m"])
def test_passed_on_channels_move_to_positions_within_reach_and_stay(symmetry: str) -> None:
    config = replace(FREE, depth=12, width=64, symmetry=symmetry, hidden_layers=0.0, reach_px=4)
    model = first_model(config)
    impulse = torch.zeros(1, 64, 21, 21)
    impulse[..., 10, 10] = 1
    seen = []
    with torch.no_grad():
        for layer in model.convolutions[1:-1]:
            impulse = layer(impulse)
            assert torch.equal(impulse.sum(dim=(2, 3)), torch.ones(1, 64))  # one position each
            seen.append({(int(y) - 10, int(x) - 10) for _, _, y, x in impulse.nonzero()})
    assert max(max(abs(y), abs(x)) for y, x in seen[0]) == 1
    assert seen[3] == seen[-1]
    assert max(y * y + x * x for y, x in seen[-1]) <= 4.5**2
    assert len(seen[-1]) > 24
    assert seen[-1] == {(x, -y) for y, x in seen[-1]}  # equally far in each direction
    if symmetry != "none":
        assert Symmetry(symmetry, model.convolutions).holds()
