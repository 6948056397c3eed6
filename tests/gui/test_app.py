"""Application process: imports, shutdown by signals, and uncaught exceptions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from vdsr_app.gui.system_signals import SystemSignals

END_S = 30
"""Far more than any machine needs; only stops a process that hangs."""


def start(script: str) -> subprocess.Popen[str]:
    """Run Python code in a separate process, without a screen."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def complaints(errors: str) -> list[str]:
    """Return a process's messages, except the offscreen platform's about every window with a minimum size."""
    return [line for line in errors.splitlines() if "propagateSizeHints" not in line]


RUN = """
    import sys
    from PySide6.QtCore import QTimer
    from vdsr_app.gui import app, main_window

    def started(self):
        {started}
        print("on the screen", flush=True)

    main_window.MainWindow.start = started
    sys.exit(app.run([]))
"""


def test_importing_app_imports_no_heavy_packages() -> None:
    heavy = "('torch', 'pyvips', 'qtawesome', 'qtpy')"
    script = f"import sys, vdsr_app.gui.app; print(*(m for m in {heavy} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=END_S)
    assert done.stdout.split() == []


def test_first_paint_imports_no_heavy_packages() -> None:
    heavy = "print(*[m for m in ('torch', 'pyvips', 'qtawesome', 'qtpy') if m in sys.modules])"
    process = start(RUN.format(started=f"{heavy}; QTimer.singleShot(0, self.close)"))
    out, err = process.communicate(timeout=END_S)
    assert (out.splitlines(), complaints(err)) == (["", "on the screen"], [])


@pytest.mark.skipif(os.name != "posix", reason="there are no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_closes_window_and_saves_settings(tmp_path: Path, number: signal.Signals) -> None:
    process = start(RUN.format(started="self._store.update(quality=33)"))
    assert process.stdout is not None
    assert process.stdout.readline() == "on the screen\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=END_S)
    assert (process.returncode, complaints(err)) == (0, [])
    settings = (tmp_path / "vdsr-home" / "settings.ini").read_text(encoding="utf-8")
    assert "quality=33" in settings
    assert "geometry=" in settings


def test_uncaught_exception_is_reported_and_process_continues() -> None:
    started = """
        def fault():
            QTimer.singleShot(0, lambda: (print(self.page.banner.text), self.close()))
            raise RuntimeError("on purpose")
        QTimer.singleShot(0, fault)"""
    process = start(RUN.format(started=started))
    out, err = process.communicate(timeout=END_S)
    assert process.returncode == 0
    assert "Something unexpected went wrong." in out
    assert "on purpose" in err  # logged; no log is configured here, so it goes to the terminal


@pytest.fixture(params=["as it is", "win32"])
def signals(
    request: pytest.FixtureRequest, qapp: QApplication, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SystemSignals]:
    """System signals on this system, and as on Windows."""
    with monkeypatch.context() as changed:
        if request.param == "win32":
            changed.setattr(sys, "platform", "win32")
        made = SystemSignals()
    yield made
    made.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_system_signals_are_emitted_through_the_event_loop(
    qtbot: QtBot, signals: SystemSignals, number: signal.Signals
) -> None:
    with qtbot.waitSignal(signals.received) as received:
        signal.raise_signal(number)
    assert received.args == [number]


def test_slot_finishes_before_a_signal_raised_in_it_is_emitted(qtbot: QtBot, signals: SystemSignals) -> None:
    done: list[str] = []
    signals.received.connect(lambda _: done.append("told"))

    def slot() -> None:
        signal.raise_signal(signal.SIGINT)
        done.append("ended")

    with qtbot.waitSignal(signals.received):
        QTimer.singleShot(0, slot)
    assert done == ["ended", "told"]


def test_system_signals_restore_previous_handlers_when_closed(qapp: QApplication) -> None:
    numbers = [signal.SIGTERM, signal.SIGINT]
    before = [signal.getsignal(number) for number in numbers]
    signals = SystemSignals()
    assert [signal.getsignal(number) for number in numbers] != before
    signals.close()
    signals.close()
    assert [signal.getsignal(number) for number in numbers] == before
