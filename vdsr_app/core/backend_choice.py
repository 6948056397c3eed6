"""Choice of the fastest backend for this machine, by a short measurement that is made once and kept.

The network can be computed by PyTorch, by this program's Winograd kernels and, where it is installed, by OpenVINO.
Which is fastest depends on the processor, so each is timed on one small tile; the winner is written to a file and
stays the choice until the processor, the number of cores, or a version changes. The same settings therefore give the
same bytes from one start to the next, which a new measurement at each start would not ensure.
"""

from __future__ import annotations

import logging
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from vdsr_app.core import backend_openvino, measurements
from vdsr_app.core.backend import Backend, FloatPlane, TorchBackend
from vdsr_app.core.backend_gpu import GpuBackend
from vdsr_app.core.cores import usable_cores
from vdsr_app.core.device import Precision, choose_precision, cpu_name
from vdsr_app.core.measurements import Measurement
from vdsr_app.core.network import VDSR
from vdsr_app.core.tiling import Insets
from vdsr_app.errors import DeviceError, UsageError, VdsrError
from vdsr_app.paths import how_to_add

logger = logging.getLogger(__name__)

BACKENDS = ("torch", "winograd", "openvino")
"""Names of the backends. Only `vdsr bench` asks for one by name; everything else uses "auto"."""

_CORE_PX = 128
_ROUNDS = 3
_HOPELESS = 2.0
"""A candidate more than this many times slower than the fastest in the first round is not measured again."""
_LEAD = 1.05
"""Factor by which a candidate must beat the best of those listed before it, so that noise does not decide."""

_WORST_RMS = 7e-4
"""Largest accepted root mean square difference from fp32, as a fraction of full scale.

Good results have a PSNR of 37 dB, an error of 0.014; an independent error of 7e-4 costs 0.01 dB.
"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to compute the network.

    Attributes:
        backend: one of `BACKENDS`.
        precision: number format of the inner layers.
        device: "cpu", or OpenVINO's name of another device.
    """

    backend: str
    precision: Precision
    device: str = "cpu"

    def make(self, model: VDSR) -> Backend:
        """Create the backend for a network.

        Raises:
            DeviceError: the device cannot be used.
        """
        match self.backend:
            case "winograd":
                from vdsr_app.core.winograd.backend import WinogradBackend

                return WinogradBackend(model)
            case "openvino":
                return backend_openvino.OpenVinoBackend(model, self.precision, self.device.upper())
            case _:
                return TorchBackend(model, torch.device("cpu"), self.precision)

    def __str__(self) -> str:
        place = "" if self.device == "cpu" else f" on {self.device}"
        return f"{self.backend} {self.precision}{place}"


@dataclass(frozen=True, slots=True)
class Measured:
    """Result of a measurement.

    Attributes:
        choice: the fastest.
        mpx_per_s: millions of output pixels per second of each candidate that worked, by `str(candidate)`.
    """

    choice: Candidate
    mpx_per_s: dict[str, float]


def choose_backend(
    model: VDSR, backend: str = "auto", precision: str = "auto", *, accelerators: bool = True
) -> Backend:
    """Create the requested or else the fastest backend, on the CPU or another device of OpenVINO's.

    Args:
        model: the network.
        backend: one of `BACKENDS`, or "auto".
        precision: "auto", "fp32" or "bf16".
        accelerators: also consider Intel's GPUs and NPUs.

    Raises:
        UsageError: an unknown name, or a backend that cannot compute this network in this precision.
        DeviceError: the backend is not installed or cannot be used.
    """
    choose_precision(torch.device("cpu"), precision)  # rejects unknown names
    if backend != "auto" and backend not in BACKENDS:
        raise UsageError(f"'{backend}' is not a way of computing.", hint=f"Choose auto, {', '.join(BACKENDS)}.")
    wanted = backend == "openvino" or (backend == "auto" and not _beside_qt())
    found = candidates(model, precision, accelerators=accelerators, openvino=wanted)
    if backend != "auto":
        found = [each for each in found if each.backend == backend]
        if not found:
            raise _not_offered(backend, precision, model)
    if len(found) == 1:
        return found[0].make(model)
    choice = measured(model, found).choice
    return choice.make(model)


def gpu_backend(
    model: VDSR, device: torch.device, precision: str = "auto", make: Callable[..., Backend] = GpuBackend
) -> Backend:
    """Create the backend for a graphics card, in the requested or else the fastest precision that is exact enough.

    Args:
        model: the network.
        device: "cuda" or "mps".
        precision: "auto", "fp32", "bf16" or "fp16". With "auto" a small built-in picture is computed in half precision
            and in fp32, and fp32 is used if the two differ by too much: card, driver or model may be at fault.
        make: creates the backend; replaced in tests.

    Raises:
        UsageError: the device does not offer the precision.
        DeviceError: the card failed or ran out of memory on that picture.
        RuntimeError: the card cannot be used.
    """
    chosen = choose_precision(device, precision)
    backend = make(model, device, chosen)
    if precision != "auto" or chosen is Precision.FP32:
        return backend
    luma, halo = sample_luma(_CORE_PX), Insets(0, 0, 0, 0)
    exact = make(model, device, Precision.FP32)
    error = _rms_difference(backend.residual(luma, halo), exact.residual(luma, halo))
    if error <= _WORST_RMS:
        return backend
    logger.warning("%s is not exact enough here: off by %.2g of full scale; fp32 is used.", backend.describe(), error)
    return exact


