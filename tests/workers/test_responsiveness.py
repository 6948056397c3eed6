"""Responsiveness: the window's thread is not blocked while torch is imported, nor while the network runs.

Each scenario runs in a child process of its own, see `window_gauge.py`. Counts decide, because they are the same on
every machine; scripts/standstill measures how long the window is really blocked. The last tests break the promise on
purpose and check that the gauge reports it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

MOST_LOOKED_THROUGH = 20_000
"""Limit for one collection; ten thousand objects take a millisecond or two; torch and numba import 170,000."""

HUNG_MS = 1000 if sys.platform == "linux" else 10_000  # elsewhere the time that other programs take counts too
"""A window blocked for so long hangs on any machine. The promise is 100 ms, which scripts/standstill checks."""

NOTICED_MS = 100
"""What the gauge must report at least for a window that is blocked three times as long, or longer."""

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model_file(tmp_path_factory) -> Path:
    """A VDSR of full size with random weights, written without torch."""
    random = np.random.default_rng(1)
    widths = [1, *[64] * 19, 1]
    tensors = {}
    for i, (before, after) in enumerate(pairwise(widths)):
        weight = random.standard_normal((after, before, 3, 3)) * 0.3 * np.sqrt(2 / (9 * before))
        tensors[f"layers.{i}.weight"] = weight.astype(np.float32)
        tensors[f"layers.{i}.bias"] = np.zeros(after, np.float32)
    path = tmp_path_factory.mktemp("model") / "random.safetensors"
    save_file(tensors, path)
    return path


def measure(scenario: str, model_file: Path, **variables: str) -> dict[str, Any]:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(ROOT), **variables}
    child = subprocess.run(
        [sys.executable, Path(__file__).with_name("window_gauge.py"), scenario, model_file],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert child.returncode == 0, child.stderr
    report: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return report


SCENARIOS = [
    ("preload", "fp32", True),
    ("upscale", "320 x 240", True),
    ("interpolate", "4000 x 3000", False),
    ("paste", "4000 x 3000", False),
    ("copy", "4000 x 3000", False),
]


@pytest.mark.parametrize(("scenario", "outcome", "torch"), SCENARIOS)
def test_scenario_does_not_block_window(scenario, outcome, torch, model_file):
    report = measure(scenario, model_file)
    assert outcome in report["outcome"]
    assert report["torch"] is torch  # what the window shows first does not wait for torch
    assert report["closed"]
    assert report["ticks"] > 10
    assert report["imported_by_window"] == []
    assert report["looked_through"] <= MOST_LOOKED_THROUGH
    assert report["charged_ms"] < HUNG_MS, report


def test_first_compilation_of_kernels_does_not_block_window(model_file, tmp_path):
    report = measure("upscale", model_file, VDSR_CACHE=str(tmp_path))
    assert report["outcome"] == "320 x 240"
    assert report["compiled"] == 0  # in this process; another one did it
    assert report["loaded"] > 0
    assert report["looked_through"] <= MOST_LOOKED_THROUGH
    assert report["charged_ms"] < HUNG_MS, report


def test_gauge_reports_import_by_window_thread(model_file):
    report = measure("import_in_the_window", model_file)
    assert report["imported_by_window"] == ["torch"]
    assert report["looked_through"] > MOST_LOOKED_THROUGH
    assert report["charged_ms"] > NOTICED_MS


def test_gauge_reports_held_interpreter_lock(model_file):
    assert measure("hold_the_lock", model_file)["charged_ms"] > NOTICED_MS
