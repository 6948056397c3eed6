"""Training in the main window: menu, keys, status line, drops, list of runs, closing, and reattaching."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QItemSelectionModel, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QImage, QPainter
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QFileDialog,
    QLineEdit,
    QSlider,
    QStyleOptionViewItem,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from tests.gui.fakes import FakeService
from tests.gui.questions import answer
from tests.gui.training import stand_in
from tests.gui.training.conftest import PATIENCE_MS, MakeTraining, behave, run_folders
from tests.gui.training.plot_helpers import stepped
from tests.gui.training.test_wizard import check, start, wait_for
from vdsr_app import paths
from vdsr_app.errors import SaveError
from vdsr_app.gui.main_window import MainWindow
from vdsr_app.gui.settings import SettingsStore
from vdsr_app.gui.training.run_page import RunPage
from vdsr_app.gui.training.step_list import Step
from vdsr_app.gui.training.train_page import TrainPage
from vdsr_app.gui.training.wizard import Wizard
from vdsr_app.workers import training_errands, training_follow
from vdsr_app.workers.messages import OpenJob
from vdsr_trainer.config_file import read_config
from vdsr_trainer.presets import PRESETS
from vdsr_trainer.run_files import is_alive, read_control, write_control
from vdsr_trainer.runs import RunState, create_run, describe_run

ROOT = Path(__file__).resolve().parents[3]
CONTROLS = (QAbstractButton, QSlider, QAbstractSpinBox, QComboBox, QLineEdit)

TrainElsewhere = Callable[[str], Path]


@pytest.fixture
def train_elsewhere(qtbot: QtBot) -> Iterator[TrainElsewhere]:
    """Trains a run as if from a terminal; returns its folder."""
    processes: list[subprocess.Popen[bytes]] = []

    def train(title: str) -> Path:
        folder = make_run(title)
        command = [*stand_in.COMMAND, "--resume", str(folder), "--json"]
        processes.append(subprocess.Popen(command))
        qtbot.waitUntil(lambda: is_alive(folder), timeout=PATIENCE_MS)
        return folder

    yield train
    for process in processes:
        process.kill()
        process.wait()


def make_run(title: str) -> Path:
    return create_run(paths.runs_dir(), title, "robust", PRESETS["robust"])


def running(qtbot: QtBot, page: TrainPage, pictures: Path) -> Path:
    """Start a run that trains for minutes."""
    behave("slow")
    wizard = start(qtbot, page, pictures)
    wait_for(qtbot, wizard, RunState.RUNNING)
    return run_folders()[0]


def finished(qtbot: QtBot, page: TrainPage, pictures: Path) -> Wizard:
    """Train a run to its end, and return the wizard."""
    wizard = start(qtbot, page, pictures)
    qtbot.waitUntil(lambda: wizard.step is Step.RESULT, timeout=PATIENCE_MS)
    return wizard


def listed(qtbot: QtBot, page: TrainPage, count: int) -> None:
    page.show_home()
    qtbot.waitUntil(lambda: page.shown is page.runs and page.runs.list.topLevelItemCount() == count)


def look_at(qtbot: QtBot, page: TrainPage, folder: Path, state: RunState = RunState.STOPPED) -> None:
    """Open one of two runs from the list, and wait for its state: by default, that of a run that is not training."""
    listed(qtbot, page, 2)
    page.runs.select(folder)
    page.runs._open.click()
    watch = page.wizard._watch
    assert watch.folder == folder
    qtbot.waitUntil(lambda: watch.state is state)


# Start


def test_importing_app_loads_no_plots_torch_or_workspace_pages() -> None:
    code = "import sys, vdsr_app.gui.app; print(*[m for m in sys.modules if m.split('.')[0] in ('pyqtgraph', 'torch')"
    late = ("vdsr_app.gui.training.", "vdsr_app.workers.training", "vdsr_app.gui.batch.", "vdsr_app.workers.batch")
    code += f" or m.startswith({late})])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


def test_training_page_and_service_are_created_lazily(window: MainWindow) -> None:
    window.start()
    assert window.training._service is None
    assert window.training._page is None


# Menu, keys, workspaces


def test_workspaces_have_ctrl_1_to_3_as_shortcuts(window: MainWindow) -> None:
    keys = {action.text(): action.shortcut().toString() for action in window.workspaces.actions()}
    assert keys == {"Upscale": "Ctrl+1", "Batch": "Ctrl+2", "Train": "Ctrl+3"}


def test_picture_commands_are_disabled_in_train_workspace(window: MainWindow, page: TrainPage) -> None:
    c = window.commands
    assert not c.side.isEnabled()
    assert "switch to Upscale first" in c.side.toolTip()
    assert not c.cancel.isEnabled()
    window.workspaces.show_page(window.page)
    assert c.side.isEnabled()


def test_menu_explains_disabled_stop_and_pauses_and_stops_run(
    qtbot: QtBot, window: MainWindow, page: TrainPage, pictures: Path
) -> None:
    c = window.commands
    assert "nothing is training" in c.train_stop.toolTip()
    running(qtbot, page, pictures)
    c.train_pause.trigger()
    wait_for(qtbot, page.wizard, RunState.PAUSED)
    assert c.train_pause.text() == "Continue training"
    c.train_stop.trigger()
    wait_for(qtbot, page.wizard, RunState.STOPPED)
    assert not c.train_stop.isEnabled()


def test_menu_reports_stop_that_cannot_be_requested_and_run_can_be_stopped_later(
    qtbot: QtBot, window: MainWindow, page: TrainPage, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(run: Path, *_: object) -> None:
        raise SaveError("There is no space left on the disk.", path=run)

    c, stop = window.commands, page.wizard.foot.primary
    running(qtbot, page, pictures)
    with monkeypatch.context() as patch:
        patch.setattr(training_follow, "write_control", full)
        for press in (stop.click, c.train_stop.trigger):
            press()
            assert "no space left" in page.banner.text
            page.banner.dismiss()
    assert c.train_stop.isEnabled()
    assert stop.isEnabled()
    c.train_stop.trigger()
    assert not c.train_stop.isEnabled()
    assert stop.toolTip() == "It is already stopping"
    wait_for(qtbot, page.wizard, RunState.STOPPED)


def test_menu_controls_training_run_while_another_run_is_viewed(
    qtbot: QtBot, window: MainWindow, page: TrainPage, pictures: Path
) -> None:
    c, wizard = window.commands, page.wizard
    folder, other = running(qtbot, page, pictures), make_run("Another")
    for action, words, state in (
        (c.train_pause, "Pause training", RunState.PAUSED),
        (c.train_pause, "Continue training", RunState.RUNNING),
        (c.train_stop, "Stop training and save", RunState.STOPPED),
    ):
        look_at(qtbot, page, other)
        assert action.text() == words
        assert action.isEnabled()
        action.trigger()
        assert wizard._watch.folder == folder
        assert wizard.step is Step.RUN
        wait_for(qtbot, wizard, state)


def test_menu_stop_leaves_viewed_run_alone_when_training_run_has_ended(
    qtbot: QtBot, window: MainWindow, page: TrainPage, pictures: Path
) -> None:
    folder, other = running(qtbot, page, pictures), make_run("Another")
    look_at(qtbot, page, other)
    page._left._timer.stop()  # before the next check whether it still trains
    write_control(folder, "stop")
    qtbot.waitUntil(lambda: not page._service.lives(folder), timeout=PATIENCE_MS)
    window.commands.train_stop.trigger()
    assert page.wizard._watch.folder == other
    assert read_control(other).command == "run"
    assert page.banner.text == "It is no longer training."
    assert not window.commands.train_stop.isEnabled()
    assert page.wizard.foot.primary.isEnabled()


def test_menu_stops_viewed_run_first_when_two_runs_are_training(
    qtbot: QtBot, window: MainWindow, page: TrainPage, pictures: Path, train_elsewhere: TrainElsewhere
) -> None:
    c, watch = window.commands, page.wizard._watch
    folder, other = running(qtbot, page, pictures), train_elsewhere("Another")
    look_at(qtbot, page, other, RunState.RUNNING)
    window.workspaces.show_page(window.page)
    assert watch.folder == folder  # the status line shows the run that was left
    window.workspaces.show_page(window.training.host)
    look_at(qtbot, page, other, RunState.RUNNING)
    wait_for(qtbot, page.wizard, RunState.RUNNING)
    c.train_stop.trigger()
    assert (read_control(folder).command, read_control(other).command) == ("run", "stop")
    wait_for(qtbot, page.wizard, RunState.STOPPED)
    c.train_stop.trigger()
    assert watch.folder == folder
    wait_for(qtbot, page.wizard, RunState.STOPPED)


def test_menu_continues_paused_run_after_another_is_opened_quickly(
    qtbot: QtBot, window: MainWindow, page: TrainPage, pictures: Path
) -> None:
    folder, other = running(qtbot, page, pictures), make_run("Another")
    window.commands.train_pause.trigger()
    wait_for(qtbot, page.wizard, RunState.PAUSED)
    look_at(qtbot, page, other)
    page.show_home()  # turns back to the paused run, whose log has not been read yet
    page.runs.select(other)
    page.runs._open.click()
    assert page.wizard._watch.folder == other
    assert window.commands.train_pause.text() == "Continue training"
    window.commands.train_pause.trigger()
    assert read_control(folder).command == "run"
    wait_for(qtbot, page.wizard, RunState.RUNNING)


def test_menu_follows_pause_by_other_window_while_another_run_is_viewed(
    qtbot: QtBot, window: MainWindow, page: TrainPage, pictures: Path
) -> None:
    folder, other = running(qtbot, page, pictures), make_run("Another")
    look_at(qtbot, page, other)
    assert window.commands.train_pause.text() == "Pause training"
    write_control(folder, "pause")
    qtbot.waitUntil(lambda: window.commands.train_pause.text() == "Continue training", timeout=PATIENCE_MS)
    assert page.wizard._watch.folder == other


def test_menu_and_resume_follow_end_of_run_while_another_is_viewed(
    qtbot: QtBot, window: MainWindow, page: TrainPage, pictures: Path
) -> None:
    folder, other = running(qtbot, page, pictures), make_run("Another")
    look_at(qtbot, page, other)
    resume = page.wizard.foot.primary
    assert not resume.isEnabled()
    write_control(folder, "stop")
    qtbot.waitUntil(lambda: not window.commands.train_stop.isEnabled(), timeout=PATIENCE_MS)
    assert not window.commands.train_pause.isEnabled()
    assert resume.isEnabled()
    assert page.wizard._watch.folder == other


def test_run_that_cannot_be_resumed_says_why_and_shows_what_it_has_done(
    qtbot: QtBot, page: TrainPage, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(run: Path, *_: object) -> None:
        raise SaveError("There is no space left on the disk.", path=run)

    behave("diverge")
    wizard, watch = finished(qtbot, page, pictures), page.wizard._watch
    steps = list(watch.history.steps)
    notices: list[str] = []
    watch.noticed.connect(notices.append)
    monkeypatch.setattr("vdsr_app.workers.training.write_control", full)
    wizard.resume(run_folders()[0], steps=400)
    qtbot.waitUntil(lambda: watch.state is RunState.FINISHED, timeout=PATIENCE_MS)
    assert watch.history.steps == steps
    assert notices == []
    assert wizard.step is Step.RUN
    assert isinstance(wizard.run, RunPage)
    assert "no space left" in wizard.run._trouble_words.text
    assert wizard.foot.primary.text() == "Resume"
    assert wizard.foot.primary.isEnabled()


@pytest.mark.parametrize(("speed", "words"), [(0.42, "0.420"), (math.nan, "–"), (310.4, "310")])  # noqa: RUF001
def test_run_page_shows_small_and_unknown_speed(
    qtbot: QtBot, page: TrainPage, pictures: Path, speed: float, words: str
) -> None:
    running(qtbot, page, pictures)
    history, run = page.wizard._watch.history, page.wizard.run
    history.add(stepped(int(history.step) + 1, samples_per_second=speed))
    assert isinstance(run, RunPage)
    run.refresh()
    assert run._numbers.text().endswith(f" · {words} patches/s")
    assert f"Speed: {words} patches/s" in {w.accessibleName() for w in run.findChildren(QWidget)}


def test_status_line_shows_training_run_and_opens_it(
    qtbot: QtBot, window: MainWindow, page: TrainPage, pictures: Path
) -> None:
    running(qtbot, page, pictures)
    assert window.status._training.isHidden()
    window.workspaces.show_page(window.page)
    qtbot.waitUntil(lambda: "%" in window.status._training.text(), timeout=PATIENCE_MS)
    assert window.status._training.text().startswith("Training birds robust")
    window.status._training.click()
    assert window.workspaces.current is window.training.host
    assert page.wizard.step is Step.RUN


# Drops


def drop(window: MainWindow, path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    copy, left, none = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    window.dragEnterEvent(QDragEnterEvent(QPoint(200, 200), copy, data, left, none))
    window.dropEvent(QDropEvent(QPointF(200, 200), copy, data, left, none))


def test_dropped_folder_goes_to_wizard_and_dropped_picture_to_upscale(
    window: MainWindow, page: TrainPage, service: FakeService, pictures: Path
) -> None:
    drop(window, pictures)
    assert page.wizard.draft.config.data == (str(pictures),)
    assert page.shown is page.wizard
    drop(window, pictures / "01.png")
    assert window.workspaces.current is window.page
    assert isinstance(service.jobs[service.find(OpenJob)], OpenJob)


def test_drop_hint_is_shown_over_train_page(window: MainWindow, page: TrainPage, pictures: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(pictures))])
    copy, left, none = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    window.dragEnterEvent(QDragEnterEvent(QPoint(200, 200), copy, data, left, none))
    assert page._hint.text() == "Learn from the pictures in birds"
    assert page._hint.isVisible()


# The list


def test_runs_can_be_renamed_duplicated_and_deleted(
    qtbot: QtBot, page: TrainPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make_run("First"), make_run("Second")
    listed(qtbot, page, 2)
    page.runs.select(first)
    item = page.runs.list.currentItem()
    item.setText(0, "  Grandmother slides ")
    qtbot.waitUntil(lambda: describe_run(first).title == "Grandmother slides")

    qtbot.waitUntil(lambda: page.runs.selected[0].title == "Grandmother slides")
    page.runs._duplicate.trigger()
    qtbot.waitUntil(lambda: page.shown is page.wizard)
    assert "Grandmother slides" in page.banner.text

    listed(qtbot, page, 2)
    page.runs.select(second)
    asked = answer(monkeypatch, "Cancel")
    page.runs._delete.trigger()
    assert asked == ["Delete “Second”?"]
    assert second.exists()
    answer(monkeypatch, "Delete")
    page.runs._delete.trigger()
    qtbot.waitUntil(lambda: page.runs.list.topLevelItemCount() == 1)
    assert run_folders() == [first]


def test_failed_rename_and_duplicate_are_reported_and_name_is_restored(
    qtbot: QtBot, page: TrainPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path, _title: str) -> None:
        raise SaveError("It cannot be written.", path=folder)

    monkeypatch.setattr("vdsr_app.workers.training_errands.rename_run", refuse)
    folder = make_run("First")
    listed(qtbot, page, 1)
    page.runs.select(folder)
    page.runs.list.currentItem().setText(0, "Slides")
    qtbot.waitUntil(lambda: "It cannot be written." in page.banner.text)
    qtbot.waitUntil(lambda: page.runs.list.currentItem().text(0) == "First")

    (folder / "config.toml").write_text("no settings")
    page.runs._duplicate.trigger()
    qtbot.waitUntil(lambda: "config.toml" in page.banner.text)
    assert page.shown is page.runs


@pytest.mark.parametrize("end", ["renamed", "failed"])
def test_closing_waits_for_rename_and_is_cancelled_if_it_fails(
    qtbot: QtBot, window: MainWindow, page: TrainPage, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    disk = threading.Event()
    rename = training_errands.rename_run

    def slowly(folder: Path, title: str) -> None:
        assert disk.wait(PATIENCE_MS / 1000)
        if end == "failed":
            raise SaveError("It cannot be written.", path=folder)
        rename(folder, title)

    monkeypatch.setattr(training_errands, "rename_run", slowly)
    folder = make_run("First")
    listed(qtbot, page, 1)
    page.runs.select(folder)
    page.runs.list.currentItem().setText(0, "Slides")
    asked = answer(monkeypatch, "Stay")
    assert not window.close()
    answer(monkeypatch, "Save, then quit")
    assert not window.close()
    assert asked == ["The new name of a training run is not saved yet."]
    disk.set()
    if end == "renamed":
        qtbot.waitUntil(lambda: not window.isVisible())
        assert describe_run(folder).title == "Slides"
    else:
        qtbot.waitUntil(lambda: "It cannot be written." in page.banner.text)
        assert window.isVisible()


def test_renaming_run_updates_title_of_watch(qtbot: QtBot, page: TrainPage) -> None:
    folder = make_run("First")
    look = page.wizard._watch
    look.look_at(folder)
    listed(qtbot, page, 1)
    page.runs.select(folder)
    page.runs.list.currentItem().setText(0, "Slides")
    qtbot.waitUntil(lambda: look.title == "Slides")


def test_return_key_after_renaming_does_not_open_run(qtbot: QtBot, page: TrainPage) -> None:
    folder = make_run("First")
    listed(qtbot, page, 1)
    page.runs.select(folder)
    runs = page.runs.list
    runs.setFocus()
    runs.editItem(runs.currentItem(), 0)
    editor = runs.findChild(QLineEdit)
    assert editor is not None
    editor.setText("Slides")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: describe_run(folder).title == "Slides")
    assert page.shown is page.runs


def test_rename_is_ignored_while_name_is_being_edited(qtbot: QtBot, page: TrainPage) -> None:
    make_run("a dull name")
    listed(qtbot, page, 1)
    runs = page.runs
    runs._rename.trigger()
    editor = runs.list.findChild(QLineEdit)
    editor.setText("half a na")
    runs._rename.trigger()  # Qt warns if a second editor is opened
    assert runs.list.findChildren(QLineEdit) == [editor]
    assert editor.text() == "half a na"


def test_rename_edits_selected_run_after_list_has_grown(qtbot: QtBot, page: TrainPage) -> None:
    oldest = make_run("Oldest")
    make_run("Middle")
    listed(qtbot, page, 2)
    runs = page.runs
    runs.select(oldest)
    runs.list.setFocus()
    make_run("Newest")  # as if from a terminal
    listed(qtbot, page, 3)
    assert [run.folder for run in runs.selected] == [oldest]
    assert runs.list.currentItem().text(0) == "Oldest"
    runs.list.setCurrentItem(runs.list.topLevelItem(0), 0, QItemSelectionModel.SelectionFlag.NoUpdate)
    runs._rename.trigger()
    editor = runs.list.findChild(QLineEdit)
    assert editor is not None
    assert editor.text() == "Oldest"
    editor.setText("Slides")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: describe_run(oldest).title == "Slides")


def test_unavailable_run_actions_explain_why(qtbot: QtBot, page: TrainPage, pictures: Path) -> None:
    folder = running(qtbot, page, pictures)
    make_run("Another")
    listed(qtbot, page, 2)
    runs = page.runs
    runs.select(folder)
    assert not runs._delete.isEnabled()
    assert runs._delete.toolTip() == "Stop it first"
    runs.list.clearSelection()
    assert runs._more.toolTip() == "Select one run"
    runs.select(next(f for f in run_folders() if f != folder))
    assert runs._resume.toolTip() == "Another run is training; stop it first"
    assert runs._use.toolTip() == "This run has no result yet"
    assert "several" in runs._compare.toolTip()


def test_second_run_cannot_be_started_while_one_is_training(qtbot: QtBot, page: TrainPage, pictures: Path) -> None:
    running(qtbot, page, pictures)
    page.show_home()
    wizard = check(qtbot, page, pictures)
    wizard.foot.primary.click()
    assert wizard.step is Step.RECIPE
    assert wizard.foot.primary.toolTip() == "“birds robust” is training. Stop it first."
    assert wizard.recipe.card("quick").cost == "not measured while a run is training"


def test_another_run_can_be_viewed_until_train_workspace_is_left(
    qtbot: QtBot, window: MainWindow, page: TrainPage, pictures: Path
) -> None:
    folder = running(qtbot, page, pictures)
    look_at(qtbot, page, make_run("Another"))
    assert page.wizard.foot.primary.toolTip() == "“birds robust” is training. Stop it first."
    window.workspaces.show_page(window.page)
    qtbot.waitUntil(lambda: "birds robust" in window.status._training.text(), timeout=PATIENCE_MS)
    assert page.wizard._watch.folder == folder


def test_list_shows_and_tells_screen_readers_percentage_of_each_run(page: TrainPage) -> None:
    class Recorder(QPainter):
        def drawText(self, *arguments: Any) -> None:
            drawn.append(arguments[-1])

    drawn: list[str] = []
    info = describe_run(make_run("First"))
    runs = [replace(info, folder=info.folder / str(step), step=step, steps=101) for step in range(102)]
    page.runs.show_runs(runs)
    image = QImage(200, 30, QImage.Format.Format_RGB32)
    painter = Recorder(image)
    told = []
    for item in page.runs._items():
        index = page.runs.list.indexFromItem(item, 2)
        page.runs.list.itemDelegateForColumn(2).paint(painter, QStyleOptionViewItem(), index)
        told.append(index.data(Qt.ItemDataRole.AccessibleTextRole))
    painter.end()
    assert drawn == told == [f"{100 * step // 101} %" for step in range(102)]


def test_results_can_be_exported_from_run_list(
    qtbot: QtBot, page: TrainPage, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(qtbot, page, pictures)
    listed(qtbot, page, 1)
    out = tmp_path / "out"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(out), ""))
    page.runs._weights.trigger()
    qtbot.waitUntil(lambda: page.banner.text.startswith("Exported out.safetensors"), timeout=PATIENCE_MS)
    assert out.with_suffix(".safetensors").is_file()
    page.runs._onnx.trigger()
    qtbot.waitUntil(lambda: page.banner.text.startswith("Exported out.onnx"), timeout=PATIENCE_MS)
    assert "differs by" in page.banner.text


def test_selected_runs_can_be_compared_and_saved_as_csv(
    qtbot: QtBot, page: TrainPage, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(qtbot, page, pictures)
    make_run("Another")
    listed(qtbot, page, 2)
    page.runs.list.selectAll()
    page.runs._compare.click()
    qtbot.waitUntil(lambda: page.shown is page._compare, timeout=PATIENCE_MS)
    compare = page._compare
    assert compare is not None
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(tmp_path / "both.csv"), ""))
    compare.save.save("csv")  # type: ignore[attr-defined]
    assert (tmp_path / "both.csv").stat().st_size > 0
    assert "both.csv" in page.banner.text
    compare.back.click()  # type: ignore[attr-defined]
    assert page.shown is page.runs


@pytest.mark.parametrize("what", ["_compare", "_duplicate"])
def test_what_was_requested_from_list_does_not_replace_page_opened_meanwhile(
    qtbot: QtBot, page: TrainPage, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    read, gate = threading.Event(), threading.Event()

    def slowly(work: Callable[..., object]) -> Callable[..., object]:
        def wait(*arguments: object) -> object:
            gate.wait(PATIENCE_MS / 1000)
            read.set()
            return work(*arguments)

        return wait

    for name in ("read_histories", "read_settings"):
        monkeypatch.setattr(training_errands, name, slowly(getattr(training_errands, name)))
    first = make_run("First")
    make_run("Second")
    listed(qtbot, page, 2)
    page.runs.select(first)
    if what == "_compare":
        page.runs.list.selectAll()
    action = getattr(page.runs, what)
    (action.click if isinstance(action, QAbstractButton) else action.trigger)()
    page.new_training()
    page.wizard.draft.set_title("Mine")
    asked = answer(monkeypatch, "Discard")
    gate.set()
    qtbot.waitUntil(read.is_set)
    with qtbot.waitSignal(page._service.desk.listed):  # what was read before has been reported then
        page._service.desk.list_runs(paths.runs_dir())
    assert asked == []
    assert page.shown is page.wizard
    assert page.wizard.draft.title == "Mine"


def test_curves_are_saved_as_png_and_csv_and_failure_is_reported(
    qtbot: QtBot, page: TrainPage, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wizard = finished(qtbot, page, pictures)
    wizard.go_to(Step.RUN)
    run = wizard.run
    assert run is not None
    for suffix in ("png", "csv"):
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(tmp_path / "curves"), ""))
        run.save.save(suffix)  # type: ignore[attr-defined]
        assert (tmp_path / f"curves.{suffix}").stat().st_size > 0
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(tmp_path / "none" / "curves.csv"), ""))
    run.save.save("csv")  # type: ignore[attr-defined]
    assert "curves.csv" in page.banner.text


def test_saving_asks_before_replacing_file_when_suffix_is_added(
    qtbot: QtBot, page: TrainPage, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wizard = finished(qtbot, page, pictures)
    listed(qtbot, page, 1)
    wizard.go_to(Step.RUN)
    run = wizard.run
    assert run is not None
    asked = answer(monkeypatch, "Choose another name")
    for name, save in {
        "kept.csv": lambda: run.save.save("csv"),  # type: ignore[attr-defined]
        "kept.safetensors": page.runs._weights.trigger,
        "kept.onnx": page.runs._onnx.trigger,
    }.items():
        (tmp_path / name).write_bytes(b"mine")
        names = iter([str(tmp_path / "kept"), ""])
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, names=names, **__: (next(names), ""))
        save()
        assert asked.pop() == f"{name} already exists."
        assert (tmp_path / name).read_bytes() == b"mine"
    assert not page.banner.text.startswith("Export")


# Closing and reattaching


@pytest.mark.parametrize(("button", "closes", "ends"), [("Stay", False, False), ("Keep training", True, False),
                                                        ("Save and stop", True, True)])  # fmt: skip
def test_closing_asks_what_to_do_with_training_run(
    qtbot: QtBot,
    window: MainWindow,
    page: TrainPage,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    button: str,
    closes: bool,
    ends: bool,
) -> None:
    folder = running(qtbot, page, pictures)
    asked = answer(monkeypatch, button)
    assert window.close() is closes
    assert asked == ["“birds robust” is still training."]
    if closes:
        assert window.training.close(PATIENCE_MS)
    if ends:
        qtbot.waitUntil(lambda: not is_alive(folder), timeout=PATIENCE_MS)
        assert (folder / "vdsr.safetensors").exists()
    else:
        assert is_alive(folder)


def test_closing_asks_about_training_run_while_another_is_viewed(
    qtbot: QtBot, window: MainWindow, page: TrainPage, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, other = running(qtbot, page, pictures), make_run("Another")
    for button, closes in (("Stay", False), ("Save and stop", True)):
        look_at(qtbot, page, other)
        asked = answer(monkeypatch, button)
        assert window.close() is closes
        assert asked == ["“birds robust” is still training."]
        assert page.wizard._watch.folder == (folder if closes else other)
    assert window.training.close(PATIENCE_MS)
    qtbot.waitUntil(lambda: not is_alive(folder), timeout=PATIENCE_MS)
    assert (folder / "vdsr.safetensors").exists()


def test_closing_answer_applies_to_own_run_when_viewed_run_trains_too(
    qtbot: QtBot,
    window: MainWindow,
    page: TrainPage,
    pictures: Path,
    store: SettingsStore,
    monkeypatch: pytest.MonkeyPatch,
    train_elsewhere: TrainElsewhere,
) -> None:
    folder, other = running(qtbot, page, pictures), train_elsewhere("Another")
    look_at(qtbot, page, other, RunState.RUNNING)
    asked = answer(monkeypatch, "Save and stop", tick=True)
    assert window.close()
    assert asked == ["“birds robust” is still training."]
    assert store.current.training_end == "save"
    assert window.training.close(PATIENCE_MS)
    qtbot.waitUntil(lambda: not is_alive(folder), timeout=PATIENCE_MS)
    assert (folder / "vdsr.safetensors").exists()
    assert is_alive(other)


def test_closing_answer_is_remembered_when_run_ends_during_question(
    qtbot: QtBot,
    window: MainWindow,
    page: TrainPage,
    pictures: Path,
    store: SettingsStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, other = running(qtbot, page, pictures), make_run("Another")
    look_at(qtbot, page, other)
    answer(monkeypatch, "Save and stop", tick=True)
    lives = iter([True])
    monkeypatch.setattr(page._service, "lives", lambda _: next(lives, False))
    assert window.close()
    assert store.current.training_end == "save"
    assert read_control(folder).when_window_ends == "go on"
    assert read_control(other).when_window_ends == "go on"


def test_closing_answer_is_remembered_and_shown_on_run_page(
    qtbot: QtBot,
    window: MainWindow,
    page: TrainPage,
    pictures: Path,
    store: SettingsStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running(qtbot, page, pictures)
    answer(monkeypatch, "Keep training", tick=True)
    assert window.close()
    assert store.current.training_end == "go on"
    asked = answer(monkeypatch, "Stay")
    window.show()
    assert window.close()
    assert asked == []
    run = page.wizard.run
    assert run is not None
    assert run._ends.currentText() == "keep training"  # type: ignore[attr-defined]


def test_view_options_of_run_and_comparison_survive_restart(
    qtbot: QtBot, make_window: MakeTraining, pictures: Path
) -> None:
    def control(of: QWidget, kind: type[QWidget], name: str) -> Any:
        return next(each for each in of.findChildren(kind) if each.accessibleName() == name)

    def controls(page: TrainPage) -> tuple[Any, ...]:
        listed(qtbot, page, 2)
        page.runs.list.selectAll()
        page.runs._compare.click()
        qtbot.waitUntil(lambda: page.shown is page._compare, timeout=PATIENCE_MS)
        return (
            control(page.wizard, QToolButton, "Logarithmic axis: Loss"),
            control(page.wizard, QToolButton, "Logarithmic axis: Gradient"),
            control(page.wizard, QToolButton, "Crops side by side"),
            control(page.wizard, QComboBox, "Left half of the crop shows"),
            control(page._compare, QComboBox, "What is compared"),
            control(page._compare, QComboBox, "Against steps or time"),
        )

    def state(page: TrainPage) -> tuple[object, ...]:
        loss, gradient, side, left, measure, against = controls(page)
        texts = (left.currentText(), measure.currentText(), against.currentText())
        return loss.isChecked(), gradient.isChecked(), side.isChecked(), *texts

    first = make_window()
    first.workspaces.show_page(first.training.host)
    page = first.training.page
    finished(qtbot, page, pictures)
    make_run("Another")
    loss, _, side, left, measure, against = controls(page)
    loss.click()
    side.click()
    for box, text in ((left, "Original"), (measure, "PSNR at 3×"), (against, "Time")):  # noqa: RUF001
        box.setCurrentIndex(box.findText(text))
    chosen = state(page)
    assert chosen == (False, True, True, "Original", "PSNR at 3×", "Time")  # noqa: RUF001
    second = make_window()
    second.workspaces.show_page(second.training.host)
    listed(qtbot, second.training.page, 2)
    second.training.page.runs.select(next(f for f in run_folders() if (f / "vdsr.safetensors").exists()))
    second.training.page.runs._open.click()
    second.training.page.wizard.go_to(Step.RUN)
    assert state(second.training.page) == chosen


def test_closing_saves_and_stops_run_without_asking_when_configured(
    qtbot: QtBot, window: MainWindow, page: TrainPage, pictures: Path, store: SettingsStore
) -> None:
    store.update(training_end="save")
    folder = running(qtbot, page, pictures)
    assert window.close()
    assert window.training.close(PATIENCE_MS)
    qtbot.waitUntil(lambda: not is_alive(folder), timeout=PATIENCE_MS)
    assert (folder / "vdsr.safetensors").exists()


def test_new_window_reattaches_to_run_that_kept_training(
    qtbot: QtBot,
    window: MainWindow,
    page: TrainPage,
    pictures: Path,
    make_window: MakeTraining,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = running(qtbot, page, pictures)
    answer(monkeypatch, "Keep training")
    window.close()
    window.training.close(PATIENCE_MS)
    again = make_window()
    again.start()
    qtbot.waitUntil(lambda: "birds robust" in again.status._training.text(), timeout=PATIENCE_MS)
    again.status._training.click()
    wizard = again.training.page.wizard
    assert wizard.step is Step.RUN
    assert wizard._watch.folder == folder
    wizard._watch.stop()
    wait_for(qtbot, wizard, RunState.STOPPED)


# Accessibility


def nameless(page: TrainPage) -> list[str]:
    return [
        f"{type(w).__name__} {w.property('role')} {w.toolTip()}"
        for w in page.findChildren(QWidget)
        if isinstance(w, CONTROLS)
        and w.isVisible()
        and not w.objectName().startswith("qt_")
        and not (w.accessibleName() or (isinstance(w, QAbstractButton) and w.text()))
    ]


def test_every_control_of_every_page_has_accessible_name(qtbot: QtBot, page: TrainPage, pictures: Path) -> None:
    assert nameless(page) == []
    wizard = check(qtbot, page, pictures)
    assert nameless(page) == []
    wizard.foot.primary.click()
    wizard.recipe.fold.set_open(True)
    assert nameless(page) == []
    steps = wizard.recipe.details.field("steps")
    assert isinstance(steps, QLineEdit)
    steps.setText("200")
    steps.textEdited.emit("200")
    wizard.foot.primary.click()
    qtbot.waitUntil(lambda: wizard.step is Step.RUN, timeout=PATIENCE_MS)
    assert nameless(page) == []
    qtbot.waitUntil(lambda: wizard.step is Step.RESULT, timeout=PATIENCE_MS)
    assert nameless(page) == []
    listed(qtbot, page, 1)
    assert nameless(page) == []
    assert read_config(run_folders()[0] / "config.toml").steps == 200
