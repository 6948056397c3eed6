"""Find the system libraries that Qt needs on Linux and that are missing, and the packages that provide them.

Standard library only: start.py runs this file with a Python that has nothing installed yet.
Qt's wheels contain Qt, but not the libraries of X11, Wayland and OpenGL; without them Qt ends the process with a
message that names a plugin, not a package.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

DEBIAN, FEDORA, ARCH, SUSE = range(4)

INSTALLERS = ("sudo apt install", "sudo dnf install", "sudo pacman -S", "sudo zypper install")

FAMILIES = {
    "debian": DEBIAN,
    "ubuntu": DEBIAN,
    "fedora": FEDORA,
    "rhel": FEDORA,
    "centos": FEDORA,
    "arch": ARCH,
    "suse": SUSE,
    "opensuse": SUSE,
}

# Library -> packages in the order of INSTALLERS; from the NEEDED entries of Qt 6.11's libraries and platform plugins.
Table = Mapping[str, tuple[str, str, str, str]]
ALWAYS: Table = {
    "libEGL.so.1": ("libegl1", "libglvnd-egl", "libglvnd", "libglvnd"),
    "libGL.so.1": ("libgl1", "libglvnd-glx", "libglvnd", "libglvnd"),
    "libX11.so.6": ("libx11-6", "libX11", "libx11", "libX11-6"),
    "libdbus-1.so.3": ("libdbus-1-3", "dbus-libs", "dbus", "libdbus-1-3"),
    "libfontconfig.so.1": ("libfontconfig1", "fontconfig", "fontconfig", "fontconfig"),
    "libfreetype.so.6": ("libfreetype6", "freetype", "freetype2", "libfreetype6"),
    "libglib-2.0.so.0": ("libglib2.0-0", "glib2", "glib2", "libglib-2_0-0"),
    "libgthread-2.0.so.0": ("libglib2.0-0", "glib2", "glib2", "libgthread-2_0-0"),
    "libxkbcommon.so.0": ("libxkbcommon0", "libxkbcommon", "libxkbcommon", "libxkbcommon0"),
    "libzstd.so.1": ("libzstd1", "libzstd", "zstd", "libzstd1"),
}
X11: Table = {
    "libX11-xcb.so.1": ("libx11-xcb1", "libX11-xcb", "libx11", "libX11-xcb1"),
    "libxcb-cursor.so.0": ("libxcb-cursor0", "xcb-util-cursor", "xcb-util-cursor", "libxcb-cursor0"),
    "libxcb-icccm.so.4": ("libxcb-icccm4", "xcb-util-wm", "xcb-util-wm", "libxcb-icccm4"),
    "libxcb-image.so.0": ("libxcb-image0", "xcb-util-image", "xcb-util-image", "libxcb-image0"),
    "libxcb-keysyms.so.1": ("libxcb-keysyms1", "xcb-util-keysyms", "xcb-util-keysyms", "libxcb-keysyms1"),
    "libxcb-randr.so.0": ("libxcb-randr0", "libxcb", "libxcb", "libxcb-randr0"),
    "libxcb-render-util.so.0": (
        "libxcb-render-util0",
        "xcb-util-renderutil",
        "xcb-util-renderutil",
        "libxcb-render-util0",
    ),
    "libxcb-render.so.0": ("libxcb-render0", "libxcb", "libxcb", "libxcb-render0"),
    "libxcb-shape.so.0": ("libxcb-shape0", "libxcb", "libxcb", "libxcb-shape0"),
    "libxcb-shm.so.0": ("libxcb-shm0", "libxcb", "libxcb", "libxcb-shm0"),
    "libxcb-sync.so.1": ("libxcb-sync1", "libxcb", "libxcb", "libxcb-sync1"),
    "libxcb-util.so.1": ("libxcb-util1", "xcb-util", "xcb-util", "libxcb-util1"),
    "libxcb-xfixes.so.0": ("libxcb-xfixes0", "libxcb", "libxcb", "libxcb-xfixes0"),
    "libxcb-xkb.so.1": ("libxcb-xkb1", "libxcb", "libxcb", "libxcb-xkb1"),
    "libxcb.so.1": ("libxcb1", "libxcb", "libxcb", "libxcb1"),
    "libxkbcommon-x11.so.0": ("libxkbcommon-x11-0", "libxkbcommon-x11", "libxkbcommon-x11", "libxkbcommon-x11-0"),
}
WAYLAND: Table = {
    "libwayland-client.so.0": ("libwayland-client0", "libwayland-client", "wayland", "libwayland-client0"),
    "libwayland-cursor.so.0": ("libwayland-cursor0", "libwayland-cursor", "wayland", "libwayland-cursor0"),
}


@dataclass(frozen=True)
class MissingLibraries:
    """Libraries that are missing.

    Attributes:
        sonames: file names that the loader looks for.
        command: command that installs them here, or an empty string on an unknown distribution.
    """

    sonames: tuple[str, ...]
    command: str

    def __str__(self) -> str:
        names = ", ".join(self.sonames)
        cure = (
            f"Install them with: {self.command}"
            if self.command
            else "Install the packages of your system that bring these files."
        )
        return f"The window needs system libraries that are not installed: {names}.\n{cure}"


def has_screen(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a window can be shown: always on Windows and macOS, else with X11, Wayland or a chosen Qt platform."""
    if sys.platform in ("win32", "darwin"):
        return True
    return any(environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))


