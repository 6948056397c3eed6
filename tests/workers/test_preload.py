"""Loading torch without stopping the other threads; that it really does not is measured in test_responsiveness."""

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
    """Notes calls of gc.freeze instead of freezing the whole test run."""
    calls: list[bool] = []
    monkeypatch.setattr(gc, "freeze", lambda: calls.append(gc.isenabled()))
    return calls


def test_a_gentle_import_leaves_everything_as_it_was(frozen):
    interval_s = sys.getswitchinterval()
    with preload.gentle_import():
        assert not gc.isenabled()
        assert sys.getswitchinterval() < interval_s
    assert gc.isenabled()
    assert sys.getswitchinterval() == pytest.approx(interval_s)
    assert frozen == [False]


def test_also_after_a_failure_and_where_collection_was_off(frozen):
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


def test_of_several_imports_the_last_leaves_everything_as_the_first_found_it(frozen):
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


def test_cancel_before_the_import(monkeypatch, frozen):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        preload.load_torch(token)
    assert "torch" not in sys.modules


@pytest.mark.skipif(sys.platform == "win32", reason="Windows needs no loading beforehand")
def test_a_library_that_cannot_be_loaded_is_no_failure(tmp_path):
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"no library")
    preload._load_library(broken, os.RTLD_NOW)
    preload._load_library(tmp_path / "absent.so", os.RTLD_NOW)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows needs no loading beforehand")
def test_the_libraries_of_torch_are_found(monkeypatch):
    loaded: list[Path] = []
    monkeypatch.setattr(preload, "_load_library", lambda path, flags: loaded.append(path))
    folder = preload._library_folder()
    assert folder is not None
    preload._load_libraries(folder)
    assert len(loaded) == 2
    assert all(path.is_file() for path in loaded)


@pytest.mark.parametrize("driver", ["absent", "broken", "fine"])
def test_a_cuda_driver_is_started_where_torch_is_built_for_it(monkeypatch, tmp_path, driver):
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


def test_torch_computes_after_being_loaded_this_way():
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
    """Lets a small Python program stand for the one that makes kernels; a list of its starts, and what it does."""

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


def test_kernels_are_made_by_a_process_of_its_own(child, tmp_path):
    preload._make_kernels(None, child.said.append)
    assert (tmp_path / "here").exists()
    assert child.said == [True, False]


def test_kernels_that_are_there_are_left_alone(child, tmp_path):
    child.known = frozenset([cpu_identity()])
    preload._make_kernels(None, child.said.append)
    assert not (tmp_path / "here").exists()
    assert child.said == []


def test_of_two_threads_one_makes_them(child, monkeypatch, tmp_path):
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
def test_where_they_cannot_be_made_the_window_goes_on_and_the_log_tells(child, caplog, program):
    child.program = program
    preload._make_kernels(None, child.said.append)
    assert "no disk" in caplog.text
    assert "was not made" in caplog.text
    assert child.said == [True, False]


def test_a_process_that_ends_well_and_made_none_is_told_of_too(child, caplog):
    preload._make_kernels(None, child.said.append)
    assert "was not made" in caplog.text


def test_one_that_does_not_end_is_given_up(child, monkeypatch, caplog):
    monkeypatch.setattr(preload, "_LONGEST_S", 0.5)
    child.program = "import time; time.sleep(600)"
    preload._make_kernels(None, child.said.append)
    assert "was not made" in caplog.text
    assert child.said == [True, False]


def test_where_nothing_can_be_kept_none_is_started(child, tmp_path):
    child.keeps = False
    preload._make_kernels(None, child.said.append)
    assert not any(tmp_path.iterdir())
    assert child.said == []


def test_a_listener_that_is_gone_keeps_nobody_waiting(child):
    def complain(fitting: bool) -> None:
        if not fitting:
            raise RuntimeError("deleted")

    with pytest.raises(RuntimeError, match="deleted"):
        preload._make_kernels(None, complain)
    assert not preload._making.locked()


def test_so_where_no_process_can_be_started(child, monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(preload.paths, "own_command", lambda: [str(tmp_path / "absent")])
    preload._make_kernels(None, child.said.append)
    assert "No process could be started" in caplog.text
    assert child.said == [True, False]


def test_a_cancel_ends_that_process(child, monkeypatch, tmp_path):
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


def test_a_graphics_card_needs_no_kernels(child, frozen, monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, preload._KERNELS, raising=False)
    for device in (torch.device("cuda"), DeviceError("There is none.")):
        choose = Mock(side_effect=[device])
        monkeypatch.setattr("vdsr_app.core.device.choose_device", choose)
        preload.load_network("cuda", "auto")
        choose.assert_called_once_with("cuda")
    assert preload._KERNELS not in sys.modules
    assert not any(tmp_path.iterdir())


def test_once_loaded_they_are_not_made_again_where_nothing_can_be_kept(child, frozen, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, preload._KERNELS, Mock())
    preload.load_network("cpu", "auto")
    assert not any(tmp_path.iterdir())


def test_nor_for_another_precision(child, frozen, monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, preload._KERNELS, raising=False)
    monkeypatch.setattr(preload.importlib, "import_module", Mock())
    preload.load_network("cpu", "bf16")
    assert not any(tmp_path.iterdir())
    preload.load_network("cpu", "fp32")
    assert any(tmp_path.iterdir())
