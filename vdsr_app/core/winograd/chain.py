"""The layers of the network in sequence, forward and backward, for training."""

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
    """`add_filter_gradient` for planes of this type."""
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
    """All layers but the last for a range of pictures, each with ReLU.

    Args:
        luma: (N, h + 2, w + 2) float32, with a ring of zeros.
        planes: (layers - 1, N, ...) float32 or bfloat16, feature planes of each picture, with zeros in their rings;
            receive the output of each layer but the last.
        first_filters: from `first_filter`.
        filters: from `transform_filters` for each inner layer, of the type that goes with the planes; see `convolve`.
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
    """All layers for a range of pictures.

    Args:
        luma: see `features`.
        planes: likewise.
        first_filters: likewise.
        filters: likewise.
        biases: likewise.
        last_filters: from `last_filter`.
        last_bias: a scalar.
        out: (N, h, w) float32, receives the output of the last layer.
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
    """Gradients of all layers but the last for one picture; one of `slopes` holds that of the last features."""
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
    """Gradients of all layers but the last for a range of pictures.

    Args:
        luma: as `features` read it.
        planes: as `features` left them.
        gradient: (N, h, w, channels) float32, with respect to the last features.
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
    """Gradients of all layers for a range of pictures.

    Args:
        luma: as `forward` read it.
        planes: as `forward` left them.
        error: (N, h + 2, w + 2) float32, gradient with respect to the last layer's output, with a ring of zeros.
        slopes: two work planes of the planes' type, with zeros in their rings.
        filters: from `transform_filters` of the inner filters, rotated by 180 degrees and with input and output
            channels exchanged.
        last_filters: from `first_filter` of the last layer's filter, rotated and exchanged likewise, without a bias.
        first_sums: (12, channels) float32, to which the gradient of the first layer is added; see `add_end_gradient`.
        filter_sums: (inner layers, 36, channels / 16, channels, 16) float32, to which the gradients of the transformed
            filters are added.
        bias_sums: (inner layers, channels) float32, to which those of the biases are added.
        last_sums: like `first_sums`, for the last layer.
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
