"""File manager: how it is opened at a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QUrl

from vdsr_app.gui import file_manager


@pytest.mark.parametrize(
    ("platform", "expected"),
    [("win32", ("explorer", "/select,", "FILE")), ("darwin", ("open", "-R", "FILE")), ("linux", ("FOLDER",))],
)
def test_show_in_folder_selects_the_file_where_supported(
    platform: str, expected: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, asked = tmp_path / "a b.png", []

    def start(program: str, arguments: list[str]) -> None:
        asked.append((program, *arguments))

    def open_url(url: QUrl) -> None:
        asked.append((str(Path(url.toLocalFile())),))

    monkeypatch.setattr(file_manager.QProcess, "startDetached", start)
    monkeypatch.setattr(file_manager.QDesktopServices, "openUrl", open_url)
    with monkeypatch.context() as changed:
        changed.setattr(file_manager.sys, "platform", platform)
        file_manager.show_in_folder(path)
    names = {"FILE": str(path), "FOLDER": str(tmp_path)}
    assert asked == [tuple(names.get(word, word) for word in expected)]
