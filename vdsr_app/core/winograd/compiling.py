"""Compiles the kernels to machine code, once for each version of them and each processor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numba
from numba import njit
from numba.extending import overload

from vdsr_app.core.winograd import made

# The user's own folder, unless the environment names another.
if not numba.config.CACHE_DIR:
    numba.config.CACHE_DIR = str(made.folder())


def processor_has(feature: str) -> bool:
    """Whether code is compiled for a processor with `feature`, by its LLVM name such as "avx512f"."""
    if numba.config.CPU_NAME or numba.config.CPU_FEATURES:
        return False  # the environment requests code for another processor
    try:
        return bool(llvm.get_host_cpu_features().get(feature))
    except RuntimeError:  # LLVM does not know this processor
        return False


_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    # Sums may be reordered, but NaN and infinity must propagate from input to output.
    "fastmath": {"contract", "nsz", "reassoc", "arcp"},
}


def compiled(function: Any) -> Any:
    """Compile a function for this processor, to run without the GIL; the code is kept on disk between starts."""
    return njit(cache=True, **_OPTIONS)(function)


def by_type(choose: Callable[..., Any]) -> Any:
    """A function for compiled code that dispatches on the types of its arguments.

    Args:
        choose: takes the types and returns the function, whose parameters have the same names and annotations.
    """

    def function(*_: Any) -> None:
        raise NotImplementedError("This is for compiled code alone.")

    overload(function, jit_options=_OPTIONS)(choose)
    return function
