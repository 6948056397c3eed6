"""The teacher's network: convolutions at LR size, and at the end the sub-pixels of each scale factor."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812 - as everybody calls it
from torch import Tensor

from vdsr_app.core.network import ConvolutionChain
from vdsr_trainer.beginning import initialise_weights
from vdsr_trainer.config import SYMMETRIES
from vdsr_trainer.data.lr_grid import cubic
from vdsr_trainer.symmetry import Symmetry, turned

SYMMETRY = "p4"
MARGIN_PX = 2
"""LR pixels around a patch that its bicubic enlargement reads."""

_HIDDEN_LAYERS, _LAST_LAYER = 0.3, 0.01
"""Initial strength of its layers: see `beginning`."""


class TeacherNetwork(ConvolutionChain):
    """Adds the lost detail to a bicubic enlargement by a whole factor, as VDSR does, but computes it before enlarging.

    Attributes:
        layers: convolutions from 1 channel through hidden ones to one for each sub-pixel of each scale factor.
        scales: the scale factors.
    """

    def __init__(self, scales: tuple[int, ...], depth: int, width: int) -> None:
        super().__init__(widths_of(scales, depth, width))
        self.scales = scales

    def detail(self, features: Tensor, scale: int) -> Tensor:
        """The detail to add, from the input of the last layer.

        Args:
            features: (N, width, H, W), of any floating type.
            scale: one of `scales`.

        Returns:
            (N, scale * scale, H, W), of the features' type: sub-pixels, rows first.
        """
        last = self.convolutions[-1]
        first = sum(other * other for other in self.scales[: self.scales.index(scale)])
        these = slice(first, first + scale * scale)
        bias = None if last.bias is None else last.bias[these]
        return F.conv2d(features, last.weight[these], bias, padding=1)


def widths_of(scales: tuple[int, ...], depth: int, width: int) -> list[int]:
    """Channels before the first layer, between the layers, and after the last."""
    return [1, *[width] * (depth - 1), sum(scale * scale for scale in scales)]


def first_network(scales: tuple[int, ...], depth: int, width: int, seed: int) -> TeacherNetwork:
    """The initial network, its weights tied."""
    network = TeacherNetwork(scales, depth, width)
    initialise_weights(network, seed, make_symmetry(network), hidden_layers=_HIDDEN_LAYERS, last_layer=_LAST_LAYER)
    return network


def make_symmetry(network: TeacherNetwork) -> Symmetry:
    """The symmetry that ties its weights: a quarter turn of a picture permutes the sub-pixels within each pixel."""
    elements = SYMMETRIES[SYMMETRY]
    orders, first = [], 0
    for scale in network.scales:
        places = first + torch.arange(scale * scale).view(scale, scale)
        orders.append(torch.stack([turned(places, element).flatten() for element in range(elements)]))
        first += scale * scale
    return Symmetry(SYMMETRY, network.convolutions, torch.cat(orders, dim=1))


def enlarged(low: Tensor, scale: int) -> Tensor:
    """Bicubic enlargement by a whole factor.

    Args:
        low: (N, 1, H + 4, W + 4) float32, with a margin of `MARGIN_PX`.
        scale: the factor.

    Returns:
        (N, scale * scale, H, W) float32: sub-pixels, rows first.
    """
    return F.conv2d(low, _bicubic(scale).to(low.device))


@cache
def _bicubic(scale: int) -> Tensor:
    """(scale * scale, 1, 5, 5) float32: the taps of each sub-pixel."""
    along = (torch.arange(scale, dtype=torch.float64) + 0.5) / scale - 0.5
    taps = cubic(along[:, None] - torch.arange(-MARGIN_PX, MARGIN_PX + 1))
    return torch.einsum("ay,bx->abyx", taps, taps).reshape(scale * scale, 1, 5, 5).float()