def missing_libraries(
    environ: Mapping[str, str] = os.environ,
    load: Callable[[str], object] = ctypes.CDLL,
    release: Mapping[str, str] | None = None,
) -> MissingLibraries | None:
    """Try to load what Qt will load for the platform that it will choose; takes about 10 ms.

    Args:
        environ: DISPLAY, WAYLAND_DISPLAY and QT_QPA_PLATFORM determine that platform.
        load: opens a library by its name; raises OSError if there is none.
        release: the content of /etc/os-release; read if None.

    Returns:
        What is missing, or None if a window can open. Always None outside Linux.
    """
    if not sys.platform.startswith("linux"):
        return None
    absent = {soname: packages for soname, packages in _needed(environ, load).items() if not _loads(soname, load)}
    if not absent:
        return None
    return MissingLibraries(tuple(absent), _install_command(list(absent.values()), _family(release)))


def _needed(environ: Mapping[str, str], load: Callable[[str], object]) -> dict[str, tuple[str, str, str, str]]:
    chosen = environ.get("QT_QPA_PLATFORM", "").split(":")[0]
    if chosen.startswith("wayland"):
        return {**ALWAYS, **WAYLAND}
    if chosen.startswith("xcb"):
        return {**ALWAYS, **X11}
    if not chosen and environ.get("WAYLAND_DISPLAY"):
        # Qt tries Wayland first and falls back to X11, so either may be incomplete if the other is complete.
        falls_back = environ.get("DISPLAY") and all(_loads(soname, load) for soname in X11)
        return {**ALWAYS, **({} if falls_back else WAYLAND)}
    if not chosen and environ.get("DISPLAY"):
        return {**ALWAYS, **X11}
    return dict(ALWAYS)


def _loads(soname: str, load: Callable[[str], object]) -> bool:
    try:
        load(soname)
    except OSError:
        return False
    return True


def _family(release: Mapping[str, str] | None) -> int | None:
    if release is None:
        try:
            release = platform.freedesktop_os_release()
        except OSError:
            return None
    for name in [release.get("ID", ""), *release.get("ID_LIKE", "").split()]:
        family = FAMILIES.get(name.split("-")[0])
        if family is not None:
            return family
    return None


def _install_command(packages: Sequence[tuple[str, str, str, str]], family: int | None) -> str:
    if family is None:
        return ""
    names = dict.fromkeys(row[family] for row in packages)
    return f"{INSTALLERS[family]} {' '.join(names)}"


if __name__ == "__main__":
    found = missing_libraries() if has_screen() else None
    if found is not None:
        sys.exit(str(found))
