"""Arrays that need not fit into memory: they are mapped from unnamed files, and little of them is resident at a time.

Code that reads, enlarges and writes pictures takes an `Allocator` for its large arrays. Up to `WHOLE_BYTES` these are
ordinary arrays. Above that they are mapped from files on the disk that the result goes to. Mapped pages count as the
process's memory until the system reclaims them, which it never does on an idle machine, so a thread releases them many
times a second. They stay in the system's cache, and touching them again costs almost nothing.
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
"""Creates an array of a shape and dtype, its contents undefined."""

WHOLE_BYTES = 200_000_000
"""Size of source and result together up to which a picture is processed in memory.

A photograph of 12 megapixels at a scale factor of 2 takes 180 MB. Three pictures are in the pipeline at a time, and
some formats need four times the size of the result for writing.
"""

_GIVE_BACK_S = 0.05
_ZEROS = bytes(1 << 22)


def in_memory(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """The `Allocator` for everything that fits into memory."""
    return np.empty(shape, dtype)


def on_disk(folder: Path) -> Allocator:
    """An `Allocator` of unnamed files in `folder`: however the process ends, nothing is left of them.

    It raises `SaveError` if the disk is full: all space is reserved at once, since running out of it later would end
    the process.
    """

    def empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        kind = np.dtype(dtype)
        size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                _reserve(file, size)
                mapped = mmap.mmap(file.fileno(), size)  # keeps the file when `file` is closed
        except OSError as error:
            raise save_error(folder, error) from error
        pages.add(mapped)
        return np.frombuffer(mapped, kind).reshape(shape)

    return empty


def allocator_for(sample_bytes: int, folder: Path) -> Allocator:
    """Choose where a picture is processed.

    Args:
        sample_bytes: size of source and result together.
        folder: a place on the disk, used above `WHOLE_BYTES`.
    """
    return in_memory if sample_bytes <= WHOLE_BYTES else on_disk(folder)


def mapped_file(file: IO[bytes]) -> mmap.mmap:
    """Map an open file of at least one byte, for reading without loading it.

    The file must be the caller's own: if it is truncated meanwhile, the process ends.
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
    """The existing mapped files, and the thread that releases their pages while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mapped: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
        self._running = False

    def __len__(self) -> int:
        return len(self._mapped)

    def add(self, mapped: mmap.mmap) -> None:
        """Release the pages of `mapped` regularly for as long as it lives."""
        with self._lock:
            self._mapped.add(mapped)
            # Windows has no such call, and trims the pages of a process by itself.
            if not self._running and hasattr(mapped, "madvise"):
                self._running = True
                threading.Thread(target=self._run, name="scratch-pages", daemon=True).start()

    def give_back(self) -> None:
        """Release all pages; what was written is kept, as a shared mapping hands it to the system's cache."""
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
