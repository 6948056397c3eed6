"""Keys that differ on macOS, and their names there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QPushButton, QWidget
from pytestqt.qtbot import QtBot

from vdsr_app.gui.actions import Actions
from vdsr_app.gui.guide_dialog import GuideDialog
from vdsr_app.gui.start_strip import StartStrip
from vdsr_app.gui.theme import ThemeManager
from vdsr_app.gui.training.runs_panel import RunsPanel
from vdsr_app.gui.workspaces import Workspaces
from vdsr_trainer.presets import PRESETS
from vdsr_trainer.runs import create_run, describe_run

SYSTEMS = ["darwin", "linux", "win32"]


def show_runs(qtbot: QtBot, folder: Path) -> RunsPanel:
    panel = RunsPanel()
    qtbot.addWidget(panel)
    panel.show_runs([describe_run(create_run(folder, "Birds", "quick", PRESETS["quick"]))])
    with qtbot.waitExposed(panel):
        panel.show()
    panel.list.setFocus()
    return panel


@pytest.mark.parametrize("system", SYSTEMS)
def test_full_screen_shortcut_is_not_reserved_by_the_system(
    qtbot: QtBot, theme: ThemeManager, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    parent = QObject()
    keys = Actions(parent).full_screen.shortcut().toString(QKeySequence.SequenceFormat.PortableText)
    assert keys == ("Meta+Ctrl+F" if system == "darwin" else "F11")


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("key", [Qt.Key.Key_Delete, Qt.Key.Key_Backspace])
def test_run_is_deleted_by_delete_and_on_macos_also_by_backspace(
    qtbot: QtBot, theme: ThemeManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, key: Qt.Key
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    panel = show_runs(qtbot, tmp_path)
    wanted: list[object] = []
    panel.delete_requested.connect(wanted.append)
    qtbot.keyClick(panel.list, key)
    assert len(wanted) == (system == "darwin" or key is Qt.Key.Key_Delete)


def test_workspace_and_open_tooltips_show_native_key_names(
    qtbot: QtBot, theme: ThemeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    native = QKeySequence.SequenceFormat.NativeText
    write = QKeySequence.toString

    def as_on_macos(keys: QKeySequence, form: QKeySequence.SequenceFormat) -> str:
        text = write(keys, QKeySequence.SequenceFormat.PortableText)
        return text.replace("Ctrl+", "⌘") if form is native else text

    monkeypatch.setattr(QKeySequence, "toString", as_on_macos)
    spaces, strip = Workspaces(), StartStrip()
    qtbot.addWidget(spaces)
    qtbot.addWidget(strip)
    assert spaces.add("Batch", "image", QWidget(), 2).toolTip() == "Batch (⌘2)"
    assert "Choose a picture file (⌘O)" in {button.toolTip() for button in strip.findChildren(QPushButton)}


@pytest.mark.parametrize("system", SYSTEMS)
def test_guide_and_run_list_name_the_keys_of_the_system(
    qtbot: QtBot, theme: ThemeManager, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    parent, panel = QWidget(), RunsPanel()
    qtbot.addWidget(parent)
    qtbot.addWidget(panel)
    shown = GuideDialog(parent)._text.toPlainText()
    shown += " ".join(button.toolTip() for button in panel.findChildren(QPushButton))
    here = ("Ctrl+O", "Ctrl+Shift+S", "Ctrl+1", "Shift+F5", "F11", "Del deletes", "with Ctrl or")
    there = ("⌘O", "⇧⌘S", "⌘1", "⇧F5", "⌃⌘F", "⌫ deletes", "with ⌘ or")
    named, strange = (there, here) if system == "darwin" else (here, there)
    assert [key for key in named if key not in shown] == []
    assert [key for key in strange if key in shown] == []
    assert ("Ctrl" in shown) is (system != "darwin")
