"""Messages for device failures and memory shortages, which PyTorch reports in many ways."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from vdsr_app.core.backend import reports_shortage
from vdsr_app.core.device import device_name
from vdsr_app.errors import DeviceError, DeviceMemoryError

_SHORTAGE = ("out of memory", "enough memory", "alloc", "buffer size")
"""In messages about memory: of CUDA's libraries (CUBLAS_STATUS_ALLOC_FAILED), Apple's GPU, the CPU."""

_FAILURE = ("cuda error", "cuda driver", "cuda unknown error", "cudnn error", "cudnn_status", "cublas_status")
"""In messages of CUDA and its libraries, which are plain RuntimeErrors where they are not AcceleratorErrors."""


@contextmanager
def device_failures(device: torch.device) -> Iterator[None]:
    """Turn failures and memory shortages of a device into clear errors; a GPU often reports them late, when waited for.

    Raises:
        DeviceError: the device failed, or PyTorch does not support an operation there.
        DeviceMemoryError: it is out of memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if is_shortage(error):
            whose = "This computer" if _is_host_memory(error) else _name(device)
            raise DeviceMemoryError(
                f"{whose} is out of memory.", hint="Close other programs, then resume the run."
            ) from error
        if isinstance(error, torch.AcceleratorError) or _mentions(error, _FAILURE):
            raise DeviceError(f"{_name(device)} failed.", hint="Resume the run.") from error
        if isinstance(error, NotImplementedError) and device.type != "cpu":
            raise DeviceError(
                f"{_name(device)} does not support a step of the computation.",
                hint="Train on the processor (device 'cpu').",
            ) from error
        raise


def is_shortage(error: Exception) -> bool:
    """Whether an error reports a memory shortage, if only in words: not every allocator has an error of its own."""
    if isinstance(error, MemoryError) or reports_shortage(error):
        return True
    return not isinstance(error, (torch.AcceleratorError, NotImplementedError)) and _mentions(error, _SHORTAGE)


def _is_host_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or _mentions(error, ("cpuallocator",))


def _mentions(error: Exception, words: tuple[str, ...]) -> bool:
    message = str(error).lower()
    return any(each in message for each in words)


def _name(device: torch.device) -> str:
    """Name for the user; a card that does not respond may not report its own."""
    try:
        return device_name(device)
    except RuntimeError:
        return "The graphics card"
