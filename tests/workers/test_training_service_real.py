"""Training service with the real `vdsr train`: a tiny network, killed windows and processes, resumed runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.workers.fake_trainer import lives
from vdsr_app import paths
from vdsr_app.core.weights import load_weights
from vdsr_app.workers.training import TrainingService
from vdsr_trainer import run_files, runs
from vdsr_trainer.events import Compared, Event, Finished, Started, Stepped
from vdsr_trainer.presets import preset
from vdsr_trainer.runs import RunState

pytest.importorskip("vdsr_trainer.control", reason="`vdsr train` cannot be controlled yet")

WAIT_MS = 120_000
STUB = Path(__file__).with_name("window_stub.py")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for seed in range(6):
        pixels = np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8).repeat(9, 0).repeat(9, 1)
        Image.fromarray(pixels).save(pictures / f"{seed}.png")
    config = replace(
        preset("robust"),
        data=(str(pictures),),
        holdout=2,
        depth=3,
        width=8,
        patch_px=16,
        batch=2,
        steps=100_000,
        shrunk_copies=(),
        scales=(2.0,),
        validate_every=5000,  # a validation starts a new window of reports
        checkpoint_every=50,
        precision="fp32",
        device="cpu",
        threads=1,
    )
    return runs.create_run(paths.runs_dir(), "Tiny", "robust", config)


class Window:
    """A service and what it emitted."""

    def __init__(self, qtbot) -> None:
        self.qtbot = qtbot
        self.service = TrainingService()
        self.events: list[Event] = []
        self.states: list[RunState] = []
        self.crashes: list[object] = []
        self.service.event_received.connect(lambda _, event: self.events.append(event))
        self.service.state_changed.connect(lambda _, state: self.states.append(state))
        self.service.crashed.connect(self.crashes.append)

    def wait(self, condition: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(lambda: condition() or bool(self.crashes), timeout=WAIT_MS)
        assert self.crashes == []

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def window(qtbot, folder: Path) -> Iterator[Window]:
    window = Window(qtbot)
    yield window
    if run_files.is_alive(folder):
        window.service.attach(folder)
        window.service.stop()
        qtbot.waitUntil(lambda: not run_files.is_alive(folder), timeout=WAIT_MS)
    assert window.service.close(30_000)


@pytest.mark.timeout(300)
def test_run_is_paused_resumed_stopped_installed_and_restarted(window: Window, folder: Path) -> None:
    window.service.start(folder)
    window.wait(lambda: bool(window.of(Stepped)))
    window.service.pause()
    window.wait(lambda: window.states[-1:] == [RunState.PAUSED])
    window.service.resume()
    window.wait(lambda: window.states[-1:] == [RunState.RUNNING])
    window.service.stop()
    window.wait(lambda: window.states[-1:] == [RunState.STOPPED])
    (finished,) = window.of(Finished)
    assert not finished.complete
    assert window.of(Compared)[0].rows["this run"]["2"]
    assert (folder / "vdsr.md").is_file()
    (run,) = runs.list_runs(folder.parent)
    assert (run.state, run.step, run.weights) == (RunState.STOPPED, finished.step, folder / "vdsr.safetensors")
    installed: list = []
    window.service.installed.connect(installed.append)
    window.service.install(run.weights)
    window.wait(lambda: bool(installed))
    assert installed[0].title == "Tiny"
    assert load_weights(installed[0].path).model.config.depth == 3
    window.service.start(folder)
    window.wait(lambda: len(window.of(Started)) == 2)
    assert window.of(Started)[1].step == finished.step


@pytest.mark.timeout(300)
@pytest.mark.parametrize("choice", ["go on", "save"])
def test_run_continues_or_saves_as_chosen_when_window_is_killed(window: Window, folder: Path, choice: str) -> None:
    command = [sys.executable, str(STUB), str(folder), choice, *paths.training_command()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        said = other.stdout.readline()
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert said == "training\n"
    window.service.attach(folder)
    if choice == "go on":
        window.wait(lambda: window.states[-1:] == [RunState.RUNNING])
        reported = window.of(Stepped)[-1].step
        window.wait(lambda: window.of(Stepped)[-1].step > reported)
        window.service.stop()
    window.wait(lambda: window.states[-1:] == [RunState.STOPPED])
    assert isinstance(window.events[-1], Finished)
    assert load_weights(folder / "vdsr.safetensors").metadata["steps"] == str(window.events[-1].step)


@pytest.mark.timeout(300)
def test_discard_deletes_folder_and_reports_discarded(window: Window, folder: Path) -> None:
    window.service.start(folder)
    window.wait(lambda: bool(window.of(Stepped)))
    window.service.discard()
    window.wait(lambda: window.states[-1:] == [RunState.STOPPED])
    assert list(folder.parent.iterdir()) == []
    assert window.of(Finished)[-1].discarded


@pytest.mark.timeout(300)
def test_killed_training_is_reported_and_resumes_from_checkpoint(window: Window, folder: Path) -> None:
    window.service.start(folder)
    window.wait(lambda: (folder / "checkpoint.safetensors").exists())
    process = window.service._children[0]
    os.kill(process.pid, signal.SIGKILL)
    window.qtbot.waitUntil(lambda: bool(window.crashes), timeout=WAIT_MS)
    assert not lives(process.pid)
    window.crashes.clear()
    window.service.start(folder)
    window.wait(lambda: len(window.of(Started)) == 2)
    assert window.of(Started)[1].step % 50 == 0
    assert window.of(Started)[1].step > 0
