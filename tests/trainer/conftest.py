"""Small pictures and a small run that trains within seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vdsr_app.control import CancelToken
from vdsr_app.core.network import VDSR, VDSRConfig, initialise
from vdsr_app.core.weights import save_weights
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.dataset import TrainingData, open_data
from vdsr_trainer.presets import preset

Opener = Callable[[TrainConfig], TrainingData]


def draw_picture(seed: int, height: int = 72, width: int = 88) -> np.ndarray:
    """Hard edges and fine stripes, on which a network can gain much over bicubic."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    angle, period = rng.uniform(0, np.pi), rng.uniform(5, 14)
    stripes = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period) > 0
    disc = (x - rng.integers(width)) ** 2 + (y - rng.integers(height)) ** 2 < rng.integers(15, 35) ** 2
    gray = 40 + 150 * stripes - 60 * disc * stripes + 40 * disc
    return np.stack([gray, gray * 0.9, 255 - gray], axis=-1).clip(0, 255).astype(np.uint8)


def accelerator_error(message: str, code: int) -> torch.AcceleratorError:
    """An error as PyTorch raises it; one constructed in Python has no code of its own."""
    error = torch.AcceleratorError(message)
    error.error_code = code
    return error


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Folder of eight small pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(8):
        Image.fromarray(draw_picture(seed)).save(folder / f"p{seed}.png")
    return folder


@pytest.fixture
def small(pictures: Path) -> TrainConfig:
    """Four thin layers, a handful of small patches, one thread: trains within seconds, and exactly repeatable."""
    return replace(
        preset("robust"),
        data=(str(pictures),),
        holdout=2,
        depth=4,
        width=12,
        patch_px=24,
        batch=4,
        steps=30,
        warmup_steps=5,
        validate_every=15,
        checkpoint_every=10,
        precision="fp32",
        threads=1,
        shrunk_copies=(),
        device="cpu",
    )


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opener]:
    """Opens the pictures of a run."""
    everything = []

    def open_one(config: TrainConfig) -> TrainingData:
        run = tmp_path / f"opened{len(everything)}"
        run.mkdir()
        data = open_data(config, run, on_progress=lambda done, of: None, notice=lambda text: None, token=CancelToken())
        everything.append(data)
        return data

    yield open_one
    for data in everything:
        data.close()


@pytest.fixture
def tiny_bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the bundled model with a tiny one, because every run measures it."""
    folder = tmp_path / "bundled"
    folder.mkdir()
    model = VDSR(VDSRConfig(2, 4))
    initialise(model, 5)
    save_weights(model, folder / "vdsr.safetensors", {"title": "Bundled"})
    monkeypatch.setattr("vdsr_app.paths.models_dir", lambda: folder)
