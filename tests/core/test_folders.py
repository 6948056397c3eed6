"""Listing the pictures of a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from vdsr_app.control import CancelToken
from vdsr_app.core.folders import list_pictures
from vdsr_app.errors import Cancelled


def _files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_list_pictures_skips_hidden_files_and_folders(tmp_path: Path) -> None:
    _files(tmp_path, "b.png", "a/c.JPG", ".thumbs/x.png", "a/.thumbs/deep/x.png", ".x.png", "a/._c.jpg", "a/notes.txt")
    (tmp_path / "folder.png").mkdir()
    assert list_pictures(tmp_path) == [tmp_path / "a" / "c.JPG", tmp_path / "b.png"]


def test_list_pictures_accepts_a_hidden_folder_as_argument(tmp_path: Path) -> None:
    folder = tmp_path / ".cache" / ".pictures"
    _files(folder, "a.png", "b/c.png", ".d/e.png")
    assert list_pictures(folder) == [folder / "a.png", folder / "b" / "c.png"]


def test_list_pictures_can_be_cancelled(tmp_path: Path) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        list_pictures(tmp_path, token=token)
