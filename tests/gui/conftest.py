"""Fixtures of the GUI tests: models to choose from, separate settings, a fake service, and windows."""

from __future__ import annotations

import gc
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from tests.gui.fakes import FakeService
from vdsr_app import paths
from vdsr_app.gui.main_window import MainWindow
from vdsr_app.gui.settings import SettingsStore, settings_path
from vdsr_app.gui.theme import ThemeManager


def write_model(path: Path, title: str) -> Path:
    """Write a weight file with a valid header and no weights; enough for everything that does not compute."""
    header = json.dumps({"__metadata__": {"title": title}}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    return path


@pytest.fixture(autouse=True)
def _two_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One bundled model and one of the user's own, whatever is installed here."""
    bundled = tmp_path / "bundled"
    write_model(bundled / "vdsr.safetensors", "VDSR")
    write_model(paths.user_models_dir() / "mine.safetensors", "My model")
    monkeypatch.setattr(paths, "models_dir", lambda: bundled)


@pytest.fixture
def service(qapp: QApplication) -> FakeService:
    """A service that does nothing by itself."""
    return FakeService()


@pytest.fixture
def store(qapp: QApplication) -> SettingsStore:
    """Settings in the test's own folder."""
    return SettingsStore(settings_path())


@pytest.fixture
def theme(qapp: QApplication) -> Iterator[ThemeManager]:
    """A theme manager whose changes to the application are undone afterwards."""
    palette, font, sheet = qapp.palette(), qapp.font(), qapp.styleSheet()
    manager = ThemeManager(qapp)
    yield manager
    qapp.styleHints().colorSchemeChanged.disconnect(manager._on_scheme_changed)
    qapp.styleHints().unsetColorScheme()
    qapp.setStyleSheet(sheet)
    qapp.setPalette(palette)
    qapp.setFont(font)


@pytest.fixture
def make_window(
    qtbot: QtBot, service: FakeService, store: SettingsStore, theme: ThemeManager
) -> Iterator[Callable[..., MainWindow]]:
    """Return a function that creates and shows windows, which are deleted after the test."""
    windows: list[MainWindow] = []

    def make(*files: Path, **services: Any) -> MainWindow:
        window = MainWindow(service, store, theme, files, **services)  # type: ignore[arg-type]
        windows.append(window)
        with qtbot.waitSignal(window.first_painted):
            window.show()
        return window

    yield make
    for window in windows:
        window.close_without_asking()
        assert window.batch.close(5000)
        window.deleteLater()
    windows.clear()
    # Collected now, because Python's collector might otherwise run while Qt iterates over all widgets.
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    gc.collect()


@pytest.fixture(autouse=True)
def _empty_clipboard(qapp: QApplication) -> Iterator[None]:
    QGuiApplication.clipboard().clear()
    QCoreApplication.processEvents()
    yield
    # Without a screen, Qt would delete the clipboard's content after Python has shut down, which crashes the process.
    QGuiApplication.clipboard().clear()
