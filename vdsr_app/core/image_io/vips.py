"""libvips, loaded on first use and configured for one-off operations on untrusted files."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import IO, Any

import numpy as np

from vdsr_app.control import CancelToken
from vdsr_app.core.picture import Pixels
from vdsr_app.core.scratch import Allocator, in_memory

_MAX_THREADS = 8
_STRIP_BYTES = 16 << 20
_loading = threading.Lock()
_DTYPES: dict[str, type[np.uint8 | np.uint16]] = {"uchar": np.uint8, "ushort": np.uint16}


def load() -> Any:
    """The pyvips module, imported and configured once, however many threads ask for it.

    Its operation cache is off, since it would keep whole pictures alive; loaders that libvips marks as unfit for
    untrusted files are blocked. Its warnings are dropped: every failure raises an exception as well, and a handler
    written in Python would run, garbage collection included, in the middle of libvips' own code, which was seen to
    abort the process.
    """
    with _loading:
        return _load_once()


@cache
def _load_once() -> Any:
    os.environ.setdefault("VIPS_WARNING", "1")  # read once, at library start
    import pyvips

    pyvips._remove_log_handler()
    pyvips.cache_set_max(0)
    pyvips.cache_set_max_mem(0)
    pyvips.cache_set_max_files(0)
    pyvips.block_untrusted_set(True)
    pyvips.concurrency_set(max(1, min(os.cpu_count() or 1, _MAX_THREADS)))
    return pyvips


def from_array(samples: Pixels) -> Any:
    """A libvips image that wraps `samples` without copying.

    Args:
        samples: (H, W, C) uint8 or uint16, C-contiguous, C 1 to 4; it must not change while the image is in use.
    """
    pyvips = load()
    height, width, bands = samples.shape
    deep = samples.dtype == np.uint16
    image = pyvips.Image.new_from_memory(samples.data, width, height, bands, "ushort" if deep else "uchar")
    gray = bands <= 2
    return image.copy(interpretation=("grey16" if deep else "b-w") if gray else ("rgb16" if deep else "srgb"))


def to_array(image: Any, token: CancelToken | None, allocate: Allocator = in_memory) -> Pixels:
    """Run an image's pipeline and return its samples, as (H, W, C) uint8 or uint16.

    Args:
        image: with 8- or 16-bit bands.
        token: cancels the pipeline.
        allocate: where the samples go; if that is not in memory, they are fetched strip by strip.

    Raises:
        Cancelled: by the token.
        Exception: a `pyvips.Error` if the file is damaged.
    """
    dtype = _DTYPES[str(image.format)]
    if allocate is in_memory:
        with cancelling(image, token):
            buffer: Any = image.write_to_memory()
        flat: Pixels = np.frombuffer(buffer, dtype)
        return flat.reshape(image.height, image.width, image.bands)
    samples = allocate((image.height, image.width, image.bands), dtype)
    region = load().Region.new(image)
    rows = max(1, _STRIP_BYTES // samples[0].nbytes)
    for top in range(0, image.height, rows):
        if token is not None:
            token.raise_if_cancelled()
        strip = samples[top : top + rows]
        strip[:] = np.frombuffer(region.fetch(0, top, image.width, len(strip)), dtype).reshape(strip.shape)
    return samples


@contextmanager
def target_on(file: IO[bytes]) -> Iterator[Any]:
    """A libvips target that writes to an open file, bypassing the file object's buffer.

    Raises:
        OSError: the system refused to write; libvips itself would report a failure but not its cause.
    """
    target, descriptor = load().TargetCustom(), file.fileno()
    refused: list[OSError] = []

    def calling(action: Callable[..., object], failed: object) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            try:
                return action(descriptor, *arguments)
            except OSError as error:  # an exception cannot leave a callback
                refused.append(error)
                return failed

        return call

    target.on_write(calling(os.write, -1))
    target.on_read(calling(os.read, None))
    target.on_seek(calling(os.lseek, -1))
    try:
        yield target
    except load().Error as error:
        if refused:
            raise refused[0] from error
        raise


@contextmanager
def cancelling(image: Any, token: CancelToken | None) -> Iterator[None]:
    """Stop libvips soon after the token is cancelled, at any point in the pipeline of `image`."""
    if token is None:
        yield
        return
    token.raise_if_cancelled()

    def on_progress(running: Any, _progress: Any) -> None:
        if token.cancelled:
            running.set_kill(True)

    image.set_progress(True)
    image.signal_connect("eval", on_progress)
    try:
        yield
    except load().Error:
        token.raise_if_cancelled()
        raise
    token.raise_if_cancelled()
