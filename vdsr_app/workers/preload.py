"""Loads PyTorch in a worker thread without stopping the others.

Two things in a plain `import torch` keep every other Python thread waiting: the dynamic loader, called with the
interpreter lock (GIL) held while it relocates libraries of hundreds of megabytes (a quarter of a second and more), and
full garbage collections over the hundred thousand objects that the import makes (a tenth of a second each). So the
libraries are loaded first by a foreign call, which lets go of the GIL, and collections wait until the import is over.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import importlib.util
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vdsr_app.control import CancelToken

logger = logging.getLogger(__name__)

_SWITCH_INTERVAL_S = 0.001
"""How long an importing thread may keep the GIL when another wants it; Python's default is 0.005."""


def load_torch(token: CancelToken | None = None) -> None:
    """Import torch in this thread while other threads keep their pace; returns at once when it is loaded already.

    Raises:
        Cancelled: `token` was cancelled before the import began; the import itself cannot be stopped.
        ImportError: torch is not installed or cannot be loaded.
    """
    if "torch" in sys.modules:
        return
    if token is not None:
        token.raise_if_cancelled()
    started_s = time.monotonic()
    folder = _library_folder()
    if folder is not None:
        _load_libraries(folder)
        _start_cuda(folder)
    if token is not None:
        token.raise_if_cancelled()
    with gentle_import():
        importlib.import_module("torch")
    logger.info("torch was loaded in %.2f s.", time.monotonic() - started_s)


@contextmanager
def gentle_import() -> Iterator[None]:
    """Let other threads run often while this one imports much.

    Cycle collection is off meanwhile; afterwards all that exists is left out of later collections, which would look
    through every module again, each time for a tenth of a second and often in the window's thread.
    """
    interval_s, collecting = sys.getswitchinterval(), gc.isenabled()
    gc.disable()
    sys.setswitchinterval(min(interval_s, _SWITCH_INTERVAL_S))
    try:
        yield
    finally:
        sys.setswitchinterval(interval_s)
        gc.freeze()
        if collecting:
            gc.enable()


def _library_folder() -> Path | None:
    """Where torch keeps its libraries, found without importing it."""
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "lib"


def _load_libraries(folder: Path) -> None:
    """Load what `import torch` will load, in its order and with its flags; the second pulls in all the rest.

    On Windows torch itself loads its libraries by foreign calls.
    """
    if sys.platform == "win32":
        return
    suffix = ".dylib" if sys.platform == "darwin" else ".so"
    _load_library(folder / f"libtorch_global_deps{suffix}", os.RTLD_NOW | os.RTLD_GLOBAL)
    _load_library(folder / f"libtorch_python{suffix}", os.RTLD_NOW | os.RTLD_LOCAL)


def _load_library(path: Path, flags: int) -> None:
    """Load one shared library with the GIL released.

    `ctypes.CDLL(path)` would hold the GIL; `dlopen` called as any other foreign function does not. A failure is left
    to `import torch`, which knows more places to look and tells what is wrong.
    """
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.restype = ctypes.c_void_p
    dlopen.argtypes = [ctypes.c_char_p, ctypes.c_int]
    if dlopen(os.fsencode(path), flags) is None:
        logger.info("%s could not be loaded beforehand.", path.name)


def _start_cuda(folder: Path) -> None:
    """Start NVIDIA's driver, where torch is built for it, by a foreign call; torch would hold the GIL meanwhile."""
    windows = sys.platform == "win32"
    if not (folder / ("c10_cuda.dll" if windows else "libc10_cuda.so")).is_file():
        return
    try:
        driver = ctypes.CDLL("nvcuda.dll" if windows else "libcuda.so.1")
    except OSError:
        return  # no driver: torch will find no such device
    status = driver.cuInit(0)
    if status != 0:
        logger.info("NVIDIA's driver did not start (%d).", status)
