"""Run watch: when it reports that a run has finished, and pending requests; with a service controlled by the test."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QObject, Signal
from pytestqt.qtbot import QtBot

from vdsr_app.gui.training.watch import RunWatch
from vdsr_trainer.events import Finished
from vdsr_trainer.presets import PRESETS
from vdsr_trainer.runs import RunState, create_run


class Desk(QObject):
    renamed = Signal(object)


class Service(QObject):
    event_received = Signal(object, object)
    state_changed = Signal(object, object)
    crashed = Signal(object)
    attached: Path | None = None
    following = False
    writes = True

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()

    def attach(self, folder: Path) -> None:
        self.attached = folder

    def detach(self) -> None:
        self.attached = None

    def start(self, folder: Path, steps: int | None) -> bool:
        self.attached = folder
        return True

    def stop(self) -> bool:
        return self.writes


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def watch(service: Service) -> RunWatch:
    return RunWatch(service)  # type: ignore[arg-type]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return create_run(tmp_path, "Birds", "robust", PRESETS["robust"])


def test_watch_emits_finished_when_end_is_first_state_of_started_run(
    qtbot: QtBot, service: Service, watch: RunWatch, run: Path
) -> None:
    """On a busy computer, a short run is over before the window first checks its state."""
    watch.start(run)
    with qtbot.waitSignal(watch.finished):
        service.state_changed.emit(run, RunState.FINISHED)


def test_watch_does_not_emit_finished_for_run_that_had_already_ended(
    qtbot: QtBot, service: Service, watch: RunWatch, run: Path
) -> None:
    watch.start(run)
    watch.look_at(run)
    with qtbot.assertNotEmitted(watch.finished):
        service.state_changed.emit(run, RunState.FINISHED)


def test_stop_that_could_not_be_requested_is_not_pending(service: Service, watch: RunWatch, run: Path) -> None:
    """On a full disk, for example; otherwise it could not be requested again once there is space."""
    watch.start(run)
    service.state_changed.emit(run, RunState.RUNNING)
    service.writes = False
    watch.stop()
    assert watch.asked == "run"
    assert watch.state_text() == "Starting…"
    service.writes = True
    watch.stop()
    assert watch.asked == "stop"
    assert watch.state_text() == "Saving what it has learned…"


def test_stop_requested_while_log_is_read_stays_pending_after_end_of_earlier_part(
    service: Service, watch: RunWatch, run: Path
) -> None:
    """As when a run that was stopped and resumed before is stopped by the menu while another one is on display."""
    watch.look_at(run)
    watch.stop()
    service.event_received.emit(run, Finished(100, "", complete=False))
    service.state_changed.emit(run, RunState.RUNNING)
    assert watch.asked == "stop"
    service.event_received.emit(run, Finished(200, "", complete=False))
    assert watch.asked == "run"
