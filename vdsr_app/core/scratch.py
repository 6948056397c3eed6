"""Arrays that need not fit into memory: they lie in files without a name, and little of them is resident at a time.

What reads, enlarges and writes pictures takes an `Allocator`, which makes its large arrays. Up to `WHOLE_BYTES` they
are ordinary ones. Above, they are mapped from files on the disk that the result goes to. Mapped pages count as the
process's memory until the system takes them back, which on an idle machine it never does, so a thread gives them back
many times a second. They stay in the system's cache, and to touch them again costs next to nothing.
"""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from vdsr_app.core.atomic import save_error

Allocator = Callable[[tuple[int, ...], npt.DTypeLike], npt.NDArray[Any]]
"""Makes an array of a shape and dtype, its content left open."""

WHOLE_BYTES = 200_000_000
"""Source and result together up to which a picture is worked on in memory.

A photograph of 12 megapixels at a scale factor of 2 has 180 MB. Three pictures are in the pipeline at a time, and some
formats take four times the result to be written.
"""

_GIVE_BACK_S = 0.05
_ZEROS = bytes(1 << 22)


def in_memory(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """The `Allocator` for all that fits."""
    return np.empty(shape, dtype)


def on_disk(folder: Path) -> Allocator:
    """An `Allocator` of files in `folder` that have no name: however the process ends, nothing is left of them.

    What it makes raises a `SaveError` where the disk has no place: all of it is taken at once, since a mapped file
    that runs out of room later would end the process.
    """

    def empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        kind = np.dtype(dtype)
        size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                _reserve(file, size)
                mapped = mmap.mmap(file.fileno(), size)  # holds the file on when `file` is closed
        except OSError as error:
            raise save_error(folder, error) from error
        pages.add(mapped)
        return np.frombuffer(mapped, kind).reshape(shape)

    return empty


def allocator_for(sample_bytes: int, folder: Path) -> Allocator:
    """Where a picture is worked on.

    Args:
        sample_bytes: of source and result together.
        folder: a place on the disk, for those above `WHOLE_BYTES`.
    """
    return in_memory if sample_bytes <= WHOLE_BYTES else on_disk(folder)


def mapped_file(file: IO[bytes]) -> mmap.mmap:
    """The content of an open file of at least one byte, to be read without being loaded.

    The file must be the caller's own: one that somebody cuts short meanwhile ends the process.
    """
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    pages.add(mapped)
    return mapped


def _reserve(file: IO[bytes], size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), 0, size)
            return
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
    left = size
    while left > 0:
        left -= file.write(_ZEROS[:left])
    file.flush()


class _Pages:
    """The mapped files there are, and the thread that gives their pages back while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mapped: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
        self._running = False

    def __len__(self) -> int:
        return len(self._mapped)

    def add(self, mapped: mmap.mmap) -> None:
        """Look after `mapped` for as long as it lives."""
        with self._lock:
            self._mapped.add(mapped)
            # Windows has no such call, and trims a process's pages by itself.
            if not self._running and hasattr(mapped, "madvise"):
                self._running = True
                threading.Thread(target=self._run, name="scratch-pages", daemon=True).start()

    def give_back(self) -> None:
        """Let go of all pages; what was written stays written, as a shared mapping hands it to the system's cache."""
        with self._lock:
            alive = list(self._mapped)
        while alive:
            alive.pop().madvise(mmap.MADV_DONTNEED)

    def _run(self) -> None:
        wait = threading.Event()
        while not wait.wait(_GIVE_BACK_S):
            self.give_back()
            with self._lock:
                if not self._mapped:
                    self._running = False
                    return


pages = _Pages()
