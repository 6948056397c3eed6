"""How a network begins from chance."""

from __future__ import annotations

import torch

from vdsr_app.core.network import ConvolutionChain, initialise
from vdsr_trainer.symmetry import Symmetry


def begin(
    network: ConvolutionChain, seed: int, symmetry: Symmetry | None, *, hidden_layers: float, last_layer: float
) -> None:
    """Fill weights as He et al. have them, tied where that is wished for, and then as strong as they shall be.

    Hidden layers of less than full strength pass on what they get and add to it, so that each layer begins with much
    of what the one before saw, and gradients reach the beginning from the first step on.

    Args:
        network: whose weights.
        seed: of the numbers.
        symmetry: of this network, or None for free weights.
        hidden_layers: strength of all layers between the first and the last, as a share of what He et al. give them.
        last_layer: strength of the last layer, likewise.
    """
    initialise(network, seed)
    if symmetry is not None:
        symmetry.begin()
    first, *hidden, last = network.convolutions
    with torch.no_grad():
        last.weight *= last_layer
        if hidden_layers < 1.0:
            for layer in hidden:
                layer.weight *= hidden_layers
                layer.weight[:, :, 1, 1] += torch.eye(first.out_channels)
