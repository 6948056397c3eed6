"""The constant matrices of Winograd's method, applied to all channels of a block, one vector of channels at a time.

Emitted as LLVM code directly: otherwise LLVM cannot know that the many rows read and written do not overlap, and
computes one number at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from vdsr_app.core.winograd.compiling import processor_has
from vdsr_app.core.winograd.product import PANEL

BLOCK = 4
"""Outputs of a block along each axis."""

WINDOW = 6
"""Inputs that a block depends on along each axis."""

LANES = 16 if processor_has("avx512f") else 8
"""Channels of a vector here: one AVX-512 or AVX2 register. The results are the same."""

_FLOAT_BYTES = 4
_HALF_BYTES = 2
_FLAGS = ("contract", "nsz")


class _Vectors:
    """Arithmetic on vectors of `LANES` channels."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.type = ir.VectorType(ir.FloatType(), LANES)
        self.words = ir.VectorType(ir.IntType(32), LANES)
        self.halves = ir.VectorType(ir.IntType(16), LANES)

    def constant(self, value: float) -> Any:
        return ir.Constant(self.type, [ir.Constant(ir.FloatType(), value)] * LANES)

    def add(self, a: Any, b: Any) -> Any:
        return self.builder.fadd(a, b, flags=_FLAGS)

    def sub(self, a: Any, b: Any) -> Any:
        return self.builder.fsub(a, b, flags=_FLAGS)

    def scaled(self, factor: float, a: Any) -> Any:
        return self.builder.fmul(self.constant(factor), a, flags=_FLAGS)

    def load(self, address: Any) -> Any:
        value = self.builder.load(self.builder.inttoptr(address, self.type.as_pointer()))
        value.align = _FLOAT_BYTES
        return value

    def store(self, value: Any, address: Any) -> None:
        self.builder.store(value, self.builder.inttoptr(address, value.type.as_pointer())).align = _FLOAT_BYTES

    def load_halves(self, address: Any) -> Any:
        """Load 16-bit numbers, the upper halves of floats."""
        halves = self.builder.load(self.builder.inttoptr(address, self.halves.as_pointer()))
        halves.align = _HALF_BYTES
        return self.builder.bitcast(self.builder.shl(self.builder.zext(halves, self.words), self.word(16)), self.type)

    def store_halves(self, value: Any, address: Any) -> None:
        """Store the nearest bfloat16 of each number."""
        halves = self.builder.trunc(self.lowered(self.rounded(value)), self.halves)
        self.builder.store(halves, self.builder.inttoptr(address, self.halves.as_pointer())).align = _HALF_BYTES

    def rounded(self, value: Any) -> Any:
        """The vector's bits as words whose upper halves are the nearest bfloat16."""
        return self.builder.add(self.builder.bitcast(value, self.words), self.word(0x8000))

    def lowered(self, words: Any) -> Any:
        """Upper halves of words moved to the lower halves, with 0 above."""
        return self.builder.lshr(words, self.word(16))

    def word(self, value: int) -> Any:
        return ir.Constant(self.words, [ir.Constant(ir.IntType(32), value)] * LANES)

    def at(self, base: Any, step: Any, index: int) -> Any:
        return self.builder.add(base, self.builder.mul(step, ir.Constant(step.type, index)))


Line = Callable[["_Vectors", Sequence[Any]], list[Any]]
"""A constant matrix times a column of vectors."""

Finish = Callable[["_Vectors", "_Numbers", Any, Any, Any, Any], Any]
"""Computes what to store of a vector in such numbers. Also takes the address of a bias or mask, the vector's first
channel, and the byte offset of its pixel."""


@dataclass(frozen=True)
class _Numbers:
    """How numbers are stored in memory.

    Attributes:
        size: bytes per number.
        get: loads a vector from an address.
        put: stores a vector at an address.
    """

    size: int
    get: Callable[[_Vectors, Any], Any]
    put: Callable[[_Vectors, Any, Any], None]


