"""What a person copies into a report of a fault: versions and device, no names, no paths."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence

from PySide6.QtCore import QLibraryInfo, qVersion
from PySide6.QtGui import QGuiApplication

from vdsr_app import __version__, paths

LIBRARIES = ("torch", "PySide6-Essentials", "numpy", "pyvips", "pillow", "pillow-heif", "imagecodecs", "safetensors")


def system_information(device: str, models: Sequence[str]) -> str:
    """Lines of plain text.

    Args:
        device: what the network runs on, or an empty string while that is not known.
        models: names of the installed models.
    """
    screen = QGuiApplication.primaryScreen()
    size = screen.size()
    lines = [
        f"VDSR Studio {__version__}{' (bundle)' if paths.is_bundle() else ''}",
        f"{platform.platform()}, {platform.machine()}",
        f"Python {platform.python_version()}, Qt {qVersion()} on {QGuiApplication.platformName()}"
        f"{' debug' if QLibraryInfo.isDebugBuild() else ''}",
        f"Screen {size.width()} x {size.height()} at {screen.devicePixelRatio():g}",
        f"Device: {device or 'not known yet'}",
        f"Models: {', '.join(models) or 'none'}",
    ]
    return "\n".join(lines + [f"{name} {library_version(name)}" for name in LIBRARIES])


def library_version(name: str) -> str:
    """Installed version of a library, told without importing it."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not known"
