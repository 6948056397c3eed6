"""The inner layers of the network one after the other, forward and back, for training."""

from __future__ import annotations

from typing import Any

from numba import types

from vdsr_app.core.winograd.compiling import by_type, compiled
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
    planes: Floats | Halves,
    filters: Floats | Words,
    biases: Floats,
    first: int,
    last: int,
    height: int,
    width: int,
    values: Floats,
    products: Floats,
    block: Floats | Halves,
) -> None:
    """All inner layers for some pictures, each with ReLU.

    Args:
        planes: (layers + 1, N, ...) float32 or bfloat16, planes of features of each picture; the first are read, the
            others written inside of `height` x `width`, and zero in their rings.
        filters: from `transform_filters`, of each layer, of the kind that goes with the planes; see `convolve`.
        biases: (layers, channels) float32.
        first: first picture.
        last: last picture + 1.
        height: rows of a plane without its ring.
        width: columns, likewise.
        values: from `scratch`.
        products: likewise.
        block: likewise.
    """
    for n in range(first, last):
        for i in range(len(filters)):
            convolve(
                planes[i, n],
                planes[i + 1, n],
                filters[i],
                biases[i],
                planes[i, n, :0],  # no mask
                (0, height, 0, width),
                values,
                products,
                block,
            )


@compiled
def backward(
    planes: Floats | Halves,
    slopes: Floats | Halves,
    filters: Floats | Words,
    out: Floats,
    sums: Floats,
    first: int,
    last: int,
    height: int,
    width: int,
    values: Floats,
    products: Floats,
    block: Floats | Halves,
    slope_values: Floats,
    slope_places: Floats,
) -> None:
    """Gradients of all inner layers for some pictures.

    Args:
        planes: as `forward` left them.
        slopes: (2, N, ...) planes of the same type, zero in their rings; at index `layers` mod 2 the gradient of what
            the last layer gave before ReLU. Afterwards index 0 holds that of the first layer's input, 0 where the input
            was 0.
        filters: from `transform_filters` of the filters turned by 180 degrees with channels in and out exchanged.
        out: (layers, 36, channels / 16, channels, 16) float32; the gradients of the transformed filters are added.
        sums: (layers, channels) float32; those of the biases are added.
        first: first picture.
        last: last picture + 1.
        height: rows of a plane without its ring.
        width: columns, likewise.
        values: from `scratch`.
        products: likewise.
        block: likewise.
        slope_values: from `slope_scratch`.
        slope_places: likewise.
    """
    for n in range(first, last):
        for i in range(len(filters) - 1, -1, -1):
            slope = slopes[(i + 1) % 2, n]
            _add_filter_gradient(planes[i, n], slope, height, width, out[i], slope_values, slope_places)
            add_plane(slope, height, width, sums[i])
            convolve(
                slope,
                slopes[i % 2, n],
                filters[i],
                sums[i],
                planes[i, n],
                (0, height, 0, width),
                values,
                products,
                block,
            )
