"""Winograd's convolution F(4x4, 3x3): 16 outputs of a 3x3 filter with 36 products instead of 144.

A block of 4x4 outputs depends on 6x6 inputs d. With small constant matrices A, B, G and a filter g,

    y = A' [ (G g G') * (B' d B) ] A

where * multiplies elementwise. Over all channels, the 36 places of the product become 36 matrix products: (blocks x
channels in) times (channels in x channels out). The gradient of the filter is computed the same way, as G' [...] G.

Feature planes are stored as (rows, columns, channels) with a ring of one pixel at the left and top, and of one pixel
plus a block at the right and bottom, where the last blocks may reach beyond. A layer writes a pixel at the position at
which it read it; the ring is left as it is, so zeros there act as the zero padding of a convolution. What a block reads
beyond its box changes nothing but the rounding; it must be of ordinary magnitude, though, so it should be zero.

Source: Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016, section 4 (points 0, 1, -1, 2,
-2 and infinity). Rounding errors grow: a direct sum in fp32 is off by 3e-6 of the values, this method by 3e-5.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from vdsr_app.core.winograd.compiling import by_type, compiled
from vdsr_app.core.winograd.pairs import (
    PAIR_PANELS,
    PAIR_ROWS,
    PAIRS_UNROLLED,
    add_pairs_times_panel,
    add_pairs_times_panels,
    pairs_times_panel,
    pairs_times_panels,
)
from vdsr_app.core.winograd.product import (
    PANEL,
    ROWS,
    add_columns_times_panel,
    add_few_columns_times_panel,
    rows_times_panel,
)
from vdsr_app.core.winograd.transforms import (
    BLOCK,
    WINDOW,
    add_pixels,
    load_block,
    load_filter,
    load_first_filter_of_pair,
    load_first_of_pair,
    load_first_slope_of_pair,
    load_second_filter_of_pair,
    load_second_of_pair,
    load_second_slope_of_pair,
    load_slope,
    store_block,
    store_masked_block,
)

Floats = npt.NDArray[np.float32]

Halves = npt.NDArray[np.uint16]
"""One bfloat16 per element."""

Words = npt.NDArray[np.uint32]
"""Two bfloat16 per element, the first in the lower half."""

PLACES = WINDOW * WINDOW
"""Number of matrices in a transformed filter."""

_BLOCKS_AT_ONCE = 48
"""Blocks whose transforms fit into the second-level cache together; a multiple of `ROWS` and `PAIR_ROWS`."""

_FILTER = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)
"""G in the formula above."""

_BOTH_AXES = np.kron(_FILTER, _FILTER)
"""Matrix that maps the nine numbers of g to G g G': (36, 9)."""

_SLOPES_AT_ONCE = 96
"""Blocks of a gradient at once, a multiple of 4: more than above, as the gradient's sums pass through the cache too."""

_PAGE_FLOATS = 1024

_ZERO = np.float32(0)


def fits(channels: int) -> bool:
    """Whether layers with this many channels can be computed here."""
    return channels % PANEL == 0


