"""The network on a graphics card, with several tiles in flight and the layers of recurring shapes recorded.

While the card computes one tile, the next is interpolated and uploaded, and the previous one is downloaded: uploads,
layers and downloads run in separate streams, through page-locked memory. The layers of a recurring shape are recorded
once, as a CUDA graph, and replayed by a single call.

What a card does besides arithmetic is behind `Card`. No card was available when this was written: the logic is tested
with one simulated on the CPU, `CudaCard` itself follows PyTorch's documentation.
"""

from __future__ import annotations

import ctypes
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from vdsr_app.control import CancelToken
from vdsr_app.core.backend import FloatPlane, TorchBackend, reports_shortage
from vdsr_app.core.device import Precision
from vdsr_app.core.network import VDSR
from vdsr_app.core.tiling import Insets

logger = logging.getLogger(__name__)

LOOK_AHEAD = 2
"""Tiles begun beyond the one being waited for: while that is downloaded, one is computed and one uploaded."""

_RECORD_FROM_USE = 3
"""Use at which a shape is recorded: recording costs one more run, and many shapes come only once."""
_MOST_RECORDED = 16
"""A picture's tiles have nine shapes at most: middle, edges and corners."""

_MEMORY_SHARE = 0.5
_LARGEST_TILE_PX = 1024
"""A million pixels keep any card busy; more would show later and waste no less."""
_SMALLEST_TILE_PX = 128
_TILE_STEP_PX = 32

Event = Any
"""A point in a stream's work that another stream, or the CPU, can wait for."""


class Stream(Protocol):
    """A queue of work that a card does in order."""

    def use(self) -> AbstractContextManager[Any]:
        """Send the work that PyTorch queues within this context to this stream."""

    def record(self) -> Event:
        """Event after all work queued on the stream so far."""

    def wait(self, event: Event) -> None:
        """Make the stream wait for an event of another one; the CPU goes on."""


class Card(Protocol):
    """What a graphics card does besides arithmetic."""

    @property
    def upload(self) -> Stream:
        """Transfers tiles to the card."""

    @property
    def compute(self) -> Stream:
        """Runs the layers."""

    @property
    def download(self) -> Stream:
        """Transfers results back."""

    def free_bytes(self) -> int | None:
        """Free memory, None if the card does not report it."""

    def locked(self, height: int, width: int) -> Tensor:
        """(height, width) float32 in host memory that the card can access directly."""

    def share(self, tensor: Tensor) -> None:
        """Let all three streams use a tensor on the card: once dropped, its memory is reused after all are done."""

    def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor] | None:
        """Record the operations of `work`, which has run before, on the compute stream.

        Returns:
            A function that replays them, and their result, which each replay overwrites; None if the card cannot.
        """

    def synchronise(self, event: Event) -> None:
        """Make the CPU wait until a stream has reached an event."""

    def lost(self) -> bool:
        """Whether this process can no longer use the card: its driver was reset, or work on it failed."""


class CudaCard:
    """An NVIDIA or AMD card."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # The weights were uploaded on the default stream, and other streams will read them.
        torch.cuda.synchronize(device)
        self.upload, self.compute, self.download = (_CudaStream(device) for _ in range(3))
        self._pool: Any = None

    def free_bytes(self) -> int | None:
        """See `Card`."""
        return int(torch.cuda.mem_get_info(self._device)[0])

    def locked(self, height: int, width: int) -> Tensor:
        """See `Card`."""
        return torch.empty((height, width), dtype=torch.float32, pin_memory=True)

    def share(self, tensor: Tensor) -> None:
        """See `Card`. By itself PyTorch waits only for the stream on which the tensor was allocated."""
        for each in (self.upload, self.compute, self.download):
            tensor.record_stream(each.stream)

    def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor] | None:
        """See `Card`. All graphs share one memory pool, as they never run at the same time."""
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize(self._device)
        stream = self.compute.stream
        with torch.cuda.graph(graph, pool=self._pool, stream=stream, capture_error_mode="thread_local"):
            result = work()
        return graph.replay, result

    def synchronise(self, event: Event) -> None:
        """See `Card`."""
        event.synchronize()

    def lost(self) -> bool:
        """See `Card`. After such a fault every call fails, so this tries one that PyTorch makes to free memory."""
        try:
            self.download.record()
        except RuntimeError:
            return True
        return False


class _CudaStream:
    def __init__(self, device: torch.device) -> None:
        self.stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def use(self) -> AbstractContextManager[Any]:
        used: AbstractContextManager[Any] = torch.cuda.stream(self.stream)
        return used

    def record(self) -> Event:
        return self.stream.record_event()

    def wait(self, event: Event) -> None:
        self.stream.wait_event(event)


class AppleCard:
    """Apple's GPU: one stream, memory shared with the CPU, nothing to record."""

    def __init__(self) -> None:
        self.upload = self.compute = self.download = _OneStream()

    def free_bytes(self) -> int | None:
        """See `Card`."""
        return max(0, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())

    def locked(self, height: int, width: int) -> Tensor:
        """See `Card`."""
        return torch.empty((height, width), dtype=torch.float32)

    def share(self, tensor: Tensor) -> None:
        """See `Card`. A single stream does everything in order."""

    def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor] | None:
        """See `Card`."""
        return None

    def synchronise(self, event: Event) -> None:
        """See `Card`."""
        torch.mps.synchronize()

    def lost(self) -> bool:
        """See `Card`. PyTorch reports no such fault here."""
        return False