def candidates(
    model: VDSR, precision: str = "auto", *, accelerators: bool = True, openvino: bool = False
) -> list[Candidate]:
    """Candidates to compute a network on this machine; the first is the one that all others must beat.

    Args:
        model: the network.
        precision: "auto", "fp32" or "bf16".
        accelerators: include OpenVINO's devices other than the CPU.
        openvino: include OpenVINO, where it is installed.
    """
    requested = choose_precision(torch.device("cpu"), precision)
    found = []
    if _winograd_suits(model) and (precision == "auto" or requested is Precision.FP32):
        found.append(Candidate("winograd", Precision.FP32))
    found.append(Candidate("torch", requested))
    for device in backend_openvino.devices() if openvino else ():
        if device != "CPU" and not (accelerators and precision == "auto"):
            continue
        fast = backend_openvino.fast_precision(device)
        if precision != "auto":
            if requested is not Precision.FP32 and fast is not requested:
                continue
            fast = requested
        found.append(Candidate("openvino", fast, device.lower()))
    return found


def measured(model: VDSR, found: Sequence[Candidate], clock: Callable[[], float] = time.perf_counter) -> Measured:
    """Measurement of these candidates, from the file or else made now and written there.

    Raises:
        DeviceError: none of them works.
    """
    shape = model.config
    key = measurements.key_of(cpu_name(), usable_cores(), shape.depth, shape.width, map(str, found))
    known = measurements.kept().get(key)
    choice = next((each for each in found if known is not None and str(each) == known.choice), None)
    if known is not None and choice is not None:
        result = Measured(choice, known.mpx_per_s)
    else:
        result = measure(model, found, clock)
    measurements.use(key, Measurement(str(result.choice), result.mpx_per_s))
    return result


def measure(model: VDSR, found: Sequence[Candidate], clock: Callable[[], float] = time.perf_counter) -> Measured:
    """Time each candidate on one tile, several times in turn; the fastest that is exact enough wins.

    Raises:
        DeviceError: none of them works.
    """
    halo = model.config.depth
    luma = sample_luma(_CORE_PX + 2 * halo)
    insets = Insets(halo, halo, halo, halo)
    exact = TorchBackend(model, torch.device("cpu"), Precision.FP32).residual(luma, insets)
    ready: dict[Candidate, Backend] = {}
    times: dict[Candidate, list[float]] = {}

    def seconds(backend: Backend) -> float:
        started = clock()
        backend.residual(luma, insets)
        return clock() - started

    for each in found:
        try:
            backend = each.make(model)
            error = _rms_difference(backend.residual(luma, insets), exact)
            first = seconds(backend)  # the call before did the one-time setup
        except VdsrError as failure:
            logger.warning("%s does not work here.", each, exc_info=failure)
            continue
        if error <= _WORST_RMS:
            ready[each], times[each] = backend, [first]
        else:
            logger.warning("%s is not exact enough here: off by %.2g of full scale.", each, error)
    if not ready:
        raise DeviceError("No way of computing the network works on this computer.", hint="Install the program again.")
    fastest = min(spent[0] for spent in times.values())
    for _ in range(_ROUNDS - 1):
        for each, backend in ready.items():
            if times[each][0] <= _HOPELESS * fastest:
                times[each].append(seconds(backend))
    rates = {each: _CORE_PX**2 / 1e6 / statistics.median(spent) for each, spent in times.items()}
    best = next(iter(rates))
    for each, rate in rates.items():
        if rate > rates[best] * _LEAD:
            best = each
    logger.info("Measured: %s.", ", ".join(f"{each} {rate:.2f} Mpx/s" for each, rate in rates.items()))
    return Measured(best, {str(each): round(rate, 4) for each, rate in rates.items()})


def sample_luma(side_px: int) -> FloatPlane:
    """Fixed small test picture, similar to a photograph: (side, side) float32, luma in studio range."""
    y, x = np.mgrid[0:side_px, 0:side_px].astype(np.float64)
    waves = np.sin(x / 3) * np.cos(y / 5) + np.sin((x * x + y * y) / 900)
    edges = ((x + 2 * y) // 17 % 2) + (np.hypot(x - side_px / 2, y - side_px / 2) < side_px / 4)
    picture = 0.5 + 0.1 * waves + 0.15 * (edges - 1) + 0.1 * (x / side_px - 0.5)
    luma: FloatPlane = ((16 + 219 * np.clip(picture, 0, 1)) / 255).astype(np.float32)
    return luma


def _rms_difference(values: FloatPlane, exact: FloatPlane) -> float:
    """Root mean square over the pixels where `exact` is finite: NaN from a network is not the backend's fault."""
    judged = np.isfinite(exact)
    if not judged.any():
        return 0.0
    return float(np.sqrt(np.mean(np.square(values[judged].astype(np.float64) - exact[judged]))))


def _beside_qt() -> bool:
    """Whether this process has loaded Qt. OpenVINO was seen to crash beside Qt, so "auto" leaves it out there."""
    return "PySide6" in sys.modules


def _winograd_suits(model: VDSR) -> bool:
    from vdsr_app.core.winograd.backend import WinogradBackend

    return WinogradBackend.suits(model)


def _not_offered(backend: str, precision: str, model: VDSR) -> VdsrError:
    if backend == "openvino" and not backend_openvino.installed():
        return DeviceError("OpenVINO is not installed.", hint=how_to_add("openvino"))
    if backend == "winograd" and not _winograd_suits(model):
        return UsageError(f"A network of width {model.config.width} cannot be computed by 'winograd'.")
    return UsageError(f"'{backend}' does not offer {precision} here.", hint="Choose the precision auto.")
