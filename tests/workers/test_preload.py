"""Loading torch without blocking other threads; the effect itself is measured in test_responsiveness."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import Mock

import pytest
import torch

import vdsr_app.core.engine  # noqa: F401 - so that no test is the first to import it, with something replaced
from vdsr_app.control import CancelToken
from vdsr_app.core.device import cpu_identity
from vdsr_app.core.winograd import made
from vdsr_app.errors import Cancelled, DeviceError
from vdsr_app.workers import preload

ROOT = Path(__file__).parents[2]


@pytest.fixture
def frozen(monkeypatch) -> list[bool]:
    """Records calls of gc.freeze instead of freezing the whole test run."""
    calls: list[bool] = []
    monkeypatch.setattr(gc, "freeze", lambda: calls.append(gc.isenabled()))
    return calls


def test_gentle_import_restores_interpreter_settings(frozen):
    interval_s = sys.getswitchinterval()
    with preload.gentle_import():
        assert not gc.isenabled()
        assert sys.getswitchinterval() < interval_s
    assert gc.isenabled()
    assert sys.getswitchinterval() == pytest.approx(interval_s)
    assert frozen == [False]


def test_gentle_import_keeps_collection_disabled_after_failure(frozen):
    def fail() -> None:
        gc.disable()
        with preload.gentle_import():
            raise ImportError

    try:
        with pytest.raises(ImportError):
            fail()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_last_of_overlapping_gentle_imports_restores_settings(frozen):
    interval_s = sys.getswitchinterval()
    first, second = preload.gentle_import(), preload.gentle_import()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not gc.isenabled()
    assert sys.getswitchinterval() < interval_s
    assert frozen == []
    second.__exit__(None, None, None)
    assert gc.isenabled()
    assert sys.getswitchinterval() == pytest.approx(interval_s)
    assert frozen == [False]


def test_loaded_torch_is_not_loaded_again(monkeypatch, frozen):
    monkeypatch.setitem(sys.modules, "torch", sys)
    preload.load_torch()
    assert frozen == []


def test_load_torch_raises_cancelled_before_import(monkeypatch, frozen):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        preload.load_torch(token)
    assert "torch" not in sys.modules


@pytest.mark.skipif(sys.platform == "win32", reason="Windows needs no loading beforehand")
def test_load_library_ignores_broken_or_missing_library(tmp_path):
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"no library")
    preload._load_library(broken, os.RTLD_NOW)
    preload._load_library(tmp_path / "absent.so", os.RTLD_NOW)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows needs no loading beforehand")
def test_load_libraries_finds_both_torch_libraries(monkeypatch):
    loaded: list[Path] = []
    monkeypatch.setattr(preload, "_load_library", lambda path, flags: loaded.append(path))
    folder = preload._library_folder()
    assert folder is not None
    preload._load_libraries(folder)
    assert len(loaded) == 2
    assert all(path.is_file() for path in loaded)


@pytest.mark.parametrize("driver", ["absent", "broken", "fine"])
def test_cuda_driver_is_started_only_when_torch_is_built_for_it(monkeypatch, tmp_path, driver):
    started: list[int] = []

    class Driver:
        def __init__(self, name: str) -> None:
            if driver == "absent":
                raise OSError(name)

        def cuInit(self, flags: int) -> int:
            started.append(flags)
            return 0 if driver == "fine" else 999

    monkeypatch.setattr(preload.ctypes, "CDLL", Driver)
    preload._start_cuda(tmp_path)
    assert started == []
    for name in ("libc10_cuda.so", "c10_cuda.dll"):
        (tmp_path / name).touch()
    preload._start_cuda(tmp_path)
    assert started == ([] if driver == "absent" else [0])


def test_torch_computes_after_load_torch():
    program = (
        "from vdsr_app.workers.preload import load_torch\n"
        "load_torch()\n"
        "import torch, gc, sys\n"
        "x = torch.nn.functional.conv2d(torch.ones(1, 1, 5, 5), torch.ones(1, 1, 3, 3))\n"
        "assert x.sum() == 81, x\n"
        "assert gc.isenabled() and gc.get_freeze_count() > 10_000\n"
    )
    child = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert child.returncode == 0, child.stderr


@pytest.fixture
def child(monkeypatch, tmp_path):
    """Replaces the process that compiles kernels by a small Python program; `said` lists the calls of `on_fitting`."""

    class Child:
        program = "import os, pathlib; pathlib.Path(os.environ['VDSR_CACHE'], 'here').touch()"
        known: frozenset[str] = frozenset()
        keeps = True
        said: ClassVar[list[bool]] = []

    monkeypatch.setenv("VDSR_CACHE", str(tmp_path))
    monkeypatch.setattr(preload.paths, "own_command", lambda: [sys.executable, "-c", Child.program])
    monkeypatch.setattr(made, "is_made", lambda processor: processor in Child.known)
    monkeypatch.setattr(made, "can_be_kept", lambda: Child.keeps)
    Child.said = []
    return Child


def test_kernels_are_compiled_by_separate_process(child, tmp_path):
    preload._make_kernels(None, child.said.append)
    assert (tmp_path / "here").exists()
    assert child.said == [True, False]


def test_existing_kernels_are_not_compiled_again(child, tmp_path):
    child.known = frozenset([cpu_identity()])
    preload._make_kernels(None, child.said.append)
    assert not (tmp_path / "here").exists()
    assert child.said == []


def test_only_one_of_two_threads_compiles_kernels(child, monkeypatch, tmp_path):
    child.program = "import os, pathlib, uuid; pathlib.Path(os.environ['VDSR_CACHE'], str(uuid.uuid4())).touch()"
    monkeypatch.setattr(made, "is_made", lambda processor: any(tmp_path.iterdir()))
    threads = [threading.Thread(target=preload._make_kernels, args=(None, child.said.append)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(tmp_path.iterdir())) == 1
    assert sorted(child.said) == [False, False, True, True]
    assert child.said[-1] is False


@pytest.mark.parametrize(
    "program", ["import sys; sys.exit('no disk')", "import os; os.write(2, b'no disk'); os.abort()"]
)
def test_failed_kernel_process_is_logged_and_tolerated(child, caplog, program):
    child.program = program
    preload._make_kernels(None, child.said.append)
    assert "no disk" in caplog.text
    assert "was not made" in caplog.text
    assert child.said == [True, False]


def test_kernel_process_that_succeeds_without_kernels_is_logged(child, caplog):
    preload._make_kernels(None, child.said.append)
    assert "was not made" in caplog.text


def test_kernel_process_is_abandoned_after_time_limit(child, monkeypatch, caplog):
    monkeypatch.setattr(preload, "_LONGEST_S", 0.5)
    child.program = "import time; time.sleep(600)"
    preload._make_kernels(None, child.said.append)
    assert "was not made" in caplog.text
    assert child.said == [True, False]


def test_kernel_process_is_not_started_when_kernels_cannot_be_kept(child, tmp_path):
    child.keeps = False
    preload._make_kernels(None, child.said.append)
    assert not any(tmp_path.iterdir())
    assert child.said == []


def test_make_kernels_releases_lock_when_listener_raises(child):
    def complain(fitting: bool) -> None:
        if not fitting:
            raise RuntimeError("deleted")

    with pytest.raises(RuntimeError, match="deleted"):
        preload._make_kernels(None, complain)
    assert not preload._making.locked()


def test_kernel_process_that_cannot_be_started_is_logged(child, monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(preload.paths, "own_command", lambda: [str(tmp_path / "absent")])
    preload._make_kernels(None, child.said.append)
    assert "No process could be started" in caplog.text
    assert child.said == [True, False]


def test_cancel_kills_kernel_process(child, monkeypatch, tmp_path):
    child.program = "import os, pathlib, time; pathlib.Path(os.environ['VDSR_CACHE'], 'here').touch(); time.sleep(600)"
    token, started, start = CancelToken(), [], subprocess.Popen

    def noted_start(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(start(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(preload.subprocess, "Popen", noted_start)

    def cancel_when_it_runs() -> None:
        end_s = time.monotonic() + 60
        while not any(tmp_path.iterdir()) and time.monotonic() < end_s:
            time.sleep(0.01)
        token.cancel()

    helper = threading.Thread(target=cancel_when_it_runs)
    helper.start()
    with pytest.raises(Cancelled):
        preload._make_kernels(token, child.said.append)
    helper.join()
    (process,) = started
    assert process.returncode not in (None, 0)
    assert child.said == [True, False]


def test_load_network_loads_no_kernels_for_cuda(child, frozen, monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, preload._KERNELS, raising=False)
    for device in (torch.device("cuda"), DeviceError("There is none.")):
        choose = Mock(side_effect=[device])
        monkeypatch.setattr("vdsr_app.core.device.choose_device", choose)
        preload.load_network("cuda", "auto")
        choose.assert_called_once_with("cuda")
    assert preload._KERNELS not in sys.modules
    assert not any(tmp_path.iterdir())


def test_load_network_compiles_nothing_when_kernels_are_loaded(child, frozen, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, preload._KERNELS, Mock())
    preload.load_network("cpu", "auto")
    assert not any(tmp_path.iterdir())


def test_load_network_compiles_kernels_only_for_fp32(child, frozen, monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, preload._KERNELS, raising=False)
    monkeypatch.setattr(preload.importlib, "import_module", Mock())
    preload.load_network("cpu", "bf16")
    assert not any(tmp_path.iterdir())
    preload.load_network("cpu", "fp32")
    assert any(tmp_path.iterdir())
