"""The Winograd backend: results against PyTorch, memory, threads and cancelling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vdsr_app.control import CancelToken
from vdsr_app.core.engine import Engine
from vdsr_app.core.network import VDSR, VDSRConfig, initialise
from vdsr_app.core.winograd.backend import WinogradBackend
from vdsr_app.errors import Cancelled


def _model(depth: int = 6, width: int = 16, residual: bool = True) -> VDSR:
    model = VDSR(VDSRConfig(depth, width, residual))
    initialise(model, 0)
    with torch.no_grad():
        for layer in model.layers:
            layer.bias.add_(0.05)
    return model


def _whole(model: VDSR, luma: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        result: np.ndarray = model.double()(torch.from_numpy(luma.astype(np.float64))[None, None])[0, 0].numpy()
    model.float()
    return result


@settings(max_examples=20)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(8, 64), st.integers(1, 3), st.integers(0, 2**31))
def test_tiled_result_matches_pytorch_on_whole_plane(
    height: int, width: int, tile_px: int, threads: int, seed: int
) -> None:
    model = _model()
    luma = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    out = Engine(WinogradBackend(model, threads)).upscale_luma(luma, tile_px=tile_px)
    assert np.abs(out - _whole(model, luma)).max() < 1e-5


@pytest.mark.parametrize(("depth", "width", "residual"), [(2, 16, True), (3, 32, False), (20, 64, True)])
def test_networks_of_other_shapes_match_pytorch(depth: int, width: int, residual: bool) -> None:
    model = _model(depth, width, residual)
    luma = np.random.default_rng(0).random((70, 33)).astype(np.float32)
    out = Engine(WinogradBackend(model, 2)).upscale_luma(luma, tile_px=48)
    expected = _whole(model, luma)
    assert np.abs(out - expected).max() < 1e-5 * max(1.0, np.abs(expected).max())


def test_smaller_tiles_are_not_affected_by_earlier_larger_ones() -> None:
    model = _model()
    engine = Engine(WinogradBackend(model, 2))
    rng = np.random.default_rng(1)
    engine.upscale_luma((1e3 * rng.random((90, 80))).astype(np.float32))
    luma = rng.random((31, 45)).astype(np.float32)
    assert np.abs(engine.upscale_luma(luma) - _whole(model, luma)).max() < 1e-5


def test_result_is_identical_for_any_number_of_threads() -> None:
    luma = np.random.default_rng(2).random((64, 64)).astype(np.float32)
    results = [Engine(WinogradBackend(_model(), threads)).upscale_luma(luma) for threads in (1, 2, 5)]
    assert (results[0] == results[1]).all()
    assert (results[0] == results[2]).all()


def test_memory_is_reused_until_released() -> None:
    backend = WinogradBackend(_model(), 1)
    engine = Engine(backend)
    luma = np.random.default_rng(3).random((100, 100)).astype(np.float32)
    engine.upscale_luma(luma, tile_px=40)
    planes = [id(memory) for memory in backend._memory]
    engine.upscale_luma(luma, tile_px=40)
    assert [id(memory) for memory in backend._memory] == planes
    backend.release_memory()
    assert not any(memory.size for memory in backend._memory)


def test_cancel_stops_within_a_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = WinogradBackend(_model(20), 1)
    token, layers = CancelToken(), []
    in_bands = backend._in_bands

    def counted(box, work):
        layers.append(box)
        if len(layers) == 5:
            token.cancel()
        in_bands(box, work)

    monkeypatch.setattr(backend, "_in_bands", counted)
    with pytest.raises(Cancelled):
        Engine(backend).upscale_luma(np.zeros((50, 50), np.float32), token=token)
    assert len(layers) == 5


def test_layers_shrink_towards_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = WinogradBackend(_model(20), 1)
    boxes: list[tuple[int, int, int, int]] = []
    in_bands = backend._in_bands
    monkeypatch.setattr(backend, "_in_bands", lambda box, work: (boxes.append(box), in_bands(box, work)))
    from vdsr_app.core.tiling import Insets

    backend.residual(np.zeros((104, 104), np.float32), Insets(20, 20, 20, 20))
    assert [bottom - top for top, bottom, _, _ in boxes] == [64 + 2 * (19 - i) for i in range(20)]
