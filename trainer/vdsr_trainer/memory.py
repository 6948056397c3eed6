"""How much memory of a GPU this process takes; `core.memory` tells of the machine's."""

from __future__ import annotations

import torch


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
