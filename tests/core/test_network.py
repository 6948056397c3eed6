"""The network: shape, receptive field, residual and initialisation."""

from __future__ import annotations

import pytest
import torch

from vdsr_app.core.network import VDSR, VDSRConfig, initialise
from vdsr_app.errors import ConfigError


def test_default_network_is_that_of_the_paper() -> None:
    model = VDSR()
    assert len(model.layers) == 20
    assert sum(p.numel() for p in model.parameters()) == 665_921 == VDSRConfig().parameters
    assert 2 * VDSRConfig().halo_px + 1 == 41


@pytest.mark.parametrize(("depth", "width"), [(2, 1), (5, 64), (12, 16)])
def test_config_parameter_count_matches_network(depth: int, width: int) -> None:
    config = VDSRConfig(depth, width)
    assert sum(p.numel() for p in VDSR(config).parameters()) == config.parameters


@pytest.mark.parametrize("depth", [2, 5])
def test_receptive_field_radius_equals_depth(depth: int) -> None:
    model = VDSR(VDSRConfig(depth, 4))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.1)
    luma = torch.ones(1, 1, 31, 31, requires_grad=True)
    model(luma)[0, 0, 15, 15].backward()
    assert luma.grad is not None
    rows = torch.nonzero(luma.grad[0, 0].abs().sum(dim=1)).flatten()
    assert [int(rows[0]), int(rows[-1])] == [15 - depth, 15 + depth]
    assert model.config.halo_px == depth


def test_input_is_added_only_when_residual_is_set() -> None:
    luma = torch.rand(2, 1, 9, 9)
    for residual in (True, False):
        model = VDSR(VDSRConfig(3, 4, residual=residual))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.zero_()
            assert torch.equal(model(luma), luma if residual else torch.zeros_like(luma))


def test_he_initialisation_is_reproducible_and_has_expected_variance() -> None:
    first, second, other = VDSR(), VDSR(), VDSR()
    initialise(first, 7)
    initialise(second, 7)
    initialise(other, 8)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.layers[3].weight, other.layers[3].weight)
    assert float(first.layers[3].weight.detach().std()) == pytest.approx((2 / 576) ** 0.5, rel=0.02)


@pytest.mark.parametrize(("depth", "width"), [(1, 64), (65, 64), (20, 0), (20, 513)])
def test_config_rejects_invalid_depth_and_width(depth: int, width: int) -> None:
    with pytest.raises(ConfigError):
        VDSRConfig(depth, width)
