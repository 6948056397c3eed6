"""Wizard from the pictures to the result, operated as by a user, with a stand-in for the training process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit, QPushButton, QScrollArea, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.questions import answer
from tests.gui.test_calm import changed_by_the_wheel, controls_in
from tests.gui.training.conftest import PATIENCE_MS, behave, make_pictures, run_folders
from vdsr_app import paths
from vdsr_app.core.network import VDSR, VDSRConfig
from vdsr_app.core.weights import save_weights
from vdsr_app.errors import TrainingError
from vdsr_app.gui.main_window import MainWindow
from vdsr_app.gui.parts import Choice
from vdsr_app.gui.training.draft import OWN, Draft
from vdsr_app.gui.training.recipe_details import RecipeDetails
from vdsr_app.gui.training.step_list import Step
from vdsr_app.gui.training.train_page import TrainPage
from vdsr_app.gui.training.wizard import Wizard
from vdsr_app.workers import training_errands
from vdsr_trainer.config_file import read_config
from vdsr_trainer.events import Measured, Referenced
from vdsr_trainer.presets import DEFAULT_PRESET, PRESETS, starting_from
from vdsr_trainer.run_files import read_control
from vdsr_trainer.runs import RunState


def press(wizard: Wizard, words: str) -> None:
    """Press a button below the page."""
    button = next(button for button in wizard.foot.shown if button.text() == words)
    assert button.isEnabled(), button.toolTip()
    button.click()


def words_below(wizard: Wizard) -> list[str]:
    return [button.text() for button in wizard.foot.shown]


def primaries(page: TrainPage) -> list[str]:
    return [b.text() for b in page.findChildren(QPushButton) if b.isVisible() and b.property("role") == "primary"]


def named(page: QWidget, name: str) -> QWidget:
    return next(w for w in page.findChildren(QWidget) if w.accessibleName() == name)


def check(qtbot: QtBot, page: TrainPage, folder: Path) -> Wizard:
    """Go through the first two steps."""
    wizard = page.wizard
    page.new_training([str(folder)])
    qtbot.waitUntil(lambda: wizard.foot.primary.isEnabled(), timeout=PATIENCE_MS)
    press(wizard, "Next")
    qtbot.waitUntil(lambda: wizard.draft.report is not None, timeout=PATIENCE_MS)
    return wizard


def to_recipe(qtbot: QtBot, page: TrainPage, folder: Path) -> Wizard:
    wizard = check(qtbot, page, folder)
    press(wizard, "Next")
    assert wizard.step is Step.RECIPE
    return wizard


def write(wizard: Wizard, key: str, text: str) -> None:
    """Type into a field of the details."""
    field = wizard.recipe.details.field(key)
    assert isinstance(field, QLineEdit)
    field.setText(text)
    field.textEdited.emit(text)


def start(qtbot: QtBot, page: TrainPage, folder: Path, steps: int = 200) -> Wizard:
    """Go through the first three steps; the run is alive afterwards."""
    wizard = to_recipe(qtbot, page, folder)
    write(wizard, "steps", str(steps))
    press(wizard, "Start training")
    qtbot.waitUntil(lambda: wizard.step is Step.RUN, timeout=PATIENCE_MS)
    return wizard


def wait_for(qtbot: QtBot, wizard: Wizard, state: RunState) -> None:
    """Wait for a state of a run that has done at least one step."""
    watch = wizard._watch
    qtbot.waitUntil(lambda: watch.state is state and watch.history.latest is not None, timeout=PATIENCE_MS)


# All steps


def test_wizard_leads_from_pictures_to_model_in_use(
    qtbot: QtBot, window: MainWindow, page: TrainPage, pictures: Path
) -> None:
    assert primaries(page) == ["Choose pictures…"]
    wizard = check(qtbot, page, pictures)
    assert wizard.check._summary.text == "14 pictures: 12 to learn from, 2 held out to judge by, none left out."
    press(wizard, "Next")
    assert primaries(page) == ["Start training"]
    qtbot.waitUntil(lambda: len(wizard.draft.measured) == 4, timeout=PATIENCE_MS)
    assert "1.2 GB" in wizard.recipe.card("robust").cost
    write(wizard, "steps", "300")
    press(wizard, "Start training")
    qtbot.waitUntil(lambda: wizard.step is Step.RUN, timeout=PATIENCE_MS)
    (folder,) = run_folders()
    assert read_config(folder / "config.toml").steps == 300
    assert (folder / "pictures.json").exists()  # the run need not decode the pictures again
    qtbot.waitUntil(lambda: wizard.step is Step.RESULT, timeout=PATIENCE_MS)
    assert "it beats VDSR by 0.33 dB" in wizard.result._verdict.text
    assert primaries(page) == ["Use now"]
    press(wizard, "Use now")
    qtbot.waitUntil(lambda: window.workspaces.current is window.page, timeout=PATIENCE_MS)
    assert window.session.setup.model == "birds-robust"
    assert "“birds robust” is in use." in window.page.banner.text
    assert (paths.user_models_dir() / "birds-robust.safetensors").is_file()


# Pictures


def test_adding_and_removing_folders_updates_picture_count(
    qtbot: QtBot, page: TrainPage, pictures: Path, tmp_path: Path
) -> None:
    wizard = page.wizard
    page.new_training()
    assert words_below(wizard) == ["Choose pictures…"]
    wizard.pictures.add_folders([str(pictures), str(make_pictures(tmp_path / "cats", 9)), str(pictures)])
    qtbot.waitUntil(lambda: wizard.pictures.found == 23)
    assert wizard.draft.config.data == (str(pictures), str(tmp_path / "cats"))
    remove = next(b for b in page.findChildren(QToolButton) if "Remove cats" in b.accessibleName())
    remove.click()
    qtbot.waitUntil(lambda: wizard.pictures.found == 14)
    assert "that is not many" in wizard.pictures._total.text


def test_empty_and_missing_folders_are_reported_at_once(qtbot: QtBot, page: TrainPage, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    page.new_training([str(tmp_path / "empty"), str(tmp_path / "gone")])
    pictures = page.wizard.pictures
    qtbot.waitUntil(lambda: pictures.found == 0)
    assert "There are no pictures" in pictures._total.text
    assert not page.wizard.foot.primary.isEnabled()
    assert page.wizard.foot.primary.toolTip() == "There are no pictures in these folders"
    assert not page.wizard.steps.button(Step.CHECK).isEnabled()


@pytest.mark.parametrize("how", ["added again", "removed and added", "shown again"])
def test_folder_filled_later_is_counted_again(qtbot: QtBot, page: TrainPage, tmp_path: Path, how: str) -> None:
    folder = tmp_path / "birds"
    page.new_training([str(folder)])
    pictures = page.wizard.pictures
    qtbot.waitUntil(lambda: pictures.found == 0)
    make_pictures(folder)
    if how == "shown again":
        page.show_home()
        page.new_training()
    else:
        if how == "removed and added":
            next(b for b in pictures.findChildren(QToolButton) if "Remove birds" in b.accessibleName()).click()
        pictures.add_folders([str(folder)])
    qtbot.waitUntil(lambda: pictures.found == 14)
    assert page.wizard.foot.primary.isEnabled()
    assert page.wizard.steps.button(Step.CHECK).isEnabled()


# Check


def test_check_reports_issues_and_pictures_can_be_excluded(qtbot: QtBot, page: TrainPage, pictures: Path) -> None:
    (pictures / "broken.png").write_bytes(b"\x89PNG no more")
    Image.new("RGB", (4, 4)).save(pictures / "dot.png")
    (pictures / "twice.png").write_bytes((pictures / "03.png").read_bytes())
    wizard = check(qtbot, page, pictures)
    report = wizard.draft.report
    assert report is not None
    assert sorted(issue.kind.value for issue in report.issues) == ["duplicate", "too small", "unreadable"]
    assert "3 left out" in wizard.check._summary.text
    group = next(group for group in wizard.check._groups if group.wanted)
    qtbot.waitUntil(lambda: not group._thumbnails[0].pixmap().isNull(), timeout=PATIENCE_MS)

    group.keep_chosen.emit(True)
    qtbot.waitUntil(lambda: wizard.draft.report not in (None, report), timeout=PATIENCE_MS)
    assert wizard.draft.config.keep_duplicates
    assert "2 left out" in wizard.check._summary.text

    wizard.check._on_left_out(pictures / "05.png")
    qtbot.waitUntil(lambda: wizard.draft.report is not None, timeout=PATIENCE_MS)
    assert wizard.draft.config.exclude == (str(pictures / "05.png"),)
    assert all(record.file != "05.png" for record in (*wizard.draft.report.training, *wizard.draft.report.held_out))


def test_check_can_be_cancelled_and_repeated(qtbot: QtBot, page: TrainPage, pictures: Path) -> None:
    wizard = page.wizard
    page.new_training([str(pictures)])
    qtbot.waitUntil(lambda: wizard.foot.primary.isEnabled(), timeout=PATIENCE_MS)
    press(wizard, "Next")
    wizard.check._progress.cancel.click()
    assert not wizard.foot.primary.isEnabled()
    assert wizard.foot.primary.toolTip() == "The pictures are not checked yet"
    wizard.check._again.click()
    qtbot.waitUntil(lambda: wizard.foot.primary.isEnabled(), timeout=PATIENCE_MS)


def test_too_few_pictures_are_reported_with_way_back_to_pictures(qtbot: QtBot, page: TrainPage, tmp_path: Path) -> None:
    wizard = page.wizard
    page.new_training([str(make_pictures(tmp_path / "one", 1))])
    qtbot.waitUntil(lambda: wizard.foot.primary.isEnabled(), timeout=PATIENCE_MS)
    press(wizard, "Next")
    qtbot.waitUntil(lambda: wizard.check._failed is not None, timeout=PATIENCE_MS)
    assert wizard.check._summary.text
    assert not wizard.foot.primary.isEnabled()
    wizard.check._others.click()
    assert wizard.step is Step.PICTURES


# Recipe


def test_invalid_value_is_reported_at_its_field_and_blocks_start(qtbot: QtBot, page: TrainPage, pictures: Path) -> None:
    wizard = to_recipe(qtbot, page, pictures)
    for text, message in (("999", "Layers = 999 is outside 2 to 64."), ("many", "Enter a whole number.")):
        write(wizard, "depth", text)
        assert wizard.recipe.details.faults == [message]
        assert not wizard.foot.primary.isEnabled()
    write(wizard, "depth", "8")
    assert wizard.recipe.details.faults == []
    assert wizard.draft.config.depth == 8
    assert wizard.foot.primary.isEnabled()
    write(wizard, "rate", "-1")
    wizard.recipe.details._reset.click()
    assert wizard.recipe.details.faults == []
    assert not wizard.draft.is_touched


def test_value_that_another_setting_makes_valid_is_taken(qtbot: QtBot, page: TrainPage, pictures: Path) -> None:
    wizard = to_recipe(qtbot, page, pictures)
    details, draft = wizard.recipe.details, wizard.draft
    write(wizard, "jpeg_quality_min", "97")
    write(wizard, "depth", "many")
    assert sorted(details.faults) == ["Enter a whole number.", "Worst quality = 97 is above Best quality = 95."]
    write(wizard, "jpeg_quality_max", "99")
    assert details.faults == ["Enter a whole number."]
    assert (draft.config.jpeg_quality_min, draft.config.jpeg_quality_max) == (97, 99)
    write(wizard, "depth", "8")
    assert wizard.foot.primary.isEnabled()
    write(wizard, "width", "30")  # not a multiple of the symmetry's elements
    assert not wizard.foot.primary.isEnabled()
    symmetry = details.field("symmetry")
    assert isinstance(symmetry, Choice)
    symmetry.activated.emit(symmetry.findData("none"))
    assert draft.config.width == 30
    assert wizard.foot.primary.isEnabled()


def test_setting_without_effect_is_disabled_and_says_why(qtbot: QtBot, page: TrainPage, pictures: Path) -> None:
    wizard = to_recipe(qtbot, page, pictures)
    rate = wizard.recipe.details.field("muon_rate")
    for method, used in (("muon", True), ("sgd", False)):
        wizard.draft.set_value(optimizer=method)
        assert rate.isEnabled() == used
        assert ("does not use it" in rate.toolTip()) != used
    length = named(wizard.recipe, "How long it learns")
    wizard.draft.set_value(sampling="grid", epochs=3)
    assert not length.isEnabled()
    assert "decides how long" in length.toolTip()


@pytest.mark.parametrize("steps", [150, 1000, 10_000, 12_000, 20_000, 90_000])
@pytest.mark.parametrize("key", [Qt.Key.Key_Left, Qt.Key.Key_Right])
def test_arrow_keys_change_duration_from_any_number_of_steps(qtbot: QtBot, steps: int, key: Qt.Key) -> None:
    draft = Draft()
    draft.set_measured(Measured(DEFAULT_PRESET, 0.5, 10**9, 1000))
    details = RecipeDetails(draft)
    qtbot.addWidget(details)
    draft.set_value(steps=steps)
    slider = named(details, "How long it learns")
    for _ in range(10):
        qtbot.keyClick(slider, key)
    assert draft.config.steps > steps if key == Qt.Key.Key_Right else draft.config.steps < steps


def test_changed_recipe_is_measured_again(qtbot: QtBot, page: TrainPage, pictures: Path) -> None:
    wizard = to_recipe(qtbot, page, pictures)
    qtbot.waitUntil(lambda: len(wizard.draft.measured) == 4, timeout=PATIENCE_MS)
    write(wizard, "batch", "4")
    qtbot.waitUntil(lambda: "own" in wizard.draft.measured, timeout=PATIENCE_MS)
    assert "800 MB" in wizard.recipe._own.text


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)  # raising a list above the window, offscreen
def test_open_list_of_starts_keeps_its_place_when_cost_is_measured(
    qtbot: QtBot, page: TrainPage, pictures: Path
) -> None:
    save_weights(VDSR(VDSRConfig(4, 8)), paths.user_models_dir() / "small.safetensors")
    page.wizard._models.refresh()
    wizard = to_recipe(qtbot, page, pictures)
    qtbot.waitUntil(lambda: len(wizard.draft.measured) == 4, timeout=PATIENCE_MS)
    box = wizard.recipe._start
    assert (box.itemData(0), box.currentData()) == ("small", "")
    box.showPopup()
    qtbot.keyClick(box.view(), Qt.Key.Key_Home)
    wizard._service.measured.emit(Measured("quick", 0.1, 800_000_000, 1))
    qtbot.keyClick(box.view(), Qt.Key.Key_Return)
    assert wizard.draft.config.start_from == "small"


def to_recipe_changed_while_measured(qtbot: QtBot, page: TrainPage, pictures: Path) -> Wizard:
    """Choose a batch of two while a batch of four is being measured."""
    wizard = to_recipe(qtbot, page, pictures)
    qtbot.waitUntil(lambda: len(wizard.draft.measured) == 4, timeout=PATIENCE_MS)
    write(wizard, "batch", "4")
    qtbot.waitUntil(lambda: "measuring" in wizard.recipe._own.text, timeout=PATIENCE_MS)
    write(wizard, "batch", "2")
    return wizard


def test_late_measurement_of_previous_values_is_ignored(qtbot: QtBot, page: TrainPage, pictures: Path) -> None:
    wizard = to_recipe_changed_while_measured(qtbot, page, pictures)
    wizard._service.measured.emit(Measured(OWN, 0.1, 800_000_000, 1))  # of the batch of four, reported too late
    assert OWN not in wizard.draft.measured
    qtbot.waitUntil(lambda: OWN in wizard.draft.measured, timeout=PATIENCE_MS)
    assert "400 MB" in wizard.recipe._own.text


def test_recipe_changed_while_being_measured_is_measured_again(qtbot: QtBot, page: TrainPage, pictures: Path) -> None:
    wizard = to_recipe_changed_while_measured(qtbot, page, pictures)
    qtbot.waitUntil(lambda: OWN in wizard.draft.measured, timeout=PATIENCE_MS)
    assert "400 MB" in wizard.recipe._own.text


def test_invalid_text_is_cleared_by_another_preset_or_new_draft(qtbot: QtBot, page: TrainPage, pictures: Path) -> None:
    wizard = to_recipe(qtbot, page, pictures)
    depth = wizard.recipe.details.field("depth")
    assert isinstance(depth, QLineEdit)
    write(wizard, "depth", "abc")
    assert not wizard.foot.primary.isEnabled()
    wizard.recipe.card("quick").click()
    assert wizard.recipe.details.faults == []
    assert depth.text() == str(wizard.draft.config.depth)
    assert wizard.foot.primary.isEnabled()
    write(wizard, "depth", "abc")
    wizard.begin()
    assert wizard.recipe.details.faults == []
    assert wizard.recipe.why_not == ""


def test_full_disk_and_vanished_folder_are_reported_and_nothing_starts(
    qtbot: QtBot, page: TrainPage, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wizard = to_recipe(qtbot, page, pictures)

    def full(root: Path) -> None:
        raise TrainingError("There is not enough room on the disk.", path=root, hint="Make room.")

    monkeypatch.setattr(training_errands, "_check_room", full)
    press(wizard, "Start training")
    qtbot.waitUntil(lambda: "not enough room" in page.banner.text)
    assert wizard.step is Step.RECIPE
    monkeypatch.undo()
    pictures.rename(pictures.with_name("moved"))
    press(wizard, "Start training")
    qtbot.waitUntil(lambda: "no such folder of pictures" in page.banner.text)
    assert run_folders() == []


# Run


def test_run_can_be_paused_continued_stopped_and_resumed(qtbot: QtBot, page: TrainPage, pictures: Path) -> None:
    behave("slow")
    wizard = start(qtbot, page, pictures)
    wait_for(qtbot, wizard, RunState.RUNNING)
    assert words_below(wizard) == ["Discard…", "Pause", "Stop and save"]
    press(wizard, "Pause")
    wait_for(qtbot, wizard, RunState.PAUSED)
    press(wizard, "Continue")
    wait_for(qtbot, wizard, RunState.RUNNING)
    press(wizard, "Stop and save")
    assert wizard._watch.state_text() == "Saving what it has learned…"
    wait_for(qtbot, wizard, RunState.STOPPED)
    assert words_below(wizard) == ["Resume", "See the result"]
    assert primaries(page) == ["See the result"]
    behave("")
    press(wizard, "Resume")
    qtbot.waitUntil(lambda: wizard.step is Step.RESULT, timeout=PATIENCE_MS)
    assert wizard.steps.button(Step.RESULT).isEnabled()
    assert not wizard.steps.button(Step.RECIPE).isEnabled()


def test_psnr_plot_shows_title_of_reference_model(qtbot: QtBot, page: TrainPage, pictures: Path) -> None:
    wizard = start(qtbot, page, pictures)
    run, history = wizard.run, wizard._watch.history
    assert run is not None
    qtbot.waitUntil(lambda: bool(history.psnr_db), timeout=PATIENCE_MS)
    history.add(Referenced(0, {"mine": dict.fromkeys(history.psnr_db, 33.0)}))
    run.refresh()
    plot = run._plots.psnr
    qtbot.waitUntil(lambda: "My model" in [entry.name for entry in plot.legend], timeout=PATIENCE_MS)
    assert any(level.label.endswith(" My model") for level in plot.content.levels)


def test_discard_asks_and_deletes_run(
    qtbot: QtBot, page: TrainPage, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behave("slow")
    wizard = start(qtbot, page, pictures)
    wait_for(qtbot, wizard, RunState.RUNNING)
    asked = answer(monkeypatch, "Cancel")
    press(wizard, "Discard…")
    assert asked == ["“birds robust” will be stopped and deleted."]
    assert read_control(run_folders()[0]).command == "run"
    answer(monkeypatch, "Discard")
    press(wizard, "Discard…")
    qtbot.waitUntil(lambda: page.shown is page.invitation, timeout=PATIENCE_MS)
    assert "was discarded" in page.banner.text
    assert run_folders() == []


@pytest.mark.parametrize(("how", "words"), [("fail", "no space left on the disk"), ("crash", "ended unexpectedly")])
def test_failed_run_says_why_and_can_be_resumed(
    qtbot: QtBot, page: TrainPage, pictures: Path, how: str, words: str
) -> None:
    behave(how)
    wizard = start(qtbot, page, pictures)
    run = wizard.run
    assert run is not None
    qtbot.waitUntil(lambda: words in run._trouble_words.text, timeout=PATIENCE_MS)  # type: ignore[attr-defined]
    assert primaries(page) == ["Resume"]
    behave("")
    press(wizard, "Resume")
    qtbot.waitUntil(lambda: wizard.step is Step.RESULT, timeout=PATIENCE_MS)


def test_notices_during_run_are_reported(qtbot: QtBot, page: TrainPage, pictures: Path) -> None:
    behave("diverge")
    reported: list[str] = []
    page.wizard._watch.noticed.connect(reported.append)
    wizard = start(qtbot, page, pictures)
    qtbot.waitUntil(lambda: len(reported) >= 2, timeout=PATIENCE_MS)
    assert "half the learning rate" in reported[0]
    qtbot.waitUntil(lambda: wizard.step is Step.RESULT, timeout=PATIENCE_MS)


def test_finished_run_can_be_trained_for_more_steps(qtbot: QtBot, page: TrainPage, pictures: Path) -> None:
    wizard = start(qtbot, page, pictures)
    qtbot.waitUntil(lambda: wizard.step is Step.RESULT, timeout=PATIENCE_MS)
    wizard.result._more.click()
    wizard.result._longer.steps.setValue(150)
    wizard.result._longer.go.click()
    assert wizard.step is Step.RUN
    qtbot.waitUntil(lambda: wizard.step is Step.RESULT, timeout=PATIENCE_MS)
    assert wizard._watch.steps == 350


def test_first_steps_can_be_done_with_keyboard_alone(
    qtbot: QtBot, window: MainWindow, page: TrainPage, pictures: Path
) -> None:
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    page.new_training([str(pictures)])
    wizard = page.wizard
    qtbot.waitUntil(lambda: wizard.foot.primary.isEnabled(), timeout=PATIENCE_MS)
    wizard.foot.focus_primary()
    qtbot.keyClick(wizard.foot.primary, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: wizard.foot.primary.isEnabled() and wizard.foot.primary.hasFocus(), timeout=PATIENCE_MS)
    qtbot.keyClick(wizard.foot.primary, Qt.Key.Key_Space)
    assert wizard.step is Step.RECIPE


def test_begin_copies_settings_of_another_run(qtbot: QtBot, page: TrainPage, pictures: Path) -> None:
    wizard = page.wizard
    like = replace(wizard.draft.config, data=(str(pictures),), depth=7, steps=123)
    wizard.begin(like=like, preset="photo")
    assert (wizard.draft.config.depth, wizard.draft.config.steps, wizard.draft.preset) == (7, 123, "photo")
    assert wizard.draft.is_touched


def test_recipe_shows_copied_start_that_is_not_installed(
    qtbot: QtBot, page: TrainPage, pictures: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.safetensors"
    save_weights(VDSR(VDSRConfig(4, 8)), mine)
    wizard = page.wizard
    like = replace(starting_from(PRESETS["quick"], str(mine), 4, 8), data=(str(pictures),))
    wizard.begin(like=like, preset="quick")
    box = wizard.recipe._start
    assert box.currentText() == "mine.safetensors"
    assert wizard.recipe.why_not == ""
    wizard.begin(like=replace(like, start_from="gone"), preset="quick")
    assert box.currentText() == "gone (not installed)"
    assert wizard.recipe.why_not == "“gone” is not installed. Choose another start."

    mine.unlink()
    wizard.begin(like=like, preset="quick")
    press(wizard, "Next")
    qtbot.waitUntil(lambda: wizard.check.why_not == "", timeout=PATIENCE_MS)
    press(wizard, "Next")
    press(wizard, "Start training")
    qtbot.waitUntil(lambda: "no such weight file" in page.banner.text)
    assert (wizard.step, run_folders()) == (Step.RECIPE, [])


def test_wheel_changes_no_control_on_pages_that_scroll(qtbot: QtBot, page: TrainPage, pictures: Path) -> None:
    wizard = to_recipe(qtbot, page, pictures)
    wizard.recipe.fold.set_open(True)  # creates its details
    wizard._run_page()
    panes = wizard.findChildren(QScrollArea)
    assert {control.accessibleName() for pane in panes for control in controls_in(pane)} >= {
        "How long it learns",
        "Step of the crop",
        "More steps",
    }
    assert [name for pane in panes for name in changed_by_the_wheel(pane)] == []
