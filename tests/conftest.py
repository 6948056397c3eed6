"""For every test: no window on the screen, none of the user's own files, no network, one CPU thread."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from vdsr_app.core.cores import usable_cores
from vdsr_app.core.winograd import made

# Before torch or Qt are imported. Child processes inherit it.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# Kernels are compiled, and ways of computing measured, once for all tests instead of once per home folder.
os.environ.setdefault("VDSR_CACHE", tempfile.mkdtemp(prefix="vdsr-tests-cache-"))

# No test depends on the speed of the machine. In CI, the examples are the same each time.
settings.register_profile("vdsr", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.load_profile("vdsr")

ROOT = Path(__file__).resolve().parent.parent


def pytest_xdist_auto_num_workers() -> int:
    """One process per usable core, with a container's limit taken into account."""
    return usable_cores()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name long bytes after their argument: colour profiles contain the second in which they were made."""
    return argname if isinstance(val, bytes) and len(val) > 40 else None


@pytest.fixture(autouse=True)
def _kernels_are_made_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for a process that compiles kernels, except those that test it."""
    monkeypatch.setattr(made, "is_made", lambda processor: True)


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models, runs, logs and settings go below `tmp_path`."""
    monkeypatch.setenv("VDSR_HOME", str(tmp_path / "vdsr-home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """A test fails when anything in its process opens a connection to a network address, this machine's included."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def refuse(own: socket.socket, address: object) -> None:
        if own.family in (socket.AF_INET, socket.AF_INET6):
            pytest.fail(f"A network connection was opened, to {address!r}.")

    def guarded_connect(own: socket.socket, address: object) -> None:
        refuse(own, address)
        connect(own, address)  # type: ignore[arg-type]

    def guarded_connect_ex(own: socket.socket, address: object) -> int:
        refuse(own, address)
        return connect_ex(own, address)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        yield


@pytest.fixture(scope="session")
def checkout() -> Path:
    """Root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Pictures and reference numbers that lie beside the checkout; the test is skipped if they are absent."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the shared material is not beside this checkout")
    return folder
