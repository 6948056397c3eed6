"""Where the program's files are; the only module that tells checkout, wheel and frozen bundle apart."""

from __future__ import annotations

import os
import sys
from pathlib import Path

CHILD_VARIABLE = "VDSR_CHILD"
"""Set in the environment of a child process whose output the window reads. Python's own variables, which could request
the same, have no effect on a frozen program."""


def data_root() -> Path:
    """Folder that holds `models/` and `resources/`: the checkout, the wheel's `_data`, or the frozen bundle."""
    bundle = getattr(sys, "_MEIPASS", None)
    if bundle is not None:
        return Path(bundle)
    installed = Path(__file__).parent / "_data"
    return installed if installed.is_dir() else Path(__file__).parent.parent


def is_bundle() -> bool:
    """Whether this is the frozen program rather than a checkout or an installed wheel."""
    return bool(getattr(sys, "frozen", False))


def models_dir() -> Path:
    """Folder of the bundled weights, read-only."""
    return data_root() / "models"


def resources_dir() -> Path:
    """Folder of icons, style and the sample picture, read-only."""
    return data_root() / "resources"


def user_data_dir() -> Path:
    """Folder for the user's own models and runs; `VDSR_HOME` overrides it. Not created here."""
    if override := os.environ.get("VDSR_HOME"):
        return Path(override)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        return base / "VDSR Studio"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "VDSR Studio"
    base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "vdsr-studio"


def user_models_dir() -> Path:
    """Folder of models that the user trained or added."""
    return user_data_dir() / "models"


def log_dir() -> Path:
    """Folder of the log files."""
    return user_data_dir() / "logs"


def runs_dir() -> Path:
    """Default folder of training runs."""
    return user_data_dir() / "runs"


def measurements_file() -> Path:
    """File that records which way of computing is fastest on this machine; may be deleted at any time.

    `VDSR_CACHE` overrides its folder.
    """
    return _cache_dir() / "backends.json"


def kernels_dir() -> Path:
    """Folder of machine code compiled on this machine; may be deleted. `VDSR_CACHE` overrides its parent folder."""
    return _cache_dir() / "kernels"


def _cache_dir() -> Path:
    override = os.environ.get("VDSR_CACHE")
    return Path(override) if override else user_data_dir()


def training_command() -> list[str]:
    """Command that starts `vdsr train` as a child process, frozen or not; arguments follow it."""
    return [*program_command(), "train"]


def program_command() -> list[str]:
    """Command that starts the command line `vdsr` as a child process, frozen or not; a subcommand follows it."""
    if is_bundle():
        return [str(Path(sys.executable).with_name("vdsr" + Path(sys.executable).suffix))]
    return [sys.executable, "-P", "-m", "vdsr_app"]


def own_command() -> list[str]:
    """Command that starts this very program as a child process; a subcommand follows it.

    In the frozen bundle the window is a separate executable, and numba accepts no machine code made by another one.
    """
    return [sys.executable] if is_bundle() else program_command()


def how_to_add(package: str) -> str:
    """How to install a missing optional package: the command for the running interpreter."""
    if is_bundle():
        return "This packed program takes no further packages; use VDSR Studio from its source for it."
    import shlex  # here, as this module is the first to load when the window starts
    import subprocess

    pins = data_root() / "constraints.txt"  # in a checkout
    command = [sys.executable, "-m", "pip", "install", *(["-c", str(pins)] if pins.is_file() else []), package]
    return f"Install it with: {subprocess.list2cmdline(command) if os.name == 'nt' else shlex.join(command)}"
