"""Self-ensemble: the mean of eight passes, tiled or whole, independent of how the picture is turned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from vdsr_app.control import CancelToken
from vdsr_app.core.backend import TorchBackend
from vdsr_app.core.device import Precision
from vdsr_app.core.engine import Engine
from vdsr_app.core.ensemble import POSITIONS, FloatPlane, Position
from vdsr_app.core.job import Target, TargetKind, UpscaleSettings
from vdsr_app.core.models import find_model
from vdsr_app.core.network import VDSR, VDSRConfig
from vdsr_app.core.picture import Picture
from vdsr_app.core.tiling import Insets, Rect, plan_tiles
from vdsr_app.core.upscale import TileResult, upscale_picture
from vdsr_app.core.weights import load_model
from vdsr_app.errors import Cancelled, DeviceMemoryError, NonFiniteOutputError
from vdsr_trainer.symmetry import Symmetry

CPU = torch.device("cpu")


def network(depth: int = 4, *, width: int = 6, residual: bool = True) -> VDSR:
    """A network without any symmetry, so that each position gives a different result."""
    torch.manual_seed(3)
    model = VDSR(VDSRConfig(depth, width, residual))
    with torch.no_grad():
        for layer in model.layers:
            assert isinstance(layer, nn.Conv2d)
            assert layer.bias is not None
            layer.weight.normal_(0, (1.5 / (9 * layer.in_channels)) ** 0.5)
            layer.bias.normal_(0, 0.1)
    return model.eval()


MODEL = network()


def tied(kind: str, *, residual: bool = True) -> VDSR:
    """Such a network, its weights tied for quarter turns ("p4"), also for reflections ("p4m"), or not ("none")."""
    model = network(width=8, residual=residual)
    if kind != "none":
        Symmetry(kind, model.convolutions).tie_weights()
    return model


class CountingBackend(TorchBackend):
    """Records the shape of each pass; can run out of memory, or cancel a token at a given pass."""

    def __init__(self, model: VDSR = MODEL, precision: Precision = Precision.FP32) -> None:
        super().__init__(model, CPU, precision)
        self.passes: list[tuple[int, int]] = []
        self.largest_px: int | None = None
        self.cancel_at: tuple[int, CancelToken] | None = None

    def residual(self, luma: FloatPlane, insets: Insets, token: CancelToken | None = None) -> FloatPlane:
        if self.largest_px is not None and max(luma.shape) > self.largest_px:
            raise DeviceMemoryError("full")
        self.passes.append(luma.shape)
        if self.cancel_at is not None and len(self.passes) == self.cancel_at[0]:
            self.cancel_at[1].cancel()
        return super().residual(luma, insets, token)


def plane(height: int, width: int) -> FloatPlane:
    return np.random.default_rng(height * 100 + width).random((height, width), dtype=np.float32)


def whole(model: VDSR, luma: FloatPlane) -> FloatPlane:
    with torch.inference_mode():
        result: FloatPlane = model(torch.from_numpy(luma.copy())[None, None])[0, 0].numpy()
    return result


def mean_of_eight(model: VDSR, luma: FloatPlane) -> FloatPlane:
    """By the definition, computed differently from the code: by transposing and mirroring along each axis."""
    answers = []
    for transposed in (False, True):
        for down in (1, -1):
            for across in (1, -1):
                turned = luma[::down, ::across]
                answer = whole(model, turned.T if transposed else turned)
                answers.append((answer.T if transposed else answer)[::down, ::across])
    mean: FloatPlane = np.mean(answers, axis=0, dtype=np.float64).astype(np.float32)
    return mean


def engine(model: VDSR = MODEL) -> Engine:
    return Engine(CountingBackend(model))


def test_eight_positions_differ_and_round_trip() -> None:
    luma = plane(3, 5)
    turned = [position.turn(luma) for position in POSITIONS]
    assert len({(each.shape, each.tobytes()) for each in turned}) == len(POSITIONS) == 8
    for position, each in zip(POSITIONS, turned, strict=True):
        np.testing.assert_array_equal(position.turn_back(each), luma)
        assert each.flags.c_contiguous


@pytest.mark.parametrize("position", POSITIONS)
def test_insets_turn_with_the_plane(position: Position) -> None:
    marked = np.zeros((11, 14), np.float32)
    insets = Insets(left=1, top=2, right=4, bottom=3)
    marked[2:-3, 1:-4] = 1
    turned, (left, top, right, bottom) = position.turn(marked), position.turn_insets(insets)
    height, width = turned.shape
    core = turned[top : height - bottom, left : width - right]
    assert core.min() == 1
    assert core.sum() == marked.sum()


@settings(deadline=None, max_examples=60)
@given(height=st.integers(1, 40), width=st.integers(1, 40), tile_px=st.integers(1, 50), residual=st.booleans())
def test_self_ensemble_equals_mean_of_eight_whole_passes(height: int, width: int, tile_px: int, residual: bool) -> None:
    model = MODEL if residual else network(residual=False)
    luma = plane(height, width)
    result = engine(model).upscale_luma(luma, tile_px=tile_px, self_ensemble=True)
    np.testing.assert_allclose(result, mean_of_eight(model, luma), rtol=0, atol=1e-5)


def test_self_ensemble_differs_from_one_pass() -> None:
    luma = plane(30, 40)
    one, eight = (engine().upscale_luma(luma, self_ensemble=requested) for requested in (False, True))
    assert np.abs(one - eight).max() > 0.01


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16])
@pytest.mark.parametrize("position", POSITIONS)
def test_turned_plane_gives_the_turned_result(precision: Precision, position: Position) -> None:
    luma = plane(33, 46)
    computer = Engine(CountingBackend(precision=precision))
    result = computer.upscale_luma(luma, self_ensemble=True)
    turned = computer.upscale_luma(position.turn(luma), self_ensemble=True)
    np.testing.assert_allclose(position.turn_back(turned), result, rtol=0, atol=1e-6)


def test_one_pass_depends_on_the_position() -> None:
    luma = plane(33, 46)
    result = engine().upscale_luma(luma)
    turned = engine().upscale_luma(POSITIONS[1].turn(luma))
    assert np.abs(POSITIONS[1].turn_back(turned) - result).max() > 0.01


def test_each_tile_takes_eight_passes_of_its_own_size() -> None:
    backend = CountingBackend()
    Engine(backend).upscale_luma(plane(50, 70), tile_px=32, self_ensemble=True)
    expected = [tile.padded for tile in plan_tiles(70, 50, 32, backend.halo_px)]
    assert len(backend.passes) == 8 * len(expected)
    for number, padded in enumerate(expected):
        sides = backend.passes[8 * number : 8 * number + 8]
        assert sorted(sides) == sorted([(padded.height, padded.width), (padded.width, padded.height)] * 4)


class TestTiedWeights:
    """A network whose result turns with the picture: fewer passes give the same mean."""

    @pytest.mark.parametrize(("kind", "passes"), [("none", 8), ("p4", 2), ("p4m", 1)])
    @pytest.mark.parametrize("residual", [True, False])
    def test_only_positions_with_distinct_results_are_computed(self, kind: str, passes: int, residual: bool) -> None:
        model = tied(kind, residual=residual)
        backend = CountingBackend(model)
        computer = Engine.create(model, device="cpu", precision="fp32", backend="torch")
        computer._backend = backend
        luma = plane(33, 46)
        result = computer.upscale_luma(luma, self_ensemble=True)
        assert len(backend.passes) == passes
        np.testing.assert_allclose(result, mean_of_eight(model, luma), rtol=0, atol=1e-5)

    @pytest.mark.parametrize("name", ["vdsr", "photo"])
    def test_bundled_models_need_two_passes(self, name: str) -> None:
        model = load_model(find_model(name)).model
        positions = Engine.create(model, device="cpu", precision="fp32", backend="torch")._positions
        assert positions == (Position(False, 0), Position(True, 0))

    def test_nearly_symmetric_network_needs_all_passes(self) -> None:
        model = tied("p4")
        with torch.no_grad():
            model.convolutions[1].weight[0, 0, 0, 1] += 0.01
        positions = Engine.create(model, device="cpu", precision="fp32", backend="torch")._positions
        assert positions == POSITIONS


def test_progress_counts_pixels_after_all_their_passes() -> None:
    backend = CountingBackend()
    reported: list[tuple[float, float, int]] = []
    Engine(backend).upscale_luma(
        plane(40, 60),
        tile_px=20,
        self_ensemble=True,
        on_progress=lambda done, total: reported.append((done, total, len(backend.passes))),
    )
    assert [(done, total) for done, total, _ in reported] == [(400 * n, 2400) for n in range(1, 7)]
    assert [passes for _, _, passes in reported] == [8 * n for n in range(1, 7)]


def test_cancel_stops_within_a_pass() -> None:
    backend, token = CountingBackend(), CancelToken()
    backend.cancel_at = (3, token)
    with pytest.raises(Cancelled):
        Engine(backend).upscale_luma(plane(40, 60), tile_px=20, token=token, self_ensemble=True)
    assert len(backend.passes) == 3


def test_smaller_tiles_give_the_same_result_when_memory_is_short() -> None:
    backend = CountingBackend()
    backend.largest_px = 60
    notices: list[str] = []
    luma = plane(100, 130)
    result = Engine(backend).upscale_luma(luma, self_ensemble=True, on_notice=notices.append)
    assert len(notices) == 1
    np.testing.assert_allclose(result, mean_of_eight(MODEL, luma), rtol=0, atol=1e-5)


def test_non_finite_result_of_one_position_raises() -> None:
    class Odd(CountingBackend):
        def residual(self, luma: FloatPlane, insets: Insets, token: CancelToken | None = None) -> FloatPlane:
            added = super().residual(luma, insets, token)
            return added * np.float32(np.nan) if len(self.passes) == 5 else added

    with pytest.raises(NonFiniteOutputError):
        Engine(Odd()).upscale_luma(plane(9, 9), self_ensemble=True)


class TestPictures:
    """Self-ensemble through `upscale_picture`, as the window and the command line use it."""

    SETTINGS = UpscaleSettings(Target(TargetKind.SCALE, 2.0), tile_px=24, self_ensemble=True)

    def picture(self) -> Picture:
        rng = np.random.default_rng(8)
        return Picture(rng.integers(0, 256, (21, 30, 3), dtype=np.uint8))

    def test_turned_picture_gives_the_turned_result(self) -> None:
        source = self.picture()
        turned = replace(source, pixels=np.ascontiguousarray(np.rot90(source.pixels)))
        results = [upscale_picture(each, self.SETTINGS, engine()).pixels.astype(int) for each in (source, turned)]
        assert np.abs(np.rot90(results[0]) - results[1]).max() <= 1  # rounding to 8 bits
        once = replace(self.SETTINGS, self_ensemble=False)
        plain = [upscale_picture(each, once, engine()).pixels.astype(int) for each in (source, turned)]
        assert np.abs(np.rot90(plain[0]) - plain[1]).max() > 1

    def test_tiles_and_progress_match_those_without_self_ensemble(self) -> None:
        reported: dict[bool, list[tuple[int, int, int]]] = {}
        for requested in (False, True):
            tiles: list[TileResult] = []
            result = upscale_picture(
                self.picture(),
                replace(self.SETTINGS, self_ensemble=requested),
                engine(),
                on_tile=tiles.append,
                visible=lambda: Rect(40, 20, 5, 5),
            )
            for tile in tiles:
                shown = result.pixels[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width]
                np.testing.assert_array_equal(shown, tile.pixels)
            reported[requested] = [(tile.x, tile.y, tile.done_px) for tile in tiles]
        assert reported[True] == reported[False]

    def test_both_stages_of_a_large_scale_factor_use_self_ensemble(self) -> None:
        backend = CountingBackend()
        settings_8 = UpscaleSettings(Target(TargetKind.SCALE, 8.0), self_ensemble=True)
        small = Picture(self.picture().pixels[:6, :7].copy())
        upscale_picture(small, settings_8, Engine(backend))
        assert len(backend.passes) == 16
