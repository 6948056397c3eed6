"""GPU memory that this process uses; for the computer's memory see `core.memory`."""

from __future__ import annotations

import torch


def device_bytes(device: torch.device) -> int:
    """Peak memory torch reserved on a GPU since start or `forget_device_bytes` (on MPS, that held now); 0 on a CPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_reserved(device))
    if device.type == "mps":
        return int(torch.mps.driver_allocated_memory())
    return 0


def forget_device_bytes(device: torch.device) -> None:
    """Release GPU memory that torch keeps unused, and restart the peak of `device_bytes`."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    elif device.type == "mps":
        torch.mps.empty_cache()
