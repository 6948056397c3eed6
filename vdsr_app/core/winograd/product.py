"""Products of small matrices at the processor's full rate: a few rows times a panel of 16 columns, in registers.

Matrix libraries are made for large matrices, and some are slow on processors of another maker. The products here have
64 rows and columns and need no more than this one loop over their depth: 6 x 16 sums stay in registers, and each step
along the depth loads one row of the panel, once, and one number for each of the 6 rows.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

PANEL = 16
"""Columns of a panel: two AVX2 registers, one AVX-512 register, or four NEON registers."""

ROWS = 6
"""Rows processed at once: with a panel of 16 columns the sums take 12 of the 16 registers that AVX2 has."""

_FLOAT_BYTES = 4
_UNROLLED = 4


def panel_type() -> ir.VectorType:
    """A row of a panel, in registers."""
    return ir.VectorType(ir.FloatType(), PANEL)


def fused_multiply_add(builder: Any) -> Any:
    """LLVM's multiply-add, fused where the processor can."""
    vector = panel_type()
    kind = ir.FunctionType(vector, [vector] * 3)
    return cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{PANEL}f32")


def _emit(builder: Any, args: Any, rows: int, *, transposed: bool, add: bool) -> None:
    """Emit the loop over the depth for `rows` rows."""
    a, stride, b, c, c_stride, depth = args
    whole, vector, number = stride.type, panel_type(), ir.FloatType()

    def constant(value: int) -> Any:
        return ir.Constant(whole, value)

    multiply_add = fused_multiply_add(builder)
    undefined, first = ir.Constant(vector, ir.Undefined), ir.Constant(ir.IntType(32), 0)
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), PANEL), [first] * PANEL)
    a_step, c_step = builder.mul(stride, constant(_FLOAT_BYTES)), builder.mul(c_stride, constant(_FLOAT_BYTES))

    def place(base: Any, step: Any, index: int) -> Any:
        return builder.add(base, builder.mul(step, constant(index)))

    outs = [builder.inttoptr(place(c, c_step, i), vector.as_pointer()) for i in range(rows)]
    sums = [cgutils.alloca_once(builder, vector) for _ in range(rows)]
    for out, total in zip(outs, sums, strict=True):
        if add:
            before = builder.load(out)
            before.align = _FLOAT_BYTES
            builder.store(before, total)
        else:
            builder.store(ir.Constant(vector, [ir.Constant(number, 0.0)] * PANEL), total)

    def step(k: Any) -> None:
        panel_at = builder.add(b, builder.mul(k, constant(PANEL * _FLOAT_BYTES)))
        panel = builder.load(builder.inttoptr(panel_at, vector.as_pointer()))
        panel.align = _FLOAT_BYTES
        for i, total in enumerate(sums):
            if transposed:
                at = place(builder.add(a, builder.mul(k, a_step)), constant(_FLOAT_BYTES), i)
            else:
                at = builder.add(place(a, a_step, i), builder.mul(k, constant(_FLOAT_BYTES)))
            one = builder.load(builder.inttoptr(at, number.as_pointer()))
            spread = builder.shuffle_vector(builder.insert_element(undefined, one, first), undefined, everywhere)
            builder.store(builder.call(multiply_add, [spread, panel, builder.load(total)]), total)

    rounds = builder.sdiv(depth, constant(_UNROLLED))
    with cgutils.for_range(builder, rounds) as loop:
        base = builder.mul(loop.index, constant(_UNROLLED))
        for i in range(_UNROLLED):
            step(builder.add(base, constant(i)))
    for out, total in zip(outs, sums, strict=True):
        builder.store(builder.load(total), out).align = _FLOAT_BYTES


def _product(rows: int, *, transposed: bool = False, add: bool = False) -> Any:
    """A function for compiled code: C = A B for `rows` rows and one panel; see `rows_times_panel`."""

    def product(typing: Any, a: Any, stride: Any, b: Any, c: Any, c_stride: Any, depth: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            _emit(builder, args, rows, transposed=transposed, add=add)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 6), emit

    return intrinsic(product)


rows_times_panel = _product(ROWS)
"""C = A B for `ROWS` rows and one panel. Takes, in this order:

    a: address of A, (ROWS, depth) float32.
    stride: floats from one row of A to the next.
    b: address of B, (depth, PANEL) float32, contiguous.
    c: address of C, (ROWS, PANEL) float32.
    c_stride: floats from one row of C to the next.
    depth: a multiple of 4.
"""

add_columns_times_panel = _product(ROWS, transposed=True, add=True)
"""C += A^T B for `ROWS` columns of A and one panel; arguments as for `rows_times_panel`, with A of (depth, ROWS)."""

add_few_columns_times_panel = _product(2, transposed=True, add=True)
"""`add_columns_times_panel` for 2 columns of A: the remainder if their number is not a multiple of `ROWS`."""
