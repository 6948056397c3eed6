"""How many CPU cores this process may keep busy. Imports no torch."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""CPU time that a container may use: "<microseconds or max> <period>" (Linux, cgroup v2)."""


def usable_cores() -> int:
    """Cores this process may keep busy: those it is bound to, or fewer if a container limits its CPU time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _CGROUP_QUOTA.read_text(encoding="ascii").split()
        if quota != "max":
            cores = min(cores, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        pass  # not Linux, an older cgroup version, or no container
    return max(1, cores)
