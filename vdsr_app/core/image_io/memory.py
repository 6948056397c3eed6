"""How much memory the process may still take, as far as the system tells."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def available_memory_bytes() -> int | None:
    """Bytes that can be allocated without swapping or hitting a limit; None where the system does not tell.

    Takes the least of free memory, the limits of the control group and the limit on address space.
    """
    if sys.platform == "linux":
        known = [_meminfo_available(), _control_group_free(), _address_space_free()]
        return min((value for value in known if value is not None), default=None)
    if sys.platform == "win32":
        return _windows_available()
    # macOS counts its caches as used, so all of the memory is the better guess there.
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def _read_text(path: str) -> str | None:
    try:
        return Path(path).read_text()
    except OSError:
        return None


def _meminfo_available() -> int | None:
    for line in (_read_text("/proc/meminfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return None


def _control_group_free() -> int | None:
    limit = _read_text("/sys/fs/cgroup/memory.max")
    used = _read_text("/sys/fs/cgroup/memory.current")
    if limit is None or used is None or not limit.strip().isdigit():
        return None
    statistics = dict(line.split() for line in (_read_text("/sys/fs/cgroup/memory.stat") or "").splitlines())
    # Files read some time ago count as used, but make room for whoever wants it.
    cached = int(statistics.get("inactive_file", 0))
    return max(int(limit) - int(used) + cached, 0)


def _address_space_free() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    pages = _read_text("/proc/self/statm")
    if limit == resource.RLIM_INFINITY or pages is None:
        return None
    return max(limit - int(pages.split()[0]) * resource.getpagesize(), 0)


def _windows_available() -> int | None:
    if sys.platform != "win32":
        return None
    import ctypes

    class MemoryStatus(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            ("total_physical", ctypes.c_ulonglong),
            ("available_physical", ctypes.c_ulonglong),
            ("total_page_file", ctypes.c_ulonglong),
            ("available_page_file", ctypes.c_ulonglong),
            ("total_virtual", ctypes.c_ulonglong),
            ("available_virtual", ctypes.c_ulonglong),
            ("available_extended_virtual", ctypes.c_ulonglong),
        )

    status = MemoryStatus(length=ctypes.sizeof(MemoryStatus))
    if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return int(status.available_physical)
