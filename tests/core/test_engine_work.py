"""Work of the engine, counted because timing would depend on the machine: tiles, arithmetic, memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from vdsr_app.core.engine import Engine
from vdsr_app.core.job import Target, UpscaleSettings
from vdsr_app.core.network import VDSR, VDSRConfig, initialise
from vdsr_app.core.picture import Picture
from vdsr_app.core.tiling import Tile, TileQueue, plan_tiles
from vdsr_app.core.upscale import upscale_picture
from vdsr_app.core.winograd.backend import WinogradBackend
from vdsr_app.core.winograd.kernels import BLOCK

WIDTH, HEIGHT = 1920, 1080


def _model(depth: int, width: int = 16) -> VDSR:
    model = VDSR(VDSRConfig(depth, width))
    initialise(model, 0)
    return model


class Counted(WinogradBackend):
    """Computes nothing; adds up the pixels of every layer, rounded up to whole blocks."""

    layer_px = 0

    def __init__(self, model: VDSR) -> None:
        super().__init__(model, 1)

    def _in_bands(self, box, work):
        top, bottom, left, right = box
        self.layer_px += BLOCK**2 * -(-(bottom - top) // BLOCK) * -(-(right - left) // BLOCK)


@pytest.mark.parametrize(("width", "height", "most"), [(WIDTH, HEIGHT, 1.2), (3840, 2160, 1.2), (640, 480, 1.2)])
def test_tile_overlap_adds_at_most_20_percent_work(width: int, height: int, most: float) -> None:
    backend = Counted(_model(20))
    backend.layer_px = 0

    def work(tile: Tile) -> None:
        backend.residual(np.zeros((tile.padded.height, tile.padded.width), np.float32), tile.insets)

    Engine(backend).run_tiles(width, height, work)
    assert backend.layer_px <= most * 20 * width * height


def test_number_of_tiles_matches_the_plan() -> None:
    backend = Counted(_model(20))
    tiles = plan_tiles(WIDTH, HEIGHT, backend.tile_px, backend.halo_px)
    assert len(tiles) == -(-WIDTH // backend.tile_px) * -(-HEIGHT // backend.tile_px)
    done = []
    Engine(backend).run_tiles(WIDTH, HEIGHT, done.append)
    assert len(done) == len(tiles)
    assert len(TileQueue(WIDTH, HEIGHT, backend.tile_px, backend.halo_px)) == len(tiles)


def test_feature_planes_of_a_tile_are_allocated_once() -> None:
    backend = WinogradBackend(_model(4), 1)
    engine = Engine(backend)
    luma = np.random.default_rng(0).random((400, 400)).astype(np.float32)
    engine.upscale_luma(luma, tile_px=100)
    plane_bytes = backend._memory[0].nbytes
    tracemalloc.start()
    try:
        engine.upscale_luma(luma, tile_px=100)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - luma.nbytes < plane_bytes / 4, "features were allocated anew"


def test_upscaling_holds_no_float_copy_of_the_whole_picture() -> None:
    backend = WinogradBackend(_model(3), 1)
    engine = Engine(backend)
    source = Picture(np.random.default_rng(0).integers(0, 256, (500, 600, 3), np.uint8))
    result_px = 4 * 500 * 600
    largest: list[int] = []

    def look(tile: object) -> None:
        largest.append(max(trace.size for trace in tracemalloc.take_snapshot().traces))

    tracemalloc.start()
    try:
        upscale_picture(source, UpscaleSettings(Target(value=2.0), tile_px=128), engine, on_tile=look)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The result has 3 bytes per pixel; a float copy of its luma would have 4, and of all channels 12.
    assert max(largest) == 3 * result_px
    assert peak < (3 + 4) * result_px + 2 * backend._memory[0].nbytes
