"""Products of small bfloat16 matrices with sums in float32: two products at a time where the processor supports it.

Numbers are stored in pairs, two along the depth in one 32-bit word, the first in the lower half. AVX512-BF16 multiplies
and adds 16 such words at once, 32 products in the time of 16 in float32. Elsewhere, float32 arithmetic gives the same
result but for the order of the sums; that is not fast, and there for tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from vdsr_app.core.winograd.compiling import processor_has
from vdsr_app.core.winograd.product import PANEL, fused_multiply_add, panel_type

PAIR_ROWS = 4
"""Rows processed at once."""

PAIR_PANELS = 4
"""Panels processed at once, if there are that many: 4 x 4 sums hide the latency of a product and need few loads."""

PAIRS_UNROLLED = 2
"""Pairs along the depth per iteration."""

_WORD_BYTES = 4

Arithmetic = Callable[[Any, Any, Any, Any], Any]
"""Emits: sums, word of A in every lane, words of B -> new sums."""


class _BFloat(ir.types.Type):  # type: ignore[misc]
    """LLVM's bfloat, which llvmlite does not know by name."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloat)

    def __hash__(self) -> int:
        return hash(_BFloat)


def has_bf16_products() -> bool:
    """Whether the processor that code is compiled for has AVX512-BF16."""
    return processor_has("avx512bf16")


def _words() -> ir.VectorType:
    return ir.VectorType(ir.IntType(32), PANEL)


def _native(builder: Any, sums: Any, a: Any, b: Any) -> Any:
    halves = ir.VectorType(_BFloat(), 2 * PANEL)
    kind = ir.FunctionType(panel_type(), [panel_type(), halves, halves])
    multiply = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512bf16.dpbf16ps.512")
    return builder.call(multiply, [sums, builder.bitcast(a, halves), builder.bitcast(b, halves)])


def _in_floats(builder: Any, sums: Any, a: Any, b: Any) -> Any:
    multiply_add = fused_multiply_add(builder)

    def every(value: int) -> Any:
        return ir.Constant(_words(), [ir.Constant(ir.IntType(32), value)] * PANEL)

    def lower(words: Any) -> Any:
        return builder.bitcast(builder.shl(words, every(16)), panel_type())

    def upper(words: Any) -> Any:
        return builder.bitcast(builder.and_(words, every(0xFFFF0000)), panel_type())

    return builder.call(multiply_add, [lower(a), lower(b), builder.call(multiply_add, [upper(a), upper(b), sums])])


def _emit(builder: Any, args: Any, panels: int, arithmetic: Arithmetic, *, add: bool) -> None:
    """Emit the loop over the depth."""
    a, a_row, a_pair, b, b_panel, c, c_row, c_panel, pairs = args
    whole = a.type
    undefined, first = ir.Constant(_words(), ir.Undefined), ir.Constant(ir.IntType(32), 0)
    everywhere = ir.Constant(_words(), [first] * PANEL)

    def constant(value: int) -> Any:
        return ir.Constant(whole, value)

    def at(base: Any, *steps: tuple[Any, Any]) -> Any:
        for step, count in steps:
            base = builder.add(base, builder.mul(builder.mul(step, constant(_WORD_BYTES)), count))
        return base

    def load(address: Any, kind: Any) -> Any:
        value = builder.load(builder.inttoptr(address, kind.as_pointer()))
        value.align = _WORD_BYTES
        return value

    places = [(i, j) for i in range(PAIR_ROWS) for j in range(panels)]
    outs = {
        (i, j): builder.inttoptr(at(c, (c_row, constant(i)), (c_panel, constant(j))), panel_type().as_pointer())
        for i, j in places
    }
    sums = {place: cgutils.alloca_once(builder, panel_type()) for place in places}
    for place, out in outs.items():
        if add:
            before = builder.load(out)
            before.align = _WORD_BYTES
            builder.store(before, sums[place])
        else:
            builder.store(ir.Constant(panel_type(), [ir.Constant(ir.FloatType(), 0.0)] * PANEL), sums[place])

    def step(k: Any) -> None:
        columns = [load(at(b, (constant(PANEL), k), (b_panel, constant(j))), _words()) for j in range(panels)]
        for i in range(PAIR_ROWS):
            one = load(at(a, (a_row, constant(i)), (a_pair, k)), ir.IntType(32))
            spread = builder.shuffle_vector(builder.insert_element(undefined, one, first), undefined, everywhere)
            for j in range(panels):
                total = sums[i, j]
                builder.store(arithmetic(builder, builder.load(total), spread, columns[j]), total)

    with cgutils.for_range(builder, builder.sdiv(pairs, constant(PAIRS_UNROLLED))) as loop:
        base = builder.mul(loop.index, constant(PAIRS_UNROLLED))
        for i in range(PAIRS_UNROLLED):
            step(builder.add(base, constant(i)))
    for place, out in outs.items():
        builder.store(builder.load(sums[place]), out).align = _WORD_BYTES


def _product(panels: int, *, add: bool, arithmetic: Arithmetic | None = None) -> Any:
    """A function for compiled code: C = A B for `PAIR_ROWS` rows and several panels; see `pairs_times_panels`."""

    def product(
        typing: Any, a: Any, a_row: Any, a_pair: Any, b: Any, b_panel: Any, c: Any, c_row: Any, c_panel: Any, pairs: Any
    ) -> Any:
        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            _emit(builder, args, panels, arithmetic or (_native if has_bf16_products() else _in_floats), add=add)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 9), emit

    return intrinsic(product)


pairs_times_panels = _product(PAIR_PANELS, add=False)
"""C = A B for `PAIR_ROWS` rows and `PAIR_PANELS` panels. Takes, in this order:

    a: address of A, words of two numbers of one row each.
    a_row: words from one row of A to the next.
    a_pair: words from one pair of a row to the next.
    b: address of B, (panels, pairs, PANEL) words of two rows each.
    b_panel: words from one panel of B to the next.
    c: address of C, float32.
    c_row: floats from one row of C to the next.
    c_panel: floats from one panel of C to the next.
    pairs: half the depth; a multiple of `PAIRS_UNROLLED`.
"""

pairs_times_panel = _product(1, add=False)
"""`pairs_times_panels` for one panel."""

add_pairs_times_panels = _product(PAIR_PANELS, add=True)
"""C += A B, with the arguments of `pairs_times_panels`."""

add_pairs_times_panel = _product(1, add=True)
"""`add_pairs_times_panels` for one panel."""