class _OneStream:
    def use(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def record(self) -> Event:
        return None

    def wait(self, event: Event) -> None:
        pass


@dataclass(slots=True)
class _OnCard:
    """Tensors on a card, freed with the last reference, but never on a lost card.

    To free memory that streams have used, PyTorch calls the card at a point where it cannot raise: on a lost card the
    process would end at once, with every unsaved result. Nothing else can use that memory anyway. This applies however
    the object is dropped: by a cancel, for another model, or as the process ends.
    """

    card: Card

    def __del__(self) -> None:
        if self.card.lost():
            # A deliberately leaked reference: anything held by a module would be freed when the process ends.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))


@dataclass(slots=True)
class _Buffers(_OnCard):
    """Buffers for one tile in flight, of one shape."""

    sent: Tensor  # page-locked
    there: Tensor  # on the card
    detail: Tensor  # on the card
    back: Tensor  # page-locked


@dataclass(frozen=True, slots=True)
class _Shape:
    """Tile shape and padding that a recording is valid for."""

    height: int
    width: int
    padding: tuple[int, int]


@dataclass(slots=True)
class _Recorded(_OnCard):
    """Recorded layers: their input, the function that replays them, and their output."""

    plane: Tensor
    replay: Callable[[], None]
    detail: Tensor


class GpuBackend(TorchBackend):
    """The network on a card, with several tiles in flight; see `TorchBackend` for the arithmetic.

    Attributes:
        look_ahead: further tiles that may be begun before the result of the oldest is taken.
    """

    look_ahead = LOOK_AHEAD

    def __init__(self, model: VDSR, device: torch.device, precision: Precision, card: Card | None = None) -> None:
        """Copy the weights to the card.

        Args:
            model: the network, which is not modified.
            device: the card.
            precision: of the inner layers.
            card: replaces that of `device` in tests.
        """
        super().__init__(model, device, precision)
        self._card: Card = card or (AppleCard() if device.type == "mps" else CudaCard(device))
        self._free: dict[_Shape, list[_Buffers]] = {}
        self._recorded: dict[_Shape, _Recorded] = {}
        self._uses: Counter[_Shape] = Counter()
        self._records = True
        self._tile_px = self._suitable_tile()

    @property
    def tile_px(self) -> int:
        """Side of a core, by the memory that was free at the start."""
        return self._tile_px

    def residual(self, luma: FloatPlane, insets: Insets, token: CancelToken | None = None) -> FloatPlane:
        """What the network adds to the core of one tile; see `Backend.residual`."""
        return self.begin(luma, insets, token)()

    def begin(self, luma: FloatPlane, insets: Insets, token: CancelToken | None = None) -> Callable[[], FloatPlane]:
        """Send a tile to the card and return at once.

        Args:
            luma: as in `Backend.residual`; may be changed as soon as this returns.
            insets: likewise.
            token: tested only now; a tile in flight takes a few milliseconds.

        Returns:
            A function that waits for the result and returns it, to be called once; it raises as `Backend.residual`.

        Raises:
            DeviceError: as `Backend.residual`.
        """
        if token is not None:
            token.raise_if_cancelled()
        with self._failures(), torch.inference_mode(), self._exact_fp32():
            padding = self._padding(insets)
            shape = _Shape(luma.shape[0], luma.shape[1], padding)
            buffers = self._take(shape)
            done = self._send(shape, buffers, luma)

        def finish() -> FloatPlane:
            with self._failures():
                self._card.synchronise(done)
            detail = buffers.back.numpy().copy()
            self._free.setdefault(shape, []).append(buffers)
            return self._core_of(detail, luma_shape, insets, plane)

        luma_shape = luma.shape
        # A network that is not residual gives the picture itself, from which the luma is subtracted.
        plane = None if self._residual else luma.copy()
        return finish

    def release_memory(self) -> None:
        """Drop all recordings and buffers, once the card is done with them, and empty PyTorch's cache."""
        with self._failures():
            self._card.synchronise(self._card.download.record())
        self._free.clear()
        self._recorded.clear()
        self._uses.clear()
        super().release_memory()

    def _send(self, shape: _Shape, buffers: _Buffers, luma: FloatPlane) -> Event:
        card = self._card
        np.copyto(buffers.sent.numpy(), luma)
        with card.upload.use():
            buffers.there.copy_(buffers.sent, non_blocking=True)
        card.compute.wait(card.upload.record())
        with card.compute.use():
            recorded = self._recording(shape)
            if recorded is None:
                buffers.detail.copy_(self._layers_of(buffers.there, shape.padding))
            else:
                recorded.plane.copy_(buffers.there)
                recorded.replay()
                buffers.detail.copy_(recorded.detail)
        card.download.wait(card.compute.record())
        with card.download.use():
            buffers.back.copy_(buffers.detail, non_blocking=True)
        return card.download.record()

    def _layers_of(self, plane: Tensor, padding: tuple[int, int]) -> Tensor:
        return self._through(plane[None, None], padding, None)[0, 0].to(torch.float32)

    def _recording(self, shape: _Shape) -> _Recorded | None:
        """The layers for a shape, recorded now if it recurs; None to run them one by one."""
        found = self._recorded.get(shape)
        self._uses[shape] += 1
        if found is not None or not self._records or self._uses[shape] < _RECORD_FROM_USE:
            return found
        if len(self._recorded) >= _MOST_RECORDED:
            self._recorded.clear()
        plane = torch.zeros((shape.height, shape.width), dtype=torch.float32, device=self._device)
        try:
            made = self._card.record(lambda: self._layers_of(plane, shape.padding))
        except RuntimeError as error:
            if reports_shortage(error):
                raise
            logger.warning("The layers cannot be recorded on this card; they are run one by one.", exc_info=error)
            made = None
        if made is None:
            self._records = False
            return None
        self._recorded[shape] = _Recorded(self._card, plane, *made)
        self._card.share(plane)
        return self._recorded[shape]

    def _take(self, shape: _Shape) -> _Buffers:
        free = self._free.get(shape)
        if free:
            return free.pop()
        shrinks = [0 if padded else 2 * self._depth for padded in shape.padding]
        height, width = shape.height - shrinks[0], shape.width - shrinks[1]
        made = _Buffers(
            self._card,
            self._card.locked(shape.height, shape.width),
            torch.empty((shape.height, shape.width), dtype=torch.float32, device=self._device),
            torch.empty((height, width), dtype=torch.float32, device=self._device),
            self._card.locked(height, width),
        )
        # A cancel drops tiles that are in flight.
        self._card.share(made.there)
        self._card.share(made.detail)
        return made

    def _suitable_tile(self) -> int:
        free = self._card.free_bytes()
        if free is None:
            return _LARGEST_TILE_PX
        # Two activations of a layer, and the first layer's in fp32 beside its rounded copy.
        bytes_per_px = self._width * (4 + 2 * self._precision.dtype.itemsize)
        side = int((_MEMORY_SHARE * free / bytes_per_px) ** 0.5) - 2 * self._depth
        return max(_SMALLEST_TILE_PX, min(_LARGEST_TILE_PX, side // _TILE_STEP_PX * _TILE_STEP_PX))
