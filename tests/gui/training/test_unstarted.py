"""Drafts of runs that were not started: kept while other pages are viewed, and discarded only after asking."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from tests.gui.questions import answer
from tests.gui.training.conftest import PATIENCE_MS, behave, make_pictures
from tests.gui.training.test_in_window import drop, listed, make_run, running
from tests.gui.training.test_wizard import check, press, to_recipe, wait_for, write
from vdsr_app.gui.main_window import MainWindow
from vdsr_app.gui.training.step_list import Step
from vdsr_app.gui.training.train_page import TrainPage
from vdsr_app.gui.training.wizard import Wizard
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.runs import RunState


@pytest.fixture
def cats(tmp_path: Path) -> Path:
    return make_pictures(tmp_path / "cats", 9)


def leave_out(qtbot: QtBot, wizard: Wizard, path: Path) -> None:
    """Exclude a picture, and wait for the check that follows."""
    wizard.check._on_left_out(path)
    qtbot.waitUntil(lambda: wizard.draft.report is not None, timeout=PATIENCE_MS)


def test_draft_made_during_run_can_be_started_after_run_was_stopped(
    qtbot: QtBot, window: MainWindow, page: TrainPage, pictures: Path, cats: Path
) -> None:
    running(qtbot, page, pictures)
    window.commands.train_new.trigger()
    assert page.wizard.draft.config.data == ()  # a run that was started is no longer a draft
    wizard = check(qtbot, page, cats)
    leave_out(qtbot, wizard, cats / "05.png")
    press(wizard, "Next")
    write(wizard, "depth", "7")
    write(wizard, "steps", "200")
    assert wizard.foot.primary.toolTip() == "“birds robust” is training. Stop it first."
    window.commands.train_stop.trigger()
    wait_for(qtbot, wizard, RunState.STOPPED)
    assert wizard.step is Step.RUN

    window.commands.train_new.trigger()
    assert wizard.step is Step.RECIPE
    config = wizard.draft.config
    assert (config.data, config.exclude) == ((str(cats),), (str(cats / "05.png"),))
    assert (config.depth, config.steps) == (7, 200)
    behave("")
    press(wizard, "Start training")
    qtbot.waitUntil(lambda: wizard.step is Step.RESULT, timeout=PATIENCE_MS)
    assert wizard._watch.title == "cats robust"
    assert wizard.draft.is_empty


@pytest.mark.parametrize("how", ["stop", "discard"])
def test_draft_can_be_started_as_soon_as_other_run_has_ended(
    qtbot: QtBot, page: TrainPage, pictures: Path, cats: Path, how: str
) -> None:
    running(qtbot, page, pictures)
    page.new_training()
    wizard = to_recipe(qtbot, page, cats)
    assert not wizard.foot.primary.isEnabled()
    getattr(wizard._watch, how)()
    qtbot.waitUntil(lambda: wizard.foot.primary.isEnabled(), timeout=PATIENCE_MS)
    assert wizard.step is Step.RECIPE
    qtbot.waitUntil(lambda: len(wizard.draft.measured) == 4, timeout=PATIENCE_MS)


def test_folders_dropped_later_are_added_to_draft_and_checked(
    qtbot: QtBot, window: MainWindow, page: TrainPage, pictures: Path, cats: Path, tmp_path: Path
) -> None:
    wizard = check(qtbot, page, pictures)
    leave_out(qtbot, wizard, pictures / "05.png")
    press(wizard, "Next")
    write(wizard, "depth", "7")
    for number, folder in enumerate((cats, make_pictures(tmp_path / "dogs", 3)), start=2):
        drop(window, folder)
        assert wizard.step is Step.PICTURES
        assert len(wizard.draft.config.data) == number
        assert wizard.draft.config.exclude == (str(pictures / "05.png"),)
        assert wizard.draft.config.depth == 7
        press(wizard, "Next")  # the next folder is dropped on the check page
        qtbot.waitUntil(lambda: wizard.draft.report is not None, timeout=PATIENCE_MS)
    report = wizard.draft.report
    assert report is not None
    assert {record.folder for record in report.records} == {str(pictures), str(cats), str(tmp_path / "dogs")}


def test_draft_is_kept_after_home_page_was_shown(
    qtbot: QtBot, page: TrainPage, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wizard = to_recipe(qtbot, page, pictures)
    write(wizard, "depth", "7")
    wizard.steps.home.click()
    qtbot.waitUntil(lambda: page.shown is page.invitation)
    asked: list[str] = []
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: asked.append("folder") or "")
    page.invitation.button.click()
    assert (page.shown, wizard.step) == (wizard, Step.RECIPE)
    assert asked == []
    assert (wizard.draft.config.data, wizard.draft.config.depth) == ((str(pictures),), 7)
    assert "Start over" in page.banner.text


def test_check_that_was_left_is_repeated(qtbot: QtBot, page: TrainPage, pictures: Path) -> None:
    wizard = page.wizard
    page.new_training([str(pictures)])
    qtbot.waitUntil(lambda: wizard.foot.primary.isEnabled(), timeout=PATIENCE_MS)
    press(wizard, "Next")
    wizard.steps.home.click()
    page.new_training()
    assert wizard.step is Step.CHECK
    qtbot.waitUntil(lambda: wizard.foot.primary.isEnabled(), timeout=PATIENCE_MS)


def test_start_over_asks_before_discarding_draft(
    qtbot: QtBot, page: TrainPage, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wizard = to_recipe(qtbot, page, pictures)
    write(wizard, "depth", "7")
    wizard.steps.button(Step.PICTURES).click()
    link = wizard.pictures.start_over
    assert link.isVisible()
    asked = answer(monkeypatch, "Cancel")
    link.click()
    assert asked == ["Discard the training that has not been started?"]
    assert (wizard.draft.config.data, wizard.draft.config.depth) == ((str(pictures),), 7)
    answer(monkeypatch, "Discard")
    link.click()
    assert wizard.draft.is_empty
    assert wizard.draft.config.data == TrainConfig().data
    assert not wizard.draft.is_touched
    assert not link.isVisible()
    assert wizard.foot.primary.text() == "Choose pictures…"


def test_duplicating_run_asks_before_discarding_draft(
    qtbot: QtBot, page: TrainPage, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run("First")
    wizard = to_recipe(qtbot, page, pictures)
    listed(qtbot, page, 1)
    page.runs.select(folder)
    asked = answer(monkeypatch, "Cancel")
    page.runs._duplicate.trigger()
    qtbot.waitUntil(lambda: asked == ["Discard the training that has not been started?"])
    assert page.shown is page.runs
    assert wizard.draft.config.data == (str(pictures),)
    answer(monkeypatch, "Discard")
    page.runs._duplicate.trigger()
    qtbot.waitUntil(lambda: page.shown is wizard)
    assert wizard.draft.config.data == ()
