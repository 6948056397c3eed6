"""Keeping the computer awake while a batch runs, and no longer, however the batch or the program ends."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from vdsr_app.core.batch import BatchOptions, BatchReport
from vdsr_app.errors import SaveError
from vdsr_app.workers import batch as module
from vdsr_app.workers.awake import KeepAwake
from vdsr_app.workers.batch import BatchService

WAIT_S = 20.0
WAIT_MS = 20_000

INHIBIT = """#!/bin/sh
exec 9>"$TOLD"
echo "$*" >&9
while [ "${1#--}" != "$1" ]; do shift; done
exec "$@"
"""
"""Stands in for systemd-inhibit: writes its arguments to a pipe and holds it open while the computer is kept awake."""

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="systemd")


class Inhibit:
    """Observes the stand-in through a pipe that it writes to and that closes when it ends."""

    def __init__(self, folder: Path) -> None:
        self.pipe = folder / "told"
        os.mkfifo(self.pipe)
        self._open()

    def says(self) -> str:
        """What it wrote last; empty if it has ended."""
        assert select.select([self._end], [], [], WAIT_S)[0]
        said = os.read(self._end, 4096).decode()
        if not said:
            self.close()
            self._open()
        return said

    @property
    def lives(self) -> bool:
        """Whether it has not ended, and has written nothing more."""
        return not select.select([self._end], [], [], 0)[0]

    def close(self) -> None:
        os.close(self._end)

    def _open(self) -> None:
        self._end = os.open(self.pipe, os.O_RDONLY | os.O_NONBLOCK)


@pytest.fixture
def inhibit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inhibit]:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "systemd-inhibit").write_text(INHIBIT)
    (programs / "systemd-inhibit").chmod(0o755)
    made = Inhibit(tmp_path)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TOLD", str(made.pipe))
    yield made
    made.close()


@linux_only
def test_computer_is_kept_awake_from_begin_to_end(inhibit: Inhibit) -> None:
    awake = KeepAwake()
    awake.end()  # nothing has begun
    for _ in range(2):
        awake.begin()
        try:
            assert "--what=sleep:idle" in inhibit.says()
            awake.begin()  # has no further effect
            assert inhibit.lives
        finally:
            awake.end()
        assert inhibit.says() == ""


@linux_only
def test_killed_program_lets_computer_sleep(inhibit: Inhibit) -> None:
    code = "from vdsr_app.workers.awake import KeepAwake; awake = KeepAwake(); awake.begin(); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as program:
        try:
            assert inhibit.says()
        finally:
            program.kill()
    assert inhibit.says() == ""


@linux_only
def test_begin_and_end_tolerate_missing_systemd_inhibit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    awake = KeepAwake()
    awake.begin()
    awake.end()


@pytest.mark.parametrize("outcome", ["ended", "failed", "stopped", "closed"])
def test_batch_keeps_computer_awake_until_it_ends(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    log: list[str] = []
    proceed = threading.Event()

    class Recorded:
        def begin(self) -> None:
            log.append("begin")

        def end(self) -> None:
            log.append("end")

    def run(*_: object) -> BatchReport:
        assert proceed.wait(WAIT_S)
        if outcome == "failed":
            raise SaveError("The disk is full.", path=tmp_path)
        return BatchReport(0, 0, 0, 1.0, 1.0)

    monkeypatch.setattr(module, "KeepAwake", Recorded)
    service = BatchService(run=run)
    try:
        assert log == []
        service.start([tmp_path], BatchOptions(tmp_path / "out"))
        assert log == ["begin"]
        if outcome == "closed":
            service.close(0)
        else:
            with qtbot.waitSignal(getattr(service, outcome), timeout=WAIT_MS):
                if outcome == "stopped":
                    service.cancel()
                else:
                    proceed.set()
        assert log[0] == "begin"
        assert set(log[1:]) == {"end"}
    finally:
        proceed.set()
        assert service.close(WAIT_MS)
