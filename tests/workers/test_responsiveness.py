"""The window never stands still for 100 ms: not while torch is imported, not while the network runs.

Each scenario runs in a child process of its own, see `window_gauge.py`. What the machine does beside is taken out of
the measurement as far as the system tells it, and a scenario may be tried three times, so that a busy machine fails no
test. The last tests break the promise on purpose and see the gauge notice.
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

pytestmark = pytest.mark.alone

BAR_MS = 100
TRIES = 3
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


def measure(scenario: str, model_file: Path) -> dict[str, Any]:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(ROOT)}
    child = subprocess.run(
        [sys.executable, Path(__file__).with_name("window_gauge.py"), scenario, model_file],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert child.returncode == 0, child.stderr
    report: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return report


def best_of(scenario: str, model_file: Path) -> dict[str, Any]:
    """The first report under the bar, else the best."""
    reports = []
    for _ in range(TRIES):
        reports.append(measure(scenario, model_file))
        if reports[-1]["charged_ms"] < BAR_MS:
            break
    return min(reports, key=lambda report: float(report["charged_ms"]))


@pytest.mark.parametrize(
    ("scenario", "outcome", "torch"),
    [
        ("preload", "fp32", True),
        ("upscale", "320 x 240", True),
        ("interpolate", "4000 x 3000", False),
        ("paste", "4000 x 3000", False),
        ("copy", "4000 x 3000", False),
    ],
)
def test_the_window_keeps_ticking(scenario, outcome, torch, model_file):
    report = best_of(scenario, model_file)
    assert outcome in report["outcome"]
    assert report["torch"] is torch  # what is shown first does not wait for it
    assert report["closed"]
    assert report["ticks"] > 10
    assert report["charged_ms"] < BAR_MS, report


@pytest.mark.parametrize("scenario", ["import_in_the_window", "hold_the_lock"])
def test_the_gauge_notices_a_window_that_stands_still(scenario, model_file):
    assert measure(scenario, model_file)["charged_ms"] > BAR_MS
