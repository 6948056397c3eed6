"""The network on a graphics card: several tiles under way, and nothing that the processor must say twice.

While the card computes one tile, the next is interpolated and sent, and the one before comes back: uploads, layers and
downloads are in streams of their own, through page-locked memory. The layers of a shape that comes again and again are
recorded once, as a CUDA graph, and replayed by a single call.

What a card can do besides arithmetic is behind `Card`. No card was at hand when this was written: its logic is tested
with one that is imitated on the processor, `CudaCard` itself follows PyTorch's documentation.
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
from vdsr_app.core.backend import FloatPlane, TorchBackend, is_told_shortage
from vdsr_app.core.device import Precision
from vdsr_app.core.network import VDSR
from vdsr_app.core.tiling import Insets

logger = logging.getLogger(__name__)

LOOK_AHEAD = 2
"""Tiles that are begun before the oldest is waited for: one comes back, one is computed, one is sent."""

_RECORD_FROM_USE = 3
"""A shape is recorded when it comes so often: to record costs one run more, and many shapes come once."""
_MOST_RECORDED = 16
"""A picture's tiles have nine shapes at most: middle, edges and corners."""

_MEMORY_SHARE = 0.5
_LARGEST_TILE_PX = 1024
"""A million pixels fill any card; more would show later and waste no less."""
_SMALLEST_TILE_PX = 128
_TILE_STEP_PX = 32

Event = Any
"""A point in a stream's work that another stream, or the processor, can wait for."""


class Stream(Protocol):
    """Work of a card that is done in its order."""

    def use(self) -> AbstractContextManager[Any]:
        """What PyTorch is told within goes to this stream."""

    def record(self) -> Event:
        """The point that the stream has been told to come to by now."""

    def wait(self, event: Event) -> None:
        """Let the stream wait until another has come to a point; the processor goes on."""


class Card(Protocol):
    """What a graphics card can do besides arithmetic."""

    @property
    def upload(self) -> Stream:
        """Brings tiles to the card."""

    @property
    def compute(self) -> Stream:
        """Runs the layers."""

    @property
    def download(self) -> Stream:
        """Brings results back."""

    def free_bytes(self) -> int | None:
        """Memory that is free, None where the card does not tell."""

    def locked(self, height: int, width: int) -> Tensor:
        """(height, width) float32 in memory of the processor that the card can reach by itself."""

    def share(self, tensor: Tensor) -> None:
        """Let all three streams use a tensor on the card: once it is dropped, others get its memory after they have."""

    def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor] | None:
        """Record what `work` tells the card; it has run before, on the compute stream.

        Returns:
            What replays it, and its result, which each replay writes anew; None where the card cannot.
        """

    def synchronise(self, event: Event) -> None:
        """Let the processor wait until a stream has come to a point."""

    def lost(self) -> bool:
        """Whether this process cannot use the card any more: its driver was reset, or work on it failed."""


class CudaCard:
    """An NVIDIA or AMD card."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # The weights were sent on the default stream, and other streams will read them.
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
        """See `Card`. PyTorch itself waits only for the stream in which it was told to make the tensor."""
        for each in (self.upload, self.compute, self.download):
            tensor.record_stream(each.stream)

    def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor] | None:
        """See `Card`. All graphs share one pool of memory, for they never run at the same time."""
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
        """See `Card`. After such a fault each call fails, so one tells that PyTorch makes itself as memory is freed."""
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
    """Apple's GPU: one stream, memory that both reach, nothing to record."""

    def __init__(self) -> None:
        self.upload = self.compute = self.download = _OneStream()

    def free_bytes(self) -> int | None:
        """See `Card`."""
        return max(0, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())

    def locked(self, height: int, width: int) -> Tensor:
        """See `Card`."""
        return torch.empty((height, width), dtype=torch.float32)

    def share(self, tensor: Tensor) -> None:
        """See `Card`. In a single stream, all comes in its order."""

    def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor] | None:
        """See `Card`."""
        return None

    def synchronise(self, event: Event) -> None:
        """See `Card`."""
        torch.mps.synchronize()

    def lost(self) -> bool:
        """See `Card`. PyTorch tells of no such fault here."""
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
    """What lies on a card, and goes by itself when nobody has it any more, but for a card that is lost.

    To free memory that streams have used, PyTorch asks the card, and where it does, it can raise nothing: on a lost
    card the process would end there and then, with every result that is not saved. Nobody else can use that memory
    anyway. This is so however it comes to be dropped: by a cancel, for another model, or as the process ends.
    """

    card: Card

    def __del__(self) -> None:
        if self.card.lost():
            # A reference that nobody gives back: what a module holds is freed after all when the process ends.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))


@dataclass(slots=True)
class _Buffers(_OnCard):
    """Room for one tile under way, of one shape."""

    sent: Tensor  # page-locked
    there: Tensor  # on the card
    detail: Tensor  # on the card
    back: Tensor  # page-locked


@dataclass(frozen=True, slots=True)
class _Shape:
    """What one recording is good for."""

    height: int
    width: int
    padding: tuple[int, int]


@dataclass(slots=True)
class _Recorded(_OnCard):
    """Layers that are replayed: what they read, what starts them, what they write."""

    plane: Tensor
    replay: Callable[[], None]
    detail: Tensor


class GpuBackend(TorchBackend):
    """The network on a card, with tiles under way; see `TorchBackend` for the arithmetic.

    Attributes:
        look_ahead: tiles that may be begun before the result of the oldest is taken.
    """

    look_ahead = LOOK_AHEAD

    def __init__(self, model: VDSR, device: torch.device, precision: Precision, card: Card | None = None) -> None:
        """Copy the weights to the card.

        Args:
            model: the network, which is left alone.
            device: the card.
            precision: of the inner layers.
            card: another than that of `device`, for tests.
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
        """Side of a core by the memory that was free at the start."""
        return self._tile_px

    def residual(self, luma: FloatPlane, insets: Insets, token: CancelToken | None = None) -> FloatPlane:
        """What the network adds to the core of one tile; see `Backend.residual`."""
        return self.begin(luma, insets, token)()

    def begin(self, luma: FloatPlane, insets: Insets, token: CancelToken | None = None) -> Callable[[], FloatPlane]:
        """Send a tile to the card and return at once.

        Args:
            luma: as in `Backend.residual`; may be changed as soon as this returns.
            insets: likewise.
            token: tested now; what is under way on a card takes some milliseconds.

        Returns:
            What waits for the result and gives it, to be called once; it raises as `Backend.residual`.

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
        # A plain network gives the picture itself, from which the residual is told.
        plane = None if self._residual else luma.copy()
        return finish

    def release_memory(self) -> None:
        """Let go of all recordings and buffers, once the card has done with them, and empty PyTorch's cache."""
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
        """The layers for a shape, recorded now where it comes often; None to run them one by one."""
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
            if is_told_shortage(error):
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
        # Whoever cancels drops tiles that are under way.
        self._card.share(made.there)
        self._card.share(made.detail)
        return made

    def _suitable_tile(self) -> int:
        free = self._card.free_bytes()
        if free is None:
            return _LARGEST_TILE_PX
        # Two activations of a layer, and the first one in fp32 beside its rounded copy.
        bytes_a_px = self._width * (4 + 2 * self._precision.dtype.itemsize)
        side = int((_MEMORY_SHARE * free / bytes_a_px) ** 0.5) - 2 * self._depth
        return max(_SMALLEST_TILE_PX, min(_LARGEST_TILE_PX, side // _TILE_STEP_PX * _TILE_STEP_PX))
