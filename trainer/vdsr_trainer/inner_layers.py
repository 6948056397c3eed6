"""The inner layers of the network, forward and back, by Winograd's method: for training on a CPU.

All between the first and the last layer: convolutions of as many channels out as in, each with a bias and ReLU. They
take nearly all of a step's time, and here a third of what it is by PyTorch's own convolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vdsr_app.core.winograd.chain import backward, forward
from vdsr_app.core.winograd.kernels import (
    PLACES,
    Floats,
    Halves,
    Words,
    filter_gradients,
    fits,
    plane_shape,
    scratch,
    slope_scratch,
    transform_filters,
)
from vdsr_app.core.winograd.pairs import has_bf16_products
from vdsr_app.core.winograd.product import PANEL


class InnerLayers:
    """Computes the inner layers of one network; remembers nothing but memory to work in. Used from one thread."""

    def __init__(self, layers: Sequence[nn.Conv2d], *, bf16: bool = False) -> None:
        """Take the layers, at least one; their weights are read anew at each call.

        Args:
            layers: see `suit`.
            bf16: round features, their gradients and what is multiplied to bfloat16; sums and the gradients of
                weights stay in float32. Valid anywhere, and worth it where `take_bf16` says so.
        """
        self._layers = layers
        self._bf16 = bf16
        self._size = 0, 0
        self._planes: Floats | Halves = np.zeros((0, 0, 0, 0, 0), np.float32)
        self._slopes: Floats | Halves = np.zeros((0, 0, 0, 0, 0), np.float32)
        self._crew = _Crew()
        self._memory: dict[int, tuple[Floats | Halves, ...]] = {}
        self._filters: Floats | Words = np.zeros((0, 0, 0, 0, 0), np.float32)
        self._sums: Floats = np.zeros((0, 0, 0, 0, 0, 0), np.float32)

    @staticmethod
    def take_width(width: int) -> bool:
        """Whether layers of so many channels are computed here, where they are in fp32 on a CPU."""
        return fits(width)

    @staticmethod
    def take_bf16() -> bool:
        """Whether rounding the products' factors to bfloat16 makes this computer faster."""
        return has_bf16_products()

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
        """What the layers saw in the last call, (N, C, H, W) float32 or bfloat16; overwritten by the next one."""
        height, width = self._size
        return [_inside(plane, height, width).permute(0, 3, 1, 2) for plane in self._planes[:-1]]

    def _forward(self, features: Tensor, weights: Floats, biases: Floats) -> Tensor:
        count, channels, height, width = features.shape
        self._size = height, width
        shape = (len(weights) + 1, count, *plane_shape(height, width, channels))
        if self._planes.shape != shape:
            kind = np.uint16 if self._bf16 else np.float32
            self._planes, self._slopes = np.zeros(shape, kind), np.zeros((2, *shape[1:]), kind)
        planes = self._planes
        _inside(planes[0], height, width).copy_(features.permute(0, 2, 3, 1))
        filters = self._transformed(weights)

        def work(share: int, first: int, last: int) -> None:
            forward(planes, filters, biases, first, last, height, width, *self._scratch(share, channels)[:3])

        self._crew.share(count, work)
        return _inside(planes[-1], height, width).permute(0, 3, 1, 2).float()

    def _backward(self, slope: Tensor, weights: Floats) -> tuple[Tensor, Floats, Floats]:
        count, channels, height, width = slope.shape
        planes, slopes = self._planes, self._slopes
        last = _inside(planes[-1], height, width)
        torch.mul(slope.permute(0, 2, 3, 1), last > 0, out=_inside(slopes[len(weights) % 2], height, width))
        turned = weights.transpose(0, 2, 1, 3, 4)[..., ::-1, ::-1]
        filters = self._transformed(turned)
        shape = (_shares(count), len(weights), PLACES, channels // PANEL, channels, PANEL)
        if self._sums.shape != shape:
            self._sums = np.empty(shape, np.float32)
        sums, bias_sums = self._sums, np.zeros((shape[0], len(weights), channels), np.float32)

        def work(share: int, first: int, last: int) -> None:
            sums[share] = 0.0
            memory = self._scratch(share, channels)
            backward(planes, slopes, filters, sums[share], bias_sums[share], first, last, height, width, *memory)

        self._crew.share(count, work)
        gradients = np.empty(weights.shape, np.float32)

        def collect(_: int, first: int, last: int) -> None:
            for i in range(first, last):
                gradients[i] = filter_gradients(sums[:, i].sum(axis=0)[None])[0]

        self._crew.share(len(weights), collect)
        return _inside(slopes[0], height, width).permute(0, 3, 1, 2).float(), gradients, bias_sums.sum(axis=0)

    def _scratch(self, share: int, channels: int) -> tuple[Floats | Halves, ...]:
        """Memory that the thread of a share works in."""
        if share not in self._memory:
            self._memory[share] = (*scratch(channels, halves=self._bf16), *slope_scratch(channels))
        return self._memory[share]

    def _transformed(self, weights: Floats) -> Floats | Words:
        """Transformed filters of all layers; overwritten by the next call."""
        layers, channels = weights.shape[:2]
        depth, kind = (channels // 2, np.uint32) if self._bf16 else (channels, np.float32)
        shape = layers, PLACES, channels // PANEL, depth, PANEL
        if self._filters.shape != shape or self._filters.dtype != kind:
            self._filters = np.empty(shape, kind)
        filters = self._filters

        def work(_: int, first: int, last: int) -> None:
            for i in range(first, last):
                transform_filters(weights[i], filters[i])

        self._crew.share(layers, work)
        return filters


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


def _inside(planes: Floats | Halves, height: int, width: int) -> Tensor:
    """(N, H, W, C) view of planes without their rings, float32 or bfloat16."""
    features = torch.from_numpy(planes)
    if planes.dtype != np.float32:
        features = features.view(torch.bfloat16)
    return features[:, 1 : height + 1, 1 : width + 1]


def _shares(count: int) -> int:
    """Into how many parts work on `count` things is cut: PyTorch's number of threads, if there are as many things."""
    return min(torch.get_num_threads(), count)


class _Crew:
    """Threads that share work: as many as PyTorch has."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._size = 0

    def share(self, count: int, work: Callable[[int, int, int], Any]) -> None:
        """Let each thread do a part of `count` things: `work(share, first, last + 1)`."""
        shares = _shares(count)
        cuts = [count * i // shares for i in range(shares + 1)]
        if shares == 1:
            work(0, 0, count)
            return
        if self._pool is None or self._size < shares:
            self._pool, self._size = ThreadPoolExecutor(shares, "inner_layers"), shares
        parts = [self._pool.submit(work, i, cuts[i], cuts[i + 1]) for i in range(shares)]
        wait(parts)  # all of them, before an error of one: they write to memory that the next call uses
        for part in parts:
            part.result()
