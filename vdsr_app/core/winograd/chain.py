"""The inner layers of the network one after the other, forward and back, for training."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from vdsr_app.core.winograd.compiling import by_type, compiled
from vdsr_app.core.winograd.kernels import (
    Floats,
    Words,
    add_filter_gradient,
    add_filter_gradient_in_bf16,
    convolve,
)

_NO_MASK = np.zeros((0, 0, 0), np.float32)


@by_type
def _add_filter_gradient(
    filters: Any, source: Any, slope: Any, rows: Any, columns: Any, out: Any, values: Any, slopes: Any
) -> Any:
    """`add_filter_gradient` by what filters of this type are multiplied in."""
    add = add_filter_gradient if filters.dtype == types.float32 else add_filter_gradient_in_bf16

    def add_gradient(
        filters: Any, source: Any, slope: Any, rows: Any, columns: Any, out: Any, values: Any, slopes: Any
    ) -> None:
        add(source, slope, rows, columns, out, values, slopes)

    return add_gradient


@compiled
def forward(
    planes: Floats,
    filters: Floats | Words,
    biases: Floats,
    first: int,
    last: int,
    height: int,
    width: int,
    values: Floats,
    products: Floats,
    block: Floats,
) -> None:
    """All inner layers for some pictures, each with ReLU.

    Args:
        planes: (layers + 1, N, ...) float32, planes of features of each picture; the first are read, the others
            written inside of `height` x `width`, and zero in their rings.
        filters: from `transformed_filters`, or from `in_pairs` of these: see `convolve`.
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
                _NO_MASK,
                (0, height, 0, width),
                values,
                products,
                block,
            )


@compiled
def backward(
    planes: Floats,
    slopes: Floats,
    filters: Floats | Words,
    out: Floats,
    sums: Floats,
    first: int,
    last: int,
    height: int,
    width: int,
    values: Floats,
    products: Floats,
    block: Floats,
    slope_values: Floats,
    slope_places: Floats,
) -> None:
    """Gradients of all inner layers for some pictures.

    Args:
        planes: as `forward` left them.
        slopes: (2, N, ...) float32 planes, zero in their rings; at index `layers` mod 2 the gradient of what the last
            layer gave before ReLU. Afterwards index 0 holds that of the first layer's input, 0 where the input was 0.
        filters: from `transformed_filters` of the filters turned by 180 degrees with channels in and out exchanged,
            or from `in_pairs` of these; then the gradients of the filters, too, are sums of products of bfloat16.
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
            _add_filter_gradient(filters, planes[i, n], slope, height, width, out[i], slope_values, slope_places)
            for y in range(1, height + 1):
                for x in range(1, width + 1):
                    for c in range(sums.shape[1]):
                        sums[i, c] += slope[y, x, c]
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
