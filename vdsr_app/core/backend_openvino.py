"""The network through OpenVINO: Intel's CPUs, GPUs and NPUs. An optional extra, imported inside functions."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vdsr_app.control import CancelToken
from vdsr_app.core.backend import FloatPlane
from vdsr_app.core.cores import usable_cores
from vdsr_app.core.device import Precision
from vdsr_app.core.network import VDSR
from vdsr_app.core.tiling import Insets
from vdsr_app.errors import DeviceError, DeviceMemoryError

_TILE_PX = 512
"""Large, to waste less on the halo."""

_ONES = (1, 1)
_HINTS = {"PERFORMANCE_HINT": "LATENCY"}
_FORMATS = {Precision.FP32: "f32", Precision.BF16: "bf16", Precision.FP16: "f16"}


def _openvino() -> Any:
    """Import the package without its telemetry, which is never loaded."""
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    openvino = importlib.import_module("openvino")
    importlib.import_module("openvino.opset13")
    return openvino


def installed() -> bool:
    """Whether OpenVINO can be imported; quick, as it is not imported."""
    return importlib.util.find_spec("openvino") is not None


def devices() -> tuple[str, ...]:
    """OpenVINO's names of the available devices, such as "CPU", "GPU", "NPU"; empty if it is not installed."""
    if not installed():
        return ()
    return tuple(_openvino().Core().available_devices)


class OpenVinoBackend:
    """The network compiled by OpenVINO. Implements `backend.Backend`.

    For the first layer, luma and filter are each split into a coarse value and the remainder, so that bf16 and fp16,
    which OpenVINO uses for all layers alike, cost the first layer nothing.
    """

    def __init__(self, model: VDSR, precision: Precision = Precision.FP32, device: str = "CPU") -> None:
        """Compile the network.

        Args:
            model: the network; not modified.
            precision: of all layers.
            device: OpenVINO's name of a device.

        Raises:
            DeviceError: OpenVINO has no such device, or rejects the network.
        """
        self._core = _openvino().Core()
        self._model = model
        self._precision = precision
        self._device = device
        self._requests: dict[tuple[bool, bool], Any] = {}
        try:
            self._title = str(self._core.get_property(device, "FULL_DEVICE_NAME")).strip("\0 ")
            self._request(False, False)
        except RuntimeError as error:
            raise DeviceError(f"OpenVINO cannot use the device {device}.", hint="Choose the device 'cpu'.") from error

    @property
    def name(self) -> str:
        """Name in `backend_choice.BACKENDS`."""
        return "openvino"

    @property
    def kind(self) -> str:
        """Kind of device: "cpu", "gpu" or "npu"."""
        return self._device.split(".")[0].lower()

    @property
    def precision(self) -> str:
        """Number format of the layers."""
        return self._precision.value

    @property
    def halo_px(self) -> int:
        """One pixel per layer."""
        return self._model.config.depth

    @property
    def tile_px(self) -> int:
        """Side of a tile's core."""
        return _TILE_PX

    def describe(self) -> str:
        """Device, precision and "OpenVINO" for display."""
        return f"{' '.join(self._title.split())} · {self._precision.value} · OpenVINO"

    def residual(self, luma: FloatPlane, insets: Insets, token: CancelToken | None = None) -> FloatPlane:
        """What the network adds to the core of one tile; see `backend.Backend.residual`."""
        depth = self._model.config.depth
        pad_rows = not insets.top == insets.bottom == depth
        pad_columns = not insets.left == insets.right == depth
        if token is not None:
            token.raise_if_cancelled()
        try:
            request = self._request(pad_rows, pad_columns)
            request.start_async({0: np.ascontiguousarray(_split(luma)[None])})
            while not request.wait_for(20):
                if token is not None and token.cancelled:
                    request.cancel()
                    token.raise_if_cancelled()
            detail = np.array(request.get_output_tensor(0).data[0, 0], np.float32)
        except MemoryError as error:
            raise DeviceMemoryError("Memory ran out within a tile.") from error
        except RuntimeError as error:
            # OpenVINO raises one exception for everything; what a smaller tile does not cure ends on another device.
            raise DeviceMemoryError("A tile could not be computed.") from error
        height, width = luma.shape
        rows = slice(insets.top, height - insets.bottom)
        cols = slice(insets.left, width - insets.right)
        detail = detail[rows if pad_rows else slice(None), cols if pad_columns else slice(None)]
        return detail if self._model.config.residual else detail - luma[rows, cols]

    def release_memory(self) -> None:
        """Drop the compiled networks, and with them their memory."""
        self._requests.clear()

    def _request(self, pad_rows: bool, pad_columns: bool) -> Any:
        """The compiled network, with or without zero padding of each layer along either axis."""
        key = (pad_rows, pad_columns)
        if key not in self._requests:
            hints: dict[str, Any] = {**_HINTS, "INFERENCE_PRECISION_HINT": _FORMATS[self._precision]}
            if self._device == "CPU":
                hints["INFERENCE_NUM_THREADS"] = usable_cores()
            compiled = self._core.compile_model(
                build(self._model, int(pad_rows), int(pad_columns)), self._device, hints
            )
            self._requests[key] = compiled.create_infer_request()
        return self._requests[key]


