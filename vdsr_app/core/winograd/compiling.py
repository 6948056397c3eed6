"""Makes machine code of the kernels, once for each version of them and each processor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numba
from numba import njit
from numba.extending import overload

from vdsr_app.core.winograd import made

# The person's own folder, unless the environment names another.
if not numba.config.CACHE_DIR:
    numba.config.CACHE_DIR = str(made.folder())


def processor_has(feature: str) -> bool:
    """Whether code is made for a processor with `feature`, by LLVM's name of it: "avx512f"."""
    if numba.config.CPU_NAME or numba.config.CPU_FEATURES:
        return False  # the environment asks for another processor than this
    try:
        return bool(llvm.get_host_cpu_features().get(feature))
    except RuntimeError:  # LLVM does not know this processor
        return False


_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    # Sums may be reordered, but NaN and infinity keep their meaning: they must come out where they went in.
    "fastmath": {"contract", "nsz", "reassoc", "arcp"},
}


def compiled(function: Any) -> Any:
    """Machine code of a function for this processor, without the interpreter's lock; kept on disk between starts."""
    return njit(cache=True, **_OPTIONS)(function)


def by_type(choose: Callable[..., Any]) -> Any:
    """A function for compiled code that is another one for other types of its arguments.

    Args:
        choose: gets the types, returns the function, whose parameters have the same names and annotations.
    """

    def function(*_: Any) -> None:
        raise NotImplementedError("This is for compiled code alone.")

    overload(function, jit_options=_OPTIONS)(choose)
    return function
