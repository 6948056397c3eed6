"""Naming the packages that a Linux system lacks, with a fake loader of libraries."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vdsr_app import qt_libraries
from vdsr_app.qt_libraries import X11, MissingLibraries, has_screen, missing_libraries

ON_X = {"DISPLAY": ":0"}
ON_WAYLAND = {"WAYLAND_DISPLAY": "wayland-0"}
DEBIAN = {"ID": "debian"}


@pytest.fixture(autouse=True)
def _on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")


def without(*absent: str) -> Callable[[str], object]:
    """A loader for a system that has everything but these."""

    def load(soname: str) -> object:
        if soname in absent:
            raise OSError(f"{soname}: cannot open shared object file")
        return object()

    return load


def test_returns_none_when_no_library_is_missing() -> None:
    assert missing_libraries(ON_X, without(), DEBIAN) is None


@pytest.mark.parametrize(
    ("release", "command"),
    [
        ({"ID": "debian"}, "sudo apt install libxcb-cursor0"),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "sudo apt install libxcb-cursor0"),
        ({"ID": "fedora"}, "sudo dnf install xcb-util-cursor"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "sudo dnf install xcb-util-cursor"),
        ({"ID": "manjaro", "ID_LIKE": "arch"}, "sudo pacman -S xcb-util-cursor"),
        ({"ID": "opensuse-tumbleweed", "ID_LIKE": "opensuse suse"}, "sudo zypper install libxcb-cursor0"),
    ],
)
def test_names_the_package_of_the_distribution(release: dict[str, str], command: str) -> None:
    missing = missing_libraries(ON_X, without("libxcb-cursor.so.0"), release)
    assert missing == MissingLibraries(("libxcb-cursor.so.0",), command)
    assert command in str(missing)


def test_names_each_package_once() -> None:
    missing = missing_libraries(ON_X, without("libxcb-randr.so.0", "libxcb-shm.so.0", "libGL.so.1"), {"ID": "arch"})
    assert missing is not None
    assert missing.command == "sudo pacman -S libglvnd libxcb"


def test_names_the_files_on_an_unknown_distribution() -> None:
    missing = missing_libraries(ON_X, without("libxcb-cursor.so.0"), {"ID": "plan9"})
    assert missing is not None
    assert missing.command == ""
    assert "libxcb-cursor.so.0" in str(missing)


def test_wayland_needs_no_library_of_x11() -> None:
    assert missing_libraries(ON_WAYLAND, without(*X11), DEBIAN) is None
    assert missing_libraries({**ON_X, **ON_WAYLAND}, without(*X11), DEBIAN) is None


def test_wayland_libraries_are_needed_only_without_x11() -> None:
    load = without("libwayland-client.so.0", "libwayland-cursor.so.0")
    assert missing_libraries({**ON_X, **ON_WAYLAND}, load, DEBIAN) is None
    missing = missing_libraries(ON_WAYLAND, load, DEBIAN)
    assert missing is not None
    assert missing.command == "sudo apt install libwayland-client0 libwayland-cursor0"


def test_chosen_qt_platform_decides_which_libraries_are_needed() -> None:
    load = without("libxcb-cursor.so.0")
    assert missing_libraries({**ON_X, "QT_QPA_PLATFORM": "offscreen"}, load, DEBIAN) is None
    assert missing_libraries({**ON_WAYLAND, "QT_QPA_PLATFORM": "xcb"}, load, DEBIAN) is not None


def test_qt_itself_needs_opengl_on_every_platform() -> None:
    for environ in (ON_X, ON_WAYLAND, {"QT_QPA_PLATFORM": "offscreen"}):
        missing = missing_libraries(environ, without("libEGL.so.1"), DEBIAN)
        assert missing is not None
        assert missing.command == "sudo apt install libegl1"


def test_other_systems_are_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("win32", "darwin"):
        monkeypatch.setattr(sys, "platform", name)
        assert missing_libraries({}, without("libEGL.so.1"), {}) is None
        assert has_screen({})


def test_has_screen_with_x11_wayland_or_a_chosen_platform() -> None:
    assert not has_screen({})
    assert not has_screen({"DISPLAY": ""})
    assert has_screen(ON_X)
    assert has_screen(ON_WAYLAND)
    assert has_screen({"QT_QPA_PLATFORM": "offscreen"})


def test_script_runs_with_the_standard_library_only() -> None:
    path = Path(qt_libraries.__file__)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {str(node.module).split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules <= sys.stdlib_module_names
    silent = {name: value for name, value in os.environ.items() if "DISPLAY" not in name and name != "QT_QPA_PLATFORM"}
    result = subprocess.run([sys.executable, "-S", path], env=silent, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
