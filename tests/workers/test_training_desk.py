"""Training desk: counts, thumbnails, creating and managing runs; each request is answered by one signal."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QDeadlineTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from vdsr_app.workers import thumbnails, training_errands
from vdsr_app.workers.runner import JobContext
from vdsr_app.workers.training_desk import TrainingDesk
from vdsr_app.workers.training_errands import NewRun
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.config_file import read_config
from vdsr_trainer.run_files import Control, write_control
from vdsr_trainer.runs import create_run, describe_run

WAIT_S = 20.0


@pytest.fixture
def desk(qapp: QApplication) -> Iterator[TrainingDesk]:
    desk = TrainingDesk()
    yield desk
    desk.start_closing()
    assert desk.wait_closed(QDeadlineTimer(5000))


def save(path: Path, side: int = 40) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((side, 2 * side, 3), 90, np.uint8)).save(path)
    return path


def test_count_covers_all_folder_levels_and_skips_hidden_pictures(
    qtbot: QtBot, desk: TrainingDesk, tmp_path: Path
) -> None:
    for name in ("a.png", "b/c.JPG", "b/.hidden.png", ".trash/d.png", "b/text.txt"):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    with qtbot.waitSignal(desk.counted) as blocker:
        desk.count_pictures([str(tmp_path / "pictures"), str(tmp_path / "gone")])
    assert blocker.args == [(2, -1)]


def test_only_last_of_several_counts_is_reported(qtbot: QtBot, desk: TrainingDesk, tmp_path: Path) -> None:
    save(tmp_path / "one" / "a.png")
    reported: list[object] = []
    desk.counted.connect(reported.append)
    for _ in range(5):
        desk.count_pictures([str(tmp_path)])
    desk.count_pictures([str(tmp_path / "none")])
    qtbot.waitUntil(lambda: reported != [])
    assert reported == [(-1,)]


def test_new_run_does_not_wait_for_thumbnails(
    qtbot: QtBot, desk: TrainingDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()

    def slow(path: Path, _side_px: int, _context: JobContext) -> tuple[Path, None]:
        gate.wait(WAIT_S)
        return path, None

    monkeypatch.setattr(thumbnails, "thumbnail", slow)
    save(tmp_path / "pictures" / "a.png")
    desk.make_thumbnails([tmp_path / "pictures" / "a.png"], 64)
    config = TrainConfig(data=(str(tmp_path / "pictures"),))
    try:
        with qtbot.waitSignal(desk.created):
            desk.create(NewRun(tmp_path / "runs", "Birds", "robust", config))
    finally:
        gate.set()


def test_thumbnails_are_reduced_and_unreadable_pictures_skipped(
    qtbot: QtBot, desk: TrainingDesk, tmp_path: Path
) -> None:
    good, bad = save(tmp_path / "a.png", 400), tmp_path / "b.png"
    bad.write_bytes(b"no picture")
    reported: list[tuple[Path, object]] = []
    desk.thumbnail_made.connect(lambda path, rgba: reported.append((path, rgba)))
    desk.make_thumbnails([bad, good], 64)
    qtbot.waitUntil(lambda: reported != [])
    ((path, rgba),) = reported
    assert path == good
    assert isinstance(rgba, np.ndarray)
    assert rgba.shape == (100, 200, 4)
    assert (rgba[..., :3] == 90).all()


def test_run_is_created_listed_and_deleted(qtbot: QtBot, desk: TrainingDesk, tmp_path: Path) -> None:
    save(tmp_path / "pictures" / "a.png")
    config = TrainConfig(data=(str(tmp_path / "pictures"),), steps=7)
    with qtbot.waitSignal(desk.created) as blocker:
        desk.create(NewRun(tmp_path / "runs", "Birds", "quick", config))
    (folder,) = blocker.args
    assert read_config(folder / "config.toml") == config
    with qtbot.waitSignal(desk.listed) as blocker:
        desk.list_runs(tmp_path / "runs")
    assert [run.title for run in blocker.args[0]] == ["Birds"]
    with qtbot.waitSignal(desk.deleted):
        desk.delete(folder)
    assert not folder.exists()


def test_run_is_renamed_and_its_settings_and_last_request_are_read(
    qtbot: QtBot, desk: TrainingDesk, tmp_path: Path
) -> None:
    config = TrainConfig(steps=7)
    folder = create_run(tmp_path, "Birds", "", config)
    with qtbot.waitSignal(desk.renamed) as blocker:
        desk.rename(folder, "Slides")
    assert (blocker.args[0].folder, blocker.args[0].title) == (folder, "Slides")
    run = describe_run(folder)
    with qtbot.waitSignal(desk.settings_read) as blocker:
        desk.read_settings(run)
    assert blocker.args == [run, config]
    write_control(folder, "pause")
    with qtbot.waitSignal(desk.control_read) as blocker:
        desk.read_control(folder)
    assert blocker.args == [folder, Control("pause")]


def test_failed_read_or_write_of_run_is_reported_with_path(qtbot: QtBot, desk: TrainingDesk, tmp_path: Path) -> None:
    folder = create_run(tmp_path, "Birds", "", TrainConfig())
    run = describe_run(folder)
    (folder / "config.toml").unlink()
    with qtbot.waitSignal(desk.failed) as blocker:
        desk.read_settings(run)
    assert blocker.args[0].path == str(folder / "config.toml")
    (folder / "run.json").unlink()
    (folder / "run.json").mkdir()
    with qtbot.waitSignal(desk.failed) as blocker:
        desk.rename(folder, "Slides")
    assert blocker.args[0].path == str(folder / "run.json")


def test_run_is_not_created_when_folder_is_missing_or_disk_is_full(
    qtbot: QtBot, desk: TrainingDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with qtbot.waitSignal(desk.create_failed) as blocker:
        desk.create(NewRun(tmp_path / "runs", "Birds", "", TrainConfig(data=(str(tmp_path / "gone"),))))
    assert blocker.args[0].what == "There is no such folder of pictures."
    assert blocker.args[0].path == str(tmp_path / "gone")
    no_folder = save(tmp_path / "a.png")
    with qtbot.waitSignal(desk.create_failed) as blocker:
        desk.create(NewRun(tmp_path / "runs", "Birds", "", TrainConfig(data=(str(no_folder),))))
    assert blocker.args[0].what == "There is no such folder of pictures."
    monkeypatch.setattr(training_errands, "_NEEDED_BYTES", 1 << 60)
    with qtbot.waitSignal(desk.create_failed) as blocker:
        desk.create(NewRun(tmp_path / "runs", "Birds", "", TrainConfig(data=(str(tmp_path),))))
    assert "not enough space" in blocker.args[0].what
    assert not (tmp_path / "runs").exists()


def test_histories_of_several_runs_are_emitted_together(qtbot: QtBot, desk: TrainingDesk, tmp_path: Path) -> None:
    folders = [create_run(tmp_path, title, "", TrainConfig()) for title in ("A", "B")]
    with qtbot.waitSignal(desk.histories_read) as blocker:
        desk.read_histories([("A", folders[0]), ("B", folders[1])])
    assert [title for title, _ in blocker.args[0]] == ["A", "B"]
