"""Fixtures for the command line: a tiny installed model, a small picture, and a call of `vdsr`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vdsr_app import paths
from vdsr_app.cli import main
from vdsr_app.core.network import VDSR, VDSRConfig, initialise
from vdsr_app.core.weights import save_weights

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def tiny() -> str:
    """Name of an installed network of three thin layers that adds little detail."""
    model = VDSR(VDSRConfig(3, 4))
    initialise(model, 0)
    for parameter in model.layers[-1].parameters():
        parameter.data.mul_(0.05)
    paths.user_models_dir().mkdir(parents=True, exist_ok=True)
    save_weights(model, paths.user_models_dir() / "tiny.safetensors", {"title": "Tiny"})
    return "tiny"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A colour picture of 40 x 28 px."""
    y, x = np.mgrid[0:28, 0:40]
    pixels = np.stack([x * 6, y * 9, 128 + 100 * np.sin(x / 3) * np.cos(y / 4)], axis=-1).astype(np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `vdsr` in this process; returns exit status, standard output and standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return status, captured.out, captured.err

    return call


def json_lines(text: str) -> list[dict[str, Any]]:
    """Every line as one JSON object."""
    return [json.loads(line) for line in text.splitlines()]