def _input_line(v: _Vectors, d: Sequence[Any]) -> list[Any]:
    """B' d: 6 from 6."""
    even, odd = v.sub(d[4], v.scaled(4, d[2])), v.sub(d[3], v.scaled(4, d[1]))
    near, far = v.sub(d[4], d[2]), v.scaled(2, v.sub(d[3], d[1]))
    return [
        v.add(v.scaled(4, v.sub(d[0], d[2])), near),
        v.add(even, odd),
        v.sub(even, odd),
        v.add(near, far),
        v.sub(near, far),
        v.add(v.scaled(4, v.sub(d[1], d[3])), v.sub(d[5], d[3])),
    ]


def _output_line(v: _Vectors, m: Sequence[Any]) -> list[Any]:
    """A' m: 4 from 6."""
    near_sum, near_gap, far_sum, far_gap = v.add(m[1], m[2]), v.sub(m[1], m[2]), v.add(m[3], m[4]), v.sub(m[3], m[4])
    return [
        v.add(m[0], v.add(near_sum, far_sum)),
        v.add(near_gap, v.scaled(2, far_gap)),
        v.add(near_sum, v.scaled(4, far_sum)),
        v.add(v.add(near_gap, v.scaled(8, far_gap)), m[5]),
    ]


def _slope_line(v: _Vectors, g: Sequence[Any]) -> list[Any]:
    """A g: 6 from 4."""
    even, odd = v.add(g[0], g[2]), v.add(g[1], g[3])
    far_even, far_odd = v.add(g[0], v.scaled(4, g[2])), v.add(v.scaled(2, g[1]), v.scaled(8, g[3]))
    return [g[0], v.add(even, odd), v.sub(even, odd), v.add(far_even, far_odd), v.sub(far_even, far_odd), g[3]]


def _filter_line(v: _Vectors, g: Sequence[Any]) -> list[Any]:
    """G g: 6 from 3."""
    outer, far_outer, far_middle = v.add(g[0], g[2]), v.add(g[0], v.scaled(4, g[2])), v.scaled(2, g[1])
    return [
        v.scaled(1 / 4, g[0]),
        v.scaled(-1 / 6, v.add(outer, g[1])),
        v.scaled(-1 / 6, v.sub(outer, g[1])),
        v.scaled(1 / 24, v.add(far_outer, far_middle)),
        v.scaled(1 / 24, v.sub(far_outer, far_middle)),
        g[2],
    ]


