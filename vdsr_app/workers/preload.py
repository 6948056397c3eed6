"""Loads PyTorch, and all else that computes the network, in a worker thread without stopping the others.

Two things in a plain `import torch` keep every other Python thread waiting: the dynamic loader, called with the
interpreter lock (GIL) held while it relocates libraries of hundreds of megabytes (a quarter of a second and more), and
full garbage collections over the hundred thousand objects that the import makes (a tenth of a second each). So the
libraries are loaded first by a foreign call, which lets go of the GIL, and collections wait until the import is over.
Numba's import makes as many objects, and what it does to compile our kernels, once on a machine, makes many more for a
quarter of a minute: that is left to a process of its own.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import importlib.util
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vdsr_app import paths
from vdsr_app.control import POLL_S, CancelToken
from vdsr_app.errors import VdsrError

logger = logging.getLogger(__name__)

_KERNELS = "vdsr_app.core.winograd.backend"
_making = threading.Lock()

if sys.platform == "win32":
    _WINDOWS_FLAGS = subprocess.CREATE_NO_WINDOW
else:
    _WINDOWS_FLAGS = 0

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
    _raise_if_cancelled(token)
    started_s = time.monotonic()
    folder = _library_folder()
    if folder is not None:
        _load_libraries(folder)
        _start_cuda(folder)
    _raise_if_cancelled(token)
    with gentle_import():
        importlib.import_module("torch")
    logger.info("torch was loaded in %.2f s.", time.monotonic() - started_s)


def load_network(
    device: str, token: CancelToken | None = None, on_fitting: Callable[[bool], None] = lambda fitting: None
) -> None:
    """Import all that makes an engine, torch first; where it is for a CPU, with the kernels' machine code at hand.

    Args:
        device: as in `core.device.choose_device`; that there is none such is left to be told by who makes the engine.
        token: ends it between the parts.
        on_fitting: called with True before machine code is made, some 20 seconds once on a machine, with False after.

    Raises:
        Cancelled: through `token`.
        ImportError: a package is not installed or cannot be loaded.
    """
    load_torch(token)
    if "vdsr_app.core.engine" not in sys.modules:
        with gentle_import():
            importlib.import_module("vdsr_app.core.engine")
    if _KERNELS in sys.modules or not _is_cpu(device):
        return
    _make_kernels(token, on_fitting)
    _raise_if_cancelled(token)
    with gentle_import():
        importlib.import_module(_KERNELS)


def _raise_if_cancelled(token: CancelToken | None) -> None:
    if token is not None:
        token.raise_if_cancelled()


def _is_cpu(device: str) -> bool:
    from vdsr_app.core.device import choose_device

    try:
        return choose_device(device).type == "cpu"
    except VdsrError:
        return False


def _make_kernels(token: CancelToken | None, on_fitting: Callable[[bool], None]) -> None:
    """Have the machine code of the kernels made by a process of its own, unless that was done here before.

    Where it does not succeed, this process makes the code as it needs it: the window jerks meanwhile.
    """
    from vdsr_app.core.device import cpu_name
    from vdsr_app.core.winograd import made

    if made.is_made(cpu_name()):
        return
    while not _making.acquire(timeout=POLL_S):  # the window's lane and a batch may both be here
        _raise_if_cancelled(token)
    try:
        if not made.is_made(cpu_name()):
            on_fitting(True)
            _run_child(token)
    finally:
        on_fitting(False)
        _making.release()


def _run_child(token: CancelToken | None) -> None:
    """Run the command that makes the kernels, to its end or until the token is cancelled."""
    logger.info("The machine code of the kernels is made, for the first time here.")
    started_s = time.monotonic()
    command = [*paths.own_command(), "info", "--measure"]
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # what went wrong is in the log, which both write
            creationflags=_WINDOWS_FLAGS,
        )
    except OSError as error:
        logger.warning("No process could be started for the kernels.", exc_info=error)
        return
    with child:
        try:
            while child.poll() is None:
                _raise_if_cancelled(token)
                time.sleep(POLL_S)
        finally:
            if child.returncode is None:
                child.kill()  # what it has made and kept is whole
    if child.returncode == 0:
        logger.info("The machine code of the kernels was made in %.1f s.", time.monotonic() - started_s)
    else:
        logger.warning("The process for the kernels ended with status %d.", child.returncode)


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
