"""Interface of the backends that compute the network, and the PyTorch backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from vdsr_app.control import CancelToken
from vdsr_app.core.device import Precision, device_name
from vdsr_app.core.network import VDSR
from vdsr_app.core.tiling import Insets
from vdsr_app.errors import DeviceError, DeviceMemoryError

FloatPlane = npt.NDArray[np.float32]
"""(H, W) float32."""

_CPU_TILE_PX = {Precision.FP32: 256, Precision.BF16: 320}
"""Larger tiles waste less on the halo, smaller ones show sooner; both sizes take about half a second on two cores."""
_MIN_TILE_PX = 32
_CPU_ACTIVATION_BYTES = 31 * 2**20
"""From 32 MB on, glibc maps fresh memory for each layer's activation, and page faults take up the time."""
_CUDA_OUT_OF_MEMORY = 2
"""cudaErrorMemoryAllocation; hipErrorOutOfMemory on AMD cards."""


class Backend(Protocol):
    """One way to compute the network on one device. Used from one thread at a time."""

    @property
    def name(self) -> str:
        """One of `backend_choice.BACKENDS`."""

    @property
    def kind(self) -> str:
        """Kind of device: "cpu", "cuda", "mps", "gpu" or "npu"."""

    @property
    def precision(self) -> str:
        """Number format of the inner layers: "fp32", "bf16" or "fp16"."""

    @property
    def halo_px(self) -> int:
        """Pixels on each side that one output pixel depends on."""

    @property
    def tile_px(self) -> int:
        """Side of a tile's core that suits the device."""

    def describe(self) -> str:
        """Device and precision for display."""

    def residual(self, luma: FloatPlane, insets: Insets, token: CancelToken | None = None) -> FloatPlane:
        """What the network adds to the core of one tile.

        Args:
            luma: (h, w) float32, bicubic luma of the padded rectangle, with 1 as full scale.
            insets: where the core lies in it; less than the halo only at an edge of the picture.
            token: tested several times within the tile.

        Returns:
            (h - top - bottom, w - left - right) float32, on the scale of `luma`; not checked for NaN or infinity.

        Raises:
            DeviceMemoryError: memory is short; a smaller tile may succeed.
            DeviceError: the device failed; no tile will succeed.
            Cancelled: `token` was cancelled.
        """

    def release_memory(self) -> None:
        """Release memory that is cached but not in use; called after a `DeviceMemoryError`.

        Raises:
            DeviceError: the device failed, whatever was reported before.
        """


@runtime_checkable
class Pipelined(Protocol):
    """A backend that can have several tiles in flight; see `backend_gpu.GpuBackend`."""

    look_ahead: int

    def begin(self, luma: FloatPlane, insets: Insets, token: CancelToken | None = None) -> Callable[[], FloatPlane]:
        """Begin a tile; the returned function waits for its result."""


def reports_shortage(error: BaseException) -> bool:
    """Whether PyTorch reports by `error` that memory ran out, and nothing else.

    Page-locked memory and graphs are requested from CUDA directly, which reports a shortage like a fault and tells it
    apart only by an error code.
    """
    return isinstance(error, torch.OutOfMemoryError) or getattr(error, "error_code", None) == _CUDA_OUT_OF_MEMORY


