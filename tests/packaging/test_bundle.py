"""The recipe of the bundle, compared with the code that it bundles."""

from __future__ import annotations

import ast
import plistlib
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

_EXTENSIONS = {"jpegxl": "_jpegxl", "brotli": "_brotli", "cms": "_cms", "jpeg8": "_jpeg8"}


def _codecs_used(checkout: Path) -> set[str]:
    """Beginnings of the names that the code takes from imagecodecs."""
    names: set[str] = set()
    for folder in ("vdsr_app", "trainer"):
        for path in (checkout / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.module == "imagecodecs":
                    names |= {alias.name for alias in node.names}
                elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "imagecodecs":
                    names.add(node.attr)
    return {re.split(r"_|Error", name)[0].lower() for name in names}


def test_every_used_codec_is_bundled(checkout: Path) -> None:
    used = _codecs_used(checkout)
    assert used == set(_EXTENSIONS), "imagecodecs loads each by a name that no tool finds"
    recipe = (checkout / "build_installer.spec").read_text("utf-8")
    assert {name for name in _EXTENSIONS.values() if f'"{name}"' in recipe} == set(_EXTENSIONS.values())


@pytest.fixture
def app(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The macOS application that the recipe makes, but with empty programs and nothing else in it."""
    hooks = pytest.importorskip("PyInstaller.utils.hooks")
    from PyInstaller.building import api, osx
    from PyInstaller.config import CONF

    class Program(api.EXE):  # type: ignore[misc]
        def __init__(self, *parts: object, name: str, console: bool, **rest: object) -> None:
            self.name, self.console = str(tmp_path / name), console
            Path(self.name).touch()
            self.dependencies, self.toc, self.append_pkg, self.contents_directory = [], [], True, "_internal"
            self.target_arch = self.codesign_identity = self.entitlements_file = None

    nothing = SimpleNamespace(scripts=[], binaries=[], datas=[], pure=[])
    for name in ("collect_data_files", "collect_submodules", "copy_metadata"):
        monkeypatch.setattr(hooks, name, lambda *arguments, **rest: [])
    for name, value in {"distpath": "dist", "workpath": "build", "specpath": "", "specnm": "recipe"}.items():
        monkeypatch.setitem(CONF, name, str(tmp_path / value))
        (tmp_path / value).mkdir(exist_ok=True)
    monkeypatch.setitem(CONF, "upx_available", False)
    monkeypatch.setattr(api.COLLECT, "__postinit__", lambda self: None)
    monkeypatch.setattr(osx, "is_darwin", True)
    (tmp_path / "icon.icns").touch()  # PyInstaller brings its own on macOS only
    monkeypatch.setattr(osx, "normalize_icon_type", lambda *arguments: str(tmp_path / "icon.icns"))
    monkeypatch.setattr(osx, "osxutils", SimpleNamespace(sign_binary=lambda *arguments, **rest: None), raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    names: dict[str, Any] = {"EXE": Program, "COLLECT": api.COLLECT, "BUNDLE": osx.BUNDLE}
    names |= {"Analysis": lambda *arguments, **rest: nothing, "PYZ": lambda *arguments: nothing}
    exec(compile((checkout / "build_installer.spec").read_text("utf-8"), "build_installer.spec", "exec"), names)
    return tmp_path / "dist" / "VDSR Studio.app"


def test_macos_bundle_is_an_application_with_a_window(app: Path) -> None:
    properties = plistlib.loads((app / "Contents" / "Info.plist").read_bytes())
    assert properties["CFBundleExecutable"] == "VDSR Studio"
    assert not properties.get("LSBackgroundOnly"), "it would have no menu and no place in the Dock"
    assert properties["NSHighResolutionCapable"]
    assert {path.name for path in (app / "Contents" / "MacOS").iterdir()} >= {"VDSR Studio", "vdsr"}
