"""Weights that serve a turned or mirrored picture as well as an upright one: the network's output turns with its input.

A photograph turned by 90 degrees is still a photograph, but an ordinary network has to learn each edge again in each
orientation. Here the hidden channels come in sets of 4 (group "p4", quarter turns) or 8 ("p4m", turns and reflections),
one for each element g of the group, and the filter from channel (i, k) to channel (o, h) is tied:

    W[(o, g h), (i, g k)] = g W[(o, h), (i, k)],    b[(o, g h)] = b[(o, h)]

where g turns the 3x3 filter; the luma that enters and the detail that leaves are a single channel, which every g leaves
in place. Such weights are those of an ordinary network; nothing else in the program depends on them. What a patch
teaches about one orientation, it teaches about all.

Tied weights stay tied under steps along tied gradients, since momentum, Adam's element-wise steps and Muon's orthogonal
ones are the same in any order of the channels. So it suffices to start with tied weights and to average each gradient
over the group, which gives the gradient of the tied weights.

Source: T. Cohen and M. Welling, "Group equivariant convolutional networks", ICML 2016.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor, nn

from vdsr_trainer.config import SYMMETRIES
from vdsr_trainer.layer_inputs import LayerInput

_NEAR = 1e-4
"""How far weights may be from tied, relative to their norm: rounding left 1e-7 after 9,900 steps."""


def turned(pixels: Tensor, element: int) -> Tensor:
    """Apply element g of the group to a picture or filter.

    Args:
        pixels: (..., H, W).
        element: g; it turns by g % 4 quarters, and from 4 on then mirrors.
    """
    pixels = torch.rot90(pixels, element % 4, (-2, -1))
    return pixels.flip(-1) if element >= 4 else pixels


class Symmetry:
    """Ties the weights of one network."""

    def __init__(self, group: str, layers: Sequence[nn.Conv2d], outputs: Tensor | None = None) -> None:
        """Find out which weights of the layers to tie.

        Args:
            group: "p4" or "p4m".
            layers: from one channel through hidden ones, a multiple of the group's elements, to one channel or several.
            outputs: (elements, channels out) int64, which of the last channels each element moves to the place of each;
                None for a single one, which all leave in place.

        Raises:
            ValueError: the channels are no such multiple, or there are as many at the end as between the layers.
        """
        device, width = layers[0].weight.device, layers[0].out_channels
        self._channels = _channel_orders(SYMMETRIES[group], width).to(device)  # (elements, C)
        self._orders = {width: self._channels}  # by number of channels, which identifies an axis
        if outputs is not None:
            if outputs.shape[1] == width:
                raise ValueError(f"{width} channels at the end cannot be told from those between the layers.")
            self._orders[outputs.shape[1]] = outputs.to(device)
        self._parameters: list[nn.Parameter] = [p for layer in layers for p in layer.parameters()]
        self._sets = {parameter.shape: self._tied_places(parameter) for parameter in self._parameters}

    @property
    def elements(self) -> int:
        """Number of elements of the group."""
        return len(self._channels)

    def begin(self) -> None:
        """Tie random weights; each keeps its variance, which averaging over the group would reduce."""
        with torch.no_grad():
            self._tie(list(self._parameters))
            for parameter in self._parameters:
                parameter.mul_(len(self._channels) ** 0.5)

    def tie_weights(self) -> None:
        """Undo what rounding has untied."""
        with torch.no_grad():
            self._tie(list(self._parameters))

    def tie_gradients(self) -> None:
        """Replace the gradients of the individual weights by those of the tied weights."""
        self._tie([parameter.grad for parameter in self._parameters if parameter.grad is not None])

    def tie_inputs(self, seen: Sequence[LayerInput]) -> list[LayerInput]:
        """The layers' inputs as if the batch had held each patch in all orientations."""
        channels = self._channels.shape[1]
        rows, columns = self._channels[:, :, None], self._channels[:, None, :]
        tied = []
        for one in seen:
            if len(one.total) == channels:
                total = one.total[self._channels].mean(dim=0)
                products = None if one.products is None else one.products[rows, columns].mean(dim=0)
                one = LayerInput(total, products, one.places)
            tied.append(one)
        return tied

    def holds(self) -> bool:
        """Whether the weights are tied, up to rounding."""
        return all(
            (self._mean(parameter.detach()[None])[0] - parameter).norm() <= _NEAR * parameter.norm()
            for parameter in self._parameters
        )

    def _tie(self, tensors: list[Tensor]) -> None:
        alike: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for tensor in tensors:
            alike[tensor.shape].append(tensor)
        for same in alike.values():
            torch._foreach_copy_(same, list(self._mean(torch.stack(same)).unbind()))

    def _mean(self, tensors: Tensor) -> Tensor:
        """Tie (N, ...) tensors of one parameter's shape."""
        sets, number = self._sets[tensors.shape[1:]]
        flat = tensors.flatten(start_dim=1)
        total = flat.index_select(1, sets[0])  # on a CPU a sixth of the time of flat[:, sets[0]]
        for places in sets[1:]:
            total += flat.index_select(1, places)
        return (total / len(sets)).index_select(1, number).view_as(tensors)

    def _tied_places(self, parameter: Tensor) -> tuple[Tensor, Tensor]:
        """Which positions of the flat parameter are tied.

        Returns:
            (elements, S) int64, the positions of each of S sets, some repeated where elements of the group leave them
            in place; and (numel,) int64, the set of each position.
        """
        places = torch.arange(parameter.numel(), device=parameter.device).view(parameter.shape)
        orders = []
        for element in range(len(self._channels)):
            moved = turned(places, element) if parameter.ndim == 4 else places
            for axis, size in enumerate(parameter.shape[:2]):
                if size in self._orders:
                    moved = moved.index_select(axis, self._orders[size][element])
            orders.append(moved.flatten())
        order = torch.stack(orders)  # (elements, numel): what is moved to each position
        firsts, number = order.amin(dim=0).unique(return_inverse=True)  # type: ignore[no-untyped-call]
        return order[:, firsts], number


def _channel_orders(elements: int, channels: int) -> Tensor:
    """(elements, channels) int64: which channel each element of the group moves to the place of each.

    Channel (i, k) lies at i * elements + k; element g moves it to (i, g k).

    Raises:
        ValueError: the channels are no multiple of the elements.
    """
    if channels % elements:
        raise ValueError(f"{channels} channels do not divide into sets of {elements}.")
    mark = torch.arange(9).view(3, 3)
    number = {tuple(turned(mark, g).flatten().tolist()): g for g in range(elements)}
    orders = torch.empty(elements, channels, dtype=torch.int64)
    for g, k in product(range(elements), repeat=2):
        to = number[tuple(turned(turned(mark, k), g).flatten().tolist())]
        orders[g, to::elements] = torch.arange(k, channels, elements)
    return orders
