"""Output of a training process that is started as the window starts it, also in the packaged program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vdsr_app.workers.training_launch import DetachedProcess, child_environment, output_tail

WAIT_S = 30.0
# As in the packaged program: without Python's own variables, and with the system's encoding, here ASCII.
ISOLATED = [sys.executable, "-I", "-X", "utf8=0"]
SPEAK_AND_CRASH = f"""
import os, sys
sys.path[:] = {sys.path!r}
from vdsr_app import __main__ as program, cli

def crash(arguments):
    print("Grüße, 写真 \\udcff", file=sys.stdout, flush=True)
    print("error: für 写真 \\udcff", file=sys.stderr, flush=True)
    os.abort()

cli.main = crash
program.main(["train"])
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("LC_ALL", "C")
    (tmp_path / "program.py").write_text(SPEAK_AND_CRASH, encoding="utf-8")
    return [*ISOLATED, str(tmp_path / "program.py")]


def test_output_of_crashed_run_is_utf_8_with_traceback(qtbot, command: list[str], tmp_path: Path) -> None:
    process = DetachedProcess(command, tmp_path)
    qtbot.waitUntil(lambda: not process.lives, timeout=round(1000 * WAIT_S))
    said = output_tail(tmp_path)
    assert said.startswith(r"error: für 写真 \udcff")
    assert "in crash" in said


def test_output_of_crashed_dry_run_is_utf_8_with_traceback(command: list[str]) -> None:
    environ = dict(pair.split("=", 1) for pair in child_environment().toStringList())
    done = subprocess.run(command, env=environ, capture_output=True, timeout=WAIT_S, check=False)
    assert done.stdout.decode("utf-8").strip() == r"Grüße, 写真 \udcff"
    said = done.stderr.decode("utf-8")
    assert said.startswith(r"error: für 写真 \udcff")
    assert "in crash" in said
