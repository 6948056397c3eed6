"""Number of usable cores."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vdsr_app.core import cores
from vdsr_app.core.cores import usable_cores


@pytest.mark.parametrize(
    ("quota", "expected"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 6), ("?", 6)]
)
def test_usable_cores_respects_the_limit_of_a_container(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    monkeypatch.setattr(cores, "_CGROUP_QUOTA", tmp_path / "cpu.max")
    assert usable_cores() == 6
    (tmp_path / "cpu.max").write_text(quota + "\n")
    assert usable_cores() == expected
