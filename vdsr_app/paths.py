"""Where the program's files are: the only module that tells checkout, wheel and frozen bundle apart."""

from __future__ import annotations

import os
import sys
from pathlib import Path

CHILD_VARIABLE = "VDSR_CHILD"
"""Set in the environment of a process whose output the window reads. Python's own variables, which could ask for the
same, mean nothing to a packed program."""


def data_root() -> Path:
    """Folder that holds `models/` and `resources/`: the checkout, the wheel's `_data`, or the frozen bundle."""
    bundle = getattr(sys, "_MEIPASS", None)
    if bundle is not None:
        return Path(bundle)
    installed = Path(__file__).parent / "_data"
    return installed if installed.is_dir() else Path(__file__).parent.parent


def is_bundle() -> bool:
    """Whether this is the packed program rather than a checkout or an installed wheel."""
    return bool(getattr(sys, "frozen", False))


def models_dir() -> Path:
    """Folder of the bundled weights, read-only."""
    return data_root() / "models"


def resources_dir() -> Path:
    """Folder of icons, style and the sample picture, read-only."""
    return data_root() / "resources"


def user_data_dir() -> Path:
    """Folder for the person's own models and runs; `VDSR_HOME` overrides it. Not created here."""
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
    """Folder of models that the person trained or added."""
    return user_data_dir() / "models"


def log_dir() -> Path:
    """Folder of the log files."""
    return user_data_dir() / "logs"


def runs_dir() -> Path:
    """Folder where training runs are kept unless another is named."""
    return user_data_dir() / "runs"


def measurements_file() -> Path:
    """Where it is kept which way of computing was found fastest on this machine; may be deleted at any time.

    `VDSR_CACHE` overrides its folder.
    """
    return _cache_dir() / "backends.json"


def kernels_dir() -> Path:
    """Folder of the machine code that is made on this machine; may be deleted. `VDSR_CACHE` overrides its folder."""
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

    In the frozen bundle the window is a program file of its own, and numba takes no machine code made by another.
    """
    return [sys.executable] if is_bundle() else program_command()


def how_to_add(package: str) -> str:
    """What to tell who lacks a package that only some need: the command for the interpreter that runs."""
    if is_bundle():
        return "This packed program takes no further packages; use VDSR Studio from its source for it."
    import shlex  # here, as the window's start reads this module first
    import subprocess

    pins = data_root() / "constraints.txt"  # of a checkout
    command = [sys.executable, "-m", "pip", "install", *(["-c", str(pins)] if pins.is_file() else []), package]
    return f"Install it with: {subprocess.list2cmdline(command) if os.name == 'nt' else shlex.join(command)}"
