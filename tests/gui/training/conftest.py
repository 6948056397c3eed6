"""Fixtures for the workspace "Train": pictures, and a window whose runs are done by a stand-in and ended afterwards."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QCoreApplication, QEvent
from pytestqt.qtbot import QtBot

from tests.gui.fakes import FakeService
from tests.gui.training import stand_in
from vdsr_app import paths
from vdsr_app.errors import SaveError
from vdsr_app.gui.main_window import MainWindow
from vdsr_app.gui.settings import SettingsStore
from vdsr_app.gui.theme import ThemeManager
from vdsr_app.gui.training.train_page import TrainPage
from vdsr_app.workers.training import TrainingService
from vdsr_trainer.run_files import is_alive, write_control

PATIENCE_MS = 30_000

MakeTraining = Callable[[], MainWindow]


def make_pictures(folder: Path, count: int = 14, side: int = 64) -> Path:
    """Write small pictures, all different, to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    for i in range(count):
        coarse = random.integers(0, 255, (8, 8, 3), np.uint8)
        Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(folder / f"{i:02}.png")
    return folder


def behave(how: str) -> None:
    """Make every run of the stand-in behave like this from now on."""
    paths.runs_dir().mkdir(parents=True, exist_ok=True)
    (paths.runs_dir() / "behaviour").write_text(how)


def run_folders() -> list[Path]:
    """Folders of all runs."""
    root = paths.runs_dir()
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def ended(folder: Path) -> bool:
    """Whether no process trains the run; requests its end each time, as a window may request something else."""
    if not is_alive(folder):
        return True
    with contextlib.suppress(SaveError):  # it vanished in the meantime
        write_control(folder, "discard")
    return False


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return make_pictures(tmp_path / "birds")


@pytest.fixture
def make_window(
    qtbot: QtBot, service: FakeService, store: SettingsStore, theme: ThemeManager
) -> Iterator[MakeTraining]:
    """Makes windows whose training is done by the stand-in; closes them and ends their runs."""
    windows: list[MainWindow] = []

    def make() -> MainWindow:
        window = MainWindow(
            service,  # type: ignore[arg-type]
            store,
            theme,
            (),
            lambda: TrainingService(command=lambda: stand_in.COMMAND),
        )
        windows.append(window)
        with qtbot.waitSignal(window.first_painted):
            window.show()
        return window

    yield make
    # Threads first: one that is still running when its object is deleted would abort the whole test run.
    closed = []
    for window in windows:
        window.close_without_asking()
        closed.append(window.training.close(PATIENCE_MS))
        window.deleteLater()
    windows.clear()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    gc.collect()
    for folder in run_folders():
        qtbot.waitUntil(lambda folder=folder: ended(folder), timeout=PATIENCE_MS)
    assert all(closed)


@pytest.fixture
def window(make_window: MakeTraining) -> MainWindow:
    return make_window()


@pytest.fixture
def page(window: MainWindow, qtbot: QtBot) -> TrainPage:
    """The workspace, shown."""
    window.workspaces.show_page(window.training.host)
    qtbot.waitUntil(lambda: window.training.page.shown is window.training.page.invitation)
    return window.training.page