def version() -> str:
    """Version of the installed package."""
    return str(_openvino().get_version())


def plain_request(model: VDSR, precision: Precision) -> Any:
    """OpenVINO on its own on the CPU, as its users run it: one call for a whole (1, 1, H, W) float32 plane."""
    compiled = (
        _openvino()
        .Core()
        .compile_model(build(model, split=False), "CPU", {**_HINTS, "INFERENCE_PRECISION_HINT": _FORMATS[precision]})
    )
    return compiled.create_infer_request()


def build(model: VDSR, pad_rows: int = 1, pad_columns: int = 1, *, split: bool = True) -> Any:
    """Build the network, without its skip connection, as an OpenVINO model.

    Args:
        model: the network.
        pad_rows: zeros above and below each layer's input.
        pad_columns: likewise on the left and right.
        split: whether the input is (1, 3, H, W), from `_split`, or the luma itself, (1, 1, H, W).

    Returns:
        An `openvino.Model` from a float32 input to (1, 1, H', W') float32.
    """
    openvino = _openvino()
    ops = openvino.opset13

    layers = model.convolutions
    luma = ops.parameter([1, 3 if split else 1, -1, -1], np.float32, name="luma")
    features = luma
    for i, layer in enumerate(layers):
        weight = layer.weight.detach().numpy()
        if i == 0 and split:
            coarse = _rounded(weight)
            weight = np.concatenate([coarse, coarse, weight - coarse], axis=1)
        padding = (pad_rows, pad_columns)
        features = ops.convolution(features, weight, _ONES, padding, padding, _ONES)
        if layer.bias is not None:
            features = ops.add(features, layer.bias.detach().numpy().reshape(1, -1, 1, 1))
        if i < len(layers) - 1:
            features = ops.relu(features)
    return openvino.Model([features], [luma], "vdsr")


def _split(luma: FloatPlane) -> FloatPlane:
    """(3, h, w): the luma rounded to bf16, the remainder, and the rounded luma again."""
    coarse = _rounded(luma)
    return np.stack([coarse, luma - coarse, coarse])


def _rounded(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Values rounded to bf16, as float32."""
    rounded: npt.NDArray[np.float32] = (
        torch.from_numpy(np.require(values, np.float32, ["C", "W"])).bfloat16().float().numpy()
    )
    return rounded


def fast_precision(device: str = "CPU") -> Precision:
    """Number format that an OpenVINO device computes fast.

    Raises:
        DeviceError: OpenVINO has no such device.
    """
    try:
        able = set(_openvino().Core().get_property(device, "OPTIMIZATION_CAPABILITIES"))
    except RuntimeError as error:
        raise DeviceError(f"OpenVINO has no device {device}.") from error
    if "BF16" in able:
        return Precision.BF16
    return Precision.FP16 if "FP16" in able and device != "CPU" else Precision.FP32
