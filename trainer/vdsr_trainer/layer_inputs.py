"""Steps that take account of a layer's inputs: of their means, and of the directions in which they vary.

The output of a ReLU is never negative, so changing a channel's weights shifts its output as a whole far more than it
changes what it distinguishes. A channel shifted below zero everywhere has no gradient and stays so: it is *dead*. But
w * x + b equals w * (x - m) + c with c = b + (sum of w) * m, and there w can turn while c keeps the channel where it
is. *Centred*, w and c are what is learned, with m the means of the batch, while the network stores w and b.

The centred inputs still hardly vary in some directions and vary a lot in others, and a single step size is too small
for the former or too large for the latter. *Whitened*, the step is Muon's on V, for w = V * R with R = s * inverse(L),
where L * L' is the covariance of the input channels and s^2 their mean variance: so a learning rate means for whitened
inputs what it means for plain Muon.

Sources of the ideas: N. Schraudolph, "Centering neural network gradient factors", 1998; V. Gupta et al., "Shampoo:
Preconditioned stochastic tensor optimization", ICML 2018; J. Martens and R. Grosse, "Optimizing neural networks with
Kronecker-factored approximate curvature", ICML 2015. Borders, where the padding is 0 rather than m, are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_ROWS_APART = 6
_LEAST = 0.01
"""Added to the variance of each direction, as a share of the mean variance: otherwise steps would be unbounded where
the inputs never vary."""


@dataclass(frozen=True, slots=True, eq=False)
class LayerInput:
    """Statistics of a layer's input, as sums over sampled positions.

    Attributes:
        total: (C,) float32, sum of each channel.
        products: (C, C) float32, sums of the products of each two channels; None if only means are needed.
        places: number of positions.
    """

    total: Tensor
    products: Tensor | None
    places: int

    def __add__(self, other: LayerInput) -> LayerInput:
        both = None if self.products is None or other.products is None else self.products + other.products
        return LayerInput(self.total + other.total, both, self.places + other.places)

    @property
    def mean(self) -> Tensor:
        """(C,) float32, mean of each channel."""
        return self.total / self.places

    @property
    def covariance(self) -> Tensor:
        """(C, C) float32, of the channels.

        Raises:
            ValueError: only means were collected.
        """
        if self.products is None:
            raise ValueError("The products of the channels were not summed.")
        return self.products / self.places - torch.outer(self.mean, self.mean)


def look_at(features: Tensor, *, covariance: bool = True) -> LayerInput:
    """Sample a layer's input on every sixth row.

    Args:
        features: (N, C, H, W), of any floating type; not under autocast, which would round the products.
        covariance: whether to collect the covariance as well as the means.
    """
    features = features.detach()
    if features.shape[2] > _ROWS_APART:
        features = features[:, :, _ROWS_APART // 2 :: _ROWS_APART]
    places = features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])  # (places, C)
    total = places.sum(dim=0, dtype=torch.float32)
    return LayerInput(total, places.float().mT @ places.float() if covariance else None, len(places))


@contextmanager
def centred(layers: Sequence[nn.Conv2d], inputs: Sequence[LayerInput]) -> Iterator[None]:
    """Make optimiser steps within the block act on the weights and on the biases c of centred inputs.

    Args:
        layers: with a bias and with gradients, which are modified.
        inputs: one for each layer.

    Raises:
        ValueError: a layer has no bias.
    """
    before = []
    with torch.no_grad():
        for layer, seen in zip(layers, inputs, strict=True):
            if layer.bias is None:
                raise ValueError("A layer without a bias cannot be centred.")
            if layer.weight.grad is not None and layer.bias.grad is not None:
                layer.weight.grad -= layer.bias.grad[:, None, None, None] * seen.mean[:, None, None]
            before.append((layer.bias, layer.weight.detach().clone()))
    yield
    with torch.no_grad():
        for layer, seen, (bias, weight) in zip(layers, inputs, before, strict=True):
            bias -= (layer.weight - weight).sum(dim=(2, 3)) @ seen.mean


def whitening(inputs: Sequence[LayerInput]) -> Tensor:
    """Matrices R, by which weights for whitened inputs are multiplied: see the module.

    Args:
        inputs: of layers with C channels each.

    Returns:
        (layers, C, C) float32; nearly the identity if the channels are uncorrelated and vary alike.
    """
    covariance = torch.stack([seen.covariance for seen in inputs])
    variance = covariance.diagonal(dim1=1, dim2=2).mean(dim=1).clamp_min(1e-12)[:, None, None]
    one = torch.eye(covariance.shape[1], device=covariance.device)
    root = torch.linalg.cholesky_ex(covariance / variance + _LEAST * one).L  # NaN stays NaN and shows in the loss
    right: Tensor = torch.linalg.solve_triangular(root, one.expand_as(root), upper=False)
    return right
