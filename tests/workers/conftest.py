"""Fake core without a network, and a service that runs it and must leave no thread behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QObject, QThread

from vdsr_app.core.image_io import SaveReport
from vdsr_app.core.job import FileFormat
from vdsr_app.core.picture import Picture, Pixels
from vdsr_app.core.protocol import Score
from vdsr_app.workers.upscale import UpscaleService

WAIT_S = 20


def small_picture(height: int = 6, width: int = 4, channels: int = 3, alpha: bool = False) -> Picture:
    random = np.random.default_rng(height * width)
    pixels = random.integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Picture(pixels, random.integers(0, 256, (height, width), dtype=np.uint8) if alpha else None)


@dataclass(frozen=True)
class Tile:
    x: int
    y: int
    pixels: Pixels
    alpha: Pixels | None


class FakeEngine:
    def __init__(self, name: str) -> None:
        self.name = name

    def describe(self) -> str:
        return self.name


class FakeCore:
    """Stands in for the core and returns at once; any step can be made to fail or to wait.

    Attributes:
        calls: names of the steps, in order.
        threads: thread in which each step ran.
        hooks: step -> function called at its beginning.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.threads: dict[str, int] = {}
        self.hooks: dict[str, Callable[..., Any]] = {}
        self.arguments: dict[str, Any] = {}

    def step(self, name: str, **arguments: Any) -> None:
        self.calls.append(name)
        self.threads[name] = threading.get_ident()
        self.arguments.update(arguments)
        if name in self.hooks:
            self.hooks[name](**arguments)

    def read(self, path: Path, token) -> Picture:
        self.step("read", token=token)
        return small_picture(7, 5)

    def save(self, picture, path, options, token) -> SaveReport:
        self.step("save", token=token)
        path.write_bytes(b"12345")
        return SaveReport(path, FileFormat.PNG, 5, ("The transparency was left out.",))

    def interpolate(self, picture, size, kernel, token, on_rows) -> Picture:
        self.step("interpolate", kernel=kernel, token=token, on_rows=on_rows)
        return enlarged(picture, size)

    def compare(self, reference, estimate, border_px, token, on_rows) -> Score:
        self.step("compare", border_px=border_px)
        return Score(31.5, 0.9)

    def engine(self, model, device, precision, token) -> FakeEngine:
        self.step("engine", model=model, device=device, precision=precision)
        return FakeEngine(f"{device} · {precision}")

    def upscale(self, picture, settings, engine, *, token, on_tile, on_progress, on_notice, visible) -> Picture:
        self.step("upscale", token=token, on_tile=on_tile, on_progress=on_progress, visible=visible, engine=engine)
        result = enlarged(picture, settings.target.size_for(picture.width, picture.height))
        on_notice("Smaller tiles are used.")
        half = result.height // 2
        for y, rows in ((0, slice(0, half)), (half, slice(half, None))):
            token.raise_if_cancelled()
            alpha = None if result.alpha is None else result.alpha[rows].copy()
            on_tile(Tile(0, y, result.pixels[rows].copy(), alpha))
            on_progress((y + half) * result.width, result.height * result.width)
        return result


def enlarged(picture: Picture, size) -> Picture:
    rows = np.arange(size.height) * picture.height // size.height
    cols = np.arange(size.width) * picture.width // size.width
    alpha = None if picture.alpha is None else picture.alpha[rows][:, cols]
    return replace(picture, pixels=picture.pixels[rows][:, cols], alpha=alpha)


class Recorder(QObject):
    """Records everything that a service emits, in order, as (signal, arguments).

    Attributes:
        events: what was emitted.
        strangers: signals that arrived in another thread than this object's.
    """

    def __init__(self, service: UpscaleService) -> None:
        super().__init__()
        self.events: list[tuple[Any, ...]] = []
        self.strangers: list[str] = []
        service.started.connect(self.on_started)
        service.progress.connect(self.on_progress)
        service.tile_finished.connect(self.on_tile_finished)
        service.notice.connect(self.on_notice)
        service.succeeded.connect(self.on_succeeded)
        service.failed.connect(self.on_failed)
        service.cancelled.connect(self.on_cancelled)
        service.device_described.connect(self.on_device_described)

    def note(self, *event: Any) -> None:
        self.events.append(event)
        if QThread.currentThread() is not self.thread():
            self.strangers.append(event[0])

    def on_started(self, job_id):
        self.note("started", job_id)

    def on_progress(self, job_id, progress):
        self.note("progress", job_id, progress)

    def on_tile_finished(self, job_id, block):
        self.note("tile_finished", job_id, block)

    def on_notice(self, job_id, text):
        self.note("notice", job_id, text)

    def on_succeeded(self, job_id, result):
        self.note("succeeded", job_id, result)

    def on_failed(self, job_id, report):
        self.note("failed", job_id, report)

    def on_cancelled(self, job_id):
        self.note("cancelled", job_id)

    def on_device_described(self, text):
        self.note("device_described", text)

    def names(self, job_id: int) -> list[str]:
        """Signals of one job, in order."""
        return [event[0] for event in self.events if len(event) > 1 and event[1] == job_id]

    def ends(self, job_id: int) -> list[str]:
        return [name for name in self.names(job_id) if name in ("succeeded", "failed", "cancelled")]

    def result(self, job_id: int) -> Any:
        """Result or report of an ended job."""
        found = [event[2] for event in self.events if event[0] in ("succeeded", "failed") and event[1] == job_id]
        assert len(found) == 1
        return found[0]


class Harness:
    """A service, a recorder of its signals, and the fake core below it."""

    def __init__(self, qtbot) -> None:
        self.qtbot = qtbot
        self.core = FakeCore()
        self.service = UpscaleService(core=self.core)
        self.recorder = Recorder(self.service)
        self.gates: list[threading.Event] = []

    def run(self, job) -> int:
        """Submit a job and wait for its end."""
        job_id = self.service.submit(job)
        self.wait_end(job_id)
        return job_id

    def wait_end(self, job_id: int) -> None:
        self.qtbot.waitUntil(lambda: bool(self.recorder.ends(job_id)), timeout=WAIT_S * 1000)

    def wait_call(self, step: str) -> None:
        self.qtbot.waitUntil(lambda: step in self.core.calls, timeout=WAIT_S * 1000)

    def hold(self, step: str) -> threading.Event:
        """Make `step` wait until the returned event is set; the token is not checked meanwhile."""
        gate = threading.Event()
        self.gates.append(gate)
        self.core.hooks[step] = lambda **_: gate.wait(WAIT_S)
        return gate

    def close(self) -> None:
        for gate in self.gates:
            gate.set()
        assert self.service.close(WAIT_S * 1000)


@pytest.fixture
def harness(qtbot) -> Iterator[Harness]:
    """Service on a fake core; closed at the end, whatever happens."""
    harness = Harness(qtbot)
    yield harness
    harness.close()
    assert harness.recorder.strangers == []