def transformed_filters(weights: npt.NDArray[np.floating[Any]]) -> Floats:
    """Filters of several layers in the layout that `convolve` takes.

    Args:
        weights: (layers, out, in, 3, 3), channels multiples of 16.

    Returns:
        (layers, 36, out / 16, in, 16) float32; computed in float64.
    """
    layers, count_out, count_in = weights.shape[:3]
    # The small operand is reordered to (9, out / 16, in, 16), so that the product has the wanted layout.
    numbers = np.asarray(weights, np.float64).reshape(layers, count_out // PANEL, PANEL, count_in, 9)
    panels = numbers.transpose(0, 4, 1, 3, 2).reshape(layers, 9, -1)
    spread = np.matmul(_BOTH_AXES, panels).astype(np.float32)
    return np.asarray(spread.reshape(layers, PLACES, count_out // PANEL, count_in, PANEL))


def transform_filters(weights: npt.NDArray[np.float32], target: Floats | Words) -> None:
    """Write the filters of one layer in the layout that `convolve` takes: for training, where every step changes them.

    Same as `transformed_filters`, but in float32 arithmetic and a tenth of its time, or that rounded to bfloat16.

    Args:
        weights: (out, in, 3, 3), channels multiples of 16; may be a view with any strides.
        target: (36, out / 16, in, 16) float32; or (36, out / 16, in / 2, 16) words of two channels each.
    """
    count_out, count_in = weights.shape[:2]
    pairs = weights.reshape(count_out // PANEL, PANEL, count_in // 2, 2, 9)
    _transform_filters(target, np.ascontiguousarray(pairs.transpose(3, 4, 0, 2, 1)))


def filter_gradients(transformed: Floats) -> Floats:
    """Gradients of filters, (layers, out, in, 3, 3) float32, from those of their transforms, shaped like them."""
    layers, _, panels, count_in, _ = transformed.shape
    numbers = np.matmul(_BOTH_AXES.T, transformed.reshape(layers, PLACES, -1).astype(np.float64)).astype(np.float32)
    filters = numbers.reshape(layers, 9, panels, count_in, PANEL).transpose(0, 2, 4, 3, 1)
    return np.asarray(filters.reshape(layers, panels * PANEL, count_in, 3, 3))


def plane_shape(height: int, width: int, channels: int) -> tuple[int, int, int]:
    """Shape of a feature plane with its ring for `height` x `width` pixels."""
    return height + 2 + BLOCK, width + 2 + BLOCK, channels


def _places(floats: int) -> Floats:
    """Memory for 36 places of `floats` floats each, (36, more than `floats`).

    Places are a cache line more than a multiple of 4 KB apart: at just a multiple, all 36 would have to share the eight
    lines of one set of the first-level cache.
    """
    apart = floats + -floats % _PAGE_FLOATS + PANEL
    return np.zeros((PLACES, apart), np.float32)


def scratch(channels: int, *, halves: bool = False) -> tuple[Floats, Floats, Floats | Halves]:
    """Working memory of one thread's `convolve`: transformed blocks, their products, and a block with its mask.

    Args:
        channels: of the planes.
        halves: whether the planes are bfloat16.
    """
    shape = 2, BLOCK, BLOCK, channels
    return (
        _places(_BLOCKS_AT_ONCE * channels),
        _places(_BLOCKS_AT_ONCE * channels),
        np.zeros(shape, np.uint16) if halves else np.zeros(shape, np.float32),
    )


def slope_scratch(channels: int) -> tuple[Floats, Floats]:
    """Working memory of one thread's `add_filter_gradient`."""
    return _places(_SLOPES_AT_ONCE * channels), _places(_SLOPES_AT_ONCE * channels)


@by_type
def _load_filters(target: Any, numbers: Any) -> Any:
    """Transform numbers (2, 9, out / 16, in / 2, 16), of even and of odd input channels, to the type of `target`."""
    if target.dtype == types.float32:
        # Even and odd channels alternate, 16 numbers each.
        apart, jump, load_first, load_second = 4 * PANEL, 2 * PANEL, load_filter, load_filter
    else:
        apart, jump, load_first, load_second = 0, PANEL, load_first_filter_of_pair, load_second_filter_of_pair

    def load_filters(target: Any, numbers: Any) -> None:
        write, place, pixel = target.ctypes.data, target[0].size, numbers[0, 0].size
        load_first(numbers, numbers[0].ctypes.data, 3 * pixel, pixel, write, place, pixel, jump)
        load_second(numbers, numbers[1].ctypes.data, 3 * pixel, pixel, write + apart, place, pixel, jump)

    return load_filters


@compiled
def _transform_filters(target: Floats | Words, numbers: Floats) -> None:
    """`_load_filters`, callable from Python."""
    _load_filters(target, numbers)


@compiled
def _multiply_floats(values: Floats, filters: Floats, products: Floats, number: int) -> None:
    """products[p, :number] = values[p, :number] times filter p for every place p; `number` is a multiple of ROWS."""
    panels, depth = filters.shape[1], filters.shape[2]
    width = panels * PANEL
    for p in range(PLACES):
        a, b, c = values[p].ctypes.data, filters[p].ctypes.data, products[p].ctypes.data
        for first in range(0, number, ROWS):
            for panel in range(panels):
                rows_times_panel(
                    a + 4 * first * depth,
                    depth,
                    b + 4 * panel * depth * PANEL,
                    c + 4 * (first * width + panel * PANEL),
                    width,
                    depth,
                )


@compiled
def _multiply_pairs(values: Floats, filters: Words, products: Floats, number: int) -> None:
    """`_multiply_floats` for bfloat16 in pairs; `number` is a multiple of PAIR_ROWS."""
    panels, pairs = filters.shape[1], filters.shape[2]
    width = panels * PANEL
    many = panels // PAIR_PANELS * PAIR_PANELS
    for p in range(PLACES):
        a, b, c = values[p].ctypes.data, filters[p].ctypes.data, products[p].ctypes.data
        for first in range(0, number, PAIR_ROWS):
            rows, out = a + 4 * first * pairs, c + 4 * first * width
            for panel in range(0, many, PAIR_PANELS):
                columns = b + 4 * panel * pairs * PANEL
                at = out + 4 * panel * PANEL
                pairs_times_panels(rows, pairs, 1, columns, pairs * PANEL, at, width, PANEL, pairs)
            for panel in range(many, panels):
                columns = b + 4 * panel * pairs * PANEL
                at = out + 4 * panel * PANEL
                pairs_times_panel(rows, pairs, 1, columns, pairs * PANEL, at, width, PANEL, pairs)


@compiled
def _blocks(box: tuple[int, int, int, int]) -> tuple[int, int]:
    """Number of blocks that cover a box, and of those side by side."""
    top, bottom, left, right = box
    across = (right - left + BLOCK - 1) // BLOCK
    return (bottom - top + BLOCK - 1) // BLOCK * across, across


@compiled
def _store_blocks(
    products: Floats,
    target: Floats | Halves,
    bias: Floats,
    mask: Floats | Halves,
    box: tuple[int, int, int, int],
    first: int,
    count: int,
    block: Floats | Halves,
) -> None:
    """Transform `count` blocks of products from the `first` on and write them to `target`; see `convolve`."""
    top, bottom, left, right = box
    channels, size = target.shape[2], target.itemsize
    row, place = target.shape[1] * channels, products.shape[1]
    _, across = _blocks(box)
    masked = mask.size > 0
    write, masks, block_at = target.ctypes.data, mask.ctypes.data, block.ctypes.data
    for n in range(count):
        y, x = top + BLOCK * ((first + n) // across), left + BLOCK * ((first + n) % across)
        at = size * ((y + 1) * row + (x + 1) * channels)
        made = products.ctypes.data + 4 * n * channels
        # A block that reaches beyond the box is computed in `block` and copied.
        whole = y + BLOCK <= bottom and x + BLOCK <= right
        out, out_row = (write + at, row) if whole else (block_at, BLOCK * channels)
        other = bias.ctypes.data
        if masked:
            other = masks + at
            if not whole:
                other = block_at + size * BLOCK * BLOCK * channels
                for i in range(min(BLOCK, bottom - y)):
                    for j in range(min(BLOCK, right - x)):
                        block[1, i, j] = mask[y + i + 1, x + j + 1]
        if masked:
            store_masked_block(target, made, place, out, out_row, channels, channels, other)
        else:
            store_block(target, made, place, out, out_row, channels, channels, other)
        if not whole:
            for i in range(min(BLOCK, bottom - y)):
                for j in range(min(BLOCK, right - x)):
                    target[y + i + 1, x + j + 1] = block[0, i, j]


@compiled
def _load_blocks(
    source: Floats | Halves, values: Floats, box: tuple[int, int, int, int], first: int, count: int
) -> None:
    """Transform `count` blocks of `source` from the `first` on."""
    channels, size = source.shape[2], source.itemsize
    row = source.shape[1] * channels
    _, across = _blocks(box)
    for n in range(count):
        y, x = box[0] + BLOCK * ((first + n) // across), box[2] + BLOCK * ((first + n) % across)
        read, write = source.ctypes.data + size * (y * row + x * channels), values.ctypes.data + size * n * channels
        load_block(source, read, row, channels, write, values.shape[1], channels, PANEL)


@by_type
def _multiply(filters: Any, values: Any, products: Any, count: Any) -> Any:
    """products[p, :count] = values[p, :count] times filter p for every place p; may write a few more rows."""
    multiply, rows = (_multiply_floats, ROWS) if filters.dtype == types.float32 else (_multiply_pairs, PAIR_ROWS)

    def multiply_blocks(filters: Any, values: Any, products: Any, count: Any) -> None:
        multiply(values, filters, products, (count + rows - 1) // rows * rows)

    return multiply_blocks


@compiled
def convolve(
    source: Floats | Halves,
    target: Floats | Halves,
    filters: Floats | Words,
    bias: Floats,
    mask: Floats | Halves,
    box: tuple[int, int, int, int],
    values: Floats,
    products: Floats,
    block: Floats | Halves,
) -> None:
    """One layer over a box of a plane: convolution with bias and ReLU, or with a mask.

    Planes and filters are float32. Or planes are bfloat16 and filters words of two: factors are then rounded to
    bfloat16 as well, and sums are in float32. A layer is then off by about 2% of its values, randomly up or down:
    little compared to the differences between batches, but too much for pictures.

    Args:
        source: feature plane, see `plane_shape`.
        target: plane of the same shape; written only inside the box.
        filters: with as many output as input channels, one of `transformed_filters` or from `transform_filters`.
        bias: (channels,) float32.
        mask: an empty plane, or one of the same shape as `target`: then, instead of bias and ReLU, the result is 0
            where this is not above 0.
        box: first row, last row + 1, first column, last column + 1, without the ring.
        values: from `scratch`.
        products: likewise.
        block: likewise.
    """
    total, _ = _blocks(box)
    for first in range(0, total, _BLOCKS_AT_ONCE):
        count = min(_BLOCKS_AT_ONCE, total - first)
        _load_blocks(source, values, box, first, count)
        _multiply(filters, values, products, count)
        _store_blocks(products, target, bias, mask, box, first, count, block)


@compiled
def add_plane(plane: Floats | Halves, rows: int, columns: int, out: Floats) -> None:
    """Add all pixels of a plane to `out`, (channels,) float32."""
    channels = plane.shape[2]
    row = plane.shape[1] * channels
    add_pixels(plane, plane[1, 1].ctypes.data, row, channels, rows, columns, channels, out.ctypes.data)


@compiled
def add_filter_gradient(
    source: Floats, gradient: Floats, rows: int, columns: int, out: Floats, values: Floats, slopes: Floats
) -> None:
    """Add the contribution of one plane to the gradient of a layer's transformed filter.

    Args:
        source: input plane of the layer.
        gradient: plane with the gradient with respect to its output, 0 beyond `rows` and `columns`.
        rows: pixels without the ring.
        columns: likewise.
        out: (36, channels / 16, channels, 16) float32, as `filter_gradients` takes it.
        values: from `slope_scratch`.
        slopes: likewise.
    """
    channels, at_once = source.shape[2], _SLOPES_AT_ONCE
    row, place = source.shape[1] * channels, values.shape[1]
    total, across = _blocks((0, rows, 0, columns))
    sixes = channels // ROWS * ROWS
    read, slope_read = source.ctypes.data, gradient.ctypes.data
    value_at, slope_at = values.ctypes.data, slopes.ctypes.data
    for first in range(0, total, at_once):
        count = min(at_once, total - first)
        for n in range(count):
            y, x = BLOCK * ((first + n) // across), BLOCK * ((first + n) % across)
            load_block(
                source,
                read + 4 * (y * row + x * channels),
                row,
                channels,
                value_at + 4 * n * channels,
                place,
                channels,
                PANEL,
            )
        # In a loop of its own, as the 36 places of both do not fit into the first-level cache.
        for n in range(count):
            y, x = BLOCK * ((first + n) // across), BLOCK * ((first + n) % across)
            load_slope(
                gradient,
                slope_read + 4 * ((y + 1) * row + (x + 1) * channels),
                row,
                channels,
                slope_at + 4 * n * PANEL,
                place,
                channels,
                at_once * PANEL,
            )
        depth = (count + 3) // 4 * 4
        values[:, count * channels : depth * channels] = _ZERO
        for panel in range(channels // PANEL):
            start = panel * at_once * PANEL
            slopes[:, start + count * PANEL : start + depth * PANEL] = _ZERO
        for p in range(PLACES):
            a = value_at + 4 * p * place
            for panel in range(channels // PANEL):
                b, c = slope_at + 4 * (p * place + panel * at_once * PANEL), out[p, panel].ctypes.data
                for i in range(0, sixes, ROWS):
                    add_columns_times_panel(a + 4 * i, channels, b, c + 4 * i * PANEL, PANEL, depth)
                for i in range(sixes, channels, 2):
                    add_few_columns_times_panel(a + 4 * i, channels, b, c + 4 * i * PANEL, PANEL, depth)


@compiled
def add_filter_gradient_in_bf16(
    source: Halves, gradient: Halves, rows: int, columns: int, out: Floats, values: Floats, slopes: Floats
) -> None:
    """`add_filter_gradient` for bfloat16 planes, with transformed blocks rounded to bfloat16 and sums in float32."""
    channels, place = source.shape[2], values.shape[1]
    row, pairs_at_once = source.shape[1] * channels, _SLOPES_AT_ONCE // 2
    total, across = _blocks((0, rows, 0, columns))
    panels = channels // PANEL
    many = panels // PAIR_PANELS * PAIR_PANELS
    jump = pairs_at_once * PANEL
    for first in range(0, total, _SLOPES_AT_ONCE):
        count = min(_SLOPES_AT_ONCE, total - first)
        for n in range(count):
            y, x = BLOCK * ((first + n) // across), BLOCK * ((first + n) % across)
            read = source.ctypes.data + 2 * (y * row + x * channels)
            write = values.ctypes.data + 4 * (n // 2) * channels
            if n % 2 == 0:
                load_first_of_pair(source, read, row, channels, write, place, channels, PANEL)
            else:
                load_second_of_pair(source, read, row, channels, write, place, channels, PANEL)
        # In a loop of its own, as the 36 places of both do not fit into the first-level cache.
        for n in range(count):
            y, x = BLOCK * ((first + n) // across) + 1, BLOCK * ((first + n) % across) + 1
            read = gradient.ctypes.data + 2 * (y * row + x * channels)
            write = slopes.ctypes.data + 4 * (n // 2) * PANEL
            if n % 2 == 0:
                load_first_slope_of_pair(gradient, read, row, channels, write, place, channels, jump)
            else:
                load_second_slope_of_pair(gradient, read, row, channels, write, place, channels, jump)
        pairs = (count + 1) // 2
        depth = (pairs + PAIRS_UNROLLED - 1) // PAIRS_UNROLLED * PAIRS_UNROLLED
        values[:, pairs * channels : depth * channels] = _ZERO
        for panel in range(panels):
            slopes[:, panel * jump + pairs * PANEL : panel * jump + depth * PANEL] = _ZERO
        for p in range(PLACES):
            for i in range(0, channels, PAIR_ROWS):
                a = values.ctypes.data + 4 * (p * place + i)
                for panel in range(0, many, PAIR_PANELS):
                    b, c = slopes.ctypes.data + 4 * (p * place + panel * jump), out[p, panel, i].ctypes.data
                    add_pairs_times_panels(a, 1, channels, b, jump, c, PANEL, channels * PANEL, depth)
                for panel in range(many, panels):
                    b, c = slopes.ctypes.data + 4 * (p * place + panel * jump), out[p, panel, i].ctypes.data
                    add_pairs_times_panel(a, 1, channels, b, jump, c, PANEL, channels * PANEL, depth)
