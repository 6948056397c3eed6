"""What people are told where a device fails or memory is short, of which PyTorch speaks in many ways."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from vdsr_app.core.backend import is_told_shortage
from vdsr_app.core.device import device_name
from vdsr_app.errors import DeviceError, DeviceMemoryError

_SHORTAGE = ("out of memory", "enough memory", "alloc", "buffer size")
"""Of a message that is about memory: of CUDA's libraries (CUBLAS_STATUS_ALLOC_FAILED), Apple's GPU, the processor."""

_FAILURE = ("cuda error", "cuda driver", "cuda unknown error", "cudnn error", "cudnn_status", "cublas_status")
"""Of a message of CUDA and its libraries, which are bare RuntimeErrors where they are not AcceleratorErrors."""


@contextmanager
def device_failures(device: torch.device) -> Iterator[None]:
    """Within it a device that fails or has no memory left is told in words; a GPU often says so late, when waited for.

    Raises:
        DeviceError: it failed, or PyTorch cannot compute there what is asked.
        DeviceMemoryError: it is out of memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if is_shortage(error):
            whose = "This computer" if _is_of_the_computer(error) else _name(device)
            raise DeviceMemoryError(
                f"{whose} is out of memory.", hint="Close other programs, then resume the run."
            ) from error
        if isinstance(error, torch.AcceleratorError) or _says(error, _FAILURE):
            raise DeviceError(f"{_name(device)} failed.", hint="Resume the run.") from error
        if isinstance(error, NotImplementedError) and device.type != "cpu":
            raise DeviceError(
                f"{_name(device)} does not support a step of the computation.",
                hint="Train on the processor (device 'cpu').",
            ) from error
        raise


def is_shortage(error: Exception) -> bool:
    """Whether an error says that memory is short, be it in words alone: not every allocator has an error of its own."""
    if isinstance(error, MemoryError) or is_told_shortage(error):
        return True
    return not isinstance(error, (torch.AcceleratorError, NotImplementedError)) and _says(error, _SHORTAGE)


def _is_of_the_computer(error: Exception) -> bool:
    return isinstance(error, MemoryError) or _says(error, ("cpuallocator",))


def _says(error: Exception, words: tuple[str, ...]) -> bool:
    message = str(error).lower()
    return any(each in message for each in words)


def _name(device: torch.device) -> str:
    """For people; a card that does not answer may not tell its own."""
    try:
        return device_name(device)
    except RuntimeError:
        return "The graphics card"
