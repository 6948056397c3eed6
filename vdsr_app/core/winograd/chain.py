"""The layers of the network one after the other, forward and back, for training."""

from __future__ import annotations

from typing import Any

from numba import types

from vdsr_app.core.winograd.compiling import by_type, compiled
from vdsr_app.core.winograd.ends import add_end_gradient, gather, spread
from vdsr_app.core.winograd.kernels import (
    Floats,
    Halves,
    Words,
    add_filter_gradient,
    add_filter_gradient_in_bf16,
    add_plane,
    convolve,
)


@by_type
def _add_filter_gradient(source: Any, slope: Any, rows: Any, columns: Any, out: Any, values: Any, slopes: Any) -> Any:
    """`add_filter_gradient` of planes of this type."""
    add = add_filter_gradient if source.dtype == types.float32 else add_filter_gradient_in_bf16

    def add_gradient(source: Any, slope: Any, rows: Any, columns: Any, out: Any, values: Any, slopes: Any) -> None:
        add(source, slope, rows, columns, out, values, slopes)

    return add_gradient


@compiled
def forward(
    luma: Floats,
    planes: Floats | Halves,
    first_filters: Floats,
    filters: Floats | Words,
    biases: Floats,
    last_filters: Floats,
    last_bias: float,
    out: Floats,
    first: int,
    last: int,
    values: Floats,
    products: Floats,
    block: Floats | Halves,
) -> None:
    """All layers for some pictures, each but the last with ReLU.

    Args:
        luma: (N, h + 2, w + 2) float32, with a ring of zeros.
        planes: (layers - 1, N, ...) float32 or bfloat16, planes of features of each picture, zero in their rings; what
            each layer but the last gives is written to them.
        first_filters: from `first_filter`.
        filters: from `transform_filters`, of each inner layer, of the kind that goes with the planes; see `convolve`.
        biases: (inner layers, channels) float32.
        last_filters: from `last_filter`.
        last_bias: one number.
        out: (N, h, w) float32, where what the last layer gives is written.
        first: first picture.
        last: last picture + 1.
        values: from `scratch`.
        products: likewise.
        block: likewise.
    """
    box = (0, out.shape[1], 0, out.shape[2])
    for n in range(first, last):
        no_mask = planes[0, n, :0]
        spread(luma[n], first_filters, planes[0, n], no_mask, box)
        for i in range(len(filters)):
            convolve(planes[i, n], planes[i + 1, n], filters[i], biases[i], no_mask, box, values, products, block)
        gather(planes[-1, n], last_filters, last_bias, out[n], box)


@compiled
def backward(
    luma: Floats,
    planes: Floats | Halves,
    error: Floats,
    slopes: Floats | Halves,
    filters: Floats | Words,
    last_filters: Floats,
    first_sums: Floats,
    filter_sums: Floats,
    bias_sums: Floats,
    last_sums: Floats,
    first: int,
    last: int,
    values: Floats,
    products: Floats,
    block: Floats | Halves,
    slope_values: Floats,
    slope_places: Floats,
) -> None:
    """Gradients of all layers for some pictures.

    Args:
        luma: as `forward` read it.
        planes: as `forward` left them.
        error: (N, h + 2, w + 2) float32, the gradient of what the last layer gave, with a ring of zeros.
        slopes: two planes of the planes' type, zero in their rings, to work in.
        filters: from `transform_filters` of the inner filters turned by 180 degrees with channels in and out exchanged.
        last_filters: from `first_filter` of the last layer's filter turned in the same way, without a bias.
        first_sums: (12, channels) float32; see `add_end_gradient`, which adds that of the first layer.
        filter_sums: (inner layers, 36, channels / 16, channels, 16) float32; the gradients of the transformed filters
            are added.
        bias_sums: (inner layers, channels) float32; those of the biases are added.
        last_sums: as `first_sums`, of the last layer.
        first: first picture.
        last: last picture + 1.
        values: from `scratch`.
        products: likewise.
        block: likewise.
        slope_values: from `slope_scratch`.
        slope_places: likewise.
    """
    height, width = error.shape[1] - 2, error.shape[2] - 2
    box = (0, height, 0, width)
    for n in range(first, last):
        add_end_gradient(error[n], planes[-1, n], height, width, last_sums)
        spread(error[n], last_filters, slopes[len(filters) % 2], planes[-1, n], box)
        for i in range(len(filters) - 1, -1, -1):
            slope, target = slopes[(i + 1) % 2], slopes[i % 2]
            _add_filter_gradient(planes[i, n], slope, height, width, filter_sums[i], slope_values, slope_places)
            add_plane(slope, height, width, bias_sums[i])
            convolve(slope, target, filters[i], bias_sums[i], planes[i, n], box, values, products, block)
        add_end_gradient(luma[n], slopes[0], height, width, first_sums)
