"""Training in a real window, by mouse and keyboard alone: from a folder of pictures to "Use now"."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.e2e.conftest import App, Screen

pytestmark = pytest.mark.e2e

Start = Callable[..., App]
RUN_PATIENCE_S = 240
"""A run loads torch, reads pictures, does a few steps and compares itself with other models."""


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "birds"
    folder.mkdir()
    random = np.random.default_rng(5)
    for i in range(12):
        coarse = random.integers(0, 255, (24, 24, 3), np.uint8)
        Image.fromarray(coarse).resize((120, 96), Image.Resampling.BICUBIC).save(folder / f"{i:02}.png")
    return folder


def controls(state: dict[str, Any]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = state["training"]["controls"]
    return found


def press(screen: Screen, app: App, name: str, *, patience_s: float = 60) -> None:
    """Wait until a control of that name is usable and no longer moves, and click it."""
    places: dict[int, list[int] | None] = {}

    def at_rest(state: dict[str, Any]) -> bool:
        # A page that has just unfolded scrolls a moment later.
        places[state["tick"]] = controls(state).get(name)
        last = list(places.values())[-4:]
        return len(last) == 4 and last[0] is not None and all(place == last[0] for place in last)

    state = app.wait(f"“{name}” can be pressed", at_rest, patience_s)
    x, y, width, height = controls(state)[name]
    screen.click(x + width / 2, y + height / 2)


def step(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda state: state["training"]["step"] == name


def said(words: str) -> Callable[[dict[str, Any]], bool]:
    return lambda state: any(words in text for text in state["training"]["words"])


def choose_folder(screen: Screen, app: App, button: str, folder: Path) -> None:
    press(screen, app, button)
    app.wait("the dialog is there", lambda s: s["dialog"] is not None)
    screen.key("ctrl+a")
    screen.type(f"{folder}/")
    screen.key("Return")
    app.wait("the dialog is gone", lambda s: s["dialog"] is None)


def go_to_recipe(screen: Screen, app: App, pictures: Path, shots: str = "") -> None:
    app.wait_until_finished()
    screen.key("ctrl+3")
    app.wait("the invitation is there", said("Teach it your kind of picture"))
    if shots:
        screen.shoot(f"{shots}-1-invitation")
    choose_folder(screen, app, "Choose pictures…", pictures)
    app.wait("the pictures are counted", said("12 pictures"))
    if shots:
        screen.shoot(f"{shots}-2-pictures")
    press(screen, app, "Next")
    app.wait("they are checked", said("to learn from"))
    if shots:
        screen.shoot(f"{shots}-3-check")
    press(screen, app, "Next")
    app.wait("the recipes are there", step("RECIPE"))


def fill(screen: Screen, app: App, field: str, text: str) -> None:
    press(screen, app, field)
    screen.key("ctrl+a")
    screen.type(text)


def test_training_leads_from_a_folder_of_pictures_to_use_now(start: Start, screen: Screen, pictures: Path) -> None:
    app = start()
    go_to_recipe(screen, app, pictures, "train")
    screen.shoot("train-4-recipe")
    press(screen, app, "Details")
    fill(screen, app, "Steps", "6")
    app.wait("the recipe is another", lambda s: "Details (changed)" in controls(s))
    press(screen, app, "Start training")
    app.wait("the run is shown", step("RUN"))
    app.wait("it learns", said("Learning: step"), RUN_PATIENCE_S)
    screen.shoot("train-5-run")
    app.wait("there is a result", step("RESULT"), RUN_PATIENCE_S)
    app.wait("it is judged", said("held-out pictures"))
    screen.shoot("train-6-result")
    press(screen, app, "Use now")
    state = app.wait("it is in use", lambda s: s["banner"].startswith("“birds robust” is in use."))
    assert state["labels"][1].startswith("birds robust")
    app.wait_until_finished()
    screen.shoot("train-7-used")
    assert app.end() < 60
    assert app.process.returncode == 0


def test_run_outlives_the_window_and_is_found_again(
    start: Start, screen: Screen, pictures: Path, tmp_path: Path
) -> None:
    app = start()
    go_to_recipe(screen, app, pictures)
    press(screen, app, "Start training")
    app.wait("it learns", said("Learning: step"), RUN_PATIENCE_S)
    screen.key("ctrl+q")
    app.wait("it is asked what becomes of it", lambda s: s["dialog"] is not None)
    screen.shoot("train-8-closing")
    screen.key("Return")  # let it continue
    app.process.wait(60)
    assert app.process.returncode == 0

    again = start()
    again.wait("the line below tells of it", lambda s: "birds robust" in s["training"]["line"])
    screen.shoot("train-9-line")
    screen.key("ctrl+3")
    again.wait("its curves are shown", step("RUN"))
    again.process.kill()  # without a question
    again.process.wait()

    third = start()
    third.wait("it trains still", lambda s: "birds robust" in s["training"]["line"])
    screen.key("ctrl+3")
    press(screen, third, "Stop and save")
    third.wait("it is saved", said("Stopped at step"), RUN_PATIENCE_S)
    screen.shoot("train-10-stopped")
    (run,) = (path for path in (tmp_path / "home" / "runs").iterdir() if path.is_dir())
    assert (run / "vdsr.safetensors").exists()
    assert os.access(run / "config.toml", os.R_OK)


def test_wizard_works_by_keyboard_in_the_dark_theme_at_200_percent(
    start: Start, screen: Screen, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "settings.ini").write_text("[General]\nversion=1\ntheme=dark\n")
    app = start(QT_SCALE_FACTOR="2")
    app.wait_until_finished()
    screen.key("ctrl+t")
    app.wait("the first step is there", step("PICTURES"))
    screen.key("space")
    app.wait("the dialog is there", lambda s: s["dialog"] is not None)
    screen.key("ctrl+a")
    screen.type(f"{pictures}/")
    screen.key("Return")
    app.wait("the pictures are counted", said("12 pictures"))
    screen.key("space")
    app.wait("they are checked", said("to learn from"))
    screen.shoot("train-dark-200-percent-check")
    screen.key("space")
    app.wait("the recipes are there", step("RECIPE"))
    screen.shoot("train-dark-200-percent-recipe")
    assert app.end() < 60
