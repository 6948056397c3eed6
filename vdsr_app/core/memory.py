"""Memory as the system reports it: installed, still available, and held by this process."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def available_memory_bytes() -> int | None:
    """Bytes that can be allocated without swapping or hitting a limit; None if the system does not report it.

    On Linux, the least of available memory, the limits of the control group and the limit on address space.
    """
    if sys.platform == "linux":
        known = [_meminfo_available(), *map(_control_group_free, _CONTROL_GROUPS), _address_space_free()]
        return min((value for value in known if value is not None), default=None)
    if sys.platform == "win32":
        status = _windows_status()
        return None if status is None else int(status.available_physical)
    # macOS counts its caches as used, so the total is the better guess there.
    return _physical_bytes()


def machine_bytes() -> int | None:
    """Memory of this machine, or the limit of its container if lower; None as above."""
    known = [_physical_bytes()]
    if sys.platform == "linux":
        known += [_control_group_value(group.limit) for group in _CONTROL_GROUPS]
    return min((value for value in known if value is not None), default=None)


def resident_bytes() -> int | None:
    """Resident memory of this process; None as above.

    On macOS this is the peak, as the system reports no more without an extra library.
    """
    if sys.platform == "win32":
        return _windows_resident()
    if sys.platform == "linux":
        pages = (_read_text("/proc/self/statm") or "").split()
        return int(pages[1]) * os.sysconf("SC_PAGE_SIZE") if pages else None
    return peak_resident_bytes()


def peak_resident_bytes() -> int | None:
    """Peak resident memory of this process, as reported by the system; None on Windows."""
    if sys.platform == "win32":
        return None
    # Prefer the file where it exists: getrusage also counts what the parent held when this process was forked.
    for line in (_read_text("/proc/self/status") or "").splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return int(value.split()[0]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


@dataclass(frozen=True, slots=True)
class _ControlGroup:
    """Files of one version of Linux's control groups, and the name of its entry for cached files."""

    limit: str
    used: str
    statistics: str
    cached: str


_CONTROL_GROUPS = (
    _ControlGroup(
        "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat", "inactive_file"
    ),
    _ControlGroup(
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
        "total_inactive_file",
    ),
)
"""Versions 2 and 1."""


def _read_text(path: str) -> str | None:
    try:
        return Path(path).read_text("utf-8", "replace")  # the name of a process may be any bytes
    except OSError:
        return None


def _meminfo_available() -> int | None:
    for line in (_read_text("/proc/meminfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return None


def _control_group_free(group: _ControlGroup) -> int | None:
    limit, used = _control_group_value(group.limit), _control_group_value(group.used)
    if limit is None or used is None:
        return None
    statistics = dict(line.split() for line in (_read_text(group.statistics) or "").splitlines())
    # Inactive cached files count as used, but are reclaimed when memory is needed.
    cached = int(statistics.get(group.cached, 0))
    return max(limit - used + cached, 0)


def _control_group_value(path: str) -> int | None:
    """A number of bytes; None if there is no such group or no limit ("max"; version 1 has a huge number instead)."""
    text = (_read_text(path) or "").strip()
    return int(text) if text.isdigit() else None


def _physical_bytes() -> int | None:
    if sys.platform == "win32":
        status = _windows_status()
        return None if status is None else int(status.total_physical)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def _address_space_free() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    pages = _read_text("/proc/self/statm")
    if limit == resource.RLIM_INFINITY or pages is None:
        return None
    return max(limit - int(pages.split()[0]) * resource.getpagesize(), 0)


def _windows_status() -> Any:
    """Windows' memory status of the whole system, or None."""
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
    return status if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)) else None


def _windows_resident() -> int | None:
    if sys.platform != "win32":
        return None
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
        return None
    return int(counters.resident)
