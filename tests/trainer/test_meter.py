"""Meter: reports, the time left, and how the time was spent."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vdsr_trainer import meter as module
from vdsr_trainer.events import Stepped
from vdsr_trainer.meter import Meter, Spent, TimeLeft
from vdsr_trainer.presets import preset
from vdsr_trainer.stepper import StepResult

CONFIG = replace(preset("robust"), steps=100, batch=8, validate_every=50)


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def _result(mean_square: float) -> StepResult:
    return StepResult(torch.tensor(mean_square), torch.tensor(3.0), torch.tensor(0.5))


def _steps(
    meter: Meter, clock: Clock, count: int, seconds: float, waited: float = 0.0, first: int = 0
) -> list[Stepped]:
    reports = []
    for step in range(first + 1, first + count + 1):
        clock.now += seconds
        report = meter.add_step(step, _result(float(step)), 0.01, waited)
        if report is not None:
            reports.append(report)
    return reports


def test_report_is_returned_every_two_seconds_with_means_and_rates(clock: Clock) -> None:
    reports = _steps(Meter(CONFIG, torch.device("cpu"), Spent()), clock, 16, 0.25, waited=0.05)
    assert [report.step for report in reports] == [8, 16]
    first = reports[0]
    assert first.loss == 4.5
    assert first.samples_per_second == pytest.approx(32)
    assert first.data_wait_share == pytest.approx(0.2)
    assert (first.gradient_norm, first.clipped_share, first.rate) == (3.0, 0.5, 0.01)
    assert first.memory_bytes > 2**20
    assert first.device_memory_bytes == 0


def test_time_left_includes_remaining_validations(clock: Clock) -> None:
    meter = Meter(CONFIG, torch.device("cpu"), Spent())
    (report,) = _steps(meter, clock, 4, 0.5)
    assert report.seconds_left == pytest.approx(96 * 0.5)
    meter.add_judging(10.0)
    clock.now += 10.0
    (report,) = _steps(meter, clock, 4, 0.5, first=4)
    assert report.seconds_left == pytest.approx(92 * 0.5 + 2 * 10.0)


def test_time_left_excludes_one_time_comparison(clock: Clock) -> None:
    meter = Meter(CONFIG, torch.device("cpu"), Spent())
    clock.now += 50.0
    meter.add_comparing(40.0)
    meter.add_judging(10.0)
    (report,) = _steps(meter, clock, 4, 0.5)
    assert report.seconds_left == pytest.approx(96 * 0.5 + 2 * 10.0)
    assert meter.spent.judging == 50.0


def test_samples_per_second_excludes_validations_and_pauses(clock: Clock) -> None:
    meter = Meter(CONFIG, torch.device("cpu"), Spent())
    _steps(meter, clock, 2, 0.5)
    clock.now += 100.0
    meter.add_pause(60.0)
    meter.add_judging(40.0)
    (report,) = _steps(meter, clock, 2, 0.5, first=2)
    assert report.samples_per_second == pytest.approx(16)


def test_spent_adds_up_all_parts_of_run_without_pauses(clock: Clock) -> None:
    meter = Meter(CONFIG, torch.device("cpu"), Spent(training=100.0, waiting=5.0, saving=1.0, judging=20.0))
    _steps(meter, clock, 10, 1.0, waited=0.5)
    meter.add_saving(1.0)
    clock.now += 30.0
    meter.add_pause(30.0)
    spent = meter.spent
    assert spent == Spent(110.0, 10.0, 2.0, 20.0)
    assert spent.share(spent.waiting) == pytest.approx(10 / 110)


def test_share_is_zero_without_training_and_at_most_one() -> None:
    assert Spent().share(1.0) == 0.0
    assert Spent(training=1.0).share(2.0) == 1.0


def test_time_left_follows_pace_and_restarts_with_each_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("vdsr_trainer.meter.time.monotonic", lambda: now[0])
    left = TimeLeft()

    def after(seconds: float, done: int, total: int = 50) -> float | None:
        now[0] += seconds
        return left.after(done, total)

    assert after(0, 10) is None
    assert after(1, 11) is None, "too early to tell"
    assert after(9, 30) == pytest.approx(20 / 2)
    assert after(5, 50) == 0
    assert after(0, 0) is None, "the first pass says nothing of the second"
    assert after(4, 1) == pytest.approx(49 * 4)
    assert after(0, 1, total=9) is None, "another thing is counted"
    assert after(4, 3, total=9) == pytest.approx(6 * 2)
    left.restart()
    assert after(1000, 4, total=9) is None
    assert after(3, 5, total=9) == pytest.approx(4 * 3)
