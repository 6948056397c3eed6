"""GPU backend with several tiles in flight: on a simulated card that logs its calls, and on a real one if present."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.core.test_engine import MODEL, network, plane, whole
from vdsr_app.control import CancelToken
from vdsr_app.core import backend_gpu as module
from vdsr_app.core.backend import FloatPlane, Pipelined, TorchBackend
from vdsr_app.core.backend_choice import gpu_backend
from vdsr_app.core.backend_gpu import LOOK_AHEAD, Card, CudaCard, Event, GpuBackend
from vdsr_app.core.device import Precision
from vdsr_app.core.engine import Engine
from vdsr_app.core.job import Target, UpscaleSettings
from vdsr_app.core.picture import Picture
from vdsr_app.core.tiling import Insets, Tile
from vdsr_app.core.upscale import upscale_picture
from vdsr_app.errors import Cancelled, DeviceMemoryError

CPU = torch.device("cpu")


class Line:
    """A stream that does its work at once and logs each call."""

    def __init__(self, name: str, calls: list[str]) -> None:
        self.name, self.calls = name, calls

    @contextmanager
    def use(self) -> Iterator[None]:
        self.calls.append(self.name)
        yield

    def record(self) -> Event:
        self.calls.append(f"{self.name} marked")
        return len(self.calls)

    def wait(self, event: Event) -> None:
        self.calls.append(f"{self.name} waits")


class Imitation:
    """A card simulated on the CPU. Each replay runs the layers again, into the tensor of the recording."""

    def __init__(self, free: int | None = 10**9, records: bool = True) -> None:
        self.calls: list[str] = []
        self.upload, self.compute, self.download = (Line(name, self.calls) for name in ("up", "layers", "down"))
        self.free, self.records = free, records
        self.recorded = self.replays = self.buffers = 0
        self.fault: Exception | None = None
        self.marks: list[object] = [object()]  # each but the first is referenced by a tensor on the card

    def free_bytes(self) -> int | None:
        return self.free

    def locked(self, height: int, width: int) -> Tensor:
        self.buffers += 1
        made = torch.full((height, width), torch.nan)
        self.share(made)
        return made

    def share(self, tensor: Tensor) -> None:
        tensor.mark = object()  # type: ignore[attr-defined]
        self.marks.append(tensor.mark)  # type: ignore[attr-defined]

    @property
    def freed(self) -> int:
        """Tensors on the card that were freed. Weak references would also count those that were resurrected."""
        gc.collect()
        by_none, *held = [sys.getrefcount(mark) for mark in self.marks]
        return held.count(by_none)

    def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor] | None:
        if not self.records:
            raise RuntimeError("this card records nothing")
        self.recorded += 1
        result = torch.full_like(work(), torch.nan)

        def replay() -> None:
            self.replays += 1
            result.copy_(work())

        return replay, result

    def synchronise(self, event: Event) -> None:
        self.calls.append("wait for result")
        if self.fault is not None:
            raise self.fault

    def lost(self) -> bool:
        return self.fault is not None


class CudaStream:
    """The methods of a PyTorch stream that `CudaCard` calls."""

    def record_event(self) -> SimpleNamespace:
        return SimpleNamespace(synchronize=lambda: None)

    def wait_event(self, event: Event) -> None:
        pass


class NoCuda(CudaCard):
    """A `CudaCard` on the CPU, except for what only CUDA can do."""

    def free_bytes(self) -> int:
        return 10**9

    def locked(self, height: int, width: int) -> Tensor:
        return torch.zeros((height, width))

    def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor] | None:
        return lambda: None, work()


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Tensor, CudaStream]]:
    """Makes `NoCuda` usable; lists the tensors that PyTorch was told are used in a stream, each with the stream."""
    calls: list[tuple[Tensor, CudaStream]] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: CudaStream())
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(Tensor, "record_stream", lambda tensor, stream: calls.append((tensor, stream)))
    return calls


def backend(card: Card | None = None, precision: Precision = Precision.FP32, **kind: bool) -> GpuBackend:
    return GpuBackend(network(**kind) if kind else MODEL, CPU, precision, card or Imitation())


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 90), (64, 64), (131, 97)])
def test_tiled_equals_whole(height: int, width: int, residual: bool) -> None:
    luma = plane(height, width)
    model = network(residual=residual)
    engine = Engine(GpuBackend(model, CPU, Precision.FP32, Imitation()))
    assert isinstance(engine._backend, Pipelined)
    for _ in range(2):
        out = engine.upscale_luma(luma, tile_px=32)
        np.testing.assert_allclose(out, whole(model, luma), atol=1e-5)


def test_picture_matches_torch_backend_and_tiles_arrive_in_order() -> None:
    picture = Picture(np.random.default_rng(1).integers(0, 256, (50, 70, 3), np.uint8))
    settings = UpscaleSettings(Target(value=2.0), tile_px=32)
    wanted = upscale_picture(picture, settings, Engine(TorchBackend(MODEL, CPU, Precision.FP32)))
    tiles: list[tuple[int, int]] = []
    made = upscale_picture(picture, settings, Engine(backend()), on_tile=lambda tile: tiles.append((tile.x, tile.y)))
    np.testing.assert_array_equal(made.pixels, wanted.pixels)
    assert len(tiles) == 4 * 5
    assert tiles == sorted(tiles, key=lambda place: place[::-1])


def test_next_tiles_are_sent_before_waiting_for_the_first() -> None:
    card = Imitation()
    engine = Engine(backend(card))
    card.calls.clear()
    engine.upscale_luma(plane(32, 32 * 6), tile_px=32)
    sent = waited = 0
    most = 0
    for what in card.calls:
        sent += what == "up"
        waited += what == "wait for result"
        most = max(most, sent - waited)
        assert waited == 0 or sent >= min(6, waited + LOOK_AHEAD)
    assert (sent, waited, most) == (6, 6, LOOK_AHEAD + 1)
    first = card.calls[: card.calls.index("up", 1)]
    assert first == ["up", "up marked", "layers waits", "layers", "layers marked", "down waits", "down", "down marked"]


def test_buffers_are_reused() -> None:
    card = Imitation()
    engine = Engine(backend(card))
    engine.upscale_luma(plane(200, 200), tile_px=20)
    made = card.buffers
    engine.upscale_luma(plane(200, 200), tile_px=20)
    assert card.buffers == made
    assert made <= 9 * 2 * (LOOK_AHEAD + 1)


def test_shape_is_recorded_at_its_third_use_and_then_replayed() -> None:
    card = Imitation()
    engine = Engine(backend(card))
    luma = plane(30, 30)
    for use in range(1, 6):
        np.testing.assert_allclose(engine.upscale_luma(luma), whole(MODEL, luma), atol=1e-5)
        assert card.recorded == (use >= 3)
    assert card.replays == 3


def test_layers_run_one_by_one_when_card_cannot_record(caplog: pytest.LogCaptureFixture) -> None:
    card = Imitation(records=False)
    engine = Engine(backend(card))
    luma = plane(30, 30)
    for _ in range(5):
        np.testing.assert_allclose(engine.upscale_luma(luma), whole(MODEL, luma), atol=1e-5)
    assert caplog.text.count("cannot be recorded") == 1


@pytest.mark.parametrize(("free", "side"), [(10**5, 128), (40_000_000, 544), (10**11, 1024), (None, 1024)])
def test_tile_size_follows_free_memory(free: int | None, side: int) -> None:
    assert GpuBackend(network(depth=20, width=64), CPU, Precision.BF16, Imitation(free)).tile_px == pytest.approx(
        side, abs=0 if side in (128, 1024) else 500
    )
    activations = 64 * 8 * (side + 40) ** 2
    assert free is None or side == 128 or activations <= free or side == 544


def test_tiles_shrink_and_none_is_lost_when_memory_runs_short() -> None:
    class Short(GpuBackend):
        def _take(self, shape: object) -> object:
            if self.most_px < max(shape.height, shape.width):  # type: ignore[attr-defined]
                raise torch.OutOfMemoryError("short")
            return super()._take(shape)  # type: ignore[arg-type]

    short = Short(MODEL, CPU, Precision.FP32, Imitation())
    short.most_px = 40  # type: ignore[attr-defined]
    notices: list[str] = []
    luma = plane(150, 130)
    out = Engine(short).upscale_luma(luma, tile_px=128, on_notice=notices.append)
    np.testing.assert_allclose(out, whole(MODEL, luma), atol=1e-5)
    assert notices == ["Memory was short: smaller tiles are used."]


class Failing(GpuBackend):
    """Backend whose card is lost at the fifth tile, after which all calls fail; the layers raise their own error."""

    def __init__(self, card: Imitation, error_of_layers: Exception | None) -> None:
        super().__init__(MODEL, CPU, Precision.FP32, card)
        self.imitation, self.error_of_layers, self.tiles = card, error_of_layers, 0

    def _send(self, *tile: object) -> Event:
        self.tiles += 1
        if self.tiles >= 5:
            self.imitation.fault = torch.AcceleratorError("gone")
            if self.error_of_layers is not None:
                raise self.error_of_layers
        return super()._send(*tile)  # type: ignore[arg-type]


def on_processor() -> TorchBackend:
    return TorchBackend(MODEL, CPU, Precision.FP32)


@pytest.mark.parametrize("error", [None, torch.AcceleratorError("gone"), RuntimeError("CUDNN_STATUS_EXECUTION_FAILED")])
@pytest.mark.parametrize("tile_px", [32, 64])
def test_engine_falls_back_to_cpu_when_card_is_lost_with_tiles_in_flight(error: Exception | None, tile_px: int) -> None:
    notices: list[str] = []
    engine = Engine(Failing(Imitation(), error), on_processor)
    luma = plane(150, 130)
    out = engine.upscale_luma(luma, tile_px=tile_px, on_notice=notices.append)
    np.testing.assert_allclose(out, whole(MODEL, luma), atol=1e-5)
    assert len(notices) == 1
    assert "the processor is used instead" in notices[0]


@pytest.mark.parametrize("error", [None, RuntimeError("CUDNN_STATUS_EXECUTION_FAILED")])
def test_tensors_on_a_lost_card_are_not_freed(error: Exception | None) -> None:
    card = Imitation()
    engine = Engine(Failing(card, error), on_processor)
    engine.upscale_luma(plane(150, 130), tile_px=64, on_notice=lambda _: None)
    del engine
    assert card.lost()
    assert card.freed == 0


@pytest.mark.parametrize("lost", [True, False])
def test_tensors_on_an_idle_card_are_freed_unless_it_is_lost(lost: bool) -> None:
    card = Imitation()
    engine = Engine(backend(card))
    for _ in range(4):
        engine.upscale_luma(plane(30, 30))
    cancelled_with_tiles_under_way(engine, 200, 64)
    dropped = card.freed
    assert dropped == 4 * LOOK_AHEAD
    card.fault = torch.AcceleratorError("gone") if lost else None
    del engine
    assert card.freed - dropped == (0 if lost else 4 + 1)  # the buffers, and what the recording reads


def test_cancel_on_a_lost_card_frees_nothing() -> None:
    card = Imitation()
    engine = Engine(backend(card))
    card.fault = torch.AcceleratorError("gone")
    cancelled_with_tiles_under_way(engine, 200, 64)
    assert card.freed == 0


def test_cuda_card_reports_that_it_is_lost(
    marks: list[tuple[Tensor, CudaStream]], monkeypatch: pytest.MonkeyPatch
) -> None:
    card = NoCuda(CPU)
    assert not card.lost()

    def fail(_: CudaStream) -> SimpleNamespace:
        raise torch.AcceleratorError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(CudaStream, "record_event", fail)
    assert card.lost()
    monkeypatch.undo()


def test_begin_raises_cancelled_when_token_is_cancelled() -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        backend().begin(plane(8, 8), Insets(0, 0, 0, 0), token)


def cancelled_with_tiles_under_way(engine: Engine, side: int, tile_px: int) -> None:
    """Begin a black picture, and cancel it once `LOOK_AHEAD` tiles are in flight."""
    token, started = CancelToken(), 0

    def work(tile: Tile) -> Callable[[], object]:
        nonlocal started
        started += 1
        if started == LOOK_AHEAD:
            token.cancel()
        return engine.begin_residual(np.zeros((tile.padded.height, tile.padded.width), np.float32), tile)

    with pytest.raises(Cancelled):
        engine.run_tiles(side, side, work, tile_px=tile_px, token=token)  # type: ignore[arg-type]
    assert started == LOOK_AHEAD


def test_tensors_of_tiles_dropped_in_flight_are_shared_with_all_streams(
    marks: list[tuple[Tensor, CudaStream]],
) -> None:
    card = NoCuda(CPU)
    engine = Engine(GpuBackend(MODEL, CPU, Precision.FP32, card))
    cancelled_with_tiles_under_way(engine, 200, 64)
    streams = {card.upload.stream, card.compute.stream, card.download.stream}
    marked = {id(tensor): tensor for tensor, _ in marks}
    assert len(marked) == 2 * LOOK_AHEAD  # input and output of each tile
    assert all({stream for tensor, stream in marks if id(tensor) == each} == streams for each in marked)


def test_input_of_a_recording_is_shared_with_streams(marks: list[tuple[Tensor, CudaStream]]) -> None:
    engine = Engine(GpuBackend(MODEL, CPU, Precision.FP32, NoCuda(CPU)))
    counts = []
    for _ in range(4):
        engine.upscale_luma(plane(30, 30))
        counts.append(len({id(tensor) for tensor, _ in marks}))
    assert counts == [2, 2, 3, 3]


def test_release_memory_drops_buffers() -> None:
    card = Imitation()
    made = backend(card)
    for _ in range(4):
        made.residual(plane(20, 20), Insets(0, 0, 0, 0))
    before = card.buffers
    made.release_memory()
    made.residual(plane(20, 20), Insets(0, 0, 0, 0))
    assert card.buffers > before
    assert card.recorded == 1


def out_of_memory() -> torch.AcceleratorError:
    """The error that CUDA reports when PyTorch requests page-locked memory or a graph."""
    error = torch.AcceleratorError("CUDA error: out of memory")
    error.error_code = 2
    return error


def test_tiles_shrink_when_page_locked_memory_runs_short() -> None:
    class Short(Imitation):
        def locked(self, height: int, width: int) -> Tensor:
            if height > 60:
                raise out_of_memory()
            return super().locked(height, width)

    notices: list[str] = []
    luma = plane(150, 130)
    engine = Engine(backend(Short()), on_processor)
    out = engine.upscale_luma(luma, tile_px=128, on_notice=notices.append)
    np.testing.assert_allclose(out, whole(MODEL, luma), atol=1e-5)
    assert notices == ["Memory was short: smaller tiles are used."]


@pytest.mark.parametrize("error", [out_of_memory(), torch.OutOfMemoryError("full")])
def test_memory_shortage_while_recording_raises_device_memory_error(error: Exception) -> None:
    class Short(Imitation):
        def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor] | None:
            raise error

    made = backend(Short())
    for _ in range(2):
        made.residual(plane(20, 20), Insets(0, 0, 0, 0))
    with pytest.raises(DeviceMemoryError):
        made.residual(plane(20, 20), Insets(0, 0, 0, 0))


def test_memory_error_becomes_device_memory_error() -> None:
    class Short(Imitation):
        def locked(self, height: int, width: int) -> Tensor:
            raise MemoryError

    with pytest.raises(DeviceMemoryError):
        backend(Short()).residual(plane(8, 8), Insets(0, 0, 0, 0))


class Halved:
    """A backend whose half precision is off by `error`."""

    def __init__(self, precision: Precision, error: float) -> None:
        self.precision, self.error = precision, error

    def residual(self, luma: FloatPlane, insets: Insets) -> FloatPlane:
        return luma + np.float32(0 if self.precision is Precision.FP32 else self.error)

    def describe(self) -> str:
        return f"card · {self.precision}"


@pytest.mark.parametrize(
    ("requested", "error", "taken"),
    [
        ("auto", 1e-4, Precision.FP16),
        ("auto", 1e-2, Precision.FP32),
        ("auto", float("nan"), Precision.FP32),
        ("fp16", 1e-2, Precision.FP16),
        ("fp32", 1e-2, Precision.FP32),
    ],
)
def test_auto_uses_half_precision_only_when_exact_enough(requested: str, error: float, taken: Precision) -> None:
    made = gpu_backend(
        MODEL,
        torch.device("mps"),
        requested,
        lambda model, device, precision: Halved(precision, error),  # type: ignore[arg-type, return-value]
    )
    assert made.precision is taken


def test_result_of_auto_precision_is_close_to_fp32() -> None:
    made = gpu_backend(
        network(depth=8, width=16),
        torch.device("mps"),
        make=lambda model, device, precision: GpuBackend(
            model, CPU, Precision.BF16 if precision is not Precision.FP32 else precision, Imitation()
        ),
    )
    assert made.precision in ("bf16", "fp32")
    np.testing.assert_allclose(
        Engine(made).upscale_luma(plane(40, 40)), whole(network(depth=8, width=16), plane(40, 40)), atol=0.1
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("precision", list(Precision))
def test_real_card_matches_cpu(precision: Precision) -> None:
    model = network(depth=20, width=64)
    luma = plane(700, 900)
    engine = Engine(GpuBackend(model, torch.device("cuda"), precision))
    for _ in range(3):  # run one by one, recorded, replayed
        out = engine.upscale_luma(luma, tile_px=128)
    rms = float(np.sqrt(np.mean((out - whole(model, luma)) ** 2)))
    assert rms < (1e-5 if precision is Precision.FP32 else 5e-2)
    assert engine._backend._recorded  # type: ignore[attr-defined]
    assert module.LOOK_AHEAD == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_picture_after_a_cancel_is_correct_on_a_real_card() -> None:
    engine = Engine(GpuBackend(network(depth=20, width=64), torch.device("cuda"), Precision.FP32))
    luma = plane(1600, 1600)
    expected = engine.upscale_luma(luma, tile_px=800)
    for _ in range(5):
        engine._backend.release_memory()  # so that each try allocates new buffers
        cancelled_with_tiles_under_way(engine, 1600, 800)  # the card keeps working for some milliseconds
        np.testing.assert_allclose(engine.upscale_luma(luma, tile_px=800), expected, rtol=0, atol=1e-5)
