"""Crop panel: the held-out crop over the steps of a run."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QLabel, QPushButton, QToolButton
from pytestqt.qtbot import QtBot

from tests.gui.training.plot_helpers import make_history, nameless, validated, write_crops
from vdsr_app.gui.compare.scene import Layer
from vdsr_app.gui.compare.view import CompareMode
from vdsr_app.gui.training.crop_panel import CropPanel
from vdsr_trainer.events import RolledBack
from vdsr_trainer.history import RunHistory


@pytest.fixture
def panel(qtbot: QtBot) -> CropPanel:
    made = CropPanel()
    qtbot.addWidget(made)
    made.resize(320, 480)
    made.show()
    return made


@pytest.fixture
def history(tmp_path: Path) -> RunHistory:
    made = make_history(1250)
    write_crops(tmp_path, made)
    return made


def gray_of(layer: Layer | None) -> int:
    """Gray value of a uniform layer; -1 without a layer."""
    return -1 if layer is None else int(layer.pyramid.levels[0][0, 0, 0])


def grays(panel: CropPanel) -> tuple[int, int]:
    return gray_of(panel.view._scene.left), gray_of(panel.view._scene.right)


def where(panel: CropPanel) -> str:
    return next((label.text() for label in panel.findChildren(QLabel) if label.text().startswith("Step ")), "")


def newest(panel: CropPanel) -> QPushButton:
    return next(b for b in panel.findChildren(QPushButton) if b.text() == "Newest")


def test_panel_says_why_it_is_empty(panel: CropPanel, tmp_path: Path) -> None:
    assert panel.words == "No run is shown"
    assert not panel.slider.isEnabled()
    panel.set_run(tmp_path, make_history(100))
    assert "first validation" in panel.words
    panel.set_run(None, None)
    assert panel.words == "No run is shown"


def test_panel_shows_bicubic_beside_newest_crop(panel: CropPanel, tmp_path: Path, history: RunHistory) -> None:
    panel.set_run(tmp_path, history)
    assert panel.words == ""
    assert grays(panel) == (10, 104)
    assert where(panel) == "Step 1250 of 5000"
    assert panel.slider.maximum() == 4
    assert panel.slider.accessibleDescription() == "Step 1250 of 5000"


def test_left_half_can_show_original(panel: CropPanel, tmp_path: Path, history: RunHistory) -> None:
    panel.set_run(tmp_path, history)
    panel.findChild(QComboBox).setCurrentIndex(1)
    assert grays(panel) == (20, 104)
    assert panel.view._scene.left is not None
    assert panel.view._scene.left.label == "Original"


def test_panel_follows_newest_crop_until_slider_is_moved_back(
    qtbot: QtBot, panel: CropPanel, tmp_path: Path, history: RunHistory
) -> None:
    panel.set_run(tmp_path, history)
    history.add(validated(1500))
    write_crops(tmp_path, history)
    panel.refresh()
    assert grays(panel)[1] == 105
    assert panel.follows
    assert not newest(panel).isEnabled()

    panel.slider.setFocus()
    qtbot.keyClick(panel.slider, Qt.Key.Key_Left)
    qtbot.keyClick(panel.slider, Qt.Key.Key_Left)
    assert where(panel) == "Step 1000 of 5000"
    history.add(validated(1750))
    write_crops(tmp_path, history)
    panel.refresh()
    assert where(panel) == "Step 1000 of 5000"
    assert grays(panel)[1] == 103
    assert (panel.slider.value(), panel.slider.maximum()) == (3, 6)

    newest(panel).click()
    assert grays(panel)[1] == 106
    history.add(validated(2000))
    write_crops(tmp_path, history)
    panel.refresh()
    assert where(panel) == "Step 2000 of 5000"


def test_panel_follows_again_when_slider_is_moved_to_end(panel: CropPanel, tmp_path: Path, history: RunHistory) -> None:
    panel.set_run(tmp_path, history)
    panel.slider.setValue(0)
    assert not panel.follows
    panel.slider.setValue(4)
    assert panel.follows


def test_panel_shows_remaining_crops_after_rollback(panel: CropPanel, tmp_path: Path, history: RunHistory) -> None:
    panel.set_run(tmp_path, history)
    panel.slider.setValue(3)
    history.add(RolledBack(1250, 600, "It diverged.", 0.5))
    panel.refresh()
    assert where(panel) == "Step 500 of 5000"
    assert panel.follows
    history.add(RolledBack(1250, 100, "It diverged.", 0.5))
    panel.refresh()
    assert "first validation" in panel.words


def test_changed_crop_file_is_read_again(panel: CropPanel, tmp_path: Path, history: RunHistory) -> None:
    panel.set_run(tmp_path, history)
    path = tmp_path / history.crops[-1][1]
    Image.fromarray(np.full((16, 16), 200, np.uint8)).save(path)
    os.utime(path, ns=(1, 1))
    panel.refresh()
    assert grays(panel)[1] == 200


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "no picture", "folder"])
def test_unreadable_crop_is_reported_and_others_are_shown(
    panel: CropPanel, tmp_path: Path, history: RunHistory, damage: str
) -> None:
    path = tmp_path / history.crops[-1][1]
    payload = path.read_bytes()
    path.unlink()
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "cut":
            path.write_bytes(payload[: len(payload) // 2])
        case "no picture":
            path.write_bytes(b"GIF89a" + bytes(100))
        case "folder":
            path.mkdir()
    panel.set_run(tmp_path, history)
    assert "Step 1250" in panel.words
    assert ("missing" if damage == "missing" else "damaged") in panel.words
    assert grays(panel) == (10, -1)
    panel.grab()
    panel.slider.setValue(0)
    assert panel.words == ""
    assert grays(panel) == (10, 100)


def test_missing_crops_are_named(panel: CropPanel, tmp_path: Path) -> None:
    panel.set_run(tmp_path / "gone", make_history(500))
    assert "Bicubic" in panel.words
    assert "Step 500" in panel.words
    panel.grab()


def test_crop_outside_run_folder_is_rejected(panel: CropPanel, tmp_path: Path, history: RunHistory) -> None:
    run = tmp_path / "run"
    write_crops(run, history)
    Image.fromarray(np.full((16, 16), 200, np.uint8)).save(tmp_path / "other.png")
    history.crops[-1] = (1250, "../other.png")
    panel.set_run(run, history)
    assert grays(panel) == (10, -1)
    assert "not in the folder" in panel.words


def test_huge_crop_is_rejected(panel: CropPanel, tmp_path: Path, history: RunHistory) -> None:
    Image.new("1", (20_000, 10_000)).save(tmp_path / history.crops[-1][1])
    panel.set_run(tmp_path, history)
    assert "damaged" in panel.words


def test_zoom_nearly_fits_in_whole_multiples_until_user_changes_it(
    qtbot: QtBot, panel: CropPanel, tmp_path: Path
) -> None:
    history = make_history(500)
    write_crops(tmp_path, history, side=160)
    panel.set_run(tmp_path, history)
    qtbot.waitUntil(lambda: panel.view.zoom_percent == 200)
    panel.resize(900, 900)
    qtbot.waitUntil(lambda: panel.view.zoom_percent == 500)
    panel.view.set_zoom(100)
    panel.resize(320, 480)
    panel.slider.setValue(0)
    assert panel.view.zoom_percent == 100


def test_side_by_side_button_follows_mode_and_choices_are_emitted(
    panel: CropPanel, tmp_path: Path, history: RunHistory
) -> None:
    panel.set_run(tmp_path, history)
    said: list[bool] = []
    panel.side_chosen.connect(said.append)
    button = panel.findChild(QToolButton)
    button.click()
    assert panel.view.mode is CompareMode.SIDE
    panel.view.set_mode(CompareMode.WIPE)
    assert not button.isChecked()
    assert said == [True, False]
    panel.show_side(True)
    assert panel.view.mode is CompareMode.SIDE
    assert button.isChecked()
    panel.show_side(True)
    assert said == [True, False], "what is shown was no choice"


def test_every_control_has_accessible_name(panel: CropPanel, tmp_path: Path, history: RunHistory) -> None:
    panel.set_run(tmp_path, history)
    assert nameless(panel) == []
