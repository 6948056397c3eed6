"""The network's layers by Winograd convolution, forward and backward: for training on a CPU.

All layers between the first and the last are convolutions with as many output as input channels, each with a bias and
ReLU. They take nearly all of a step's time, and here a third of the time of PyTorch's own convolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vdsr_app.core.winograd import chain
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


class _CpuLayers:
    """Computes all layers but the last one; keeps nothing but working memory. For use from one thread."""

    def __init__(self, layers: Sequence[nn.Conv2d], *, bf16: bool = False) -> None:
        """Store the layers; their weights are read anew at each call.

        Args:
            layers: from one channel to many, then with as many output as input channels, each with ReLU; the last one
                may differ.
            bf16: round features, their gradients and the factors of products between the first and the last layer to
                bfloat16; sums, the first and last layer and the gradients of weights stay float32. Works anywhere, and
                pays off where `takes_bf16` says so.
        """
        self._layers = layers
        self._bf16 = bf16
        self._crew = _Crew()
        self._memory: dict[int, tuple[Floats | Halves, ...]] = {}
        self._luma: Floats = np.zeros((0, 0, 0), np.float32)
        self._planes: Floats | Halves = np.zeros((0, 0, 0, 0, 0), np.float32)
        self._slopes: Floats | Halves = np.zeros((0, 0, 0, 0, 0), np.float32)
        self._filters: Floats | Words = np.zeros((0, 0, 0, 0, 0), np.float32)
        self._sums: Floats = np.zeros((0, 0, 0, 0, 0, 0), np.float32)

    def inputs(self) -> list[Tensor]:
        """Inputs of the layers and of the one after them in the last call, (N, C, H, W) float32 or bfloat16.

        Overwritten by the next call.
        """
        luma = torch.from_numpy(self._luma)[:, None, 1:-1, 1:-1]
        planes = torch.from_numpy(self._planes)
        if self._bf16:
            planes = planes.view(torch.bfloat16)
        height, width = luma.shape[2:]
        return [luma, *planes[:, :, 1 : height + 1, 1 : width + 1].permute(0, 1, 4, 2, 3)]

    def _take(self, luma: Tensor, weights: Sequence[Floats], biases: Sequence[Floats]) -> tuple[Any, ...]:
        """Make room for a batch and copy it in; return the leading arguments of `chain.features`."""
        count, _, height, width = luma.shape
        self._make_room(count, height, width, len(weights), len(biases[0]))
        self._luma[:, 1:-1, 1:-1] = luma[:, 0].numpy()
        filters = self._transformed(np.stack(weights[1:]))
        return self._luma, self._planes, first_filter(weights[0], biases[0]), filters, np.stack(biases[1:])

    def _give(
        self, count: int, weights: Sequence[Floats], work: Callable[..., Any]
    ) -> tuple[list[Floats], list[Floats]]:
        """Compute the gradients of the weights and of the biases.

        Args:
            count: pictures in the batch.
            weights: of the layers.
            work: called with the index of a share, its first picture and the one after its last, the filters for the
                backward pass, two planes for slopes, and where to add: sums of the first layer, filters and biases.
        """
        channels, layers = len(weights[0]), len(weights) - 1
        filters = self._transformed(np.stack(weights[1:]).transpose(0, 2, 1, 3, 4)[..., ::-1, ::-1])
        shares = _shares(count)
        shape = (shares, layers, PLACES, channels // PANEL, channels, PANEL)
        if self._sums.shape != shape:
            self._sums = np.empty(shape, np.float32)
        sums, bias_sums = self._sums, np.zeros((shares, layers, channels), np.float32)
        of_first = np.zeros((shares, END_ROWS, channels), np.float32)

        def work_on(share: int, first: int, last: int) -> None:
            sums[share] = 0.0
            work(share, first, last, filters, self._slopes[share], of_first[share], sums[share], bias_sums[share])

        self._crew.share(count, work_on)
        of_weights: list[Floats] = [_end_weights(of_first, weights[0].shape), *[weights[0]] * layers]

        def collect(_: int, first: int, last: int) -> None:
            for i in range(first, last):
                of_weights[i + 1] = filter_gradients(sums[:, i].sum(axis=0)[None])[0]

        self._crew.share(layers, collect)
        return of_weights, [of_first.sum(axis=0)[9], *bias_sums.sum(axis=0)]

    def _make_room(self, count: int, height: int, width: int, planes: int, channels: int) -> None:
        """Allocate for pictures of this size, with zeros in the rings; existing memory is kept if it fits."""
        shape = planes, count, *plane_shape(height, width, channels)
        if self._planes.shape != shape or self._luma.shape != (count, height + 2, width + 2):
            self._luma = np.zeros((count, height + 2, width + 2), np.float32)
            self._planes = self._zeros(shape)
        if self._slopes.shape != (_shares(count), 2, *shape[2:]):
            self._slopes = self._zeros((_shares(count), 2, *shape[2:]))

    def _zeros(self, shape: tuple[int, ...]) -> Floats | Halves:
        return np.zeros(shape, np.uint16) if self._bf16 else np.zeros(shape, np.float32)

    def _scratch(self, share: int) -> tuple[Floats | Halves, ...]:
        """Working memory for the thread of a share."""
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


class CpuNetwork(_CpuLayers):
    """Computes all layers of one network: those of the base class, then one to a single channel."""

    def __init__(self, layers: Sequence[nn.Conv2d], *, bf16: bool = False) -> None:
        """Store the layers, at least three: see `suits` and the base class."""
        super().__init__(layers, bf16=bf16)
        self._error: Floats = np.zeros((0, 0, 0), np.float32)

    @staticmethod
    def takes_width(width: int) -> bool:
        """Whether networks of this width are computed here if they run in fp32 on a CPU."""
        return fits(width)

    @staticmethod
    def takes_bf16() -> bool:
        """Whether rounding the factors of products to bfloat16 is faster on this computer."""
        return has_bf16_products()

    @staticmethod
    def suits(layers: Sequence[nn.Conv2d]) -> bool:
        """Whether the layers are of the kind computed here."""
        width, last = layers[0].out_channels, layers[-1]
        return (
            CpuFeatures.suits(layers[:-1])
            and (last.in_channels, last.out_channels) == (width, 1)
            and last.bias is not None
            and last.weight.dtype is torch.float32
        )

    def __call__(self, luma: Tensor) -> Tensor:
        """Output of the last layer.

        What is kept for the gradient is overwritten by the next call, so `backward` must come before that. There is
        no gradient with respect to the luma.

        Args:
            luma: (N, 1, H, W) float32.

        Returns:
            (N, 1, H, W) float32.
        """
        return _computed(self, self._layers, luma)

    def forward(self, luma: Tensor, weights: Sequence[Floats], biases: Sequence[Floats]) -> Tensor:
        """For `_Function`."""
        taken = self._take(luma, weights[:-1], biases[:-1])
        last_filters = last_filter(weights[-1])
        out = np.empty((len(luma), *luma.shape[2:]), np.float32)

        def work(share: int, first: int, last: int) -> None:
            chain.forward(*taken, last_filters, float(biases[-1][0]), out, first, last, *self._scratch(share)[:3])

        self._crew.share(len(luma), work)
        return torch.from_numpy(out)[:, None]

    def backward(self, error: Tensor, weights: Sequence[Floats]) -> tuple[list[Floats], list[Floats]]:
        """Gradients of the weights and the biases of all layers, for `_Function`."""
        if self._error.shape != self._luma.shape:
            self._error = np.zeros_like(self._luma)
        self._error[:, 1:-1, 1:-1] = error[:, 0].numpy()
        channels = len(weights[0])
        last_filters = first_filter(weights[-1].transpose(1, 0, 2, 3)[..., ::-1, ::-1], np.zeros(channels))
        of_last = np.zeros((_shares(len(error)), END_ROWS, channels), np.float32)

        def work(
            share: int, first: int, last: int, filters: Any, slopes: Any, firsts: Any, sums: Any, bias_sums: Any
        ) -> None:
            chain.backward(
                self._luma,
                self._planes,
                self._error,
                slopes,
                filters,
                last_filters,
                firsts,
                sums,
                bias_sums,
                of_last[share],
                first,
                last,
                *self._scratch(share),
            )

        of_weights, of_biases = self._give(len(error), weights[:-1], work)
        of_last_bias = np.asarray(self._error.sum(dtype=np.float64), np.float32).reshape(1)
        # The last layer's taps come in reverse order.
        return [*of_weights, _end_weights(of_last, weights[-1].shape, -1)], [*of_biases, of_last_bias]


class CpuFeatures(_CpuLayers):
    """Computes the output of the last hidden layer, for whatever comes after it."""

    @staticmethod
    def suits(layers: Sequence[nn.Conv2d]) -> bool:
        """Whether the layers are of the kind computed here."""
        width = layers[0].out_channels
        shapes = [(layer.in_channels, layer.out_channels) for layer in layers]
        return (
            len(layers) >= 2
            and shapes == [(1, width), *[(width, width)] * (len(layers) - 1)]
            and fits(width)
            and all(layer.bias is not None and layer.weight.dtype is torch.float32 for layer in layers)
        )

    def __call__(self, luma: Tensor) -> Tensor:
        """Features after the last ReLU, (N, C, H, W) float32, channels last; otherwise as `CpuNetwork`."""
        return _computed(self, self._layers, luma)

    def forward(self, luma: Tensor, weights: Sequence[Floats], biases: Sequence[Floats]) -> Tensor:
        """For `_Function`."""
        taken = self._take(luma, weights, biases)

        def work(share: int, first: int, last: int) -> None:
            chain.features(*taken, first, last, *self._scratch(share)[:3])

        self._crew.share(len(luma), work)
        return self.inputs()[-1].to(torch.float32, memory_format=torch.channels_last, copy=True)

    def backward(self, gradient: Tensor, weights: Sequence[Floats]) -> tuple[list[Floats], list[Floats]]:
        """Gradients of the weights and the biases of the layers, for `_Function`."""
        of_features = np.ascontiguousarray(gradient.permute(0, 2, 3, 1).numpy())

        def work(
            share: int, first: int, last: int, filters: Any, slopes: Any, firsts: Any, sums: Any, bias_sums: Any
        ) -> None:
            chain.backward_of_features(
                self._luma,
                self._planes,
                of_features,
                slopes,
                filters,
                firsts,
                sums,
                bias_sums,
                first,
                last,
                *self._scratch(share),
            )

        return self._give(len(gradient), weights, work)


def _computed(owner: CpuNetwork | CpuFeatures, layers: Sequence[nn.Conv2d], luma: Tensor) -> Tensor:
    parameters = [tensor for layer in layers for tensor in (layer.weight, layer.bias)]
    result: Tensor = _Function.apply(owner, luma, *parameters)  # type: ignore[no-untyped-call]
    return result


def _end_weights(sums: Floats, shape: tuple[int, ...], step: int = 1) -> Floats:
    """Gradient of the first layer's weights, or with `step` -1 the last one's, from each thread's sums."""
    return np.ascontiguousarray(sums.sum(axis=0)[:9][::step].T).reshape(shape)