def _both_axes(v: _Vectors, values: Sequence[Sequence[Any]], line: Line) -> list[list[Any]]:
    """Apply `line` along the rows of a square, then along its columns."""
    rows = [line(v, row) for row in values]
    columns = [line(v, column) for column in zip(*rows, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]


def _square(v: _Vectors, numbers: _Numbers, start: Any, row_bytes: Any, pixel_bytes: Any, side: int) -> list[list[Any]]:
    return [[numbers.get(v, v.at(v.at(start, row_bytes, i), pixel_bytes, j)) for j in range(side)] for i in range(side)]


def _times(builder: Any, value: Any, factor: int) -> Any:
    return builder.mul(value, ir.Constant(value.type, factor))


def _each_vector(builder: Any, channels: Any) -> Any:
    return cgutils.for_range(builder, builder.sdiv(channels, ir.Constant(channels.type, LANES)))


def _put_first_of_pairs(v: _Vectors, value: Any, address: Any) -> None:
    v.store(v.lowered(v.rounded(value)), address)


def _put_second_of_pairs(v: _Vectors, value: Any, address: Any) -> None:
    before = v.builder.load(v.builder.inttoptr(address, v.words.as_pointer()))
    before.align = _FLOAT_BYTES
    v.store(v.builder.or_(before, v.builder.and_(v.rounded(value), v.word(0xFFFF0000))), address)


_FLOATS = _Numbers(_FLOAT_BYTES, _Vectors.load, _Vectors.store)

_HALVES = _Numbers(_HALF_BYTES, _Vectors.load_halves, _Vectors.store_halves)
"""Contiguous bfloat16: two channels are a pair."""

_FIRST_OF_PAIRS = _Numbers(_FLOAT_BYTES, _Vectors.load, _put_first_of_pairs)
"""bfloat16 in the lower halves of words, with 0 above."""

_SECOND_OF_PAIRS = _Numbers(_FLOAT_BYTES, _Vectors.load, _put_second_of_pairs)
"""bfloat16 in the upper halves of existing words."""


def _transform(builder: Any, read: _Numbers, args: Any, side: int, line: Line, write: _Numbers | None = None) -> None:
    """Read a square of pixels, write 36 places, in the same kind of numbers by default; see `load_block`."""
    write = write or read
    source, row, pixel, target, place, channels, jump = args
    v = _Vectors(builder)
    row_bytes, pixel_bytes = _times(builder, row, read.size), _times(builder, pixel, read.size)
    place_bytes, jump_bytes = _times(builder, place, _FLOAT_BYTES), _times(builder, jump, write.size)
    with _each_vector(builder, channels) as loop:
        start = builder.add(source, _times(builder, loop.index, LANES * read.size))
        values = _square(v, read, start, row_bytes, pixel_bytes, side)
        # One vector or two make a panel of 16; panels are `jump` apart.
        vectors = ir.Constant(channels.type, PANEL // LANES)
        panel, within = builder.sdiv(loop.index, vectors), builder.srem(loop.index, vectors)
        out = builder.add(
            builder.add(target, builder.mul(panel, jump_bytes)), _times(builder, within, LANES * write.size)
        )
        for i, out_row in enumerate(_both_axes(v, values, line)):
            for j, value in enumerate(out_row):
                write.put(v, value, v.at(out, place_bytes, WINDOW * i + j))


def _store(builder: Any, write: _Numbers, args: Any, finish: Finish) -> None:
    """Read 36 places, write a square of pixels; see `store_block`."""
    source, place, target, row, pixel, channels, other = args
    v = _Vectors(builder)
    row_bytes, pixel_bytes = _times(builder, row, write.size), _times(builder, pixel, write.size)
    place_bytes = _times(builder, place, _FLOAT_BYTES)
    with _each_vector(builder, channels) as loop:
        first = _times(builder, loop.index, LANES)
        start = builder.add(source, _times(builder, first, _FLOAT_BYTES))
        places = [[v.load(v.at(start, place_bytes, WINDOW * i + j)) for j in range(WINDOW)] for i in range(WINDOW)]
        out = builder.add(target, _times(builder, first, write.size))
        for i, out_row in enumerate(_both_axes(v, places, _output_line)):
            for j, value in enumerate(out_row):
                shift = builder.add(_times(builder, row_bytes, i), _times(builder, pixel_bytes, j))
                write.put(v, finish(v, write, value, other, first, shift), builder.add(out, shift))


def _with_bias(v: _Vectors, numbers: _Numbers, value: Any, bias_at: Any, first: Any, shift: Any) -> Any:
    """Add a bias, then set negative numbers to 0; NaN stays NaN."""
    shifted = v.add(value, v.load(v.builder.add(bias_at, _times(v.builder, first, _FLOAT_BYTES))))
    zero = v.constant(0.0)
    return v.builder.select(v.builder.fcmp_ordered("<", shifted, zero), zero, shifted)


def _masked(v: _Vectors, numbers: _Numbers, value: Any, mask_at: Any, first: Any, shift: Any) -> Any:
    """Set to 0 where the mask is not above 0."""
    zero = v.constant(0.0)
    at = v.builder.add(v.builder.add(mask_at, _times(v.builder, first, numbers.size)), shift)
    return v.builder.select(v.builder.fcmp_ordered(">", numbers.get(v, at), zero), value, zero)


def _rectified(v: _Vectors, numbers: _Numbers, value: Any, unused: Any, first: Any, shift: Any) -> Any:
    """Set negative numbers to 0; NaN stays NaN."""
    zero = v.constant(0.0)
    return v.builder.select(v.builder.fcmp_ordered("<", value, zero), zero, value)


def _load_pixels(builder: Any, read: _Numbers, args: Any) -> None:
    """See `load_pixels`."""
    source, pixel, count, channels, target, apart, jump = args
    v = _Vectors(builder)
    with cgutils.for_range(builder, count) as along, _each_vector(builder, channels) as loop:
        start = builder.add(source, _times(builder, builder.mul(pixel, along.index), read.size))
        value = read.get(v, builder.add(start, _times(builder, loop.index, LANES * read.size)))
        vectors = ir.Constant(channels.type, PANEL // LANES)
        panel, within = builder.sdiv(loop.index, vectors), builder.srem(loop.index, vectors)
        floats = builder.add(builder.mul(apart, along.index), builder.mul(jump, panel))
        floats = builder.add(floats, _times(builder, within, LANES))
        v.store(value, builder.add(target, _times(builder, floats, _FLOAT_BYTES)))


def _store_pixels(builder: Any, write: _Numbers, args: Any, finish: Finish) -> None:
    """See `store_pixels`."""
    source, apart, count, channels, target, pixel, other = args
    v = _Vectors(builder)
    with cgutils.for_range(builder, count) as along, _each_vector(builder, channels) as loop:
        first = _times(builder, loop.index, LANES)
        floats = builder.add(builder.mul(apart, along.index), first)
        value = v.load(builder.add(source, _times(builder, floats, _FLOAT_BYTES)))
        shift = _times(builder, builder.mul(pixel, along.index), write.size)
        out = builder.add(builder.add(target, _times(builder, first, write.size)), shift)
        write.put(v, finish(v, write, value, other, first, shift), out)


def _add_pixels(builder: Any, read: _Numbers, args: Any) -> None:
    """See `add_pixels`."""
    source, row, pixel, rows, columns, channels, target = args
    v = _Vectors(builder)
    row_bytes, pixel_bytes = _times(builder, row, read.size), _times(builder, pixel, read.size)
    sums = cgutils.alloca_once(builder, v.type)
    with _each_vector(builder, channels) as loop:
        out = builder.add(target, _times(builder, loop.index, LANES * _FLOAT_BYTES))
        start = builder.add(source, _times(builder, loop.index, LANES * read.size))
        builder.store(v.load(out), sums)
        with cgutils.for_range(builder, rows) as down, cgutils.for_range(builder, columns) as across:
            at = builder.add(builder.mul(row_bytes, down.index), builder.mul(pixel_bytes, across.index))
            builder.store(v.add(builder.load(sums), read.get(v, builder.add(start, at))), sums)
        v.store(builder.load(sums), out)


def _for_pixels_of(write: Callable[[Any, _Numbers, Any], None]) -> Any:
    """A function for compiled code that takes an array, by whose type pixels are read or written, and seven integers.

    `write` emits what it does with pixels of such numbers.
    """

    def block(typing: Any, like: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any) -> Any:
        numbers = _FLOATS if like.dtype == types.float32 else _HALVES

        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            write(builder, numbers, args[1:])
            return context.get_dummy_value()

        return types.void(like, *[types.intp] * 7), emit

    return intrinsic(block)


load_block = _for_pixels_of(partial(_transform, side=WINDOW, line=_input_line))
"""B' d B of 6x6 pixels, stored in their type; with bfloat16, two channels are a pair. Takes, in this order:

    like: array of the pixels' type.
    source: address of the first pixel.
    row: numbers from one row of pixels to the next.
    pixel: numbers from one pixel to the next.
    target: address of the block in the first of the 36 places.
    place: floats from one place to the next, whatever the numbers are.
    channels: a multiple of 16.
    jump: numbers from one panel of 16 channels of the target to the next.
"""

load_first_of_pair = _for_pixels_of(partial(_transform, side=WINDOW, line=_input_line, write=_FIRST_OF_PAIRS))
"""`load_block` for the first of two blocks that form pairs, channel by channel."""

load_second_of_pair = _for_pixels_of(partial(_transform, side=WINDOW, line=_input_line, write=_SECOND_OF_PAIRS))
"""`load_block` for the second one, called after the first and with its address."""

load_slope = _for_pixels_of(partial(_transform, side=BLOCK, line=_slope_line))
"""A g A' of 4x4 pixels of a gradient, with the arguments of `load_block`."""

load_first_slope_of_pair = _for_pixels_of(partial(_transform, side=BLOCK, line=_slope_line, write=_FIRST_OF_PAIRS))
"""`load_slope` in the manner of `load_first_of_pair`."""

load_second_slope_of_pair = _for_pixels_of(partial(_transform, side=BLOCK, line=_slope_line, write=_SECOND_OF_PAIRS))
"""`load_slope` in the manner of `load_second_of_pair`."""

load_filter = _for_pixels_of(partial(_transform, side=3, line=_filter_line))
"""G g G' of the 3x3 numbers of a filter, with the arguments of `load_block`."""

load_first_filter_of_pair = _for_pixels_of(partial(_transform, side=3, line=_filter_line, write=_FIRST_OF_PAIRS))
"""`load_filter` for the first of two channels that form pairs, as bfloat16."""

load_second_filter_of_pair = _for_pixels_of(partial(_transform, side=3, line=_filter_line, write=_SECOND_OF_PAIRS))
"""`load_filter` for the second one, called after the first and with its address."""

store_block = _for_pixels_of(partial(_store, finish=_with_bias))
"""A' m A of one block plus a bias, with negative numbers set to 0: 4x4 pixels. NaN stays NaN. Takes, in this order:

    like: array of the pixels' type.
    source: address of the block in the first of the 36 places.
    place: floats from one place to the next.
    target: address of the first pixel.
    row: numbers from one row of pixels to the next.
    pixel: numbers from one pixel to the next.
    channels: a multiple of 16.
    bias: address of one float per channel.
"""

store_masked_block = _for_pixels_of(partial(_store, finish=_masked))
"""A' m A of one block where a mask is above 0, and 0 elsewhere.

Takes the arguments of `store_block`, but instead of the bias the address of a mask, with pixels laid out like the
target's.
"""

load_pixels = _for_pixels_of(_load_pixels)
"""Load adjacent pixels into panels of 16 channels. Takes, in this order:

    like: array of the pixels' type.
    source: address of the first pixel.
    pixel: numbers from one pixel to the next.
    count: of the pixels.
    channels: a multiple of 16.
    target: address of the floats to write, one per channel of each pixel.
    apart: floats from one pixel of the target to the next.
    jump: floats from one panel of 16 channels of the target to the next.
"""

store_pixels = _for_pixels_of(partial(_store_pixels, finish=_rectified))
"""Store adjacent pixels, with negative numbers set to 0. NaN stays NaN. Takes, in this order:

    like: array of the pixels' type.
    source: address of the first pixel's floats.
    apart: floats from one pixel of the source to the next.
    count: of the pixels.
    channels: a multiple of 16.
    target: address of the first pixel.
    pixel: numbers from one pixel of the target to the next.
    other: not read.
"""

store_masked_pixels = _for_pixels_of(partial(_store_pixels, finish=_masked))
"""Store adjacent pixels where a mask is above 0, and 0 elsewhere.

Takes the arguments of `store_pixels`, the last being the address of a mask with pixels laid out like the target's.
"""

add_pixels = _for_pixels_of(_add_pixels)
"""Add the pixels of a rectangle, channel by channel. Takes, in this order:

    like: array of the pixels' type.
    source: address of the first pixel.
    row: numbers from one row of pixels to the next.
    pixel: numbers from one pixel to the next.
    rows: of the rectangle.
    columns: likewise.
    channels: a multiple of 16.
    target: address of one float per channel, to which the sums are added.
"""
