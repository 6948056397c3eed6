"""The network computed by Winograd's method on all cores of a CPU."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from vdsr_app.control import CancelToken
from vdsr_app.core.cores import usable_cores
from vdsr_app.core.device import cpu_identity, cpu_name
from vdsr_app.core.network import VDSR, VDSRConfig
from vdsr_app.core.tiling import Insets
from vdsr_app.core.winograd import made
from vdsr_app.core.winograd.ends import first_filter, gather, last_filter, spread
from vdsr_app.core.winograd.kernels import Floats, Halves, convolve, fits, plane_shape, scratch, transformed_filters
from vdsr_app.core.winograd.transforms import BLOCK
from vdsr_app.errors import DeviceMemoryError

_TILE_PX = 256
_NO_MASK = np.zeros((0, 0, 0), np.float32)
_BANDS_PER_THREAD = 2
"""Bands of a layer per thread: more than one, so that a delayed thread does not keep all others waiting."""


class WinogradBackend:
    """fp32 on the CPU; see `kernels` for the method. Implements `backend.Backend`.

    The computed region shrinks towards the core layer by layer. Two feature planes are reused for all layers and tiles,
    so that no memory is mapped during the computation.
    """

    def __init__(self, model: VDSR, threads: int | None = None) -> None:
        """Take the weights of `model`, which must fulfil `suits`.

        Args:
            model: the network; left unchanged.
            threads: threads to use; None for all cores that this process may use.
        """
        layers = model.convolutions
        weights = [layer.weight.detach().cpu().numpy() for layer in layers]
        biases = [
            np.zeros(layer.out_channels, np.float32) if layer.bias is None else layer.bias.detach().cpu().numpy()
            for layer in layers
        ]
        self._residual = model.config.residual
        self._depth = model.config.depth
        self._width = model.config.width
        self._first = first_filter(weights[0], biases[0])
        self._inner = transformed_filters(np.stack(weights[1:-1])) if len(layers) > 2 else None
        self._biases = [np.array(bias, np.float32) for bias in biases[1:-1]]
        self._last, self._last_bias = last_filter(weights[-1]), float(biases[-1][0])
        self._threads = threads or usable_cores()
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="winograd") if self._threads > 1 else None
        self._scratch = threading.local()
        self._memory = [np.zeros(0, np.float32), np.zeros(0, np.float32)]
        # Compile or load the kernels now, so that the first tile does not wait for it.
        self.residual(np.zeros((BLOCK, BLOCK), np.float32), Insets(0, 0, 0, 0))
        if self._inner is not None:
            made.note_made(cpu_identity())

    @classmethod
    def make_kernels(cls) -> None:
        """Compile all machine code that a tile of any network needs, unless it exists already."""
        cls(VDSR(VDSRConfig(depth=3)))

    @staticmethod
    def suits(model: VDSR) -> bool:
        """Whether the network's width can be computed this way."""
        return fits(model.config.width)

    @property
    def name(self) -> str:
        """As in `backend_choice.BACKENDS`."""
        return "winograd"

    @property
    def kind(self) -> str:
        """Kind of device."""
        return "cpu"

    @property
    def precision(self) -> str:
        """Number format of the inner layers."""
        return "fp32"

    @property
    def halo_px(self) -> int:
        """One pixel per layer."""
        return self._depth

    @property
    def tile_px(self) -> int:
        """Side of a tile's core."""
        return _TILE_PX

    def describe(self) -> str:
        """Processor, precision and method."""
        return f"{cpu_name()} · fp32 · Winograd"

    def residual(self, luma: Floats, insets: Insets, token: CancelToken | None = None) -> Floats:
        """What the network adds to the core of one tile; see `backend.Backend.residual`."""
        try:
            return self._compute(luma, insets, token)
        except MemoryError as error:
            raise DeviceMemoryError("A tile could not be computed.") from error

    def _compute(self, luma: Floats, insets: Insets, token: CancelToken | None) -> Floats:
        height, width = luma.shape
        source, target = self._planes(height, width)
        ringed = np.zeros((height + 2, width + 2), np.float32)
        ringed[1:-1, 1:-1] = luma
        core = (insets.top, height - insets.bottom, insets.left, width - insets.right)

        def box(layer: int) -> tuple[int, int, int, int]:
            """Region of a layer, counted from 0, that later layers need: the core and one pixel for each of them."""
            margin = self._depth - 1 - layer
            return (
                max(0, core[0] - margin),
                min(height, core[1] + margin),
                max(0, core[2] - margin),
                min(width, core[3] + margin),
            )

        self._in_bands(box(0), lambda band: spread(ringed, self._first, source, _NO_MASK, band))
        _clear_beyond(source, box(0))
        for i in range(self._depth - 2):
            if token is not None:
                token.raise_if_cancelled()
            assert self._inner is not None
            filters, bias, read, write = self._inner[i], self._biases[i], source, target
            self._in_bands(
                box(i + 1),
                lambda band, read=read, write=write, filters=filters, bias=bias: convolve(  # type: ignore[misc]
                    read, write, filters, bias, _NO_MASK, band, *self._thread_scratch()
                ),
            )
            _clear_beyond(target, box(i + 1))
            source, target = target, source
        if token is not None:
            token.raise_if_cancelled()
        detail = np.empty((core[1] - core[0], core[3] - core[2]), np.float32)
        self._in_bands(
            core,
            lambda band: gather(
                source, self._last, self._last_bias, detail[band[0] - core[0] : band[1] - core[0]], band
            ),
        )
        return detail if self._residual else detail - luma[core[0] : core[1], core[2] : core[3]]

    def _planes(self, height: int, width: int) -> tuple[Floats, Floats]:
        """Two planes for a tile, with zeros in their rings at the top and left."""
        shape = plane_shape(height, width, self._width)
        size = shape[0] * shape[1] * shape[2]
        planes = []
        for i, memory in enumerate(self._memory):
            if memory.size < size:
                self._memory[i] = np.zeros(0, np.float32)  # freed before more is allocated
                self._memory[i] = np.zeros(size, np.float32)
            plane = self._memory[i][:size].reshape(shape)
            plane[0], plane[:, 0] = 0, 0
            planes.append(plane)
        return planes[0], planes[1]

    def _in_bands(self, box: tuple[int, int, int, int], work: Callable[[tuple[int, int, int, int]], None]) -> None:
        """Process a box in bands of whole blocks on the threads; return when all are done."""
        top, bottom, left, right = box
        if self._pool is None:
            work(box)
            return
        blocks = -(-(bottom - top) // BLOCK)
        count = min(blocks, self._threads * _BANDS_PER_THREAD)
        cuts = [min(bottom, top + BLOCK * (blocks * i // count)) for i in range(count + 1)]
        bands = [(first, last, left, right) for first, last in pairwise(cuts)]
        for _ in self._pool.map(work, bands):
            pass

    def _thread_scratch(self) -> tuple[Floats, Floats, Floats | Halves]:
        memory: tuple[Floats, Floats, Floats | Halves] | None = getattr(self._scratch, "memory", None)
        if memory is None:
            memory = self._scratch.memory = scratch(self._width)
        return memory

    def release_memory(self) -> None:
        """Free the planes."""
        self._memory = [np.zeros(0, np.float32), np.zeros(0, np.float32)]


def _clear_beyond(plane: Floats, box: tuple[int, int, int, int]) -> None:
    """Zero what an earlier tile left where the next layer's last blocks read beyond the written box."""
    _, bottom, _, right = box
    plane[bottom + 1 : bottom + 1 + BLOCK], plane[:, right + 1 : right + 1 + BLOCK] = 0, 0
