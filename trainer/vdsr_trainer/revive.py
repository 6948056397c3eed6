"""A trained network made ready to learn more: layers of like strength, and no channel that is dead.

A channel whose ReLU lets nothing through has no gradient, and stays so; its share of the network is lost. High rates
kill channels above all in the first and last layers (see `centre`). Here such a channel gets new weights, and none into
the channels that live: the network gives what it gave, and has something to learn with.

ReLU passes a positive factor through, so a layer may be made stronger by what the next one is made weaker, and nothing
changes but what a step of given size comes to.

Source of the idea: G. Sokar et al., "The dormant neuron phenomenon", ICML 2023.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from vdsr_app.core.network import VDSR

_STRENGTH = 0.15
"""Root mean square of what each hidden layer gives once they are alike."""

_NEW_STRENGTH = 0.1
"""Standard deviation of a new channel before its ReLU: it is to be heard among the others, and not above them."""

_NEW_ACTIVE = 0.3
"""Share of the places where a new channel lets something through."""

_DEAD = 1e-3
"""A channel that lets less than this share of the places through counts as dead."""

_FLAT = 0.7
"""Share of the first layer's new channels that do not see an even brightness."""

_PLACES = 20_000
"""About so many places of the patches are looked at for a new channel's threshold."""

_TINY = 1e-6


@torch.no_grad()
def revive(model: VDSR, luma: Tensor, seed: int) -> None:
    """Balance the layers, and give dead channels new weights. What the network gives hardly changes.

    Args:
        model: changed in place.
        luma: (N, 1, P, P) float32, patches to learn from; 1 is full scale.
        seed: of the new weights.
    """
    _balance(model, luma)
    dead = dead_channels(model, luma)
    generator = torch.Generator().manual_seed(seed)
    features = luma
    silent: Tensor | None = None  # channels that the layer gives and that are new
    for layer, new in zip(model.convolutions[:-1], dead, strict=True):
        if silent is not None:
            layer.weight[~new[:, None] & silent] = 0.0
        if new.any():
            layer.weight[new], bias = _new_channels(features, int(new.sum()), generator)
            if layer.bias is not None:
                layer.bias[new] = bias
        features, silent = torch.relu(layer(features)), new
    if silent is not None:
        model.convolutions[-1].weight[:, silent] = 0.0


@torch.no_grad()
def dead_channels(model: VDSR, luma: Tensor) -> list[Tensor]:
    """Which channels give nothing, or hardly ever anything.

    Args:
        model: the network.
        luma: (N, 1, P, P) float32, patches as it is used on; 1 is full scale.

    Returns:
        (width,) bool for each layer but the last.
    """
    dead, features = [], luma
    for layer in model.convolutions[:-1]:
        features = torch.relu(layer(features))
        dead.append((features > 0).float().mean(dim=(0, 2, 3)) < _DEAD)
    return dead


def _balance(model: VDSR, luma: Tensor) -> None:
    features, before = luma, 1.0
    for layer in model.convolutions[:-1]:
        layer.weight /= before
        features = torch.relu(layer(features))
        strength = float(features.square().mean().sqrt())
        factor = _STRENGTH / strength if strength > _TINY else 1.0
        layer.weight *= factor
        if layer.bias is not None:
            layer.bias *= factor
        features, before = features * factor, factor
    model.convolutions[-1].weight /= before


def _new_channels(features: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Weights (count, C, 3, 3) and biases (count,) that see all channels of the input, each by its strength."""
    channels = features.shape[1]
    weight = torch.randn((count, channels, 3, 3), generator=generator).to(features.device)
    if channels == 1:
        flat = (torch.rand((count, 1, 1, 1), generator=generator) < _FLAT).to(features.device)
        weight -= weight.mean(dim=(2, 3), keepdim=True) * flat
    weight /= features.square().mean(dim=(0, 2, 3)).sqrt().clamp_min(_TINY)[:, None, None]
    seen = conv2d(features, weight, padding=1).transpose(0, 1).flatten(1)  # (count, places)
    seen = seen[:, :: max(1, seen.shape[1] // _PLACES)]
    factor = _NEW_STRENGTH / seen.std(dim=1).clamp_min(_TINY)
    threshold = torch.quantile(seen, 1.0 - _NEW_ACTIVE, dim=1)
    return weight * factor[:, None, None, None], -threshold * factor
