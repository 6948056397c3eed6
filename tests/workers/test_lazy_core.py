"""Upscale service on the real core, with a small network."""

from __future__ import annotations

import gc
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from vdsr_app.control import CancelToken
from vdsr_app.core.job import SaveOptions, Target, UpscaleSettings
from vdsr_app.core.picture import Picture
from vdsr_app.errors import Cancelled, DeviceError, WeightsError
from vdsr_app.workers.core_access import LazyCore
from vdsr_app.workers.messages import (
    LayerJob,
    LayerKind,
    LayerSpec,
    MetricsJob,
    OpenJob,
    SavedFile,
    SaveJob,
)

SETTINGS = UpscaleSettings(target=Target(value=2.0), device="cpu", precision="fp32", tile_px=32)


def write_model(path: Path, seed: int) -> Path:
    random = np.random.default_rng(seed)
    tensors = {}
    for i, (before, after) in enumerate(pairwise([1, 8, 8, 1])):
        tensors[f"layers.{i}.weight"] = random.normal(0, 0.05, (after, before, 3, 3)).astype(np.float32)
        tensors[f"layers.{i}.bias"] = np.zeros(after, np.float32)
    save_file(tensors, path)
    return path


@pytest.fixture(autouse=True)
def no_freeze(monkeypatch):
    """Freezing would exempt the whole test run from garbage collection."""
    monkeypatch.setattr(gc, "freeze", lambda: None)


@pytest.fixture
def model(tmp_path) -> Path:
    return write_model(tmp_path / "small.safetensors", 1)


@pytest.fixture
def picture() -> Picture:
    return Picture(np.random.default_rng(1).integers(0, 256, (40, 50, 3), dtype=np.uint8))


@pytest.fixture
def real(harness):
    """The harness, on the real core."""
    harness.service._core = LazyCore()
    return harness


def test_tiles_cover_the_result_and_begin_in_visible_region(real, model, picture):
    alpha = np.random.default_rng(2).integers(0, 256, (40, 50), dtype=np.uint8)
    job = LayerJob(Picture(picture.pixels, alpha), LayerSpec(LayerKind.MODEL, str(model)), SETTINGS, (60, 40, 20, 20))
    job_id = real.run(job)
    result = real.recorder.result(job_id)
    shown = np.zeros_like(result.pyramid.levels[0])
    tiles = [event[2] for event in real.recorder.events if event[0] == "tile_finished"]
    assert len(tiles) > 4
    for tile in tiles:
        shown[tile.y : tile.y + tile.rgba.shape[0], tile.x : tile.x + tile.rgba.shape[1]] = tile.rgba
    assert np.array_equal(shown, result.pyramid.levels[0])
    first = tiles[0]  # it holds part of the visible region
    assert first.x < 80
    assert first.x + first.rgba.shape[1] > 60
    assert "fp32" in result.device
    assert ("device_described", result.device) in real.recorder.events


def test_result_equals_that_of_the_core(real, model, picture):
    from vdsr_app.core.engine import Engine
    from vdsr_app.core.upscale import upscale_picture
    from vdsr_app.core.weights import load_weights

    job_id = real.run(LayerJob(picture, LayerSpec(LayerKind.MODEL, str(model)), SETTINGS))
    engine = Engine.create(load_weights(model).model, device="cpu", precision="fp32")
    expected = upscale_picture(picture, SETTINGS, engine)
    assert np.array_equal(real.recorder.result(job_id).picture.pixels, expected.pixels)


def test_picture_is_opened_enlarged_saved_and_measured(real, tmp_path):
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(tmp_path / "in.png")
    opened = real.recorder.result(real.run(OpenJob(tmp_path / "in.png"))).picture
    bicubic = real.run(LayerJob(opened, LayerSpec(LayerKind.BICUBIC), SETTINGS))
    layer = real.recorder.result(bicubic).picture
    assert "progress" in real.recorder.names(bicubic)
    saved = real.recorder.result(real.run(SaveJob(layer, tmp_path / "out.png", SaveOptions())))
    assert isinstance(saved, SavedFile)
    assert saved.size_bytes == (tmp_path / "out.png").stat().st_size
    reference = LayerJob(opened, LayerSpec(LayerKind.REFERENCE, reference=tmp_path / "out.png"), SETTINGS)
    again = real.recorder.result(real.run(reference)).picture
    metrics = real.recorder.result(real.run(MetricsJob(again, layer, 2)))
    assert metrics.psnr_db == float("inf")
    assert metrics.ssim == pytest.approx(1.0)


def test_core_errors_are_reported_with_path_and_message(real, tmp_path, picture):
    absent = real.recorder.result(real.run(OpenJob(tmp_path / "absent.png")))
    assert absent.path == str(tmp_path / "absent.png")
    assert absent.what
    assert absent.hint
    no_model = LayerJob(picture, LayerSpec(LayerKind.MODEL, "no-such-model"), SETTINGS)
    assert "no-such-model" in real.recorder.result(real.run(no_model)).what


def test_engine_is_kept_until_precision_or_model_file_changes(model):
    core, token = LazyCore(), CancelToken()
    first = core.engine(str(model), "cpu", "fp32", token)
    assert core.engine(str(model), "cpu", "fp32", token) is first
    other = core.engine(str(model), "cpu", "bf16", token)
    assert other is not first
    write_model(model, 2)
    os.utime(model, ns=(1, 1))
    assert core.engine(str(model), "cpu", "bf16", token) is not other


@pytest.mark.parametrize("trouble", [MemoryError(), DeviceError("gone")])
@pytest.mark.parametrize("patience_s", [-1.0, 1e9])
def test_engine_that_fell_back_is_recreated_only_after_a_while(model, trouble, monkeypatch, patience_s):
    monkeypatch.setattr("vdsr_app.workers.core_access._SECOND_CHANCE_S", patience_s)
    core, token = LazyCore(), CancelToken()
    first = core.engine(str(model), "cpu", "fp32", token)
    first._fallback = lambda: first._backend
    passing = [trouble]

    def work(tile):
        if passing:
            raise passing.pop()

    first.run_tiles(64, 64, work, tile_px=64)
    again = core.engine(str(model), "cpu", "fp32", token)
    assert (again is first) == (patience_s > 0)
    assert core.engine(str(model), "cpu", "fp32", token) is again


def test_damaged_model_is_rejected_each_time(model):
    core, token = LazyCore(), CancelToken()
    core.engine(str(model), "cpu", "fp32", token)
    model.write_bytes(model.read_bytes()[:-50])
    for _ in range(2):
        with pytest.raises(WeightsError):
            core.engine(str(model), "cpu", "fp32", token)


def test_engine_raises_cancelled_before_model_is_loaded(model):
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        LazyCore().engine(str(model), "cpu", "fp32", token)
