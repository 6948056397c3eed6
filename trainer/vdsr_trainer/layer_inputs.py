"""Steps that take account of what a layer sees: its inputs less their means, and as if these had no common directions.

What leaves a ReLU is never negative, so a change of a channel's weights moves what the channel gives as a whole by far
more than it changes what it tells apart. Moved below zero everywhere, it has no gradient, and stays so: it is *dead*.
But w * x + b is w * (x - m) + c with c = b + (sum of w) * m, and there w can turn while c keeps the channel where it
is. *Centred*, w and c are what is learned, for m the means of the batch, while the network keeps w and b.

What is left of the inputs still has directions in which it hardly ever differs and others in which it differs a lot,
and a step of one size for all is too large for these or too small for those. *Whitened*, the step is Muon's on V, for
w = V * R with R = s * inverse(L), L * L' the covariance of the input channels and s^2 their mean variance: so a rate
means for inputs without common directions what it means for plain Muon.

Sources of the ideas: N. Schraudolph, "Centering neural network gradient factors", 1998; V. Gupta et al., "Shampoo:
Preconditioned stochastic tensor optimization", ICML 2018; J. Martens and R. Grosse, "Optimizing neural networks with
Kronecker-factored approximate curvature", ICML 2015. Borders, where padding is 0 and not m, are left out of account.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_ROWS_APART = 6
_LEAST = 0.01
"""What is added to each direction's variance, as a share of the mean one: else a step would be boundless where the
inputs never differ."""


@dataclass(frozen=True, slots=True, eq=False)
class LayerInput:
    """What a layer saw, as sums over the places looked at.

    Attributes:
        total: (C,) float32, of each channel.
        products: (C, C) float32, of the products of each two channels; None where only means are wanted.
        places: how many.
    """

    total: Tensor
    products: Tensor | None
    places: int

    def __add__(self, other: LayerInput) -> LayerInput:
        both = None if self.products is None or other.products is None else self.products + other.products
        return LayerInput(self.total + other.total, both, self.places + other.places)

    @property
    def mean(self) -> Tensor:
        """(C,) float32, of the channels."""
        return self.total / self.places

    @property
    def covariance(self) -> Tensor:
        """(C, C) float32, of the channels.

        Raises:
            ValueError: only means were wanted.
        """
        if self.products is None:
            raise ValueError("The products of the channels were not summed.")
        return self.products / self.places - torch.outer(self.mean, self.mean)


def look_at(features: Tensor, *, covariance: bool = True) -> LayerInput:
    """Estimate a layer's input on each sixth row.

    Args:
        features: (N, C, H, W), of any floating type; not under autocast, which would round the products.
        covariance: whether that is wanted, besides the means.
    """
    features = features.detach()
    if features.shape[2] > _ROWS_APART:
        features = features[:, :, _ROWS_APART // 2 :: _ROWS_APART]
    places = features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])  # (places, C)
    total = places.sum(dim=0, dtype=torch.float32)
    return LayerInput(total, places.float().mT @ places.float() if covariance else None, len(places))


@contextmanager
def centred(layers: Sequence[nn.Conv2d], inputs: Sequence[LayerInput]) -> Iterator[None]:
    """Within it an optimiser steps on the weights and the biases c of centred inputs.

    Args:
        layers: with a bias and with gradients, which are changed.
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
    """By what weights are multiplied that stand for inputs without common directions: see the module.

    Args:
        inputs: of layers with C channels each.

    Returns:
        (layers, C, C) float32, R; the identity for inputs of which every channel varies alike and by itself.
    """
    covariance = torch.stack([seen.covariance for seen in inputs])
    variance = covariance.diagonal(dim1=1, dim2=2).mean(dim=1).clamp_min(1e-12)[:, None, None]
    one = torch.eye(covariance.shape[1], device=covariance.device)
    root = torch.linalg.cholesky_ex(covariance / variance + _LEAST * one).L  # NaN stays NaN, for the loss to tell
    right: Tensor = torch.linalg.solve_triangular(root, one.expand_as(root), upper=False)
    return right
