"""Products of bfloat16 in pairs, by processor instructions and by float32, against those of the rounded numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import njit

from vdsr_app.core.winograd import compiling, pairs
from vdsr_app.core.winograd.product import PANEL

WAYS = ["in floats", pytest.param("native", marks=pytest.mark.skipif("not pairs.has_bf16_products()"))]


def _rounded(numbers: np.ndarray) -> np.ndarray:
    """Rounded to the nearest bfloat16, ties away from zero."""
    return ((numbers.view(np.uint32) + np.uint32(0x8000)) & np.uint32(0xFFFF0000)).view(np.float32)


def _in_pairs(numbers: np.ndarray) -> np.ndarray:
    """(..., depth, 16) as words that each hold two numbers along the depth."""
    words = _rounded(numbers).view(np.uint32)
    return words[..., 1::2, :] | (words[..., 0::2, :] >> np.uint32(16))


def _product(way: str, panels: int, *, add: bool) -> Any:
    product = pairs._product(panels, add=add, arithmetic=pairs._native if way == "native" else pairs._in_floats)

    @njit
    def call(a: Any, a_row: int, a_pair: int, b: Any, c: Any, c_row: int, c_panel: int) -> None:
        depth = b.shape[1]
        product(a.ctypes.data, a_row, a_pair, b.ctypes.data, depth * PANEL, c.ctypes.data, c_row, c_panel, depth)

    return call


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("panels", "depth"), [(1, 4), (4, 16), (4, 64)])
def test_product_matches_exact_product_of_rounded_numbers(way: str, panels: int, depth: int) -> None:
    rng = np.random.default_rng(depth)
    a = rng.standard_normal((pairs.PAIR_ROWS, depth)).astype(np.float32)
    b = rng.standard_normal((depth, panels * PANEL)).astype(np.float32)
    rows = _in_pairs(np.ascontiguousarray(a.T)).T.copy()  # (rows, pairs)
    columns = _in_pairs(np.ascontiguousarray(b.reshape(depth, panels, PANEL).transpose(1, 0, 2)))
    exact = _rounded(a).astype(np.float64) @ _rounded(b)

    out = np.full((pairs.PAIR_ROWS, panels * PANEL), 9, np.float32)
    _product(way, panels, add=False)(rows, depth // 2, 1, columns, out, panels * PANEL, PANEL)
    np.testing.assert_allclose(out, exact, rtol=0, atol=1e-5)

    # The other layout: pairs of rows, as in the gradient of a filter, and added to existing sums.
    across = np.ascontiguousarray(rows.T)
    sums = np.ones((panels, pairs.PAIR_ROWS, PANEL), np.float32)
    _product(way, panels, add=True)(across, 1, pairs.PAIR_ROWS, columns, sums, PANEL, pairs.PAIR_ROWS * PANEL)
    expected = 1 + exact.reshape(pairs.PAIR_ROWS, panels, PANEL).transpose(1, 0, 2)
    np.testing.assert_allclose(sums, expected, rtol=0, atol=1e-5)


def test_bf16_products_require_support_of_the_host_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling.llvm, "get_host_cpu_features", lambda: {"avx512bf16": True, "avx512f": False})
    assert pairs.has_bf16_products()
    assert not compiling.processor_has("avx512f")
    monkeypatch.setattr(compiling.numba.config, "CPU_NAME", "generic")  # code for another processor is requested
    assert not pairs.has_bf16_products()
    monkeypatch.setattr(compiling.numba.config, "CPU_NAME", None)

    def fail() -> None:
        raise RuntimeError("failed to get host cpu features.")

    monkeypatch.setattr(compiling.llvm, "get_host_cpu_features", fail)
    assert not pairs.has_bf16_products()
