"""Weights that serve a picture turned or mirrored as well as upright: the network's answer turns with its input.

A photograph turned by 90 degrees is a photograph still, and an ordinary network has to learn each edge once more for
each way it may lie. Here the hidden channels come in sets of 4 (group "p4", quarter turns) or 8 ("p4m", turns and
mirrorings), one for each element g of the group, and the filter from channel (i, k) to channel (o, h) is tied:

    W[(o, g h), (i, g k)] = g W[(o, h), (i, k)],    b[(o, g h)] = b[(o, h)]

where g turns the 3x3 filter; the luma that enters and the detail that leaves are one channel that all g leave in its
place. Such weights are those of an ordinary network; nothing else in the program knows of it. What a patch teaches
about one direction, it teaches about all.

Weights that are tied stay so under steps along tied gradients, since momentum, Adam's element-wise steps and Muon's
orthogonal ones are the same in any order of the channels. So all there is to do is to begin with tied weights and to
take the mean of each gradient over the group, which is the gradient of the tied weights.

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
"""How far weights may be from tied, as a share of their size: rounding left 1e-7 after 9,900 steps."""


def turned(pixels: Tensor, element: int) -> Tensor:
    """Let element g of the group turn a picture or filter.

    Args:
        pixels: (..., H, W).
        element: g; it turns by g % 4 quarters, and from 4 on mirrors then.
    """
    pixels = torch.rot90(pixels, element % 4, (-2, -1))
    return pixels.flip(-1) if element >= 4 else pixels


class Symmetry:
    """Ties the weights of one network."""

    def __init__(self, group: str, layers: Sequence[nn.Conv2d], outputs: Tensor | None = None) -> None:
        """Take the layers.

        Args:
            group: "p4" or "p4m".
            layers: from one channel by hidden ones, a multiple of the group's elements, to one channel, or to some.
            outputs: (elements, channels out) int64, which of the last channels each element brings to the place of
                each; None where it is one, which all leave in its place.

        Raises:
            ValueError: the channels are no such multiple, or there are as many at the end as between the layers.
        """
        device, width = layers[0].weight.device, layers[0].out_channels
        self._channels = _channel_orders(SYMMETRIES[group], width).to(device)  # (elements, C)
        self._orders = {width: self._channels}  # by the number of channels, which tells where an axis lies
        if outputs is not None:
            if outputs.shape[1] == width:
                raise ValueError(f"{width} channels at the end cannot be told from those between the layers.")
            self._orders[outputs.shape[1]] = outputs.to(device)
        self._parameters: list[nn.Parameter] = [p for layer in layers for p in layer.parameters()]
        self._sets = {parameter.shape: self._tied_places(parameter) for parameter in self._parameters}

    @property
    def elements(self) -> int:
        """How many elements the group has."""
        return len(self._channels)

    def begin(self) -> None:
        """Tie weights that came from chance; each keeps its variance, which the mean over the group would lessen."""
        with torch.no_grad():
            self._tie(list(self._parameters))
            for parameter in self._parameters:
                parameter.mul_(len(self._channels) ** 0.5)

    def tie_weights(self) -> None:
        """Take away what rounding has untied."""
        with torch.no_grad():
            self._tie(list(self._parameters))

    def tie_gradients(self) -> None:
        """Put the gradient of the tied weights in the place of that of the single ones."""
        self._tie([parameter.grad for parameter in self._parameters if parameter.grad is not None])

    def tie_inputs(self, seen: Sequence[LayerInput]) -> list[LayerInput]:
        """What the layers would have seen of a batch that held each patch turned in all ways."""
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
        """Whether the weights are tied, but for rounding."""
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
        """(N, ...) tensors of one parameter's shape, tied."""
        sets, number = self._sets[tensors.shape[1:]]
        flat = tensors.flatten(start_dim=1)
        total = flat.index_select(1, sets[0])  # on a CPU a sixth of the time of flat[:, sets[0]]
        for places in sets[1:]:
            total += flat.index_select(1, places)
        return (total / len(sets)).index_select(1, number).view_as(tensors)

    def _tied_places(self, parameter: Tensor) -> tuple[Tensor, Tensor]:
        """Which places of the flat parameter are tied.

        Returns:
            (elements, S) int64, the places of each of S sets, some of them more than once where elements of the group
            leave them; and (numel,) int64, the set of each place.
        """
        places = torch.arange(parameter.numel(), device=parameter.device).view(parameter.shape)
        orders = []
        for element in range(len(self._channels)):
            moved = turned(places, element) if parameter.ndim == 4 else places
            for axis, size in enumerate(parameter.shape[:2]):
                if size in self._orders:
                    moved = moved.index_select(axis, self._orders[size][element])
            orders.append(moved.flatten())
        order = torch.stack(orders)  # (elements, numel): what is brought to each place
        firsts, number = order.amin(dim=0).unique(return_inverse=True)  # type: ignore[no-untyped-call]
        return order[:, firsts], number


def _channel_orders(elements: int, channels: int) -> Tensor:
    """(elements, channels) int64: which channel each element of the group brings to the place of each.

    Channel (i, k) lies at i * elements + k; element g brings it to (i, g k).

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
