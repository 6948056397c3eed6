"""Random initialisation of the networks."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vdsr_app.core.network import ConvolutionChain, initialise
from vdsr_trainer.symmetry import Symmetry, turned

_HALF_SQUARE_DIFFERENCES = {1: 2.77e-4, 2: 5.34e-4, 4: 9.75e-4, 5: 1.18e-3, 8: 1.72e-3}
"""Half the mean squared difference of luma, on the scale [0, 1], by the square of the distance of two pixels.

Measured on 60 of the 491 training pictures, averaged over their copies shrunk and enlarged by 2, 3 and 4.
"""

_FAINT = 3e-4
"""Added to the variance of each direction of 3x3 pixels before whitening, so that directions below it, which are mostly
rounding noise, are not amplified to the level of the others. Of luma on the scale [0, 1], as everywhere here."""

_STRENGTH = 0.2
"""Standard deviation of a whitened first layer's output on enlarged pictures, before its ReLU."""

_LUMA_SHARE = 1 / 8
"""Share of the first layer's channels that pass on the luma itself when the others are whitened."""

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
    """Initialise weights as He et al., tie them if requested, then scale them.

    Hidden layers of less than full strength also pass on their input, so that each layer starts with much of what the
    previous one saw, and gradients reach the first layers from the first step on.

    Args:
        network: network to initialise.
        seed: of the random numbers.
        symmetry: of this network, or None for free weights.
        hidden_layers: strength of all layers between the first and the last, as a share of He et al.
        last_layer: strength of the last layer, likewise.
        whitened: whether the first layer starts with filters that respond equally to all structure of a picture: see
            `_whitened`. Needs a single input channel.
        reach_px: how far away the features that weak hidden layers pass on may come from: see `_pass_through_filters`.
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
                layer.weight += _pass_through_filters(first.out_channels, elements, reach_px, number)


def _whitened(channels: int, elements: int, seed: int) -> Tensor:
    """Random filters for the luma of enlarged pictures, whitened over the directions in which 3x3 pixels vary.

    To white-noise filters an enlarged picture is all brightness, because neighbouring pixels hardly differ: they give
    the luma times the sum of their weights, and half of the channels are dead from the start. So all but `_LUMA_SHARE`
    of the filters ignore brightness, and are drawn such that a slope, a bend and a corner are equally likely seen.

    Args:
        channels: of the first layer, a multiple of `elements`.
        elements: of the group whose turns are tied; 1 for free weights.
        seed: of the random numbers.

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


def _pass_through_filters(channels: int, elements: int, reach_px: int, layer: int) -> Tensor:
    """Filters that pass each channel on to the next layer, from the same pixel or a neighbouring one.

    Features travel at most one pixel per layer, and the samples of an LR picture lie up to four pixels apart. To let
    features of different samples meet early, each set of channels moves to a position of its own in a disc of radius
    `reach_px`, one pixel per layer, and then stays there.

    Args:
        channels: of a hidden layer.
        elements: as for `_whitened`; if 1, every four channels move as quarter turns of each other.
        reach_px: radius of the disc; 0 to stay in place.
        layer: index of the hidden layer, from 0.

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
    """Step towards the position at `distance` after `done` steps: -1, 0 or 1."""
    return 0 if done >= abs(distance) else (1 if distance > 0 else -1)
