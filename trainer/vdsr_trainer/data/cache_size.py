"""How much memory decoded pictures may take. No torch."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from vdsr_trainer.config import TrainConfig

_SHARE = 4
_LEAST_BYTES = 256 << 20
_CONTROL_GROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Memory that a container may take (Linux, versions 2 and 1); "max", or a huge number, where there is no limit."""


def cache_bytes(config: TrainConfig) -> int:
    """Bytes for decoded pictures: `config.cache_mb`, or a quarter of the machine's memory, but at least 256 MB."""
    if config.cache_mb:
        return config.cache_mb << 20
    return max(_LEAST_BYTES, machine_bytes() // _SHARE)


def machine_bytes() -> int:
    """Memory that this machine has, or that its container may take; 0 where the system does not tell."""
    known = [_physical_bytes(), *(_limit(path) for path in _CONTROL_GROUPS)]
    return min((value for value in known if value), default=0)


def _limit(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _physical_bytes() -> int:
    if sys.platform != "win32":
        try:
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (ValueError, OSError):
            return 0
    import ctypes

    kilobytes = ctypes.c_ulonglong()
    if not ctypes.windll.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes)):
        return 0
    return kilobytes.value << 10
