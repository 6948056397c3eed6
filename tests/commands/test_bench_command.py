"""`vdsr bench`: what it prints, what it rejects, and that Ctrl+C ends all its processes."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import vdsr_app
from vdsr_app.commands import bench
from vdsr_app.core.bench.race import Result
from vdsr_app.core.bench.work import Way
from vdsr_app.core.device import choose_precision

ROOT = Path(vdsr_app.__file__).parent.parent
SMALL = ("--sizes", 0.05, "--runs", 2, "--device", "cpu")


def a_result(**about: object) -> Result:
    facts = {"precision": "fp32", "backend": "torch", "kind": "cpu", **about}
    return Result(Way("engine"), facts, 2.0, 3, seconds=4.0, network_s=2.0, first_tile_s=0.5, peak_memory_bytes=10**8)


@pytest.fixture
def no_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hides installed peers; OpenVINO must not be loaded into the process of the tests, which has Qt loaded."""
    real = importlib.util.find_spec
    absent = ("onnxruntime", "openvino")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in absent else real(name, *rest))


@pytest.mark.parametrize("requested", ["auto", "fp32"])
def test_json_reports_machine_and_results(run, tiny, no_peers, requested) -> None:
    precision = choose_precision(torch.device("cpu"), requested)  # "auto" is what is fast on this processor
    status, said, _ = run("bench", *SMALL, "--precision", requested, "--model", tiny, "--all", "--json")
    assert status == 0
    record = json.loads(said)
    assert record["machine"]["cores"] >= 1
    assert record["matrix_tflops"]["fp32"] > 0
    assert record["peers"] == []
    assert [each["way"] for each in record["results"]] == ["engine", "torch"]  # too thin for our kernels
    for each in record["results"]:
        assert each["megapixels"] == pytest.approx(0.05, rel=0.05)
        assert (each["backend"], each["precision"], each["runs"]) == ("torch", precision, 2)
        assert min(each[key] for key in ("mpx_per_s", "network_mpx_per_s", "first_tile_s")) > 0
        assert each["fraction_of_matrix_rate"] is not None
        assert each["peak_memory_bytes"] is None or 0 < each["peak_memory_bytes"] < 2**30


def test_table_shows_engine_and_peer(run, tiny) -> None:
    pytest.importorskip("onnxruntime")
    status, said, _ = run("bench", *SMALL, "--precision", "fp32", "--model", tiny, "--peers")
    assert status == 0
    assert "fp32" in said.splitlines()[0]
    assert "engine: torch fp32" in said
    assert "onnxruntime fp32" in said


def test_missing_peers_are_named(run, tiny, no_peers) -> None:
    status, said, complaint = run("bench", *SMALL, "--model", tiny, "--peers", "--json")
    assert status == 0
    assert json.loads(said)["missing_peers"] == ["onnxruntime", "openvino"]
    assert "onnxruntime is not installed" in complaint
    assert "openvino is not installed" in complaint


@pytest.mark.parametrize("wrong", [("--runs", 0), ("--sizes", 0), ("--sizes", 9999), ("--model", "nobody")])
def test_rejects_invalid_arguments(run, wrong) -> None:
    status, said, complaint = run("bench", *wrong)
    assert status in (1, 2)
    assert said == ""
    assert complaint.startswith("error: ")


def test_fraction_is_given_only_for_the_measured_device_and_precision() -> None:
    fraction = bench._Fraction("cpu", {"fp32": 1.0}, 2 * 10**6)
    assert fraction(a_result()) == pytest.approx(2 / 4 * 1e6 * 2e6 / 1e12)
    assert fraction(a_result(kind="cuda")) is None
    assert fraction(a_result(precision="bf16")) is None


def test_table_reports_the_number_of_strips() -> None:
    peer = a_result(calls=8)
    (line,) = bench.table([peer], {"fp32": 1.0}, bench._Fraction("cpu", {"fp32": 1.0}, 1))[-1:]
    assert line.endswith("3, in 8 strips")


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in found.read_text().split()] if found.exists() else []


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes as Linux lists them")
def test_interrupt_exits_with_130_and_leaves_no_process(tiny) -> None:
    command = [sys.executable, "-m", "vdsr_app", "bench", "--sizes", "30", "--device", "cpu", "--model", tiny]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while process.poll() is None and not (started := children(process.pid)):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes of the command
    said, complaint = process.communicate(timeout=120)
    assert process.returncode == 130, complaint
    assert "Stopped" in complaint
    assert "Traceback" not in complaint
    assert said == ""
    assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == []
