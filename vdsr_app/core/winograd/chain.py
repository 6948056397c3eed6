"""The layers of the network one after the other, forward and back, for training."""

from __future__ import annotations

from typing import Any

from numba import types

from vdsr_app.core.winograd.compiling import by_type, compiled
from vdsr_app.core.winograd.ends import add_end_gradient, gather, put_where_above_zero, spread
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
def features(
    luma: Floats,
    planes: Floats | Halves,
    first_filters: Floats,
    filters: Floats | Words,
    biases: Floats,
    first: int,
    last: int,
    values: Floats,
    products: Floats,
    block: Floats | Halves,
) -> None:
    """All layers but the last for some pictures, each with ReLU.

    Args:
        luma: (N, h + 2, w + 2) float32, with a ring of zeros.
        planes: (layers - 1, N, ...) float32 or bfloat16, planes of features of each picture, zero in their rings; what
            each layer but the last gives is written to them.
        first_filters: from `first_filter`.
        filters: from `transform_filters`, of each inner layer, of the kind that goes with the planes; see `convolve`.
        biases: (inner layers, channels) float32.
        first: first picture.
        last: last picture + 1.
        values: from `scratch`.
        products: likewise.
        block: likewise.
    """
    box = (0, luma.shape[1] - 2, 0, luma.shape[2] - 2)
    for n in range(first, last):
        no_mask = planes[0, n, :0]
        spread(luma[n], first_filters, planes[0, n], no_mask, box)
        for i in range(len(filters)):
            convolve(planes[i, n], planes[i + 1, n], filters[i], biases[i], no_mask, box, values, products, block)


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
    """All layers for some pictures.

    Args:
        luma: see `features`.
        planes: likewise.
        first_filters: likewise.
        filters: likewise.
        biases: likewise.
        last_filters: from `last_filter`.
        last_bias: one number.
        out: (N, h, w) float32, where what the last layer gives is written.
        first: see `features`.
        last: likewise.
        values: likewise.
        products: likewise.
        block: likewise.
    """
    box = (0, out.shape[1], 0, out.shape[2])
    for n in range(first, last):
        features(luma, planes, first_filters, filters, biases, n, n + 1, values, products, block)
        gather(planes[-1, n], last_filters, last_bias, out[n], box)


@compiled
def _backward_of_one(
    n: int,
    luma: Floats,
    planes: Floats | Halves,
    slopes: Floats | Halves,
    filters: Floats | Words,
    first_sums: Floats,
    filter_sums: Floats,
    bias_sums: Floats,
    values: Floats,
    products: Floats,
    block: Floats | Halves,
    slope_values: Floats,
    slope_places: Floats,
) -> None:
    """Gradients of all layers but the last for one picture; that of the last features lies in one of the slopes."""
    height, width = luma.shape[1] - 2, luma.shape[2] - 2
    box = (0, height, 0, width)
    for i in range(len(filters) - 1, -1, -1):
        slope, target = slopes[(i + 1) % 2], slopes[i % 2]
        _add_filter_gradient(planes[i, n], slope, height, width, filter_sums[i], slope_values, slope_places)
        add_plane(slope, height, width, bias_sums[i])
        convolve(slope, target, filters[i], bias_sums[i], planes[i, n], box, values, products, block)
    add_end_gradient(luma[n], slopes[0], height, width, first_sums)


@compiled
def backward_of_features(
    luma: Floats,
    planes: Floats | Halves,
    gradient: Floats,
    slopes: Floats | Halves,
    filters: Floats | Words,
    first_sums: Floats,
    filter_sums: Floats,
    bias_sums: Floats,
    first: int,
    last: int,
    values: Floats,
    products: Floats,
    block: Floats | Halves,
    slope_values: Floats,
    slope_places: Floats,
) -> None:
    """Gradients of all layers but the last for some pictures.

    Args:
        luma: as `features` read it.
        planes: as `features` left them.
        gradient: (N, h, w, channels) float32, of the last features.
        slopes: see `backward`.
        filters: likewise.
        first_sums: likewise.
        filter_sums: likewise.
        bias_sums: likewise.
        first: first picture.
        last: last picture + 1.
        values: from `scratch`.
        products: likewise.
        block: likewise.
        slope_values: from `slope_scratch`.
        slope_places: likewise.
    """
    for n in range(first, last):
        put_where_above_zero(gradient[n], slopes[len(filters) % 2], planes[-1, n])
        _backward_of_one(
            n,
            luma,
            planes,
            slopes,
            filters,
            first_sums,
            filter_sums,
            bias_sums,
            values,
            products,
            block,
            slope_values,
            slope_places,
        )


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
    for n in range(first, last):
        add_end_gradient(error[n], planes[-1, n], height, width, last_sums)
        spread(error[n], last_filters, slopes[len(filters) % 2], planes[-1, n], (0, height, 0, width))
        _backward_of_one(
            n,
            luma,
            planes,
            slopes,
            filters,
            first_sums,
            filter_sums,
            bias_sums,
            values,
            products,
            block,
            slope_values,
            slope_places,
        )
