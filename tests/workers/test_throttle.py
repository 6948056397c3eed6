"""Progress throttle: how often progress is sent, and the estimate of the time left."""

from __future__ import annotations

import pytest

from vdsr_app.workers.messages import JobProgress
from vdsr_app.workers.throttle import ProgressThrottle


class Bench:
    """A throttle with a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sent: list[JobProgress] = []
        self.report = ProgressThrottle(self.sent.append, clock=lambda: self.now)


@pytest.fixture
def bench():
    return Bench()


def test_throttle_sends_twenty_per_second_and_always_the_last(bench):
    for done in range(1, 1001):
        bench.now += 0.001
        bench.report(done, 1000)
    assert 19 <= len(bench.sent) <= 22
    assert bench.sent[0].done == 1
    assert bench.sent[-1] == JobProgress(1000, 1000, 0.0)


def test_flush_sends_held_back_progress_once(bench):
    bench.report(1, 10)
    bench.report(2, 10)
    assert [progress.done for progress in bench.sent] == [1]
    bench.report.flush()
    bench.report.flush()
    assert [progress.done for progress in bench.sent] == [1, 2]


def test_time_left_is_none_before_rate_is_known(bench):
    bench.report(0, 100)
    bench.now += 0.2
    bench.report(1, 100)
    assert [progress.seconds_left for progress in bench.sent] == [None, None]


def test_steady_rate_gives_the_true_time_left(bench):
    for done in range(0, 51):
        bench.report(done, 100)
        bench.now += 0.1
    assert bench.sent[-1].seconds_left == pytest.approx(5.0)


def test_time_left_follows_the_recent_rate(bench):
    for done in range(0, 100):
        bench.report(done, 1000)
        bench.now += 0.1
    for done in range(100, 200):  # ten times slower now
        bench.report(done, 1000)
        bench.now += 1.0
    assert bench.sent[-1].seconds_left == pytest.approx(801.0, rel=0.02)


def test_long_job_keeps_a_bounded_number_of_samples(bench):
    for done in range(100_000):
        bench.report(done, 100_000)
        bench.now += 0.01
    assert len(bench.report._samples) <= 210


def test_time_left_is_correct_after_total_is_raised(bench):
    bench.report(10, 10)
    bench.now += 1.0
    bench.report(10, 40)
    bench.now += 1.0
    bench.report(20, 40)
    assert bench.sent[-1].seconds_left == pytest.approx(4.0)
