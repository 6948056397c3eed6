"""Available memory: a control group's limit applies, and what it caches of files read before counts as free."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vdsr_app.core import memory

MACHINE = {"/proc/meminfo": "MemTotal: 9000 kB\nMemAvailable:    8000 kB\n"}


@pytest.mark.skipif(sys.platform != "linux", reason="control groups")
@pytest.mark.parametrize(
    ("group", "free_bytes"),
    [
        ({}, 8_192_000),
        ({"max": "max\n", "current": "900\n"}, 8_192_000),
        ({"max": "5000000\n", "current": "1000000\n"}, 4_000_000),
        ({"max": "5000000\n", "current": "4000000\n", "stat": "anon 7\ninactive_file 2500000\n"}, 3_500_000),
        ({"max": "5000000\n", "current": "6000000\n"}, 0),
    ],
)
def test_available_memory_is_lesser_of_machine_and_control_group(
    monkeypatch: pytest.MonkeyPatch, group: dict[str, str], free_bytes: int
) -> None:
    texts = MACHINE | {f"/sys/fs/cgroup/memory.{name}": text for name, text in group.items()}
    monkeypatch.setattr(memory, "_read_text", texts.get)
    assert memory.available_memory_bytes() == free_bytes


@pytest.mark.skipif(sys.platform != "linux", reason="control groups")
@pytest.mark.parametrize(
    ("group", "free_bytes", "whole_bytes"),
    [
        ({"limit_in_bytes": "9223372036854771712\n", "usage_in_bytes": "900\n"}, 8_192_000, None),
        ({"limit_in_bytes": "5000000\n", "usage_in_bytes": "1000000\n"}, 4_000_000, 5_000_000),
        (
            {
                "limit_in_bytes": "5000000\n",
                "usage_in_bytes": "4000000\n",
                "stat": "inactive_file 7\ntotal_inactive_file 2500000\n",
            },
            3_500_000,
            5_000_000,
        ),
    ],
)
def test_limits_of_version_1_control_groups_apply(
    monkeypatch: pytest.MonkeyPatch, group: dict[str, str], free_bytes: int, whole_bytes: int | None
) -> None:
    texts = MACHINE | {f"/sys/fs/cgroup/memory/memory.{name}": text for name, text in group.items()}
    monkeypatch.setattr(memory, "_read_text", {}.get)
    machine_bytes = memory.machine_bytes()
    monkeypatch.setattr(memory, "_read_text", texts.get)
    assert memory.available_memory_bytes() == free_bytes
    assert memory.machine_bytes() == (whole_bytes or machine_bytes)


NAMED = """
from vdsr_app.core import memory
open("/proc/self/comm", "wb").write(b"caf\\xc3")
print(memory.peak_resident_bytes() > 0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the system tells of a process in a file there")
def test_peak_memory_is_read_when_process_name_is_not_utf8() -> None:
    done = subprocess.run([sys.executable, "-c", NAMED], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")
