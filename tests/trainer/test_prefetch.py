"""Prefetching: batches are cut ahead of time and arrive in order."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from vdsr_app.errors import TrainingError
from vdsr_trainer.data.dataset import Patches
from vdsr_trainer.prefetch import Prefetcher


def _batch(step: int) -> Patches:
    return Patches(np.full((1, 1, 2, 2), step, np.float32), np.zeros((1, 1, 2, 2), np.float32))


@pytest.mark.parametrize("threads", [1, 4])
def test_batches_arrive_in_order_of_their_steps(threads: int) -> None:
    with Prefetcher(_batch, 7, 30, threads) as batches:
        assert [int(batches.next()[0].bicubic[0, 0, 0, 0]) for _ in range(23)] == list(range(7, 30))


def test_prefetcher_cuts_only_a_few_batches_ahead() -> None:
    cut: list[int] = []

    def batch(step: int) -> Patches:
        cut.append(step)
        return _batch(step)

    with Prefetcher(batch, 0, 1000) as batches:
        batches.next()
    assert max(cut) <= 3
    with Prefetcher(batch, 998, 1000) as batches:
        assert len([batches.next() for _ in range(2)]) == 2
    assert max(cut) == 999


def test_wait_for_first_returns_when_first_batch_is_ready() -> None:
    gate = threading.Event()

    def batch(step: int) -> Patches:
        assert gate.wait(30)
        return _batch(step)

    with Prefetcher(batch, 0, 5) as batches:
        threading.Timer(0.05, gate.set).start()
        assert batches.wait_for_first() > 0
        assert batches._queue[0].done()
        batches.next()


def test_error_is_raised_with_the_batch_it_belongs_to() -> None:
    def batch(step: int) -> Patches:
        if step == 2:
            raise TrainingError("A picture is gone.")
        return _batch(step)

    with Prefetcher(batch, 0, 5) as batches:
        batches.wait_for_first()
        batches.next()
        batches.next()
        with pytest.raises(TrainingError, match="gone"):
            batches.next()
    with Prefetcher(batch, 2, 5) as batches:
        batches.wait_for_first()
        with pytest.raises(TrainingError, match="gone"):
            batches.next()
    with Prefetcher(batch, 5, 5) as batches:
        assert batches.wait_for_first() < 1
