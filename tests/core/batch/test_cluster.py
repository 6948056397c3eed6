"""Cluster: pictures that never reach it, and its check; tests/commands/test_batch_command.py runs a real one."""

from __future__ import annotations

import sys
import threading
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from vdsr_app import __version__
from vdsr_app.control import CancelToken, PauseGate
from vdsr_app.core.batch.cluster import Cluster
from vdsr_app.core.batch.worker import check_worker
from vdsr_app.core.job import UpscaleSettings
from vdsr_app.core.pipeline import FileEvent, FileFailed, FileJob


class IdleClient:
    """A cluster with one worker, to which nothing is sent."""

    status = "running"

    def __init__(self, address: str, **options: object) -> None:
        pass

    def run(self, function: object, *arguments: object) -> dict[str, str]:
        return {"worker": ""}

    def nthreads(self) -> dict[str, int]:
        return {"worker": 1}

    def scatter(self, data: list[object], **options: object) -> list[object]:
        return data

    def close(self, **options: object) -> None:
        pass


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    distributed = ModuleType("distributed")
    distributed.__spec__ = ModuleSpec("distributed", None)
    distributed.Client = IdleClient  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "distributed", distributed)
    return Cluster("tcp://127.0.0.1:9", tmp_path / "out")


def test_calling_thread_reports_and_counts_pictures_that_cannot_start(cluster: Cluster, tmp_path: Path) -> None:
    settings = UpscaleSettings(model=str(tmp_path / "gone.safetensors"))
    jobs = [FileJob(number, tmp_path / "a.png", tmp_path / "out" / f"{number}.png", settings) for number in range(3)]
    reported: list[tuple[FileEvent, threading.Thread]] = []

    def on_event(event: FileEvent) -> None:
        reported.append((event, threading.current_thread()))

    def on_no_room(*_: object) -> None:
        raise AssertionError

    report = cluster(jobs, on_event, CancelToken(), pause=PauseGate(), on_no_room=on_no_room)
    assert [event.job.number for event, _ in reported] == [0, 1, 2]
    assert all(isinstance(event, FileFailed) for event, _ in reported)
    assert {thread for _, thread in reported} == {threading.current_thread()}
    assert (report.done, report.failed) == (0, 3)


@pytest.mark.usefixtures("short_paths")
def test_too_long_output_name_fails_before_a_worker_starts(cluster: Cluster, tmp_path: Path, long_path: Path) -> None:
    reported: list[FileEvent] = []
    job = FileJob(0, tmp_path / "a.png", long_path, UpscaleSettings(model="vdsr"))
    report = cluster([job], reported.append, CancelToken(), pause=PauseGate(), on_no_room=lambda *_: None)
    assert ["too long" in event.error.what for event in reported if isinstance(event, FileFailed)] == [True]
    assert (report.done, report.failed) == (0, 1)


def test_check_worker_rejects_a_lease_with_other_content(tmp_path: Path) -> None:
    lease = tmp_path / "lease"
    lease.write_bytes(b"0123\xff")
    assert "another one" in check_worker(str(lease), "012345", __version__)
    lease.write_bytes(b"012345")
    assert check_worker(str(lease), "012345", __version__) == ""
