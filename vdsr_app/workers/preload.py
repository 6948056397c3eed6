"""Loads PyTorch and everything else that computes the network in a worker thread without stalling the others.

Two things in a plain `import torch` keep every other Python thread waiting: the dynamic loader, called with the
interpreter lock (GIL) held while it relocates hundreds of megabytes of libraries (a quarter of a second and more), and
full garbage collections over the hundred thousand objects that the import creates (a tenth of a second each). So the
libraries are loaded first by a foreign call, which releases the GIL, and collections wait until the import is over.
Importing numba creates as many objects, and compiling the kernels, once per machine, creates many more for a quarter of
a minute: that is left to a process of its own.
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
from tempfile import TemporaryFile

from vdsr_app import paths
from vdsr_app.control import POLL_S, CancelToken
from vdsr_app.errors import VdsrError

logger = logging.getLogger(__name__)

_KERNELS = "vdsr_app.core.winograd.backend"
_LONGEST_S = 300.0
"""Time limit of the process that compiles the kernels, which takes a twentieth of this on an ordinary computer."""
_TAIL_BYTES = 4096
_making = threading.Lock()

if sys.platform == "win32":
    _WINDOWS_FLAGS = subprocess.CREATE_NO_WINDOW
else:
    _WINDOWS_FLAGS = 0

_SWITCH_INTERVAL_S = 0.001
"""How long an importing thread may hold the GIL when another wants it; Python's default is 0.005."""


def load_torch(token: CancelToken | None = None) -> None:
    """Import torch in this thread without slowing others down; returns at once if it is already loaded.

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
    device: str,
    precision: str,
    token: CancelToken | None = None,
    on_fitting: Callable[[bool], None] = lambda fitting: None,
) -> None:
    """Import everything that an engine needs, torch first; for a CPU, with the kernels' machine code at hand.

    Args:
        device: as in `core.device.choose_device`; if there is no such device, creating the engine reports it.
        precision: as in `core.device.choose_precision`; the kernels are for fp32, and so for "auto".
        token: checked between the parts.
        on_fitting: called with True before the kernels are compiled or waited for, which takes some 20 seconds, and
            with False afterwards.

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
    wanted = precision in ("auto", "fp32")
    if wanted:
        _make_kernels(token, on_fitting)
    _raise_if_cancelled(token)
    with gentle_import():
        kernels = importlib.import_module(_KERNELS)
        if wanted:
            kernels.WinogradBackend.make_kernels()  # found on disk, but loading them runs much Python code


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
    """Have a separate process compile the kernels, unless that was done on this machine before.

    If that fails, this process compiles them as needed, and the window stutters meanwhile.
    """
    from vdsr_app.core.device import cpu_identity
    from vdsr_app.core.winograd import made

    processor = cpu_identity()
    if made.is_made(processor) or not made.can_be_kept():
        return
    on_fitting(True)
    try:
        while not _making.acquire(timeout=POLL_S):  # the window's lane and a batch may both get here
            _raise_if_cancelled(token)
        try:
            if not made.is_made(processor):
                _run_child(token)
                if not made.is_made(processor):
                    logger.warning("The machine code of the kernels was not made by a process of its own.")
        finally:
            _making.release()
    finally:
        on_fitting(False)


def _run_child(token: CancelToken | None) -> None:
    """Run the command that compiles the kernels until it ends, times out, or the token is cancelled."""
    started_s = time.monotonic()
    with TemporaryFile() as said:
        try:
            child = subprocess.Popen(
                [*paths.own_command(), "info", "--kernels"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                creationflags=_WINDOWS_FLAGS,
            )
        except OSError as error:
            logger.warning("No process could be started for the kernels.", exc_info=error)
            return
        with child:
            try:
                while child.poll() is None and time.monotonic() - started_s < _LONGEST_S:
                    _raise_if_cancelled(token)
                    time.sleep(POLL_S)
            finally:
                if child.returncode is None:
                    child.kill()  # what it has stored so far is complete
        spent_s = time.monotonic() - started_s
        logger.info("The process for the kernels ended with status %d after %.1f s.", child.returncode, spent_s)
        if child.returncode != 0:
            said.seek(max(0, said.seek(0, os.SEEK_END) - _TAIL_BYTES))
            logger.warning("The process for the kernels said:\n%s", said.read().decode("utf-8", "replace"))


class _Gentle:
    """Interpreter settings found by the first of several importing threads, for the last one to restore."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._found = (0.0, False)

    def enter(self) -> None:
        with self._lock:
            if not self._inside:
                self._found = sys.getswitchinterval(), gc.isenabled()
                gc.disable()
                sys.setswitchinterval(min(self._found[0], _SWITCH_INTERVAL_S))
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside:
                return
            interval_s, collecting = self._found
            sys.setswitchinterval(interval_s)
            gc.freeze()
            if collecting:
                gc.enable()


_gentle = _Gentle()


@contextmanager
def gentle_import() -> Iterator[None]:
    """Let other threads run often while this one, or several, import a lot.

    Cycle collection is off meanwhile; afterwards all existing objects are exempt from later collections, which would
    scan every module again, each time for a tenth of a second and often in the window's thread.
    """
    _gentle.enter()
    try:
        yield
    finally:
        _gentle.leave()


def _library_folder() -> Path | None:
    """Folder of torch's libraries, found without importing it."""
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "lib"


def _load_libraries(folder: Path) -> None:
    """Load what `import torch` will load, in its order and with its flags; the second library pulls in all others.

    On Windows torch itself loads its libraries by foreign calls.
    """
    if sys.platform == "win32":
        return
    suffix = ".dylib" if sys.platform == "darwin" else ".so"
    _load_library(folder / f"libtorch_global_deps{suffix}", os.RTLD_NOW | os.RTLD_GLOBAL)
    _load_library(folder / f"libtorch_python{suffix}", os.RTLD_NOW | os.RTLD_LOCAL)


def _load_library(path: Path, flags: int) -> None:
    """Load one shared library with the GIL released.

    `ctypes.CDLL(path)` would hold the GIL; `dlopen` called like any other foreign function does not. A failure is left
    to `import torch`, which knows more places to look and reports what is wrong.
    """
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.restype = ctypes.c_void_p
    dlopen.argtypes = [ctypes.c_char_p, ctypes.c_int]
    if dlopen(os.fsencode(path), flags) is None:
        logger.info("%s could not be loaded beforehand.", path.name)


def _start_cuda(folder: Path) -> None:
    """Start NVIDIA's driver, if torch is built for it, by a foreign call; torch would hold the GIL meanwhile."""
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
