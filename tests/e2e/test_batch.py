"""A batch in a real window, by mouse and keyboard: from a folder to its results, with more added while it runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.e2e.conftest import App, Screen

pytestmark = pytest.mark.e2e

Start = Callable[..., App]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures that take a second or two each, one in a subfolder, and a file that is not a picture."""
    folder = tmp_path / "scans"
    (folder / "more").mkdir(parents=True)
    random = np.random.default_rng(5)
    for name in ("a.png", "b.png", "c.png", "more/d.png"):
        coarse = random.integers(0, 255, (24, 24, 3), np.uint8)
        Image.fromarray(coarse).resize((240, 160), Image.Resampling.BICUBIC).save(folder / name)
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


def press(screen: Screen, app: App, name: str) -> None:
    """Wait until a control is usable and no longer moves, and click it."""
    places: dict[int, list[int] | None] = {}

    def at_rest(state: dict[str, Any]) -> bool:
        places[state["tick"]] = state["batch"]["controls"].get(name)
        last = list(places.values())[-4:]
        return len(last) == 4 and last[0] is not None and all(place == last[0] for place in last)

    x, y, width, height = app.wait(f"“{name}” can be pressed", at_rest)["batch"]["controls"][name]
    screen.click(x + width / 2, y + height / 2)


def phase(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda state: state["batch"]["phase"] == name


def test_batch_finishes_after_pause_added_picture_and_leaving_workspace(
    start: Start, screen: Screen, folder: Path, tmp_path: Path
) -> None:
    app = start(folder)
    app.wait("it is planned", phase("planned"))
    screen.shoot("batch-1-planned")
    press(screen, app, "Start")
    app.wait("it works", lambda s: "working" in s["batch"]["pictures"].values())
    press(screen, app, "Pause")
    screen.shoot("batch-2-paused")
    shutil.copy(folder / "a.png", tmp_path / "late.png")
    press(screen, app, "Add pictures…")
    app.wait("the dialog is there", lambda s: s["dialog"] is not None)
    screen.key("ctrl+a")
    screen.type(str(tmp_path / "late.png"))
    screen.key("Return")
    app.wait("the dialog is gone", lambda s: s["dialog"] is None)
    press(screen, app, "Continue")
    app.wait("the late one is in the list", lambda s: "late.png" in s["batch"]["pictures"])
    screen.key("ctrl+1")
    app.wait("the line below tells of it", lambda s: s["batch"]["line"].startswith("Batch "))
    screen.key("ctrl+2")
    state = app.wait("it has ended", phase("ended"))
    screen.shoot("batch-3-ended")
    assert state["batch"]["pictures"] == {
        **dict.fromkeys(("a.png", "b.png", "c.png", "d.png", "late.png"), "done"),
        "broken.png": "failed",
    }
    results = tmp_path / "scans upscaled"
    made = sorted(path.relative_to(results).as_posix() for path in results.rglob("*.png"))
    assert made == [f"{name}_vdsr_x2.png" for name in ("a", "b", "c", "late", "more/d")]
    for name in made:
        with Image.open(results / name) as result:
            assert result.size == (480, 320)
    assert app.end() < 60


def test_restarted_window_resumes_the_batch_of_a_killed_one(
    start: Start, screen: Screen, folder: Path, tmp_path: Path
) -> None:
    app = start(folder)
    app.wait("it is planned", phase("planned"))
    press(screen, app, "Start")
    app.wait("one is done", lambda s: "done" in s["batch"]["pictures"].values())
    app.kill()
    app = start()
    app.wait_until_finished()
    screen.key("ctrl+2")
    press(screen, app, "Resume")
    state = app.wait("it has ended", phase("ended"))
    assert list(state["batch"]["pictures"].values()).count("done") == 4
    results = tmp_path / "scans upscaled"
    assert len(list(results.rglob("*.png"))) == 4
    assert not list(results.rglob("*.part"))
