"""What a network is before its first step."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vdsr_app.core.network import VDSR, VDSRConfig, initialise
from vdsr_trainer.config import preset
from vdsr_trainer.learner import first_model
from vdsr_trainer.symmetry import Symmetry

FREE = replace(preset("robust"), symmetry="none", depth=6, width=12, last_layer=1.0)


def _features(model: VDSR, luma: torch.Tensor, layers: int) -> torch.Tensor:
    with torch.no_grad():
        for layer in model.convolutions[:layers]:
            luma = torch.relu(layer(luma))
    return luma


def test_at_full_strength_it_is_as_he_et_al_have_it() -> None:
    plain = VDSR(VDSRConfig(6, 12))
    initialise(plain, FREE.seed)
    for one, other in zip(first_model(FREE).parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_last_layer_is_weaker_by_itself() -> None:
    full, weak = first_model(FREE), first_model(replace(FREE, last_layer=0.5))
    torch.testing.assert_close(weak.convolutions[-1].weight, full.convolutions[-1].weight * 0.5)
    assert torch.equal(weak.convolutions[2].weight, full.convolutions[2].weight)


def test_without_the_skip_connection_the_last_layer_makes_the_picture() -> None:
    bare = replace(FREE, residual=False, last_layer=0.01)
    assert torch.equal(first_model(bare).convolutions[-1].weight, first_model(FREE).convolutions[-1].weight)


def test_hidden_layers_without_strength_pass_on_what_they_get() -> None:
    model = first_model(replace(FREE, hidden_layers=0.0))
    luma = torch.rand(1, 1, 9, 7)
    assert torch.equal(_features(model, luma, 5), _features(model, luma, 1))


@pytest.mark.parametrize("symmetry", ["none", "p4", "p4m"])
def test_weak_hidden_layers_add_to_what_they_get_and_keep_the_symmetry(symmetry: str) -> None:
    config = replace(FREE, depth=20, width=16, symmetry=symmetry)
    luma = torch.rand(4, 1, 24, 24, generator=torch.Generator().manual_seed(1))
    full, weak = (first_model(replace(config, hidden_layers=share)) for share in (1.0, 0.3))

    def likeness(model: VDSR) -> float:
        pairs = [[_features(model, luma, n).flatten() for n in (layer, layer + 1)] for layer in (1, 4, 8)]
        return sum(float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in pairs) / len(pairs)

    assert likeness(weak) > likeness(full) + 0.4
    if symmetry != "none":
        assert Symmetry(symmetry, weak.convolutions).holds()
