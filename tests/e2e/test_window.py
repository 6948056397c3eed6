"""The main task in a real window, driven by mouse and keyboard. Screenshots are kept in test-artifacts/."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.e2e.conftest import PATIENCE_S, App, Screen
from tests.workers.test_responsiveness import HUNG_MS, MOST_LOOKED_THROUGH

pytestmark = pytest.mark.e2e

Start = Callable[..., App]


def make_photo(path: Path, width: int = 240, height: int = 160) -> Path:
    """A picture with edges and gradients."""
    y, x = np.mgrid[0:height, 0:width]
    rings = 127 + 100 * np.sin(np.hypot(x - width / 2, y - height / 2) / 4)
    pixels = np.stack([rings, x * 255 / width, y * 255 / height], axis=-1)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return make_photo(tmp_path / "photo.png")


def test_window_opens_with_a_sample_and_compares_it(start: Start, screen: Screen) -> None:
    app = start()
    state = app.wait_until_finished()
    assert state["sample"]
    assert state["strip"]
    assert state["labels"] == ["Bicubic", "VDSR"]
    assert state["halves_differ"]
    assert state["device"]
    screen.shoot("start-light")
    # The longest time for which the window did not respond, torch's import and the first run included. The load of a
    # busy machine is taken out of the figure, see tests/workers/window_gauge.py.
    (Path(screen.shoot("start-light")).parent / "start.txt").write_text(
        f"first paint after {state['first_paint_s']:.2f} s, longest standstill {state['worst_ms']:.0f} ms\n"
    )
    assert app.end() < PATIENCE_S
    assert app.process.returncode == 0


def test_picture_can_be_opened_compared_zoomed_scaled_and_saved(start: Start, screen: Screen, photo: Path) -> None:
    app = start(photo)
    app.wait("the picture is open", lambda s: s["title"] == "photo.png — VDSR Studio")
    state = app.wait_until_finished()
    assert state["size"] == [480, 320]
    assert state["fits"]

    # The wipe, by mouse: from the middle a quarter to the right.
    x, y = app.point("view")
    screen.drag((x, y + 14), (x + 120, y + 14), lambda: None)
    state = app.wait("the wipe has moved", lambda s: s["split"] > 0.6)

    screen.key("2")
    app.wait("it is 200 %", lambda s: s["zoom"] == 200)
    screen.click(*app.point("view", 0.25, 0.25), button=4)
    state = app.wait("the wheel zoomed in", lambda s: s["zoom"] > 200)
    assert state["visible"][0] + state["visible"][2] / 2 < 240  # at the pointer, left of the middle
    screen.key("1")
    app.wait("it is 100 %", lambda s: s["zoom"] == 100)
    screen.key("s")
    app.wait("it is side by side", lambda s: s["mode"] == "side")
    screen.shoot("side-by-side")
    screen.key("d")
    app.wait("it is single", lambda s: s["mode"] == "single")
    screen.run("xdotool", "keydown", "space")
    app.wait("Space shows the left half", lambda s: s["left_held"])
    screen.run("xdotool", "keyup", "space")
    app.wait("letting go shows the right half", lambda s: not s["left_held"])
    screen.key("w", "0")

    # The slider: a click on the groove at 3.0.
    screen.click(*app.point("slider", (3 - 1) / 7 * 0.94 + 0.03))
    state = app.wait("the scale is about 3", lambda s: abs(s["scale"] - 3) < 0.15 and s["finished"])
    assert state["size"] == [round(240 * state["scale"]), round(160 * state["scale"])]
    assert state["split"] > 0.6

    # Save, at once and while the network still runs.
    screen.key("F5", "ctrl+shift+s")
    app.wait("the dialog is there", lambda s: s["dialog"] is not None)
    screen.shoot("save-dialog")
    target = photo.with_name("big picture.png")
    screen.key("ctrl+a")
    screen.type(str(target))
    screen.key("Return")
    app.wait("it is saved", lambda s: s["banner"].startswith("Saved big picture.png"))
    screen.shoot("saved")
    with Image.open(target) as saved:
        assert list(saved.size) == app.state["size"]
    assert app.end() < PATIENCE_S


def test_picture_dropped_from_a_file_manager_is_opened(start: Start, screen: Screen, tmp_path: Path) -> None:
    needed = ("pcmanfm", "dbus-run-session")
    missing = [name for name in needed if shutil.which(name) is None]
    if missing:
        pytest.skip(f"a real drop needs {', '.join(missing)}")
    folder = tmp_path / "pictures"
    folder.mkdir()
    make_photo(folder / "dropped.png")
    app = start()
    app.wait_until_finished()
    home = {**screen.environment, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    manager = subprocess.Popen(
        ["dbus-run-session", "--", "pcmanfm", "--no-desktop", str(folder)],
        env=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        window = find_window(screen, "^pictures$")
        screen.run("xdotool", "windowsize", window, 420, 300, "windowmove", window, 850, 470)
        screen.run("xdotool", "windowactivate", "--sync", window)
        time.sleep(1)  # the file manager shows no sign to wait for when it has laid out its icons
        icon = (1056, 590)  # the first icon: right of the places, below the toolbar
        screen.drag(icon, app.point("view", 0.4, 0.4), lambda: screen.shoot("drop-hint"))
        app.wait("the dropped picture is open", lambda s: s["title"].startswith("dropped.png"))
        app.wait_until_finished()
        screen.shoot("dropped")
    finally:
        os.killpg(manager.pid, 15)
        manager.wait()


def find_window(screen: Screen, name: str) -> str:
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        found = subprocess.run(
            ["xdotool", "search", "--name", name], env=screen.environment, capture_output=True, text=True, check=False
        ).stdout.split()
        if found:
            return found[-1]
        time.sleep(0.1)
    raise AssertionError(f"No window is called {name}.")


def test_window_works_in_the_dark_theme_at_200_percent(
    start: Start, screen: Screen, photo: Path, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "settings.ini").write_text("[General]\nversion=1\ntheme=dark\ninspector_visible=false\n")
    app = start(photo, QT_SCALE_FACTOR="2")
    state = app.wait_until_finished()
    assert state["theme"] == "dark"
    screen.shoot("dark-200-percent")
    screen.key("1")
    app.wait("it is 100 % of the screen's own pixels", lambda s: s["zoom"] == 100)


def test_unreadable_picture_is_reported_and_the_sample_is_shown(start: Start, screen: Screen, tmp_path: Path) -> None:
    broken = tmp_path / "<b>broken</b>&amp;.png"
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.write_bytes(b"\x89PNG\r\n\x1a\n no more")
    app = start(broken)
    state = app.wait("the failure is told", lambda s: s["banner"] != "")
    assert "amp;.png" in state["banner"]
    app.wait("the sample takes its place", lambda s: s["sample"] and s["finished"])
    screen.shoot("failure")


def test_closing_during_a_run_ends_soon_and_leaves_no_partial_files(start: Start, tmp_path: Path) -> None:
    app = start(make_photo(tmp_path / "large.png", 1600, 1200))
    app.wait("the network runs", lambda s: s["running"] and "%" in s["status"])
    seconds = app.end()
    assert app.process.returncode == 0
    assert seconds < 10, seconds  # three on an otherwise idle machine
    assert not list(tmp_path.rglob("*.part"))
    again = start()
    assert again.wait("the window is back", lambda s: s["title"] != "")


def test_window_stays_responsive_while_torch_loads_and_the_network_runs(start: Start, photo: Path) -> None:
    state = start(photo).wait_until_finished()
    assert state["imported_by_window"] == []
    assert state["looked_through"] <= MOST_LOOKED_THROUGH
    assert state["compiled"] == 0
    assert state["loaded"] > 0
    assert state["worst_ms"] < HUNG_MS
