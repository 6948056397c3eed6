"""What a running training process does with the requests it finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from vdsr_app.control import CancelToken
from vdsr_trainer import control
from vdsr_trainer.control import Controller, RunRequest
from vdsr_trainer.run_files import WINDOW_LOCK_NAME, Control, RunLock, read_control, write_control


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(control, "time", clock)
    return clock


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("run", RunRequest.CONTINUE),
        ("pause", RunRequest.PAUSE),
        ("stop", RunRequest.STOP),
        ("discard", RunRequest.DISCARD),
    ],
)
def test_commands_are_obeyed(tmp_path: Path, clock: Clock, command, expected: RunRequest) -> None:
    controller = Controller(tmp_path, CancelToken())
    assert controller.look() is RunRequest.CONTINUE
    write_control(tmp_path, command)
    clock.now += 1
    assert controller.look() is expected


@pytest.mark.parametrize("command", ["pause", "stop", "discard"])
def test_what_an_earlier_part_was_asked_for_does_not_count(tmp_path: Path, command) -> None:
    write_control(tmp_path, command, "go on")
    assert Controller(tmp_path, CancelToken()).look() is RunRequest.CONTINUE
    assert read_control(tmp_path) == Control("run", "go on")


def test_the_disk_is_not_asked_at_every_step(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    controller = Controller(tmp_path, CancelToken())
    reads: list[Path] = []
    monkeypatch.setattr(control, "read_control", lambda run: reads.append(run) or Control())
    for _ in range(1000):
        controller.look()
        clock.now += 0.001
    assert 4 <= len(reads) <= 6


def test_a_signal_comes_first(tmp_path: Path, clock: Clock) -> None:
    token = CancelToken()
    controller = Controller(tmp_path, token)
    write_control(tmp_path, "pause")
    clock.now += 1
    assert controller.look() is RunRequest.PAUSE
    token.cancel()
    assert controller.look() is RunRequest.INTERRUPT


def test_the_end_of_the_window_is_noticed_where_it_was_asked_for(tmp_path: Path, clock: Clock) -> None:
    window = RunLock(tmp_path, WINDOW_LOCK_NAME)
    assert window.try_acquire()
    write_control(tmp_path, "run", "save")
    controller = Controller(tmp_path, CancelToken())
    clock.now += 5
    assert controller.look() is RunRequest.CONTINUE
    window.release()
    clock.now += 5
    assert controller.look() is RunRequest.INTERRUPT


def test_the_end_of_the_window_is_none_of_its_business_elsewhere(tmp_path: Path, clock: Clock) -> None:
    controller = Controller(tmp_path, CancelToken())
    clock.now += 5
    assert controller.look() is RunRequest.CONTINUE


def test_a_window_that_is_gone_at_the_start_asks_for_nothing(tmp_path: Path, clock: Clock) -> None:
    write_control(tmp_path, "run", "save")
    controller = Controller(tmp_path, CancelToken())
    clock.now += 5
    assert controller.look() is RunRequest.CONTINUE


def test_a_pause_ends_by_whatever_is_wished_next(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    controller = Controller(tmp_path, CancelToken())
    write_control(tmp_path, "pause")
    clock.now += 1
    assert controller.look() is RunRequest.PAUSE
    waits = []

    def sleep(seconds: float) -> None:
        clock.now += seconds
        waits.append(clock.now)
        if len(waits) == 20:
            write_control(tmp_path, "stop")

    monkeypatch.setattr(clock, "sleep", sleep)
    assert controller.wait_while_paused() is RunRequest.STOP
    assert len(waits) >= 20