class _Function(torch.autograd.Function):
    """Autograd function of the layers computed here."""

    @staticmethod
    def forward(ctx: Any, owner: CpuNetwork | CpuFeatures, luma: Tensor, *parameters: Tensor) -> Tensor:
        numbers = [tensor.detach().numpy() for tensor in parameters]
        ctx.owner, ctx.weights = owner, [each.copy() for each in numbers[0::2]]
        return owner.forward(luma.detach(), ctx.weights, numbers[1::2])

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        weights, biases = ctx.owner.backward(error, ctx.weights)
        pairs = zip(weights, biases, strict=True)
        return None, None, *(torch.from_numpy(each) for pair in pairs for each in pair)


def _shares(count: int) -> int:
    """Number of parts that work on `count` items is split into: PyTorch's number of threads, at most `count`."""
    return min(torch.get_num_threads(), count)


class _Crew:
    """Threads that share work: as many as PyTorch uses."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._size = 0

    def share(self, count: int, work: Callable[[int, int, int], Any]) -> None:
        """Let each thread do a part of `count` items: `work(share, first, last + 1)`."""
        shares = _shares(count)
        cuts = [count * i // shares for i in range(shares + 1)]
        if shares == 1:
            work(0, 0, count)
            return
        if self._pool is None or self._size < shares:
            if self._pool is not None:
                self._pool.shutdown()
            self._pool, self._size = ThreadPoolExecutor(shares, "cpu_network"), shares
        parts = [self._pool.submit(work, i, cuts[i], cuts[i + 1]) for i in range(shares)]
        wait(parts)  # for all of them before raising an error of one: they write to memory that the next call uses
        for part in parts:
            part.result()
