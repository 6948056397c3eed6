"""An X server of its own with a window manager, and functions that operate and observe the real program."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARTEFACTS = ROOT / "test-artifacts"
NEEDED = ("Xvfb", "openbox", "xdotool", "import")
SCREEN = "1280x800x24"
PATIENCE_S = 60
"""How long anything may take before a test fails; far more than it takes."""


class GoneError(AssertionError):
    """The program ended while the test was waiting for it."""


class Screen:
    """An X server without a monitor."""

    def __init__(self) -> None:
        reader, writer = os.pipe()
        self._server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writer), "-screen", "0", SCREEN, "-nolisten", "tcp"],
            pass_fds=[writer],
            stderr=subprocess.DEVNULL,
        )
        os.close(writer)
        with os.fdopen(reader) as pipe:
            number = pipe.readline().strip()
        if not number:
            pytest.fail("Xvfb did not start.")
        self.environment = {**os.environ, "DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb"}
        self._manager = subprocess.Popen(["openbox"], env=self.environment, stderr=subprocess.DEVNULL)

    def close(self) -> None:
        for process in (self._manager, self._server):
            process.terminate()
            process.wait()

    def run(self, *command: object) -> str:
        """Run a program that reads the screen or moves the mouse."""
        words = [str(word) for word in command]
        return subprocess.run(words, env=self.environment, check=True, capture_output=True, text=True).stdout

    def key(self, *keys: str) -> None:
        self.run("xdotool", "key", "--clearmodifiers", "--delay", "60", *keys)

    def type(self, text: str) -> None:
        self.run("xdotool", "type", "--delay", "20", text)

    def move(self, x: float, y: float) -> None:
        self.run("xdotool", "mousemove", round(x), round(y))

    def click(self, x: float, y: float, button: int = 1) -> None:
        self.move(x, y)
        self.run("xdotool", "click", button)

    def drag(self, start: tuple[float, float], end: tuple[float, float], before_release: Callable[[], None]) -> None:
        """Drag slowly enough for other programs to notice."""
        self.move(*start)
        self.run("xdotool", "mousedown", 1)
        for step in range(1, 13):
            self.move(start[0] + (end[0] - start[0]) * step / 12, start[1] + (end[1] - start[1]) * step / 12)
            time.sleep(0.06)
        before_release()
        self.run("xdotool", "mouseup", 1)

    def shoot(self, name: str) -> Path:
        """Save a screenshot among the artefacts."""
        ARTEFACTS.mkdir(exist_ok=True)
        path = ARTEFACTS / f"{name}.png"
        self.run("import", "-window", "root", path)
        return path


class App:
    """The program under test."""

    def __init__(self, screen: Screen, folder: Path, pictures: Sequence[Path], extra: dict[str, str]) -> None:
        self.screen = screen
        self._state_file = folder / "state.json"
        self._state_file.unlink(missing_ok=True)
        environment = {
            **screen.environment,
            "VDSR_HOME": str(folder / "home"),
            "PYTHONPATH": str(ROOT),
            "PROBE_STARTED": str(time.time()),
            **extra,
        }
        probe = Path(__file__).with_name("probe.py")
        self._errors = (folder / "stderr.txt").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, str(probe), str(self._state_file), *map(str, pictures)],
            env=environment,
            cwd=ROOT,
            stderr=self._errors,
        )

    @property
    def state(self) -> dict[str, Any]:
        """What the window shows now."""
        state: dict[str, Any] = json.loads(self._state_file.read_text())
        return state

    def wait(
        self, what: str, condition: Callable[[dict[str, Any]], bool], patience_s: float = PATIENCE_S
    ) -> dict[str, Any]:
        """Wait until what the window shows meets a condition.

        Raises:
            AssertionError: it never did.
        """
        end_s = time.monotonic() + patience_s
        state: dict[str, Any] = {}
        while time.monotonic() < end_s:
            if self.process.poll() is not None:
                raise GoneError(f"The program ended while waiting until {what}:\n{self.errors()}")
            if self._state_file.exists():
                state = self.state
                if "unexpected" in state["banner"]:
                    raise AssertionError(f"A fault in the program:\n{self.errors()}")
                if condition(state):
                    return state
            time.sleep(0.05)
        self.screen.shoot("gave-up")
        raise AssertionError(f"It never came that {what}: {state}\n{self.errors()}")

    def wait_until_finished(self) -> dict[str, Any]:
        """Wait for the result; the very first one also waits for the kernels to be compiled."""
        return self.wait("the result is finished", lambda s: s["finished"] and not s["running"], 4 * PATIENCE_S)

    def point(self, name: str, across: float = 0.5, down: float = 0.5) -> tuple[float, float]:
        """A point in a widget, given as fractions of its width and height."""
        x, y, width, height = self.state["places"][name]
        return x + width * across, y + height * down

    def end(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Ask the program to end.

        Returns:
            Seconds it took.
        """
        began_s = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(PATIENCE_S)
        return time.monotonic() - began_s

    def errors(self) -> str:
        self._errors.seek(0)
        return self._errors.read()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._errors.close()


@pytest.fixture(scope="module")
def screen() -> Iterator[Screen]:
    """A screen, or a skip that names what is missing."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        pytest.skip(f"a real window needs {', '.join(missing)}, see .ci/run for the packages")
    made = Screen()
    yield made
    made.close()


@pytest.fixture
def start(screen: Screen, tmp_path: Path) -> Iterator[Callable[..., App]]:
    """Starts the program with pictures and environment variables."""
    apps: list[App] = []

    def make(*pictures: Path, **extra: str) -> App:
        apps.append(App(screen, tmp_path, pictures, extra))
        return apps[-1]

    yield make
    for app in apps:
        app.kill()
