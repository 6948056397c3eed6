"""What `vdsr bench` counts and how it measures; speed itself is not tested."""

from __future__ import annotations

import sys
import tracemalloc

import numpy as np
import pytest
import torch

from vdsr_app.control import CancelToken
from vdsr_app.core.bench import child as child_module
from vdsr_app.core.bench import race as module
from vdsr_app.core.bench.race import race, runs_for
from vdsr_app.core.bench.work import (
    Way,
    flops_per_pixel,
    matrix_tflops,
    output_size,
    picture_luma,
    sample_picture,
)
from vdsr_app.core.color import network_luma
from vdsr_app.core.memory import peak_resident_bytes, resident_bytes
from vdsr_app.core.models import DEFAULT_MODEL
from vdsr_app.core.network import VDSRConfig
from vdsr_app.core.resize import resize
from vdsr_app.errors import Cancelled, DeviceError


def test_flops_per_pixel_counts_each_weight_twice() -> None:
    assert flops_per_pixel(VDSRConfig()) == 2 * 664_704


@pytest.mark.parametrize("megapixels", [0.01, 1, 2, 8, 32, 600])
def test_output_size_is_even_and_close_to_requested_megapixels(megapixels: float) -> None:
    width, height = output_size(megapixels)
    assert width % 2 == height % 2 == 0
    assert width * height / 1e6 == pytest.approx(megapixels, rel=0.02)


def test_sample_picture_is_reproducible() -> None:
    first, second = sample_picture(0.2), sample_picture(0.2)
    assert (first.pixels == second.pixels).all()
    assert first.pixels.std() > 20
    assert first.pixels.dtype == np.uint8
    width, height = output_size(0.2)
    assert (first.width, first.height) == (width // 2, height // 2)


def test_picture_luma_matches_enlarged_picture() -> None:
    picture = sample_picture(0.6)
    large = resize(picture.pixels, 2 * picture.height, 2 * picture.width)
    np.testing.assert_allclose(picture_luma(picture), network_luma(large, 255.0), atol=1e-6)


def test_making_picture_and_luma_takes_little_extra_memory() -> None:
    tracemalloc.start()
    try:
        picture = sample_picture(8)
        _, peak = tracemalloc.get_traced_memory()
        assert peak < picture.pixels.nbytes + 16 * 2**20
        luma = picture_luma(picture)
        _, peak = tracemalloc.get_traced_memory()
        assert peak < picture.pixels.nbytes + luma.nbytes + 16 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("free", "pieces", "rows"), [(None, 1, 1000), (2**40, 1, 1000), (64 * 2**20, 13, 81)])
def test_plane_is_split_into_strips_with_halo_when_memory_is_short(
    monkeypatch: pytest.MonkeyPatch, free: int | None, pieces: int, rows: int
) -> None:
    monkeypatch.setattr(child_module, "available_memory_bytes", lambda: free)
    luma = np.arange(1000 * 800, dtype=np.float32).reshape(1000, 800)
    strips = list(child_module._strips(luma, 64))
    assert len(strips) == pieces
    kept = [strip[20 * (i > 0) :][:rows] for i, strip in enumerate(strips)]
    np.testing.assert_array_equal(np.concatenate(kept), luma)


def test_matrix_tflops_is_positive(monkeypatch: pytest.MonkeyPatch) -> None:
    from vdsr_app.core.bench import work

    monkeypatch.setattr(work, "_MATRIX_SIDES", (64,))
    rates = matrix_tflops(torch.device("cpu"))
    assert rates["fp32"] > 0


@pytest.mark.skipif(sys.platform == "win32", reason="the system does not tell")
def test_resident_and_peak_memory_are_reported() -> None:
    now, peak = resident_bytes(), peak_resident_bytes()
    assert now is not None
    assert peak is not None
    assert 10e6 < now <= peak


def test_runs_for_returns_fewer_runs_for_larger_sizes() -> None:
    assert [runs_for(size) for size in (1, 4, 8, 16, 32)] == [5, 5, 3, 3, 1]
    assert [runs_for(size, 7) for size in (1, 32)] == [7, 7]


def test_race_runs_ways_in_turn_and_reports_each(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    real = module._Child.run
    monkeypatch.setattr(module._Child, "run", lambda child: (order.append(child._way.name), real(child)))
    ways = [Way("winograd", "cpu", "fp32"), Way("torch", "cpu", "fp32")]
    results = race(ways, 0.02, 2, DEFAULT_MODEL, CancelToken())
    assert order == ["winograd", "torch"] * 2
    for result, way in zip(results, ways, strict=True):
        assert result.way == way
        assert result.about["backend"] == way.name
        assert result.runs == 2
        assert 0 < result.network_s <= result.seconds * 1.5
        assert result.first_tile_s is not None
        assert result.mpx_per_s > 0


def test_failing_way_raises_and_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    children = []
    real = module._Child.wait_ready
    monkeypatch.setattr(module._Child, "wait_ready", lambda child: (children.append(child), real(child)))
    with pytest.raises(DeviceError, match="winograd"):
        race([Way("winograd", "cpu", "bf16")], 0.02, 1, DEFAULT_MODEL, CancelToken())
    processes = [child._process for child in children]
    assert [process is not None and process.poll() is not None for process in processes] == [True]


def test_race_can_be_cancelled_between_runs() -> None:
    token = CancelToken()
    with pytest.raises(Cancelled):
        race([Way("torch", "cpu", "fp32")], 0.02, 5, DEFAULT_MODEL, token, token.cancel)
