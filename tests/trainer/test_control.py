"""Requests to a running training process: from the control file, a signal, and the end of the window."""

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
def test_look_returns_request_of_control_file(tmp_path: Path, clock: Clock, command, expected: RunRequest) -> None:
    controller = Controller(tmp_path, CancelToken())
    assert controller.look() is RunRequest.CONTINUE
    write_control(tmp_path, command)
    clock.now += 1
    assert controller.look() is expected


@pytest.mark.parametrize("command", ["pause", "stop", "discard"])
def test_controller_discards_stale_commands(tmp_path: Path, command) -> None:
    write_control(tmp_path, command, "go on")
    assert Controller(tmp_path, CancelToken()).look() is RunRequest.CONTINUE
    assert read_control(tmp_path) == Control("run", "go on")


def test_look_reads_disk_about_five_times_a_second(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller = Controller(tmp_path, CancelToken())
    reads: list[Path] = []
    monkeypatch.setattr(control, "read_control", lambda run: reads.append(run) or Control())
    for _ in range(1000):
        controller.look()
        clock.now += 0.001
    assert 4 <= len(reads) <= 6


def test_signal_takes_precedence_over_command(tmp_path: Path, clock: Clock) -> None:
    token = CancelToken()
    controller = Controller(tmp_path, token)
    write_control(tmp_path, "pause")
    clock.now += 1
    assert controller.look() is RunRequest.PAUSE
    token.cancel()
    assert controller.look() is RunRequest.INTERRUPT


def test_end_of_window_interrupts_run_if_requested(tmp_path: Path, clock: Clock) -> None:
    window = RunLock(tmp_path, WINDOW_LOCK_NAME)
    assert window.try_acquire()
    write_control(tmp_path, "run", "save")
    controller = Controller(tmp_path, CancelToken())
    clock.now += 5
    assert controller.look() is RunRequest.CONTINUE
    window.release()
    clock.now += 5
    assert controller.look() is RunRequest.INTERRUPT


def test_missing_window_is_ignored_by_default(tmp_path: Path, clock: Clock) -> None:
    controller = Controller(tmp_path, CancelToken())
    clock.now += 5
    assert controller.look() is RunRequest.CONTINUE


def test_window_that_ended_before_start_is_ignored(tmp_path: Path, clock: Clock) -> None:
    write_control(tmp_path, "run", "save")
    controller = Controller(tmp_path, CancelToken())
    clock.now += 5
    assert controller.look() is RunRequest.CONTINUE


def test_wait_while_paused_returns_the_next_request(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
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
