"""Runs the network over whole planes, tile by tile, and carries on when memory runs short or a device fails."""

from __future__ import annotations

import copy
import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vdsr_app.control import CancelToken, ProgressCallback
from vdsr_app.core.backend import Backend, FloatPlane, Pipelined, TorchBackend
from vdsr_app.core.backend_choice import choose_backend, gpu_backend
from vdsr_app.core.cores import usable_cores
from vdsr_app.core.device import Precision, choose_device, passed_over
from vdsr_app.core.ensemble import POSITIONS, Position, averaged, positions_that_differ
from vdsr_app.core.network import VDSR
from vdsr_app.core.tiling import Insets, Rect, Tile, TileQueue
from vdsr_app.errors import DeviceError, DeviceMemoryError, NonFiniteOutputError, ShapeMismatchError

logger = logging.getLogger(__name__)

SMALLEST_TILE_PX = 32
"""Below this, nearly all work would go into the halo."""

NoticeCallback = Callable[[str], None]
"""Called with one sentence for the user, from the working thread."""

VisibleCallback = Callable[[], Rect | None]
"""Asked before each tile for the region on the screen, in output pixels; None if nothing is shown."""


class Engine:
    """A network on a device, ready to work. Used from one thread at a time.

    When memory runs short, tiles are halved down to `SMALLEST_TILE_PX`; when that does not help either, or the
    device fails, the work moves to the CPU. Both are remembered, so the next picture starts with what worked;
    interactive callers create a new engine instead.

    Attributes:
        has_fallen_back: whether either has happened, so that a new engine may do better.
    """

    def __init__(
        self,
        backend: Backend,
        fallback: Callable[[], Backend] | None = None,
        find_positions: Callable[[], Sequence[Position]] = lambda: POSITIONS,
    ) -> None:
        """Wrap a given backend.

        Args:
            backend: computes the network.
            fallback: creates the backend to move to when `backend` fails; None if there is none.
            find_positions: finds the positions that the self-ensemble averages over; called when first needed.
        """
        self._backend = backend
        self._fallback = fallback
        self._find_positions = find_positions
        self._limit_px: int | None = None
        self.has_fallen_back = False
        self._notice = ""  # to be reported with the first picture

    @classmethod
    def create(cls, model: VDSR, *, device: str = "auto", precision: str = "auto", backend: str = "auto") -> Engine:
        """Create an engine for `model` on a device of this computer.

        Args:
            model: the network; its weights are copied.
            device: "auto", "cpu", "cuda", "cuda:<index>", "mps".
            precision: "auto", "fp32", "bf16", "fp16".
            backend: on the CPU, one of `backend_choice.BACKENDS`, or "auto" for the one measured to be fastest; the
                first use on a machine takes the measurement, in a few seconds.

        Raises:
            UsageError: an unknown name, or a precision that the device does not offer.
            DeviceError: this computer has no such device, or it failed at once.
        """
        # Never more than PyTorch chose, which does not see the limits of containers.
        torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
        chosen, positions = choose_device(device), partial(_positions_of, model)
        if chosen.type == "cpu" or backend not in ("auto", "torch"):
            found = choose_backend(model, backend, precision, accelerators=device == "auto")

            def plain() -> Backend:
                return TorchBackend(model, torch.device("cpu"), Precision.FP32)

            engine = cls(found, plain if found.kind != "cpu" else None, positions)
            engine._notice = passed_over(device)
            return engine

        def on_cpu() -> Backend:
            same = "fp32" if precision == Precision.FP32 else "auto"
            return choose_backend(model, precision=same, accelerators=False)

        try:
            return cls(gpu_backend(model, chosen, precision), on_cpu, positions)
        except (RuntimeError, DeviceError) as error:  # a driver that does not answer, a GPU whose memory others hold
            if device != "auto":
                raise DeviceError(f"The device '{device}' cannot be used.", hint="Choose the device 'cpu'.") from error
            logger.warning("%s cannot be used, the CPU is", chosen, exc_info=True)
            engine = cls(on_cpu(), None, positions)
            engine.has_fallen_back = True
            engine._notice = "The graphics card cannot be used now: the processor is used instead, which is slower."
            return engine

    @property
    def backend_name(self) -> str:
        """Current backend: one of `backend_choice.BACKENDS`."""
        return self._backend.name

    @property
    def kind(self) -> str:
        """Current kind of device: "cpu", "cuda", "mps", "gpu" or "npu"."""
        return self._backend.kind

    @property
    def precision(self) -> str:
        """Current number format of the inner layers: "fp32", "bf16" or "fp16"."""
        return self._backend.precision

    @property
    def halo_px(self) -> int:
        """Pixels on each side that one output pixel depends on."""
        return self._backend.halo_px

    def describe(self) -> str:
        """Current device and precision for display: "AMD EPYC · bf16"."""
        return self._backend.describe()

    def residual(
        self, luma: FloatPlane, tile: Tile, token: CancelToken | None = None, *, self_ensemble: bool = False
    ) -> FloatPlane:
        """What the network adds to the core of `tile`.

        Args:
            luma: (padded height, padded width) float32, bicubic luma with 1 as full scale.
            tile: from `run_tiles`.
            token: tested several times within the tile.
            self_ensemble: average over all positions; see `core.ensemble`.

        Returns:
            (core height, core width) float32 on the same scale.

        Raises:
            NonFiniteOutputError: the network gave NaN or infinity.
            DeviceError: the device failed; `run_tiles` handles this.
            Cancelled: `token` was cancelled.
        """
        return self.begin_residual(luma, tile, token, self_ensemble=self_ensemble)()

    def begin_residual(
        self, luma: FloatPlane, tile: Tile, token: CancelToken | None = None, *, self_ensemble: bool = False
    ) -> Callable[[], FloatPlane]:
        """Compute `residual` in two steps, for a device that can have several tiles in flight.

        Args:
            luma: as in `residual`; may be changed once this returns.
            tile: likewise.
            token: likewise.
            self_ensemble: likewise; everything is then done in the first step.

        Returns:
            A function that returns the result and raises as `residual`, to be called once, in the order of the tiles.

        Raises:
            DeviceError: as `residual`.
            Cancelled: `token` was cancelled.
        """

        def compute(plane: FloatPlane, insets: Insets) -> FloatPlane:
            return self._backend.residual(plane, insets, token)

        if self_ensemble:
            return partial(_checked, averaged(compute, luma, tile.insets, self._positions))
        if isinstance(self._backend, Pipelined):
            under_way = self._backend.begin(luma, tile.insets, token)
            return lambda: _checked(under_way())
        return partial(_checked, compute(luma, tile.insets))

    def upscale_luma(
        self,
        luma: npt.NDArray[np.floating[Any]],
        *,
        tile_px: int | None = None,
        token: CancelToken | None = None,
        self_ensemble: bool = False,
        on_progress: ProgressCallback | None = None,
        on_notice: NoticeCallback | None = None,
    ) -> FloatPlane:
        """Run a whole plane through the network, in tiles.

        Args:
            luma: (H, W) float, bicubic luma at the target size, with 1 as full scale.
            tile_px: side of a tile's core; None for the default.
            token: tested before and within tiles.
            self_ensemble: average over all positions; see `core.ensemble`.
            on_progress: called with pixels done and total after each tile.
            on_notice: called when tiles become smaller or another device is used.

        Returns:
            (H, W) float32 on the same scale, not clipped.

        Raises:
            ShapeMismatchError: `luma` does not have two axes.
            NonFiniteOutputError: the network gave NaN or infinity.
            DeviceError: no device could do it.
            Cancelled: `token` was cancelled.
        """
        if luma.ndim != 2:
            raise ShapeMismatchError(f"A luma plane needs two axes, not {luma.ndim}.")
        height, width = luma.shape
        out = np.empty((height, width), np.float32)
        done_px = 0

        def work(tile: Tile) -> Callable[[], None]:
            core, padded = tile.core, tile.padded
            patch = np.ascontiguousarray(luma[padded.rows, padded.cols], dtype=np.float32)
            added = self.begin_residual(patch, tile, token, self_ensemble=self_ensemble)

            def finish() -> None:
                nonlocal done_px
                out[core.rows, core.cols] = added()
                out[core.rows, core.cols] += luma[core.rows, core.cols]
                done_px += core.area
                if on_progress is not None:
                    on_progress(done_px, width * height)

            return finish

        self.run_tiles(width, height, work, tile_px=tile_px, token=token, on_notice=on_notice)
        return out

    def run_tiles(
        self,
        width: int,
        height: int,
        work: Callable[[Tile], Callable[[], None] | None],
        *,
        tile_px: int | None = None,
        token: CancelToken | None = None,
        visible: VisibleCallback | None = None,
        on_notice: NoticeCallback | None = None,
    ) -> None:
        """Call `work` for each tile of a picture, and again with smaller tiles or on the CPU where necessary.

        Args:
            width: columns of the result.
            height: rows of the result.
            work: does one tile with `residual`, or begins it with `begin_residual` and returns a function that finishes
                it. If either fails because of memory or the device, the tile's pixels come again, possibly in smaller
                tiles, so it must leave nothing behind before it succeeds.
            tile_px: side of a tile's core; None for the default.
            token: tested before each tile.
            visible: asked before each tile for the region to do first.
            on_notice: called when tiles become smaller or another device is used.

        Raises:
            DeviceMemoryError: memory ran out even with the smallest tile on the last device.
            DeviceError: the last device failed.
            Cancelled: `token` was cancelled.
        """
        if self._notice and on_notice is not None:
            on_notice(self._notice)
            self._notice = ""
        queue = TileQueue(width, height, self._tile_px(tile_px), self.halo_px)
        under_way: deque[tuple[Tile, Callable[[], None]]] = deque()
        while queue or under_way:
            if token is not None:
                token.raise_if_cancelled()
            tile = None
            try:
                if queue:
                    tile = queue.pop(self._tile_px(tile_px), None if visible is None else visible())
                    finish = work(tile)
                    if finish is not None:
                        under_way.append((tile, finish))
                while under_way and (len(under_way) > self._look_ahead or not queue):
                    tile, finish = under_way.popleft()
                    finish()
            except (DeviceError, MemoryError) as error:
                assert tile is not None
                notice = self._recover(tile, error)
            else:
                continue
            # Only here, with the traceback and the arrays it holds gone, is there memory to release.
            try:
                self._backend.release_memory()
            except DeviceError as error:  # the apparent shortage was the first sign of a lost card
                notice = self._fall_back(error, short=False)
            for unfinished in (tile, *(other for other, _ in under_way if other is not tile)):
                queue.put_back(unfinished)
            under_way.clear()
            if notice and on_notice is not None:
                on_notice(notice)

    @cached_property
    def _positions(self) -> tuple[Position, ...]:
        return tuple(self._find_positions())

    @property
    def _look_ahead(self) -> int:
        return self._backend.look_ahead if isinstance(self._backend, Pipelined) else 0

    @property
    def _place(self) -> str:
        return "Memory" if self._backend.kind == "cpu" else "Graphics memory"

    def _tile_px(self, requested_px: int | None) -> int:
        side = requested_px if requested_px is not None else self._backend.tile_px
        return side if self._limit_px is None else min(side, self._limit_px)

    def _recover(self, tile: Tile, error: DeviceError | MemoryError) -> str:
        """Decide how to go on after `error` on `tile`; returns a notice for the user, which may be empty.

        Raises:
            DeviceError: there is no way to go on.
        """
        short = isinstance(error, DeviceMemoryError | MemoryError)
        side = max(tile.core.width, tile.core.height)
        if short and side > SMALLEST_TILE_PX:
            first, self.has_fallen_back = self._limit_px is None, True
            self._limit_px = max(SMALLEST_TILE_PX, side // 2)
            logger.warning("memory was short at %d px, now %d px", side, self._limit_px, exc_info=error)
            return f"{self._place} was short: smaller tiles are used." if first else ""
        return self._fall_back(error, short)

    def _fall_back(self, error: DeviceError | MemoryError, short: bool) -> str:
        """Move to the CPU after `error`; returns a notice for the user.

        Raises:
            DeviceError: there is no way to go on.
        """
        if self._fallback is not None:
            logger.warning("%s gives way to the CPU", self._backend.describe(), exc_info=error)
            self._backend, self._fallback, self._limit_px = self._fallback(), None, None
            self.has_fallen_back = True
            reason = "Graphics memory was short" if short else "The graphics processor failed"
            return f"{reason}: the processor is used instead, which is slower."
        if not short:
            raise error
        raise DeviceMemoryError(
            f"{self._place} ran out, even with the smallest tiles.",
            hint="Close other programs or choose a smaller scale, then try again.",
        ) from error


def _positions_of(model: VDSR) -> tuple[Position, ...]:
    exact = copy.deepcopy(model).to("cpu", torch.float64)  # so that tied weights give equal outputs

    def added(luma: FloatPlane) -> npt.NDArray[Any]:
        with torch.inference_mode():
            inputs = torch.from_numpy(luma)[None, None].double()
            return np.asarray((exact(inputs) - inputs)[0, 0].numpy())

    return positions_that_differ(added)


def _checked(added: FloatPlane) -> FloatPlane:
    """Return `added` if all of it is finite."""
    if not np.isfinite(added).all():
        raise NonFiniteOutputError(
            "The network gave numbers that are not finite.",
            hint="Choose another model, or the precision fp32 in the settings.",
        )
    return added
