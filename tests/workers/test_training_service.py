"""Training service and a run: starting, following, requests, crashes, attaching again; a real process, no network."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QObject, QThread

from tests.workers.fake_trainer import COMMAND, lives
from vdsr_app.workers import training_follow
from vdsr_app.workers.training import TrainingService
from vdsr_trainer import run_files, runs
from vdsr_trainer.events import (
    Event,
    Failed,
    Finished,
    Paused,
    Preparing,
    Resumed,
    Started,
    Stepped,
    to_json,
)
from vdsr_trainer.presets import preset
from vdsr_trainer.runs import RunState

WAIT_MS = 30_000
STUB = Path(__file__).with_name("window_stub.py")


class Watcher(QObject):
    """Records everything that a service emits about runs, in order."""

    def __init__(self, qtbot, command: list[str] = COMMAND) -> None:
        super().__init__()
        self.qtbot = qtbot
        self.service = TrainingService(command=lambda: command)
        self.events: list[Event] = []
        self.states: list[RunState] = []
        self.crashes: list[Any] = []
        self.failures: list[Any] = []
        self.order: list[object] = []
        self.service.event_received.connect(self.on_event)
        self.service.state_changed.connect(self.on_state)
        self.service.crashed.connect(self.on_crash)
        self.service.job_failed.connect(self.failures.append)

    def on_event(self, folder: Path, event: Event) -> None:
        assert folder == self.service.attached
        assert QThread.currentThread() is self.thread()
        self.events.append(event)
        self.order.append(event)

    def on_state(self, folder: Path, state: RunState) -> None:
        assert folder == self.service.attached
        self.states.append(state)
        self.order.append(state)

    def on_crash(self, report: Any) -> None:
        self.crashes.append(report)
        self.order.append(report)

    def wait(self, condition: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(condition, timeout=WAIT_MS)

    def wait_event(self, kind: type, count: int = 1) -> None:
        self.wait(lambda: sum(isinstance(event, kind) for event in self.events) >= count)

    def wait_state(self, state: RunState) -> None:
        self.wait(lambda: bool(self.states) and self.states[-1] is state)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return runs.create_run(tmp_path / "runs", "Birds", "quick", preset("quick"))


@pytest.fixture
def watch(qtbot, folder: Path) -> Iterator[Callable[..., Watcher]]:
    """Makes services; at the end they are closed and no training process may be left."""
    watchers: list[Watcher] = []

    def make(command: list[str] = COMMAND) -> Watcher:
        watchers.append(Watcher(qtbot, command))
        return watchers[-1]

    yield make
    pid = pid_of(folder)
    if pid is not None and lives(pid):
        os.kill(pid, signal.SIGTERM)
        qtbot.waitUntil(lambda: not lives(pid), timeout=WAIT_MS)
    for watcher in watchers:
        assert watcher.service.close(WAIT_MS)


def pid_of(folder: Path) -> int | None:
    file = folder / "pid"
    return int(file.read_text()) if file.exists() else None


def behave(folder: Path, how: str) -> None:
    (folder / "behaviour").write_text(how)


def write_events(folder: Path, *events: Event) -> None:
    with (folder / run_files.EVENTS_NAME).open("a", encoding="utf-8") as log:
        log.writelines(to_json(event) + "\n" for event in events)


def stepped(step: int) -> Stepped:
    return Stepped(step, 0.01, 1e-3, 1.0, 0.0, 10.0, 0.0, None)


def started(step: int = 0) -> Started:
    return Started(step, 100, 10, 3, ("a",), "fake")


def test_run_is_started_followed_and_stopped(watch, folder: Path) -> None:
    one = watch()
    assert one.service.attached is None
    assert one.service.start(folder)
    assert one.service.attached == folder
    one.wait_event(Stepped, 3)
    assert one.states == [RunState.RUNNING]
    assert run_files.is_alive(folder)
    one.service.stop()
    one.wait_state(RunState.STOPPED)
    assert not run_files.is_alive(folder)
    kinds = [type(event) for event in one.events]
    assert kinds[:2] == [Preparing, Started]
    assert set(kinds[2:-1]) == {Stepped}
    assert kinds[-1] is Finished
    assert [event.step for event in one.events[2:]] == sorted(event.step for event in one.events[2:])
    assert one.order[-1] is RunState.STOPPED
    assert one.crashes == one.failures == []
    assert one.service.attached == folder


def test_stopped_run_resumes_and_emits_only_new_events(watch, folder: Path) -> None:
    one = watch()
    one.service.start(folder)
    one.wait_event(Stepped, 2)
    one.service.stop()
    one.wait_state(RunState.STOPPED)
    last = one.events[-1].step
    one.service.start(folder)
    one.wait_event(Stepped, len([e for e in one.events if isinstance(e, Stepped)]) + 1)
    assert [event.step for event in one.events if isinstance(event, Started)] == [0, last]
    assert one.states == [RunState.RUNNING, RunState.STOPPED, RunState.RUNNING]
    one.service.stop()
    one.wait_state(RunState.STOPPED)
    assert one.crashes == []


@pytest.mark.parametrize(
    ("how", "state", "kind"), [("finish", RunState.FINISHED, Finished), ("fail", RunState.FAILED, Failed)]
)
def test_end_reported_by_process_is_not_a_crash(watch, folder: Path, how: str, state: RunState, kind: type) -> None:
    behave(folder, how)
    one = watch()
    one.service.start(folder)
    one.wait_state(state)
    assert isinstance(one.events[-1], kind)
    assert one.crashes == []


def test_run_pauses_resumes_and_stops_while_paused(watch, folder: Path) -> None:
    one = watch()
    one.service.start(folder)
    one.wait_event(Stepped)
    one.service.pause()
    one.wait_state(RunState.PAUSED)
    assert isinstance(one.events[-1], Paused)
    assert runs.list_runs(folder.parent)[0].state is RunState.PAUSED
    one.service.resume()
    one.wait_state(RunState.RUNNING)
    assert any(isinstance(event, Resumed) for event in one.events)
    one.service.pause()
    one.wait_state(RunState.PAUSED)
    one.service.stop()
    one.wait_state(RunState.STOPPED)
    assert one.crashes == []


def test_stop_requested_before_process_is_up_is_obeyed(watch, folder: Path) -> None:
    one = watch()
    one.service.start(folder)
    one.service.stop()  # the process resets the control file when it begins
    one.wait_event(Finished)
    one.wait_state(RunState.STOPPED)


@pytest.mark.parametrize("how", ["", "obeys what it finds"])
def test_request_to_earlier_part_of_run_is_ignored(watch, folder: Path, how: str) -> None:
    behave(folder, how)
    run_files.write_control(folder, "discard")
    one = watch()
    one.service.start(folder)
    one.wait_event(Stepped, 2)
    one.service.stop()
    one.wait_state(RunState.STOPPED)
    assert folder.exists()


def test_discard_deletes_folder_and_reports_discarded(watch, folder: Path) -> None:
    one = watch()
    one.service.start(folder)
    one.wait_event(Stepped)
    one.service.discard()
    one.wait_state(RunState.STOPPED)
    assert list(folder.parent.iterdir()) == []
    last = one.events[-1]
    assert isinstance(last, Finished)
    assert (last.discarded, last.complete, last.weights) == (True, False, "")
    assert sum(isinstance(event, Finished) for event in one.events) == 1
    assert one.crashes == []


def test_discard_deletes_folder_when_process_dies_instead(watch, folder: Path) -> None:
    behave(folder, "deaf")
    one = watch()
    one.service.start(folder)
    one.wait_event(Stepped)
    one.service.discard()
    os.kill(pid_of(folder), signal.SIGKILL)
    one.wait_state(RunState.STOPPED)
    assert list(folder.parent.iterdir()) == []
    assert one.crashes == []


@pytest.mark.parametrize("how", ["crash", "crash at once"])
def test_process_that_ends_without_final_event_is_reported_as_crash(watch, folder: Path, how: str) -> None:
    behave(folder, how)
    one = watch()
    one.service.start(folder)
    one.wait(lambda: bool(one.crashes))
    (report,) = one.crashes
    assert "unexpectedly" in report.what
    assert report.path == str(folder)
    assert ("where it happened" if how == "crash" else "printed nothing") in report.details
    assert one.states[-1] is RunState.STOPPED


def test_killed_process_is_reported_as_crash_and_run_resumes(watch, folder: Path) -> None:
    one = watch()
    one.service.start(folder)
    one.wait_event(Stepped)
    os.kill(pid_of(folder), signal.SIGKILL)
    one.wait(lambda: bool(one.crashes))
    assert one.states == [RunState.RUNNING, RunState.STOPPED]
    one.service.start(folder)
    one.wait_event(Started, 2)
    one.wait_state(RunState.RUNNING)
    one.service.stop()
    one.wait_state(RunState.STOPPED)
    assert len(one.crashes) == 1


def test_end_of_earlier_part_of_run_does_not_hide_crash(watch, folder: Path) -> None:
    write_events(folder, started(), stepped(5), Finished(5, "w", True))
    behave(folder, "crash at once")
    one = watch()
    one.service.start(folder)
    one.wait(lambda: bool(one.crashes))
    assert one.states[-1] is RunState.STOPPED
    assert [type(event) for event in one.events] == [Started, Stepped, Finished]


def test_error_printed_by_command_is_reported(watch, folder: Path) -> None:
    behave(folder, "refuse")
    one = watch()
    one.service.start(folder)
    one.wait(lambda: bool(one.crashes))
    assert one.crashes[0].what == "/pictures: There is no such folder. Choose another."
    assert "note: looking around" in one.crashes[0].details


def test_start_reports_program_that_cannot_be_started(watch, folder: Path, tmp_path: Path) -> None:
    one = watch([str(tmp_path / "no such program")])
    assert not one.service.start(folder)
    (report,) = one.crashes
    assert "could not be started" in report.what
    assert one.service.attached is None
    assert one.states == []


def test_start_reports_missing_folder(watch, tmp_path: Path) -> None:
    one = watch()
    assert not one.service.start(tmp_path / "runs" / "gone")
    (report,) = one.crashes
    assert "folder does not exist" in report.what


def test_folder_that_vanishes_during_run_is_reported(watch, folder: Path) -> None:
    behave(folder, "deaf")
    one = watch()
    one.service.start(folder)
    one.wait_event(Stepped)
    pid = pid_of(folder)
    folder.rename(folder.with_name("elsewhere"))
    os.kill(pid, signal.SIGKILL)
    one.wait(lambda: bool(one.crashes))
    assert "is gone" in one.crashes[0].what


def test_start_follows_running_run_without_starting_it_twice(watch, folder: Path) -> None:
    one, other = watch(), watch()
    one.service.start(folder)
    one.wait_event(Stepped)
    pid = pid_of(folder)
    assert other.service.start(folder)
    other.wait_event(Stepped)
    assert pid_of(folder) == pid
    assert other.events[: len(one.events)][:2] == one.events[:2]
    other.service.stop()
    for each in (one, other):
        each.wait_state(RunState.STOPPED)
        assert isinstance(each.events[-1], Finished)
        assert each.crashes == []


def test_second_start_before_process_is_up_starts_nothing(watch, folder: Path) -> None:
    one = watch()
    assert one.service.start(folder)
    assert one.service.start(folder)
    assert len(one.service._children) == 1
    one.wait_event(Stepped)
    one.service.stop()
    one.wait_state(RunState.STOPPED)
    assert one.crashes == []


def test_discard_request_withdrawn_by_process_deletes_nothing(watch, folder: Path) -> None:
    """Attached between the lock and the reset of old requests: the request that the window read no longer holds."""
    behave(folder, "deaf")
    one, other = watch(), watch()
    one.service.start(folder)
    one.wait_event(Stepped)
    run_files.write_control(folder, "discard")
    other.service.attach(folder)
    other.wait_event(Stepped)
    run_files.write_control(folder, "run")
    os.kill(pid_of(folder), signal.SIGKILL)
    other.wait_state(RunState.STOPPED)
    assert (folder / "config.toml").exists()


def test_detach_ends_following_and_run_continues(watch, folder: Path) -> None:
    one = watch()
    one.service.start(folder)
    one.wait_event(Stepped)
    one.service.detach()
    assert one.service.attached is None
    reported = len(one.events)
    other = watch()
    other.service.attach(folder)
    other.wait_event(Stepped, reported + 3)
    assert len(one.events) == reported
    other.service.stop()
    other.wait_state(RunState.STOPPED)


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([started(), stepped(9), Finished(9, "w", True)], RunState.FINISHED),
        ([started(), stepped(9), Finished(9, "w", False)], RunState.STOPPED),
        ([started(), stepped(9), Failed(9, "No room.")], RunState.FAILED),
        ([started(), stepped(9)], RunState.STOPPED),
        ([started(), stepped(9), Paused(9)], RunState.STOPPED),
        ([], RunState.STOPPED),
    ],
)
def test_attach_emits_events_and_state_of_ended_run(watch, folder: Path, events: list[Event], state: RunState) -> None:
    write_events(folder, *events)
    one = watch()
    one.service.attach(folder)
    one.wait_state(state)
    assert one.events == events
    assert one.states == [state]
    assert one.crashes == []


def test_attach_to_ended_run_with_discard_request_deletes_nothing(watch, folder: Path) -> None:
    run_files.write_control(folder, "discard")
    one = watch()
    one.service.attach(folder)
    one.wait_state(RunState.STOPPED)
    assert (folder / "config.toml").exists()


def test_long_log_is_read_in_portions(watch, folder: Path) -> None:
    write_events(folder, started(), *(stepped(step) for step in range(1, 20_001)), Finished(20_000, "w", True))
    one = watch()
    turns: list[int] = []
    one.service.attach(folder)
    follower = one.service._follower
    follower._timer.timeout.connect(lambda: turns.append(len(one.events)))
    one.wait_state(RunState.FINISHED)
    assert len(one.events) == 20_002
    assert max(after - before for before, after in zip([0, *turns], turns, strict=False)) < 3000


def test_attach_switches_to_another_run_and_back(watch, folder: Path) -> None:
    other_folder = runs.create_run(folder.parent, "Trees", "", preset("quick"))
    write_events(other_folder, started(), Finished(9, "w", True))
    one = watch()
    one.service.start(folder)
    one.wait_event(Stepped)
    one.service.attach(other_folder)
    assert one.service.attached == other_folder
    one.wait_state(RunState.FINISHED)
    assert run_files.is_alive(folder)
    one.service.attach(folder)
    one.wait_state(RunState.RUNNING)
    one.service.stop()
    one.wait_state(RunState.STOPPED)


def test_slot_may_attach_to_another_run_while_log_is_read(watch, folder: Path) -> None:
    write_events(folder, started(), *(stepped(step) for step in range(1, 50)), Finished(49, "w", True))
    other_folder = runs.create_run(folder.parent, "Trees", "", preset("quick"))
    write_events(other_folder, started(), stepped(70), Finished(70, "w", False))
    one = watch()

    def turn(at: Path, event: Event) -> None:
        if at == folder and getattr(event, "step", 0) == 10:
            one.service.attach(other_folder)

    one.service.event_received.connect(turn)
    one.service.attach(folder)
    one.wait_state(RunState.STOPPED)
    assert [event.step for event in one.events] == [*range(11), 0, 70, 70]
    assert one.states == [RunState.STOPPED]


def test_slot_may_restart_run_when_its_end_is_reported(watch, folder: Path) -> None:
    behave(folder, "crash")
    one = watch()

    def again(at: Path, state: RunState) -> None:
        if state is RunState.STOPPED and (folder / "behaviour").exists():
            (folder / "behaviour").unlink()
            one.service.start(at)

    one.service.state_changed.connect(again)
    one.service.start(folder)
    one.wait_event(Stepped, 2)
    assert one.crashes == []
    one.service.stop()
    one.wait(lambda: one.states.count(RunState.STOPPED) == 2)
    assert one.states == [RunState.RUNNING, RunState.STOPPED, RunState.RUNNING, RunState.STOPPED]


def test_requests_without_run_do_nothing(watch) -> None:
    service = watch().service
    for request in (service.pause, service.resume, service.stop, service.discard, service.detach):
        request()
    service.set_when_window_ends("save")
    assert service.attached is None


def test_request_that_cannot_be_written_is_reported(watch, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = watch()
    one.service.start(folder)
    one.wait_event(Stepped)

    def full(run, command, ends):
        from vdsr_app.errors import SaveError

        raise SaveError("There is no space left on the disk.", path=run)

    with monkeypatch.context() as patch:
        patch.setattr(training_follow, "write_control", full)
        one.service.pause()
    assert [report.what for report in one.failures] == ["There is no space left on the disk."]
    one.service.stop()
    one.wait_state(RunState.STOPPED)


# --- the window ends


def test_close_leaves_run_alive(watch, folder: Path) -> None:
    one, other = watch(), watch()
    one.service.start(folder)
    one.wait_event(Stepped)
    assert one.service.close(WAIT_MS)
    other.service.attach(folder)
    other.wait_event(Stepped, len(one.events) + 2)
    assert run_files.is_alive(folder)
    other.service.stop()
    other.wait_state(RunState.STOPPED)


def test_close_saves_and_stops_run_when_chosen(watch, folder: Path) -> None:
    one, other = watch(), watch()
    one.service.start(folder)
    one.wait_event(Stepped)
    one.service.set_when_window_ends("save")
    other.service.attach(folder)
    reported = len(one.events)
    one.wait_event(Stepped, reported + 5)  # it continues as long as the window lives
    assert one.service.close(WAIT_MS)
    other.wait_state(RunState.STOPPED)
    assert isinstance(other.events[-1], Finished)
    assert other.crashes == []


def test_detach_does_not_count_as_closing(watch, folder: Path) -> None:
    one, other = watch(), watch()
    one.service.start(folder)
    one.wait_event(Stepped)
    one.service.set_when_window_ends("save")
    one.service.detach()
    other.service.attach(folder)
    other.wait_event(Stepped, len(one.events) + 10)
    assert run_files.is_alive(folder)
    one.service.attach(folder)
    one.service.set_when_window_ends("go on")
    one.service.close(WAIT_MS)
    reported = len(other.events)
    other.wait_event(Stepped, reported + 10)
    other.service.stop()
    other.wait_state(RunState.STOPPED)


def test_choice_to_save_is_rejected_when_another_window_has_made_it(
    watch, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vdsr_app.workers.training._WINDOW_LOCK_PATIENCE_S", 0.05)
    one, other = watch(), watch()
    one.service.start(folder)
    one.wait_event(Stepped)
    one.service.set_when_window_ends("save")
    other.service.attach(folder)
    other.service.set_when_window_ends("save")
    assert "Another window" in other.failures[0].what
    one.service.stop()
    one.wait_state(RunState.STOPPED)
    with run_files.RunLock(folder, run_files.WINDOW_LOCK_NAME):
        pass  # released when the run ended


@pytest.mark.parametrize("choice", ["go on", "save"])
def test_run_continues_or_saves_as_chosen_when_window_is_killed(watch, folder: Path, choice: str) -> None:
    """A real process starts the run and is killed without a chance to react."""
    with subprocess.Popen(
        [sys.executable, str(STUB), str(folder), choice], stdout=subprocess.PIPE, text=True
    ) as window:
        assert window.stdout is not None
        said = window.stdout.readline()
        window.send_signal(signal.SIGKILL)
        assert said == "training\n"
        assert window.wait() == -signal.SIGKILL
    pid = pid_of(folder)
    one = watch()
    one.service.attach(folder)
    if choice == "go on":
        one.wait_state(RunState.RUNNING)
        assert os.getsid(pid) != os.getsid(0)
        reported = len(one.events)
        one.wait_event(Stepped, reported + 5)
        one.service.stop()
    one.wait_state(RunState.STOPPED)
    assert isinstance(one.events[-1], Finished)
    assert one.crashes == []
    one.wait(lambda: not lives(pid))


def test_signal_to_process_group_of_window_does_not_reach_run(watch, folder: Path) -> None:
    """For example Ctrl+C in the terminal that started the window, or closing that terminal."""
    command = [sys.executable, str(STUB), str(folder), "go on"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as window:
        assert window.stdout is not None
        said = window.stdout.readline()
        os.killpg(window.pid, signal.SIGKILL)
        assert said == "training\n"
        window.wait()
    one = watch()
    one.service.attach(folder)
    one.wait_state(RunState.RUNNING)
    one.service.stop()
    one.wait_state(RunState.STOPPED)


def test_choice_to_continue_lets_another_window_choose_to_save(watch, folder: Path) -> None:
    one, other = watch(), watch()
    one.service.start(folder)
    one.wait_event(Stepped)
    one.service.set_when_window_ends("save")
    one.service.set_when_window_ends("go on")
    other.service.attach(folder)
    other.service.set_when_window_ends("save")
    assert other.failures == []
    assert run_files.read_control(folder).when_window_ends == "save"
    assert other.service.close(WAIT_MS)
    one.wait_state(RunState.STOPPED)
    assert one.crashes == []
