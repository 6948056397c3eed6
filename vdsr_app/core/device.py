"""Choice of the device and precision for the network, and names of devices."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import torch

from vdsr_app.errors import DeviceError, UsageError
from vdsr_app.paths import is_bundle


class Precision(StrEnum):
    """Number format of the inner layers; the first layer and the addition of the input are always fp32."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"

    @property
    def dtype(self) -> torch.dtype:
        """The corresponding PyTorch dtype."""
        return {Precision.FP32: torch.float32, Precision.BF16: torch.bfloat16, Precision.FP16: torch.float16}[self]


def choose_device(requested: str = "auto") -> torch.device:
    """Find the device for `requested`.

    Args:
        requested: "cpu", "cuda", "cuda:<index>", "mps" ("mps:0", as PyTorch names it on tensors, is the same), or
            "auto" for the best available: CUDA on the first card that this PyTorch supports, else Apple's GPU, else the
            CPU.

    Raises:
        UsageError: `requested` is none of these.
        DeviceError: this computer has no such device, or this PyTorch does not support it.
    """
    if requested == "auto":
        known = _known_cards()
        if known:
            return torch.device("cuda", known[0])
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if requested == "cpu":
        return torch.device("cpu")
    if requested in ("mps", "mps:0"):
        if not torch.backends.mps.is_available():
            raise DeviceError("This computer has no Apple GPU that can be used.", hint="Choose the device 'auto'.")
        return torch.device("mps")
    parts = re.fullmatch(r"cuda(?::(\d{1,3}))?", requested)
    if parts is None:
        raise UsageError(f"'{requested}' is not a device.", hint="Choose auto, cpu, cuda, cuda:<index> or mps.")
    count = _count_of_cards()
    index = int(parts[1] or 0)
    if not count and torch.version.cuda is None and torch.version.hip is None:
        raise DeviceError("This PyTorch is built without CUDA.", hint=_how_to_get_cuda())
    if index >= count:
        found = f"{count} found" if count else "none found"
        raise DeviceError(f"There is no CUDA GPU {index} ({found}).", hint="Choose the device 'auto'.")
    device = torch.device("cuda", index)
    if not _is_known(index):
        raise DeviceError(f"This PyTorch does not support the {device_name(device)}.", hint="Choose the device 'auto'.")
    return device


def passed_over(requested: str) -> str:
    """Notice for "auto" when there are cards but this PyTorch supports none of them; else empty."""
    if requested != "auto" or not _count_of_cards() or _known_cards():
        return ""
    name = device_name(torch.device("cuda", 0))
    return f"This PyTorch does not support the {name}: the processor is used instead, which is slower."


def _count_of_cards() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _known_cards() -> list[int]:
    return [index for index in range(_count_of_cards()) if _is_known(index)]


def _is_known(index: int) -> bool:
    """Whether this PyTorch has machine code for a card, or code that its driver can compile for it."""
    if torch.version.hip is not None:
        return True  # the names of its architectures are not capabilities
    try:
        capability = torch.cuda.get_device_capability(index)
    except RuntimeError:
        return True  # a driver that does not answer is reported when the card is used
    architectures = torch.cuda.get_arch_list()
    return not architectures or any(_runs(capability, each) for each in architectures)


def _runs(capability: tuple[int, int], architecture: str) -> bool:
    """Whether a card runs code for "sm_86", within that generation, or "compute_120", from that one on.

    See "Application compatibility" in NVIDIA's CUDA C++ programming guide; a suffix "a" means exactly that capability,
    and "f" no later generation.
    """
    parts = re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", architecture)
    if parts is None:
        return True
    least = (int(parts[2]), int(parts[3]))
    if parts[4] == "a":
        return capability == least
    any_later = parts[1] == "compute" and parts[4] != "f"
    return capability >= least and (any_later or capability[0] == least[0])


def _how_to_get_cuda() -> str:
    auto = "Choose the device 'auto'"
    if sys.platform == "darwin" or is_bundle():
        return f"{auto}."
    return f"{auto}, or install the build with CUDA: README.md says how."


