"""Cuts the next batches in threads while the network works on the current one; numpy releases the GIL."""

from __future__ import annotations

import concurrent.futures
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import torch

from vdsr_app.core.cores import usable_cores

_AHEAD_PER_THREAD = 3
_MOST_THREADS = 8

Batch = TypeVar("Batch")


def threads_for(device: torch.device) -> int:
    """Number of threads that cut for a network on a device: beside one on the CPU, more would only be in its way."""
    return 1 if device.type == "cpu" else max(1, min(_MOST_THREADS, usable_cores() - 1))


class Prefetcher(Generic[Batch]):
    """Batches in the order of their steps, cut ahead of time.

    Args:
        batch: makes the batch of a step; called from several threads.
        first: step of the first batch.
        last: step after the last one.
        threads: number of threads that cut.
    """

    def __init__(self, batch: Callable[[int], Batch], first: int, last: int, threads: int = 1) -> None:
        self._batch = batch
        self._next = first
        self._last = last
        self._ahead = _AHEAD_PER_THREAD * threads
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="patches")
        self._queue: deque[Future[Batch]] = deque()

    def __enter__(self) -> Prefetcher[Batch]:
        self._order()
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def wait_for_first(self) -> float:
        """Wait for the first batch; return the seconds it took, in which pictures may still have been read."""
        started = time.monotonic()
        if self._queue:
            concurrent.futures.wait([self._queue[0]])
        return time.monotonic() - started

    def next(self) -> tuple[Batch, float]:
        """The next batch, and the seconds spent waiting for it.

        Raises:
            TrainingError: a picture is gone.
        """
        started = time.monotonic()
        patches = self._queue.popleft().result()
        waited = time.monotonic() - started
        self._order()
        return patches, waited

    def _order(self) -> None:
        while self._next < self._last and len(self._queue) < self._ahead:
            self._queue.append(self._pool.submit(self._batch, self._next))
            self._next += 1
