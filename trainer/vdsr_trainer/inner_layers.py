"""The inner layers of the network, forward and back, by Winograd's method: for training in fp32 on a CPU.

All between the first and the last layer: convolutions of as many channels out as in, each with a bias and ReLU. They
take nearly all of a step's time, and here a third of what it is by PyTorch's own convolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vdsr_app.core.winograd.chain import backward, forward
from vdsr_app.core.winograd.kernels import (
    Floats,
    filter_gradients,
    fits,
    plane_shape,
    scratch,
    slope_scratch,
    transformed_filters,
)


class InnerLayers:
    """Computes the inner layers of one network; remembers nothing but memory to work in. Used from one thread."""

    def __init__(self, layers: Sequence[nn.Conv2d]) -> None:
        """Take the layers, at least one; their weights are read anew at each call."""
        self._layers = layers
        self._size = 0, 0
        self._planes: Floats = np.zeros((0, 0, 0, 0, 0), np.float32)
        self._slopes: Floats = np.zeros((0, 0, 0, 0, 0), np.float32)
        self._sums: Floats = np.zeros((0, 0, 0, 0, 0, 0), np.float32)

    @staticmethod
    def take_width(width: int) -> bool:
        """Whether layers of so many channels are computed here, where they are in fp32 on a CPU."""
        return fits(width)

    @staticmethod
    def suit(layers: Sequence[nn.Conv2d]) -> bool:
        """Whether layers are of the kind that is computed here."""
        return bool(layers) and all(
            layer.in_channels == layer.out_channels
            and fits(layer.in_channels)
            and layer.bias is not None
            and layer.weight.dtype is torch.float32
            for layer in layers
        )

    def __call__(self, features: Tensor) -> Tensor:
        """Features after all layers.

        What is kept for the gradient is overwritten by the next call, so `backward` must come before that.

        Args:
            features: (N, C, H, W) float32, not negative: after ReLU.

        Returns:
            (N, C, H, W) float32.
        """
        parameters = [tensor for layer in self._layers for tensor in (layer.weight, layer.bias)]
        result: Tensor = _Function.apply(self, features, *parameters)  # type: ignore[no-untyped-call]
        return result

    def inputs(self) -> list[Tensor]:
        """What the layers saw in the last call, (N, C, H, W) float32 each; overwritten by the next one."""
        height, width = self._size
        return [_inside(plane, height, width).permute(0, 3, 1, 2) for plane in self._planes[:-1]]

    def _forward(self, features: Tensor, weights: Floats, biases: Floats) -> Tensor:
        count, channels, height, width = features.shape
        self._size = height, width
        shape = (len(weights) + 1, count, *plane_shape(height, width, channels))
        if self._planes.shape != shape:
            self._planes = np.zeros(shape, np.float32)
            self._slopes = np.zeros((2, *shape[1:]), np.float32)
        planes = self._planes
        _inside(planes[0], height, width).copy_(features.permute(0, 2, 3, 1))
        filters = _by_layer(transformed_filters, weights)

        def work(_: int, first: int, last: int) -> None:
            forward(planes, filters, biases, first, last, height, width, *scratch(channels))

        _share(count, work)
        return _inside(planes[-1], height, width).permute(0, 3, 1, 2)

    def _backward(self, slope: Tensor, weights: Floats) -> tuple[Tensor, Floats, Floats]:
        count, channels, height, width = slope.shape
        planes, slopes = self._planes, self._slopes
        last = _inside(planes[-1], height, width)
        torch.mul(slope.permute(0, 2, 3, 1), last > 0, out=_inside(slopes[len(weights) % 2], height, width))
        filters = _by_layer(transformed_filters, weights.transpose(0, 2, 1, 3, 4)[..., ::-1, ::-1])
        shape = (_shares(count), *filters.shape)
        if self._sums.shape != shape:
            self._sums = np.empty(shape, np.float32)
        sums, bias_sums = self._sums, np.zeros((shape[0], len(weights), channels), np.float32)

        def work(share: int, first: int, last: int) -> None:
            sums[share] = 0.0
            memory = (*scratch(channels), *slope_scratch(channels))
            backward(planes, slopes, filters, sums[share], bias_sums[share], first, last, height, width, *memory)

        _share(count, work)
        gradients = _by_layer(lambda parts: filter_gradients(parts.sum(axis=1)), sums.swapaxes(0, 1))
        return _inside(slopes[0], height, width).permute(0, 3, 1, 2), gradients, bias_sums.sum(axis=0)


class _Function(torch.autograd.Function):
    """`InnerLayers` for PyTorch's record of what was computed."""

    @staticmethod
    def forward(ctx: Any, owner: InnerLayers, features: Tensor, *parameters: Tensor) -> Tensor:
        weights = np.stack([tensor.detach().numpy() for tensor in parameters[0::2]])
        biases = np.stack([tensor.detach().numpy() for tensor in parameters[1::2]])
        ctx.owner, ctx.weights = owner, weights
        return owner._forward(features.detach(), weights, biases)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        features, weights, biases = ctx.owner._backward(slope, ctx.weights)
        pairs = zip(torch.from_numpy(weights).unbind(), torch.from_numpy(biases).unbind(), strict=True)
        return None, features, *(tensor for pair in pairs for tensor in pair)


def _inside(planes: Floats, height: int, width: int) -> Tensor:
    """(N, H, W, C) view of planes without their rings."""
    return torch.from_numpy(planes)[:, 1 : height + 1, 1 : width + 1]


def _shares(count: int) -> int:
    """Into how many parts work on `count` things is cut: PyTorch's number of threads, if there are as many things."""
    return min(torch.get_num_threads(), count)


def _share(count: int, work: Callable[[int, int, int], Any]) -> list[Any]:
    """Let each thread do a part of `count` things: `work(share, first, last + 1)`; results in order."""
    shares = _shares(count)
    cuts = [count * i // shares for i in range(shares + 1)]
    if shares == 1:
        return [work(0, 0, count)]
    with ThreadPoolExecutor(shares) as pool:
        return list(pool.map(work, range(shares), cuts[:-1], cuts[1:]))


def _by_layer(compute: Callable[[Floats], Floats], layers: Floats) -> Floats:
    """`compute` of some layers, each by itself: that stays in the cache, and the threads share them."""

    def work(_: int, first: int, last: int) -> list[Floats]:
        return [compute(layers[i : i + 1]) for i in range(first, last)]

    return np.concatenate([made for part in _share(len(layers), work) for made in part])