def choose_precision(device: torch.device, requested: str = "auto") -> Precision:
    """Find the precision for `requested` on `device`.

    "auto" goes by the hardware's stated capabilities, never by a measurement: a race between formats would end
    differently from run to run, and the same settings must give the same bytes.

    Args:
        device: from `choose_device`.
        requested: "fp32", "bf16", "fp16", or "auto" for the fastest that keeps PSNR within 0.01 dB of fp32.

    Raises:
        UsageError: `requested` is none of these, or is not offered on `device`.
    """
    if requested != "auto":
        if requested not in tuple(Precision):
            raise UsageError(f"'{requested}' is not a precision.", hint="Choose auto, fp32, bf16 or fp16.")
        if requested == Precision.FP16 and device.type == "cpu":
            raise UsageError("fp16 is not offered on the CPU.", hint="Choose auto, fp32 or bf16.")
        return Precision(requested)
    match device.type:
        case "cuda":
            return _cuda_precision(torch.cuda.get_device_capability(device))
        case "mps":
            return Precision.FP16
        case _:
            return Precision.BF16 if _cpu_has_fast_bf16() else Precision.FP32


def _cuda_precision(capability: tuple[int, int]) -> Precision:
    """Matrix units support bf16 from compute capability 8 on and fp16 from 7 on; older cards have none."""
    if capability >= (8, 0):
        return Precision.BF16
    return Precision.FP16 if capability >= (7, 0) else Precision.FP32


def _cpu_capabilities() -> Mapping[str, Any]:
    """Flags and name of the processor; empty where PyTorch cannot tell (an old version, an unknown processor)."""
    probe: Callable[[], Mapping[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    try:
        return probe()
    except RuntimeError:
        return {}


def _cpu_has_fast_bf16() -> bool:
    """Whether bf16 products run in hardware: AVX512-BF16 or AMX. Elsewhere oneDNN emulates them slowly."""
    capabilities = _cpu_capabilities()
    return bool(capabilities.get("avx512_bf16")) or bool(capabilities.get("amx_bf16"))


def cpu_has_matrix_units() -> bool:
    """Whether the processor has AMX, whose bf16 multiplications are many times as fast as any in fp32.

    AVX512-BF16 alone only doubles their rate, which a method that needs fewer multiplications in fp32 makes up for.
    """
    return bool(_cpu_capabilities().get("amx_bf16"))


def device_name(device: torch.device) -> str:
    """Display name of `device`: "AMD EPYC", "NVIDIA GeForce RTX 4070", "Apple M2 GPU"."""
    match device.type:
        case "cuda":
            return torch.cuda.get_device_name(device)
        case "mps":
            return f"{cpu_name()} GPU"
        case _:
            return cpu_name()


def available_devices() -> list[dict[str, str]]:
    """Devices that can be used here, best first: "name" as `choose_device` takes it, "description" for display."""
    names = [f"cuda:{index}" for index in _known_cards()]
    if torch.backends.mps.is_available():
        names.append("mps")
    devices = [torch.device(name) for name in (*names, "cpu")]
    return [
        {"name": str(device), "description": f"{device_name(device)} · {choose_precision(device)}"}
        for device in devices
    ]


def cpu_identity() -> str:
    """Name and features of the processor in one line: what machine code compiled here is valid for."""
    able = sorted(name for name, has in _cpu_capabilities().items() if has is True)
    return " ".join([cpu_name(), *able])


def cpu_name() -> str:
    """Display name of the processor."""
    sources: tuple[Callable[[], object], ...] = (
        lambda: _cpu_capabilities().get("cpu_name"),
        platform.processor,
        platform.machine,
    )
    for source in sources:
        name = source()
        if isinstance(name, str) and name.strip():
            return " ".join(re.sub(r"\((R|TM)\)|\bCPU\b|@.*", " ", name).split())
    return "CPU"
