"""Where the kernels' machine code is kept, and whether it exists for this processor. No numba, no torch."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from functools import cache
from pathlib import Path

from vdsr_app import paths
from vdsr_app.core.atomic import require_writable, write_atomically
from vdsr_app.core.measurements import package_version
from vdsr_app.errors import SaveError

logger = logging.getLogger(__name__)

_LARGEST = "kernels.convolve-*.nbi"
"""Numba's file name for the index of the code of `kernels.convolve`, which all but the shallowest networks need."""


def folder() -> Path:
    """Folder for the code of these kernels, a different one for each version of them, of numba, or of the program."""
    return paths.kernels_dir() / _fingerprint()


def is_made(processor: str) -> bool:
    """Whether all that a tile needs has been compiled for a processor of this identity, and the code still exists.

    Args:
        processor: as `core.device.cpu_identity` gives it.
    """
    code = Path(os.environ.get("NUMBA_CACHE_DIR") or folder())
    return processor in _processors() and any(code.glob(f"*/{_LARGEST}"))


def note_made(processor: str) -> None:
    """Record that all has been compiled for a processor; a failure to write that is only logged."""
    known = _processors()
    if processor in known:
        return
    try:
        folder().mkdir(parents=True, exist_ok=True)
        write_atomically(_list(), "\n".join([*known, processor, ""]).encode())
    except (OSError, SaveError) as error:
        logger.info("It could not be kept that the kernels are made.", exc_info=error)


def can_be_kept() -> bool:
    """Whether code compiled now will be found by the next process that looks for it."""
    try:
        folder().mkdir(parents=True, exist_ok=True)
        require_writable(folder())
    except (OSError, SaveError) as error:
        logger.info("The machine code of the kernels cannot be kept.", exc_info=error)
        return False
    return True


@cache
def _fingerprint() -> str:
    """Digest of all that numba tells apart, and of all sources, as numba ignores changes in what a module imports.

    Computed once per process, which keeps using what it has loaded if the program is updated meanwhile.
    """
    here = Path(__file__).parent
    digest = hashlib.blake2b(f"{here} {sys.implementation.cache_tag}".encode(), digest_size=8)
    digest.update(package_version("numba").encode())
    digest.update(str(sorted((name, value) for name, value in os.environ.items() if name[:6] == "NUMBA_")).encode())
    if paths.is_bundle():  # there numba goes by the executable, of which a bundle has two
        program = Path(sys.executable)
        state = program.stat()
        digest.update(f"{program} {state.st_mtime_ns} {state.st_size}".encode())
    for source in sorted(here.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _processors() -> list[str]:
    try:
        return _list().read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _list() -> Path:
    return folder() / "processors.txt"
