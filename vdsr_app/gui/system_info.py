"""What a user copies into a bug report: versions, device and models, but no user names and no paths."""

from __future__ import annotations

import platform
from collections.abc import Sequence

from PySide6.QtCore import QLibraryInfo, qVersion
from PySide6.QtGui import QGuiApplication

from vdsr_app import __version__, paths
from vdsr_app.gui.libraries import LIBRARIES


def system_information(device: str, models: Sequence[str]) -> str:
    """Return the information as lines of plain text.

    Args:
        device: what the network runs on, or an empty string while unknown.
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
    return "\n".join(lines + [f"{part.package} {part.version}" for part in LIBRARIES if part.package])
