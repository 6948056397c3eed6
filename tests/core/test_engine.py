"""Engine: tiled results equal whole ones; memory shortage, failing devices and cancelling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from vdsr_app.control import CancelToken
from vdsr_app.core import engine as engine_module
from vdsr_app.core.backend import Backend, FloatPlane, TorchBackend
from vdsr_app.core.backend_choice import gpu_backend
from vdsr_app.core.device import Precision
from vdsr_app.core.engine import SMALLEST_TILE_PX, Engine
from vdsr_app.core.network import VDSR, VDSRConfig
from vdsr_app.core.tiling import Insets, Rect, Tile
from vdsr_app.errors import (
    Cancelled,
    DeviceError,
    DeviceMemoryError,
    NonFiniteOutputError,
    ShapeMismatchError,
    UsageError,
)


def convolutions(model: VDSR) -> list[nn.Conv2d]:
    return [layer for layer in model.layers if isinstance(layer, nn.Conv2d)]


def network(depth: int = 4, width: int = 6, *, residual: bool = True, seed: int = 0) -> VDSR:
    """A network with biases, so that a wrongly padded layer is detected."""
    torch.manual_seed(seed)
    model = VDSR(VDSRConfig(depth, width, residual))
    with torch.no_grad():
        for layer in convolutions(model):
            layer.weight.normal_(0, (2 / (9 * layer.in_channels)) ** 0.5)
            assert layer.bias is not None
            layer.bias.normal_(0, 0.1)
    return model.eval()


MODEL = network()


def plane(height: int, width: int, seed: int = 0) -> FloatPlane:
    return np.random.default_rng(seed).random((height, width), dtype=np.float32)


def whole(model: VDSR, luma: FloatPlane) -> FloatPlane:
    with torch.inference_mode():
        result: FloatPlane = model(torch.from_numpy(luma)[None, None])[0, 0].numpy()
    return result


class FakeBackend:
    """Adds 1 everywhere, after calling `before`; the values of the halo do not matter."""

    precision = "fp32"
    halo_px = 3

    def __init__(
        self,
        before: Callable[[npt.NDArray[np.float32]], None] = lambda luma: None,
        kind: str = "cuda",
        tile_px: int = 256,
    ) -> None:
        self.before = before
        self.kind = kind
        self.tile_px = tile_px
        self.sides: list[int] = []
        self.releases = 0

    def describe(self) -> str:
        return f"fake {self.kind} · {self.precision}"

    def residual(self, luma: FloatPlane, insets: Insets, token: CancelToken | None = None) -> FloatPlane:
        self.before(luma)
        core = luma[insets.top : luma.shape[0] - insets.bottom, insets.left : luma.shape[1] - insets.right]
        self.sides.append(max(core.shape))
        return np.ones_like(core)

    def release_memory(self) -> None:
        self.releases += 1


def too_large_above(limit_px: int, error: type[Exception] = DeviceMemoryError) -> Callable[[FloatPlane], None]:
    def check(luma: FloatPlane) -> None:
        if max(luma.shape) > limit_px:
            raise error("full")

    return check


class TestExactness:
    @settings(deadline=None, max_examples=150)
    @given(height=st.integers(1, 60), width=st.integers(1, 60), tile_px=st.integers(1, 70), residual=st.booleans())
    def test_tiled_equals_whole(self, height: int, width: int, tile_px: int, residual: bool) -> None:
        model = MODEL if residual else network(residual=False)
        engine = Engine.create(model, device="cpu", precision="fp32")
        luma = plane(height, width)
        np.testing.assert_allclose(engine.upscale_luma(luma, tile_px=tile_px), whole(model, luma), rtol=0, atol=1e-5)

    def test_tiled_equals_whole_at_full_depth(self) -> None:
        model = network(20, 64)
        engine = Engine.create(model, device="cpu", precision="fp32")
        luma = plane(70, 130)
        expected = whole(model, luma)
        assert np.abs(expected - luma).max() > 0.05
        np.testing.assert_allclose(engine.upscale_luma(luma, tile_px=48), expected, rtol=0, atol=1e-5)
        np.testing.assert_allclose(engine.upscale_luma(luma), expected, rtol=0, atol=1e-5)

    @pytest.mark.parametrize("shape", [(1, 3000), (3000, 1)])
    def test_plane_one_pixel_high_or_wide_is_exact(self, shape: tuple[int, int]) -> None:
        engine = Engine.create(MODEL, device="cpu", precision="fp32")
        luma = plane(*shape)
        np.testing.assert_allclose(engine.upscale_luma(luma), whole(MODEL, luma), rtol=0, atol=1e-5)

    def test_bf16_error_is_small(self) -> None:
        model = network(20, 64)
        luma = plane(64, 64)
        exact = Engine.create(model, device="cpu", precision="fp32").upscale_luma(luma) - luma
        rounded = Engine.create(model, device="cpu", precision="bf16").upscale_luma(luma) - luma
        error = np.sqrt(np.mean((exact - rounded) ** 2) / np.mean(exact**2))
        assert 0 < error < 0.02

    def test_engine_copies_the_model_without_modifying_it(self) -> None:
        model = network()
        engine = Engine.create(model, device="cpu", precision="bf16")
        assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
        luma = plane(20, 20)
        before = engine.upscale_luma(luma)
        with torch.no_grad():
            convolutions(model)[0].weight.zero_()
        np.testing.assert_array_equal(engine.upscale_luma(luma), before)

    def test_read_only_plane_is_accepted(self) -> None:
        luma = plane(9, 9)
        luma.flags.writeable = False
        assert Engine.create(MODEL, device="cpu").upscale_luma(luma).shape == (9, 9)

    def test_plane_with_three_axes_is_rejected(self) -> None:
        with pytest.raises(ShapeMismatchError):
            Engine.create(MODEL, device="cpu").upscale_luma(np.zeros((3, 3, 1), np.float32))


class TestMemory:
    def test_tiles_are_halved_until_they_fit_with_one_notice(self) -> None:
        backend = FakeBackend(too_large_above(70))
        engine = Engine(backend)
        notices: list[str] = []
        luma = plane(300, 500)
        np.testing.assert_array_equal(engine.upscale_luma(luma, on_notice=notices.append), luma + 1)
        assert notices == ["Graphics memory was short: smaller tiles are used."]
        assert max(backend.sides) <= 64
        assert backend.releases == 2  # 250 px, 125 px, then 62 px
        # The next picture starts with the size that worked.
        engine.upscale_luma(luma, on_notice=notices.append)
        assert len(notices) == 1
        assert backend.releases == 2

    def test_memory_error_also_leads_to_smaller_tiles(self) -> None:
        notices: list[str] = []
        engine = Engine(FakeBackend(too_large_above(130, MemoryError), kind="cpu"))
        luma = plane(300, 300)
        np.testing.assert_array_equal(engine.upscale_luma(luma, on_notice=notices.append), luma + 1)
        assert notices == ["Memory was short: smaller tiles are used."]

    def test_engine_falls_back_to_cpu_and_its_tiles_when_smallest_tile_fails(self) -> None:
        gpu, cpu = FakeBackend(too_large_above(0)), FakeBackend(kind="cpu", tile_px=100)
        engine = Engine(gpu, lambda: cpu)
        notices: list[str] = []
        luma = plane(500, 500)
        np.testing.assert_array_equal(engine.upscale_luma(luma, on_notice=notices.append), luma + 1)
        assert notices == [
            "Graphics memory was short: smaller tiles are used.",
            "Graphics memory was short: the processor is used instead, which is slower.",
        ]
        assert engine.describe() == "fake cpu · fp32"
        assert sorted(cpu.sides)[len(cpu.sides) // 2] > 80  # the other tiles were not reduced to the smallest size

    def test_tiles_finished_before_a_shortage_are_kept(self) -> None:
        calls = 0

        def fail_at_the_third(luma: FloatPlane) -> None:
            nonlocal calls
            calls += 1
            if calls == 3:
                raise DeviceMemoryError("full")

        done: list[Rect] = []
        backend = FakeBackend(fail_at_the_third, tile_px=64)
        engine = Engine(backend)

        def work(tile: Tile) -> None:
            engine.residual(np.zeros((tile.padded.height, tile.padded.width), np.float32), tile)
            done.append(tile.core)

        engine.run_tiles(128, 128, work)
        covered = np.zeros((128, 128), int)
        for core in done:
            covered[core.rows, core.cols] += 1
        assert (covered == 1).all()
        assert [core.width for core in done] == [64, 64, *[32] * 8]

    def test_memory_shortage_on_gpu_and_cpu_raises_error_with_hint(self) -> None:
        engine = Engine(FakeBackend(too_large_above(0)), lambda: FakeBackend(too_large_above(0), kind="cpu"))
        with pytest.raises(DeviceMemoryError) as caught:
            engine.upscale_luma(plane(300, 300))
        assert caught.value.hint
        assert isinstance(caught.value.__cause__, DeviceMemoryError)

    def test_engine_falls_back_at_once_when_device_fails(self) -> None:
        def fail(luma: FloatPlane) -> None:
            raise DeviceError("gone")

        notices: list[str] = []
        gpu = FakeBackend(fail)
        engine = Engine(gpu, lambda: FakeBackend(kind="cpu"))
        luma = plane(40, 40)
        np.testing.assert_array_equal(engine.upscale_luma(luma, on_notice=notices.append), luma + 1)
        assert notices == ["The graphics processor failed: the processor is used instead, which is slower."]
        with pytest.raises(DeviceError, match="gone"):
            Engine(FakeBackend(fail)).upscale_luma(luma)

    @pytest.mark.parametrize("error", [DeviceMemoryError, MemoryError, DeviceError])
    def test_has_fallen_back_is_set_when_engine_falls_back(self, error: type[Exception]) -> None:
        engine = Engine(FakeBackend(too_large_above(70, error)), lambda: FakeBackend(kind="cpu"))
        engine.upscale_luma(plane(30, 30))
        assert not engine.has_fallen_back
        engine.upscale_luma(plane(100, 100))
        assert engine.has_fallen_back

    @pytest.mark.parametrize(
        ("raised", "expected"),
        [
            (torch.OutOfMemoryError, DeviceMemoryError),
            (MemoryError, DeviceMemoryError),
            (RuntimeError, DeviceMemoryError),
            (torch.AcceleratorError, DeviceError),
            (NotImplementedError, DeviceError),
        ],
    )
    def test_pytorch_errors_become_device_errors(
        self, monkeypatch: pytest.MonkeyPatch, raised: type[Exception], expected: type[DeviceError]
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise raised("no text is looked at")

        monkeypatch.setattr(torch.nn.functional, "conv2d", fail)
        backend = TorchBackend(MODEL, torch.device("cpu"), Precision.FP32)
        with pytest.raises(DeviceError) as caught:
            backend.residual(plane(8, 8), Insets(0, 0, 0, 0))
        assert type(caught.value) is expected

    def test_failed_cpu_allocation_raises_device_memory_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        backend = TorchBackend(MODEL, torch.device("cpu"), Precision.FP32)
        # PyTorch's own allocator fails, with whatever error it raises then.
        monkeypatch.setattr(torch.nn.functional, "conv2d", lambda *_, **__: torch.empty(2**60, dtype=torch.uint8))
        with pytest.raises(DeviceMemoryError):
            backend.residual(plane(8, 8), Insets(0, 0, 0, 0))


class TestNonFinite:
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_single_non_finite_value_is_detected(self, value: float) -> None:
        class Bad(FakeBackend):
            def residual(self, luma: FloatPlane, insets: Insets, token: CancelToken | None = None) -> FloatPlane:
                added = super().residual(luma, insets, token)
                added[-1, 0] = value
                return added

        with pytest.raises(NonFiniteOutputError):
            Engine(Bad()).upscale_luma(plane(10, 10))

    def test_overflow_in_a_real_network_is_detected(self) -> None:
        model = network()
        with torch.no_grad():
            convolutions(model)[1].weight.fill_(3e38)
        for precision in ("fp32", "bf16"):
            with pytest.raises(NonFiniteOutputError):
                Engine.create(model, device="cpu", precision=precision).upscale_luma(plane(16, 16))


class TestCancel:
    def test_cancel_before_start_does_no_work(self) -> None:
        token = CancelToken()
        token.cancel()
        backend = FakeBackend()
        with pytest.raises(Cancelled):
            Engine(backend).upscale_luma(plane(10, 10), token=token)
        assert not backend.sides

    def test_cancel_stops_between_tiles(self) -> None:
        token = CancelToken()

        def stop(done: int, total: int) -> None:
            if done * 2 >= total:
                token.cancel()

        backend = FakeBackend(tile_px=10)
        with pytest.raises(Cancelled):
            Engine(backend).upscale_luma(plane(40, 40), token=token, on_progress=stop)
        assert len(backend.sides) == 8

    def test_cancel_is_checked_once_per_layer_within_a_tile(self) -> None:
        class CountingToken(CancelToken):
            asked = 0

            def raise_if_cancelled(self) -> None:
                self.asked += 1
                super().raise_if_cancelled()

        token = CountingToken()
        backend = TorchBackend(MODEL, torch.device("cpu"), Precision.FP32)
        backend.residual(plane(8, 8), Insets(0, 0, 0, 0), token)
        assert token.asked == MODEL.config.depth
        token.cancel()
        with pytest.raises(Cancelled):
            backend.residual(plane(8, 8), Insets(0, 0, 0, 0), token)


class TestReports:
    def test_progress_counts_pixels_up_to_the_total(self) -> None:
        reports: list[tuple[int, int]] = []
        Engine(FakeBackend(tile_px=7)).upscale_luma(
            plane(20, 30), on_progress=lambda done, total: reports.append((done, total))
        )
        assert [done for done, _ in reports] == sorted({done for done, _ in reports})
        assert reports[-1] == (600, 600)
        assert {total for _, total in reports} == {600}
        assert len(reports) == 15

    def test_visible_region_is_queried_before_each_tile(self) -> None:
        corners = [Rect(90, 90, 10, 10), Rect(0, 90, 10, 10), None]
        order: list[Rect] = []
        engine = Engine(FakeBackend(tile_px=50))
        engine.run_tiles(100, 100, lambda tile: order.append(tile.core), visible=lambda: corners[min(len(order), 2)])
        assert [core[:2] for core in order[:2]] == [(50, 50), (0, 50)]
        assert len(order) == 4

    def test_engine_reports_device_precision_and_halo(self) -> None:
        engine = Engine.create(MODEL, device="cpu", precision="fp32")
        assert engine.describe().endswith(" · fp32")
        assert (engine.kind, engine.precision, engine.halo_px) == ("cpu", "fp32", 4)

    def test_create_rejects_unknown_device_and_precision(self) -> None:
        with pytest.raises(UsageError):
            Engine.create(MODEL, device="abacus")
        with pytest.raises(UsageError):
            Engine.create(MODEL, device="cpu", precision="fp8")

    def test_gpu_that_cannot_start_is_passed_over_unless_requested(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(_: torch.device) -> tuple[int, int]:
            raise RuntimeError("driver")

        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        monkeypatch.setattr(torch.cuda, "get_device_capability", broken)
        engine = Engine.create(MODEL)
        assert engine.kind == "cpu"
        assert engine.has_fallen_back
        with pytest.raises(DeviceError, match="'cuda'"):
            Engine.create(MODEL, device="cuda")

    @pytest.mark.parametrize(
        "error", [torch.OutOfMemoryError("full"), torch.AcceleratorError("failed"), RuntimeError("no workspace")]
    )
    def test_gpu_that_fails_at_its_first_tile_is_passed_over_unless_requested(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        class Fails(TorchBackend):
            def __init__(self, model: VDSR, device: torch.device, precision: Precision) -> None:
                super().__init__(model, torch.device("cpu"), precision)

            def _through(self, *_: object) -> torch.Tensor:
                raise error

        def choose(model: VDSR, device: torch.device, precision: str) -> Backend:
            return gpu_backend(model, device, precision, Fails)

        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
        monkeypatch.setattr(engine_module, "gpu_backend", choose)
        engine = Engine.create(MODEL)
        assert engine.kind == "cpu"
        assert engine.has_fallen_back
        notices: list[str] = []
        for _ in range(2):
            engine.upscale_luma(plane(20, 20), on_notice=notices.append)
        assert ["cannot be used now" in text for text in notices] == [True]
        with pytest.raises(DeviceError, match="'mps'") as caught:
            Engine.create(MODEL, device="mps")
        assert "'cpu'" in caught.value.hint

    def test_gpu_unsupported_by_pytorch_is_reported_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.version, "hip", None)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "GTX 1080")
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (6, 1))
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_80"])
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
        engine = Engine.create(MODEL)
        notices: list[str] = []
        for _ in range(2):
            engine.upscale_luma(plane(20, 20), on_notice=notices.append)
        assert engine.kind == "cpu"
        assert ["GTX 1080" in text for text in notices] == [True]

    def test_default_tiles_stay_below_mapping_threshold_of_allocator(self) -> None:
        for width in (16, 64, 128):
            for precision in (Precision.FP32, Precision.BF16):
                backend = TorchBackend(VDSR(VDSRConfig(20, width)), torch.device("cpu"), precision)
                padded_px = backend.tile_px + 2 * backend.halo_px
                assert padded_px**2 * width * 4 < 32 * 2**20
                assert backend.tile_px >= SMALLEST_TILE_PX


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("auto", 0.02)])
def test_cuda_matches_cpu(precision: str, tolerance: float) -> None:
    model = network(20, 64)
    luma = plane(300, 700)
    engine = Engine.create(model, device="cuda", precision=precision)
    np.testing.assert_allclose(engine.upscale_luma(luma, tile_px=256), whole(model, luma), rtol=0, atol=tolerance)
