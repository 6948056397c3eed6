"""How much memory this process takes."""

from __future__ import annotations

import sys
from pathlib import Path

import torch


def resident_bytes() -> int:
    """Memory of this process that lies in the machine's RAM; 0 where the system does not tell.

    On macOS it is the most that it ever was, for the system tells no more without a library of its own.
    """
    if sys.platform == "linux":
        import resource

        try:
            return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
        except (OSError, ValueError, IndexError):
            return 0
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _windows_resident_bytes()


def device_bytes(device: torch.device) -> int:
    """Most memory that torch held on a GPU since the process began, or since `forget_device_bytes`; 0 on a CPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_reserved(device))
    if device.type == "mps":
        return int(torch.mps.driver_allocated_memory())
    return 0


def forget_device_bytes(device: torch.device) -> None:
    """Give back what torch keeps of a GPU's memory without a use, and let `device_bytes` begin anew."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    elif device.type == "mps":
        torch.mps.empty_cache()


def _windows_resident_bytes() -> int:
    if sys.platform != "win32":
        return 0
    import ctypes
    from ctypes import wintypes

    class Counters(ctypes.Structure):
        _fields_ = (
            ("size", wintypes.DWORD),
            ("page_faults", wintypes.DWORD),
            ("peak_resident", ctypes.c_size_t),
            ("resident", ctypes.c_size_t),
            ("others", ctypes.c_size_t * 6),
        )

    counters = Counters(size=ctypes.sizeof(Counters))
    process = wintypes.HANDLE(-1)  # this one
    if not ctypes.windll.kernel32.K32GetProcessMemoryInfo(process, ctypes.byref(counters), counters.size):
        return 0
    return int(counters.resident)