class TorchBackend:
    """The network in PyTorch, layer by layer.

    The first layer is computed in fp32, because rounding the picture itself to 8 bits of mantissa would cost quality;
    all others use `precision`. Layers are channels_last, except on Apple's GPU.

    Inside a picture, layers are not padded, so the computed area shrinks to the core layer by layer instead of
    carrying the whole halo to the end.
    """

    def __init__(self, model: VDSR, device: torch.device, precision: Precision) -> None:
        """Copy the weights of `model` to `device`; the model itself is not modified."""
        self._device = device
        self._precision = precision
        self._residual = model.config.residual
        self._depth = model.config.depth
        self._width = model.config.width
        # Apple's convolutions are fastest on contiguous tensors.
        self._format = torch.contiguous_format if device.type == "mps" else torch.channels_last
        first, *rest = model.convolutions
        self._layers = [self._copy(first, torch.float32), *(self._copy(layer, precision.dtype) for layer in rest)]

    def _copy(self, layer: nn.Conv2d, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
        def convert(tensor: Tensor) -> Tensor:
            return tensor.detach().to(self._device, dtype, copy=True)

        weight = convert(layer.weight).contiguous(memory_format=self._format)
        return weight, None if layer.bias is None else convert(layer.bias)

    @property
    def name(self) -> str:
        """Name in `backend_choice.BACKENDS`."""
        return "torch"

    @property
    def kind(self) -> str:
        """Kind of device: "cpu", "cuda" or "mps"."""
        return self._device.type

    @property
    def precision(self) -> str:
        """Number format of the inner layers."""
        return self._precision.value

    @property
    def halo_px(self) -> int:
        """One pixel per layer."""
        return self._depth

    @property
    def tile_px(self) -> int:
        """Side of a core whose activations stay under the allocator's mapping threshold on a CPU."""
        # The first layer's fp32 activation is the largest in every precision.
        padded_px = int((_CPU_ACTIVATION_BYTES / (4 * self._width)) ** 0.5)
        return max(_MIN_TILE_PX, min(_CPU_TILE_PX[self._precision], padded_px - 2 * self._depth))

    def describe(self) -> str:
        """Device and precision for display: "AMD EPYC · bf16"."""
        return f"{device_name(self._device)} · {self._precision.value}"

    def residual(self, luma: FloatPlane, insets: Insets, token: CancelToken | None = None) -> FloatPlane:
        """What the network adds to the core of one tile; see `Backend.residual`."""
        with self._failures(), torch.inference_mode(), self._exact_fp32():
            padding = self._padding(insets)
            plane = torch.from_numpy(np.require(luma, np.float32, ["C", "W"]))
            features = self._through(plane.to(self._device)[None, None], padding, token)
            detail = features[0, 0].to("cpu", torch.float32).numpy()
        return self._core_of(detail, luma.shape, insets, luma)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Translate PyTorch's exceptions into this program's errors."""
        try:
            yield
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise DeviceMemoryError("Memory ran out within a tile.") from error
        except torch.AcceleratorError as error:
            if reports_shortage(error):
                raise DeviceMemoryError("Memory ran out within a tile.") from error
            raise DeviceError(f"{device_name(self._device)} failed.") from error
        except NotImplementedError as error:  # a subclass of RuntimeError, for an operator that the device lacks
            raise DeviceError(
                f"{device_name(self._device)} cannot compute the network in {self.precision}.",
                hint="Choose another precision or device.",
            ) from error
        except RuntimeError as error:
            # The allocators of the CPU and of Apple's GPU, and cuDNN for its workspace, report a shortage as a bare
            # RuntimeError. With these shapes little else can go wrong; what a smaller tile does not cure ends on the
            # CPU or in an error anyway.
            raise DeviceMemoryError("A tile could not be computed.") from error

    def _exact_fp32(self) -> AbstractContextManager[Any]:
        """Keep cuDNN from computing fp32 layers in TF32, which has 10 bits of mantissa."""
        if self.kind != "cuda":
            return nullcontext()
        flags: AbstractContextManager[Any] = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        return flags

    def _padding(self, insets: Insets) -> tuple[int, int]:
        """Padding of each layer, vertical and horizontal: none where the halo is complete on both sides."""
        return (
            0 if insets.top == insets.bottom == self._depth else 1,
            0 if insets.left == insets.right == self._depth else 1,
        )

    def _through(self, features: Tensor, padding: tuple[int, int], token: CancelToken | None) -> Tensor:
        """Run all layers: (1, 1, h, w) float32 -> (1, 1, h', w') in the precision, on the device."""
        for i, (weight, bias) in enumerate(self._layers):
            if token is not None:
                token.raise_if_cancelled()
            if i == 1:
                features = features.to(self._precision.dtype, memory_format=self._format)
            features = functional.conv2d(features, weight, bias, padding=padding)  # (1, width, h', w')
            if i < self._depth - 1:
                features = features.relu_()
        return features

    def _core_of(
        self, detail: FloatPlane, padded: tuple[int, int], insets: Insets, luma: FloatPlane | None
    ) -> FloatPlane:
        """Residual of the core from the output of the layers; `luma` is needed only if the network is not residual."""
        rows = slice(insets.top, padded[0] - insets.bottom)
        cols = slice(insets.left, padded[1] - insets.right)
        padding = self._padding(insets)
        detail = detail[rows if padding[0] else slice(None), cols if padding[1] else slice(None)]
        if self._residual:
            return detail
        assert luma is not None
        return detail - luma[rows, cols]

    def release_memory(self) -> None:
        """Empty PyTorch's cache on the device; see `Backend.release_memory`."""
        with self._failures():
            if self.kind == "cuda":
                torch.cuda.empty_cache()
            elif self.kind == "mps":
                torch.mps.empty_cache()
