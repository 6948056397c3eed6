"""VDSR: very deep super-resolution (Kim, Lee, Lee, CVPR 2016, arXiv 1511.04587)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from vdsr_app.errors import ConfigError

MAX_DEPTH = 64
MAX_WIDTH = 512


@dataclass(frozen=True, slots=True)
class VDSRConfig:
    """Shape of the network.

    Attributes:
        depth: number of convolutions, at least 2; 20 in the paper.
        width: channels between them; 64 in the paper.
        residual: whether the input is added to the output, as in the paper, or the output is the picture itself.
    """

    depth: int = 20
    width: int = 64
    residual: bool = True

    def __post_init__(self) -> None:
        if not 2 <= self.depth <= MAX_DEPTH:
            raise ConfigError(f"Depth {self.depth} is outside 2-{MAX_DEPTH}.")
        if not 1 <= self.width <= MAX_WIDTH:
            raise ConfigError(f"Width {self.width} is outside 1-{MAX_WIDTH}.")

    @property
    def widths(self) -> list[int]:
        """Channels before the first convolution, between them, and after the last."""
        return [1, *[self.width] * (self.depth - 1), 1]

    @property
    def halo_px(self) -> int:
        """Pixels on each side that one output pixel depends on: one per 3x3 convolution.

        The receptive field, the side of the square it depends on, is twice that plus 1: 41 px, as in the paper.
        """
        return self.depth

    @property
    def parameters(self) -> int:
        """Number of trainable parameters: 665,921 at the default."""
        inner = (self.depth - 2) * (9 * self.width * self.width + self.width)
        return 9 * self.width + self.width + inner + 9 * self.width + 1


class ConvolutionChain(nn.Module):
    """A chain of 3x3 convolutions.

    Attributes:
        layers: the convolutions.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        """Create the layers.

        Args:
            widths: channels before the first layer, between the layers, and after the last.
        """
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, kernel_size=3, padding=1) for before, after in pairwise(widths)
        )

    @property
    def convolutions(self) -> list[nn.Conv2d]:
        """`layers` with their type, which a `ModuleList` does not convey."""
        return [layer for layer in self.layers if isinstance(layer, nn.Conv2d)]


class VDSR(ConvolutionChain):
    """Chain of 3x3 convolutions with ReLU between, whose output is added to the input.

    The input is a bicubic enlargement at the target size, so one set of weights serves every scale factor.

    Attributes:
        config: shape of the network.
        layers: the convolutions; `layers[0]` maps 1 channel to `width`, the last maps back to 1.
    """

    def __init__(self, config: VDSRConfig | None = None) -> None:
        config = config if config is not None else VDSRConfig()
        super().__init__(config.widths)
        self.config = config

    def forward(self, luma: Tensor) -> Tensor:
        """Add the detail that bicubic lost.

        Args:
            luma: (N, 1, H, W) float, bicubic luma with 1 as full scale.

        Returns:
            (N, 1, H, W), same dtype and scale, not clipped.
        """
        features = luma
        for layer in self.layers[:-1]:
            features = torch.relu(layer(features))  # (N, width, H, W)
        detail: Tensor = self.layers[-1](features)  # (N, 1, H, W)
        return luma + detail if self.config.residual else detail


def initialise(model: ConvolutionChain, seed: int) -> None:
    """Fill weights by He et al. (ICCV 2015) for ReLU and biases with zero; the same seed gives the same everywhere."""
    generator = torch.Generator().manual_seed(seed)
    for layer in model.convolutions:
        fan_in = layer.in_channels * 9
        weight = torch.randn(layer.weight.shape, generator=generator) * (2.0 / fan_in) ** 0.5
        with torch.no_grad():
            layer.weight.copy_(weight)
            if layer.bias is not None:
                layer.bias.zero_()
