"""How a network begins from chance."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vdsr_app.core.network import ConvolutionChain, initialise
from vdsr_trainer.symmetry import Symmetry, turned

_HALF_SQUARE_DIFFERENCES = {1: 2.77e-4, 2: 5.34e-4, 4: 9.75e-4, 5: 1.18e-3, 8: 1.72e-3}
"""Of the luma at two places of an enlarged picture, on the scale [0, 1], by the square of their distance in pixels.

Measured on 60 of the 491 training pictures, the mean of those shrunk and enlarged by 2, 3 and 4.
"""

_FAINT = 3e-4
"""Variance below which a direction of 3x3 pixels is not made as strong as the others: it is mostly rounding. Of luma on
the scale [0, 1], as all here."""

_STRENGTH = 0.2
"""Standard deviation of what a whitened first layer makes of enlarged pictures, before its ReLU."""

_LUMA_SHARE = 1 / 8
"""Share of the first layer's channels that hand on the luma itself where the others are whitened."""

_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


def initialise_weights(
    network: ConvolutionChain,
    seed: int,
    symmetry: Symmetry | None,
    *,
    hidden_layers: float,
    last_layer: float,
    whitened: bool = False,
    reach_px: int = 0,
) -> None:
    """Fill weights as He et al. have them, tied where that is wished for, and then as strong as they shall be.

    Hidden layers of less than full strength pass on what they get and add to it, so that each layer begins with much
    of what the one before saw, and gradients reach the beginning from the first step on.

    Args:
        network: whose weights.
        seed: of the numbers.
        symmetry: of this network, or None for free weights.
        hidden_layers: strength of all layers between the first and the last, as a share of what He et al. give them.
        last_layer: strength of the last layer, likewise.
        whitened: whether the first layer begins with filters that all see as much of a picture: see `_whitened`. Of one
            input channel.
        reach_px: how far off what weak hidden layers pass on may come from: see `_handed_on`.
    """
    initialise(network, seed)
    if symmetry is not None:
        symmetry.begin()
    elements = 1 if symmetry is None else symmetry.elements
    first, *hidden, last = network.convolutions
    with torch.no_grad():
        if whitened:
            first.weight.copy_(_whitened(first.out_channels, elements, seed))
        last.weight *= last_layer
        if hidden_layers < 1.0:
            for number, layer in enumerate(hidden):
                layer.weight *= hidden_layers
                layer.weight += _handed_on(first.out_channels, elements, reach_px, number)


def _whitened(channels: int, elements: int, seed: int) -> Tensor:
    """Filters of chance for the luma of enlarged pictures, by the directions in which 3x3 pixels differ.

    To filters that are white themselves an enlarged picture is all brightness, for neighbours hardly differ: what they
    say is the luma times the sum of their weights, and half of the channels are dead at once. So each filter is drawn
    among those that leave out brightness, such that a slope, a bend and a corner are as likely seen as each other.

    Args:
        channels: of the first layer, a multiple of `elements`.
        elements: of the group whose turns are tied; 1 where weights are free.
        seed: of the numbers.

    Returns:
        (channels, 1, 3, 3) float32, in sets that turn with the group.
    """
    places = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    apart = (places[:, None] - places).square().sum(dim=-1)
    likeness = torch.zeros(9, 9, dtype=torch.float64)
    for square, half_square_difference in _HALF_SQUARE_DIFFERENCES.items():
        likeness[apart == square] = -half_square_difference
    without_mean = torch.eye(9, dtype=torch.float64) - 1 / 9
    covariance = without_mean @ likeness @ without_mean
    variances, directions = torch.linalg.eigh(covariance)
    strengths = (variances.clamp(min=0) + _FAINT).rsqrt()
    generator = torch.Generator().manual_seed(seed)
    filters = torch.empty(channels, 1, 3, 3)
    sets = channels // elements
    of_luma = max(1, round(_LUMA_SHARE * sets)) if sets > 1 else 0
    for number in range(sets):
        draw = torch.randn(9, generator=generator, dtype=torch.float64)
        if number < sets - of_luma:
            weights = without_mean @ directions @ (draw * strengths)
            weights *= _STRENGTH / (weights @ covariance @ weights).sqrt()
        else:
            weights = (1 + draw / 3) / 9
        for element in range(elements):
            filters[number * elements + element, 0] = turned(weights.view(3, 3), element)
    return filters


def _handed_on(channels: int, elements: int, reach_px: int, layer: int) -> Tensor:
    """Filters that bring each channel to the next layer, from its place or one beside it.

    Features travel no more than a pixel a layer, and the samples of an LR picture lie up to four apart. So that what
    differs between them meets early, each set of channels walks to a place of its own in a disc of `reach_px`, a pixel
    a layer, and then stays.

    Args:
        channels: of a hidden layer.
        elements: as for `_whitened`; where it is 1, every four channels walk as quarter turns of each other.
        reach_px: radius of the disc; 0 to stay.
        layer: which of the hidden ones, from 0.

    Returns:
        (channels, channels, 3, 3) float32.
    """
    weights = torch.zeros(channels, channels, 3, 3)
    together = elements if elements > 1 else 4
    sets = -(-channels // together)
    for channel in range(channels):
        number = channel // together
        distance, angle = reach_px * math.sqrt((number + 0.5) / sets), number * _GOLDEN_ANGLE
        step = [_step(round(distance * part), layer) for part in (math.sin(angle), math.cos(angle))]
        one = torch.zeros(3, 3)
        one[1 + step[0], 1 + step[1]] = 1
        weights[channel, channel] = turned(one, channel % together)
    return weights


def _step(distance: int, done: int) -> int:
    """Which way to go for the place at `distance` after `done` steps: -1, 0 or 1."""
    return 0 if done >= abs(distance) else (1 if distance > 0 else -1)
