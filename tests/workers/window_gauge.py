"""Child process of test_responsiveness and of scripts/standstill: measures what blocks the window's thread.

While a scenario runs, it counts packages that the window's thread itself imports, objects that one cycle collection
looks through (the interpreter stands still meanwhile), and kernels that this process compiles.

A 10 ms timer in the main thread records the longest time between two of its ticks. From each gap it subtracts the time
that is not ours: while the main thread and the lanes' threads were ready to run but the machine ran something else
(Linux reports that per thread). The rest is time in which the main thread could not run *because of this process*: its
own work, or waiting for the interpreter lock.

Usage: window_gauge.py SCENARIO MODEL_FILE. Prints one JSON object.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication

from vdsr_app.core.job import Target, UpscaleSettings
from vdsr_app.core.picture import Picture, Pixels
from vdsr_app.gui.clipboard import Offer, offer_of
from vdsr_app.gui.qimage import picture_from_qimage, wrap_rgba
from vdsr_app.workers.messages import CopyJob, LayerJob, LayerKind, LayerSpec, PasteJob
from vdsr_app.workers.upscale import UpscaleService

TICK_MS = 10
LANES = ("pictures", "network")
_FULL = 1 if sys.version_info[:2] == (3, 14) else 2  # the first releases of 3.14 collect incrementally, as generation 1
HEAVY = ("torch", "numba", "llvmlite")
HELD_MS = 300
PATIENCE_MS = 240_000
"""How long a scenario may take before it is abandoned; far more than it takes."""


class Gauge(QObject):
    """Ticks in the main thread and keeps the worst gap."""

    def __init__(self) -> None:
        super().__init__()
        self.worst = {"charged_ms": 0.0, "gap_ms": 0.0, "at_ms": 0.0}
        self.ticks = 0
        self._start_s = time.perf_counter()
        self._last_s = self._start_s
        self._tasks = watched_tasks()
        self._last_waited_s = waited_s(self._tasks)
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._on_tick)
        self._timer.start()

    def _on_tick(self) -> None:
        now_s, now_waited_s = time.perf_counter(), waited_s(self._tasks)
        gap_ms = (now_s - self._last_s) * 1000
        charged_ms = max(0.0, gap_ms - (now_waited_s - self._last_waited_s) * 1000)
        self.ticks += 1
        if charged_ms > self.worst["charged_ms"]:
            at_ms = (self._last_s - self._start_s) * 1000
            self.worst = {"charged_ms": charged_ms, "gap_ms": gap_ms, "at_ms": at_ms}
        self._last_s, self._last_waited_s = now_s, now_waited_s


class Counts(MetaPathFinder):
    """Packages that the window's thread imported, and the most objects, without frozen ones, in one full collection."""

    def __init__(self) -> None:
        self.imported_by_window: list[str] = []
        self.looked_through = 0
        sys.meta_path.insert(0, self)
        gc.callbacks.append(self._on_collection)

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        if name in HEAVY and threading.current_thread() is threading.main_thread():
            self.imported_by_window.append(name)

    def _on_collection(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"] >= _FULL:
            self.looked_through = max(self.looked_through, len(gc.get_objects()))

    @property
    def compiled(self) -> int:
        """Kernels for which this process found no machine code."""
        return sum(sum(stats.cache_misses.values()) for stats in self._kernels())

    @property
    def loaded(self) -> int:
        """Kernels for which it found machine code."""
        return sum(sum(stats.cache_hits.values()) for stats in self._kernels())

    def _kernels(self) -> list[Any]:
        modules = [sys.modules.get(f"vdsr_app.core.winograd.{name}") for name in ("ends", "kernels")]
        return [each.stats for module in modules if module for each in vars(module).values() if hasattr(each, "stats")]


def watched_tasks() -> list[Path]:
    """Files in which Linux accounts for the main thread and the lanes; empty elsewhere.

    Threads that a lane starts inherit its name, so the lane itself is the oldest of its name.
    """
    oldest: dict[str, int] = {"": os.getpid()}
    if not Path("/proc/self/task").is_dir():
        return []
    for task in Path("/proc/self/task").iterdir():
        name, number = (task / "comm").read_text().strip(), int(task.name)
        if name in LANES:
            oldest[name] = min(number, oldest.get(name, number))
    files = [Path(f"/proc/self/task/{number}/schedstat") for number in oldest.values()]
    return [file for file in files if file.is_file()]


def waited_s(tasks: list[Path]) -> float:
    """Time so far in which `tasks` were ready to run while the machine ran something else."""
    return sum(int(task.read_text().split()[1]) for task in tasks) / 1e9


def noise(height: int, width: int) -> Pixels:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


class Scenarios(QObject):
    """Work that runs while the gauge ticks; each scenario ends in `done`."""

    def __init__(self, model: str) -> None:
        super().__init__()
        self._model = model
        self._small, self._large = Picture(noise(120, 160)), Picture(noise(1500, 2000))
        self._photograph = Picture(np.tile(noise(500, 500), (6, 8, 1)))
        self._screenshot = wrap_rgba(np.full((3000, 4000, 4), 200, np.uint8), QImage.Format.Format_RGB32)
        self._service = UpscaleService()
        self._service.device_described.connect(self._on_device_described)
        self._service.succeeded.connect(self._on_succeeded)
        self._service.failed.connect(self._on_failed)
        self._warming = False
        self.outcome = "nothing came"

    def preload(self) -> None:
        self._warming = True
        self._service.preload("cpu", "fp32", self._model)

    def interpolate(self) -> None:
        settings = UpscaleSettings(target=Target(value=2.0))
        self._service.submit(LayerJob(self._large, LayerSpec(LayerKind.BICUBIC), settings))

    def paste(self) -> None:
        self._service.submit(PasteJob(partial(picture_from_qimage, self._screenshot)))

    def copy(self) -> None:
        self._service.submit(CopyJob(self._photograph, offer_of))

    def import_in_the_window(self) -> None:
        """What must not happen: the window's thread itself imports torch."""
        import torch

        self.outcome = torch.__version__
        self.done()

    def hold_the_lock(self) -> None:
        """What must not happen either: a worker that holds the interpreter lock."""
        threading.Thread(target=self._sit).start()
        QTimer.singleShot(2 * HELD_MS, self.done)

    def _sit(self) -> None:
        # PyDLL keeps the lock during the call, CDLL would release it.
        if sys.platform == "win32":
            ctypes.PyDLL("kernel32").Sleep(HELD_MS)
        else:
            ctypes.PyDLL(None).usleep(HELD_MS * 1000)

    def upscale(self) -> None:
        settings = UpscaleSettings(target=Target(value=2.0), device="cpu", precision="fp32", tile_px=160)
        self._service.submit(LayerJob(self._small, LayerSpec(LayerKind.MODEL, self._model), settings))

    def _on_device_described(self, text: str) -> None:
        self.outcome = text
        if self._warming:
            self.done()

    def _on_succeeded(self, job_id: int, result: Any) -> None:
        shown = result.image.size().toTuple() if isinstance(result, Offer) else result.picture.pixels.shape[1::-1]
        self.outcome = f"{shown[0]} x {shown[1]}"
        self.done()

    def _on_failed(self, job_id: int, report: Any) -> None:
        self.outcome = report.details
        self.done()

    def done(self) -> None:
        QTimer.singleShot(5 * TICK_MS, QApplication.quit)

    def close(self) -> bool:
        return self._service.close(20_000)


def main() -> None:
    scenario, model = sys.argv[1:]
    app = QApplication([])
    scenarios = Scenarios(model)
    gc.freeze()  # as the window does
    counts, gauge = Counts(), Gauge()
    QTimer.singleShot(10 * TICK_MS, getattr(scenarios, scenario))
    QTimer.singleShot(PATIENCE_MS, app.quit)
    began_s = time.perf_counter()
    app.exec()
    seconds = time.perf_counter() - began_s
    report = {**gauge.worst, "ticks": gauge.ticks, "seconds": seconds, "outcome": scenarios.outcome}
    report["closed"] = scenarios.close()
    report["torch"] = "torch" in sys.modules
    report["imported_by_window"] = counts.imported_by_window
    report["looked_through"], report["compiled"] = counts.looked_through, counts.compiled
    report["loaded"] = counts.loaded
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
