"""The network's layers, forward and back, by Winograd's method: for training on a CPU.

All between the first and the last layer are convolutions of as many channels out as in, each with a bias and ReLU. They
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
from vdsr_app.core.winograd.ends import END_ROWS, first_filter, last_filter
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


class CpuNetwork:
    """Computes the layers of one network; remembers nothing but memory to work in. Used from one thread."""

    def __init__(self, layers: Sequence[nn.Conv2d], *, bf16: bool = False) -> None:
        """Take the layers, at least three; their weights are read anew at each call.

        Args:
            layers: see `suits`.
            bf16: round features, their gradients and what is multiplied between the first and the last layer to
                bfloat16; sums, the ends and the gradients of weights stay in float32. Valid anywhere, and worth it
                where `takes_bf16` says so.
        """
        self._layers = layers
        self._bf16 = bf16
        self._crew = _Crew()
        self._memory: dict[int, tuple[Floats | Halves, ...]] = {}
        self._luma: Floats = np.zeros((0, 0, 0), np.float32)
        self._error: Floats = np.zeros((0, 0, 0), np.float32)
        self._planes: Floats | Halves = np.zeros((0, 0, 0, 0, 0), np.float32)
        self._slopes: Floats | Halves = np.zeros((0, 0, 0, 0, 0), np.float32)
        self._filters: Floats | Words = np.zeros((0, 0, 0, 0, 0), np.float32)
        self._sums: Floats = np.zeros((0, 0, 0, 0, 0, 0), np.float32)

    @staticmethod
    def takes_width(width: int) -> bool:
        """Whether networks of so many channels are computed here, where they are in fp32 on a CPU."""
        return fits(width)

    @staticmethod
    def takes_bf16() -> bool:
        """Whether rounding the products' factors to bfloat16 makes this computer faster."""
        return has_bf16_products()

    @staticmethod
    def suits(layers: Sequence[nn.Conv2d]) -> bool:
        """Whether layers are of the kind that is computed here."""
        width = layers[0].out_channels
        shapes = [(layer.in_channels, layer.out_channels) for layer in layers]
        return (
            len(layers) >= 3
            and shapes == [(1, width), *[(width, width)] * (len(layers) - 2), (width, 1)]
            and fits(width)
            and all(layer.bias is not None and layer.weight.dtype is torch.float32 for layer in layers)
        )

    def __call__(self, luma: Tensor) -> Tensor:
        """What the last layer gives.

        What is kept for the gradient is overwritten by the next call, so `backward` must come before that. There is
        no gradient of the luma.

        Args:
            luma: (N, 1, H, W) float32.

        Returns:
            (N, 1, H, W) float32.
        """
        parameters = [tensor for layer in self._layers for tensor in (layer.weight, layer.bias)]
        result: Tensor = _Function.apply(self, luma, *parameters)  # type: ignore[no-untyped-call]
        return result

    def inputs(self) -> list[Tensor]:
        """What the layers saw in the last call, (N, C, H, W) float32 or bfloat16; overwritten by the next one."""
        luma = torch.from_numpy(self._luma)[:, None, 1:-1, 1:-1]
        planes = torch.from_numpy(self._planes)
        if self._bf16:
            planes = planes.view(torch.bfloat16)
        height, width = luma.shape[2:]
        return [luma, *planes[:, :, 1 : height + 1, 1 : width + 1].permute(0, 1, 4, 2, 3)]

    def _forward(self, luma: Tensor, weights: Sequence[Floats], biases: Sequence[Floats]) -> Tensor:
        count, _, height, width = luma.shape
        self._make_room(count, height, width, len(weights) - 1, len(biases[0]))
        self._luma[:, 1:-1, 1:-1] = luma[:, 0].numpy()
        inner_biases = np.stack(biases[1:-1])
        filters = self._transformed(np.stack(weights[1:-1]))
        first_filters, last_filters = first_filter(weights[0], biases[0]), last_filter(weights[-1])
        out = np.empty((count, height, width), np.float32)

        def work(share: int, first: int, last: int) -> None:
            forward(
                self._luma,
                self._planes,
                first_filters,
                filters,
                inner_biases,
                last_filters,
                float(biases[-1][0]),
                out,
                first,
                last,
                *self._scratch(share)[:3],
            )

        self._crew.share(count, work)
        return torch.from_numpy(out)[:, None]

    def _backward(self, error: Tensor, weights: Sequence[Floats]) -> tuple[list[Floats], list[Floats]]:
        """Gradients of the weights and the biases of all layers."""
        count, channels, layers = len(error), len(weights[0]), len(weights) - 2
        self._error[:, 1:-1, 1:-1] = error[:, 0].numpy()
        filters = self._transformed(np.stack(weights[1:-1]).transpose(0, 2, 1, 3, 4)[..., ::-1, ::-1])
        last_filters = first_filter(weights[-1].transpose(1, 0, 2, 3)[..., ::-1, ::-1], np.zeros(channels))
        shares = _shares(count)
        shape = (shares, layers, PLACES, channels // PANEL, channels, PANEL)
        if self._sums.shape != shape:
            self._sums = np.empty(shape, np.float32)
        sums, bias_sums = self._sums, np.zeros((shares, layers, channels), np.float32)
        ends = np.zeros((shares, 2, END_ROWS, channels), np.float32)

        def work(share: int, first: int, last: int) -> None:
            sums[share] = 0.0
            backward(
                self._luma,
                self._planes,
                self._error,
                self._slopes[share],
                filters,
                last_filters,
                ends[share, 0],
                sums[share],
                bias_sums[share],
                ends[share, 1],
                first,
                last,
                *self._scratch(share),
            )

        self._crew.share(count, work)
        of_weights: list[Floats] = [weights[0]] * (layers + 2)

        def collect(_: int, first: int, last: int) -> None:
            for i in range(first, last):
                of_weights[i + 1] = filter_gradients(sums[:, i].sum(axis=0)[None])[0]

        self._crew.share(layers, collect)
        of_first, of_last = ends.sum(axis=0)
        of_weights[0] = np.ascontiguousarray(of_first[:9].T).reshape(weights[0].shape)
        of_weights[-1] = np.ascontiguousarray(of_last[8::-1].T).reshape(weights[-1].shape)
        of_last_bias = np.asarray(self._error.sum(dtype=np.float64), np.float32).reshape(1)
        return of_weights, [of_first[9], *bias_sums.sum(axis=0), of_last_bias]

    def _make_room(self, count: int, height: int, width: int, planes: int, channels: int) -> None:
        """Memory for pictures of this size, with zeros in the rings; what is there stays if it fits."""
        shape = planes, count, *plane_shape(height, width, channels)
        if self._planes.shape != shape or self._luma.shape != (count, height + 2, width + 2):
            self._luma = np.zeros((count, height + 2, width + 2), np.float32)
            self._error = np.zeros_like(self._luma)
            self._planes = self._zeros(shape)
        if self._slopes.shape != (_shares(count), 2, *shape[2:]):
            self._slopes = self._zeros((_shares(count), 2, *shape[2:]))

    def _zeros(self, shape: tuple[int, ...]) -> Floats | Halves:
        return np.zeros(shape, np.uint16) if self._bf16 else np.zeros(shape, np.float32)

    def _scratch(self, share: int) -> tuple[Floats | Halves, ...]:
        """Memory that the thread of a share works in."""
        if share not in self._memory:
            channels = self._layers[0].out_channels
            self._memory[share] = (*scratch(channels, halves=self._bf16), *slope_scratch(channels))
        return self._memory[share]

    def _transformed(self, weights: Floats) -> Floats | Words:
        """Transformed filters of inner layers; overwritten by the next call."""
        layers, channels = weights.shape[:2]
        depth, kind = (channels // 2, np.uint32) if self._bf16 else (channels, np.float32)
        shape = layers, PLACES, channels // PANEL, depth, PANEL
        if self._filters.shape != shape:
            self._filters = np.empty(shape, kind)
        filters = self._filters

        def work(_: int, first: int, last: int) -> None:
            for i in range(first, last):
                transform_filters(weights[i], filters[i])

        self._crew.share(layers, work)
        return filters


class _Function(torch.autograd.Function):
    """`CpuNetwork` for PyTorch's record of what was computed."""

    @staticmethod
    def forward(ctx: Any, owner: CpuNetwork, luma: Tensor, *parameters: Tensor) -> Tensor:
        numbers = [tensor.detach().numpy() for tensor in parameters]
        ctx.owner, ctx.weights = owner, [each.copy() for each in numbers[0::2]]
        return owner._forward(luma.detach(), ctx.weights, numbers[1::2])

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        weights, biases = ctx.owner._backward(error, ctx.weights)
        pairs = zip(weights, biases, strict=True)
        return None, None, *(torch.from_numpy(each) for pair in pairs for each in pair)


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
            self._pool, self._size = ThreadPoolExecutor(shares, "cpu_network"), shares
        parts = [self._pool.submit(work, i, cuts[i], cuts[i + 1]) for i in range(shares)]
        wait(parts)  # all of them, before an error of one: they write to memory that the next call uses
        for part in parts:
            part.result()
