"""Where the kernels' machine code is kept, and whether that for this processor is there already. No numba."""

from __future__ import annotations

import hashlib
import logging
import sys
from importlib.metadata import version
from pathlib import Path

from vdsr_app import paths
from vdsr_app.core.atomic import write_atomically
from vdsr_app.errors import SaveError

logger = logging.getLogger(__name__)


def folder() -> Path:
    """Folder for the code of these kernels; another for any other version of them, of numba, or of the packed program.

    Numba looks at the module of a function alone and not at what that imports, so the name has all sources of this
    package in it. In the frozen bundle there are none; there numba goes by the program file.
    """
    digest = hashlib.blake2b(version("numba").encode(), digest_size=8)
    if paths.is_bundle():
        program = Path(sys.executable)
        state = program.stat()
        digest.update(f"{program} {state.st_mtime_ns} {state.st_size}".encode())
    else:
        for source in sorted(Path(__file__).parent.glob("*.py")):
            digest.update(source.read_bytes())
    return paths.kernels_dir() / digest.hexdigest()


def is_made(processor: str) -> bool:
    """Whether all that a tile needs was compiled before for a processor of this name."""
    return processor in _processors()


def note_made(processor: str) -> None:
    """Remember that it is; where nothing can be written, the code is not kept either."""
    known = _processors()
    if processor in known:
        return
    file = _list()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, "\n".join([*known, processor, ""]).encode())
    except (OSError, SaveError) as error:
        logger.info("It could not be kept that the kernels are made.", exc_info=error)


def _processors() -> list[str]:
    try:
        return _list().read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _list() -> Path:
    return folder() / "processors.txt"
