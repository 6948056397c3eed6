"""Training runs on disk: listing them with their state, creating, renaming and deleting them. No torch.

The names of a run's files, its locks and `write_control` are in `run_files`.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from vdsr_app.core.atomic import save_error, write_atomically
from vdsr_app.core.words import one_line
from vdsr_app.errors import ConfigError, SaveError, TrainingError
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.config_file import read_config, to_toml
from vdsr_trainer.run_files import (
    CONFIG_NAME,
    EVENTS_NAME,
    FOUND_IN_RUNS_ALONE,
    RUN_NAME,
    WEIGHTS_NAME,
    is_alive,
)
from vdsr_trainer.run_tail import RunEnd, RunTail, read_tail

_DELETED_PREFIX = ".vdsr-deleted-"
"""Used by this program only: everything with this prefix in a folder of runs is deleted."""
_NAME_CHARACTERS = 60
_WINDOWS_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|(com|lpt)[\d¹²³])(\..*)?")


class RunState(StrEnum):
    """What a run is doing."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    """Not at its last step: stopped and saved, killed, or never started. It can be resumed."""
    FINISHED = "finished"
    FAILED = "failed"
    """Ended with an error; it can be resumed from its last checkpoint."""
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One run in the list.

    Attributes:
        folder: where it is.
        title: display name.
        created: when it was created, in UTC.
        preset: name of the preset it started from; "" if unknown.
        state: what it is doing.
        step: steps done; if the process was killed, those of the last checkpoint.
        steps: steps in total; 0 if they follow from epochs and the run has not started yet.
        psnr_db: last validation by scale factor as text; empty before the first.
        bicubic_psnr_db: the same for bicubic.
        weights: the weight file, None before there is one.
        reason: why it is damaged or failed, as one text for the user; else "".
    """

    folder: Path
    title: str
    created: datetime
    preset: str
    state: RunState
    step: int
    steps: int
    psnr_db: dict[str, float] = field(default_factory=dict)
    bicubic_psnr_db: dict[str, float] = field(default_factory=dict)
    weights: Path | None = None
    reason: str = ""


def list_runs(root: Path) -> tuple[RunInfo, ...]:
    """All runs below `root`, newest first; a damaged one is listed with its reason. Empty if there is no `root`."""
    try:
        with os.scandir(root) as entries:
            folders = [Path(entry.path) for entry in entries if not entry.name.startswith(".") and _is_folder(entry)]
    except OSError:
        return ()
    runs = [describe_run(folder) for folder in folders if _looks_like_run(folder)]
    return tuple(sorted(runs, key=lambda run: (run.created, run.folder.name), reverse=True))


def describe_run(folder: Path) -> RunInfo:
    """Describe a run without loading its weights; of a long log only the end is read."""
    about = _read_about(folder)
    title = one_line(_text(about, "title")) or folder.name
    created = _created(folder, about)
    weights = folder / WEIGHTS_NAME
    try:
        config = read_config(folder / CONFIG_NAME)
        # With epochs, only the run itself works out the number of steps.
        tail = read_tail(folder / EVENTS_NAME, with_steps=config.epochs > 0)
    except (ConfigError, OSError) as error:
        reason = error.words if isinstance(error, ConfigError) else _words(error)
        return RunInfo(folder, title, created, _text(about, "preset"), RunState.DAMAGED, 0, 0, reason=reason)
    state = _state(folder, tail)
    crashed = state is RunState.STOPPED and tail.end is RunEnd.NONE
    return RunInfo(
        folder,
        title,
        created,
        _text(about, "preset"),
        state,
        tail.saved_step if crashed else tail.step,
        tail.steps if config.epochs else config.steps,
        tail.psnr_db,
        tail.bicubic_psnr_db,
        weights if weights.is_file() else None,
        tail.message if state is RunState.FAILED else "",
    )


def create_run(root: Path, title: str, preset: str, config: TrainConfig) -> Path:
    """Create the folder of a new run below `root`; nothing is trained yet.

    Args:
        root: folder of all runs, created if missing.
        title: display name; the folder's name is derived from it and unique.
        preset: name of the preset `config` is based on, or "".
        config: what to train.

    Raises:
        SaveError: the folder cannot be created or written.
    """
    title = _clean_title(title)
    folder = _new_folder(root, _folder_name(title))
    try:
        write_atomically(folder / CONFIG_NAME, to_toml(config).encode())
        _write_about(folder, {"title": title, "created": datetime.now(UTC).isoformat(), "preset": preset})
    except SaveError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    _sweep(root)
    return folder


def note_run(folder: Path, preset: str, *, anew: bool = False) -> None:
    """Record when a run was created and from which preset, unless known; for runs made without `create_run`.

    Args:
        folder: of the run.
        preset: name of the preset, or "".
        anew: replace a recorded preset; the title stays.

    Raises:
        SaveError: the folder cannot be written.
    """
    if anew or not (folder / RUN_NAME).exists():
        about = {"title": _clean_title(folder.name), "created": datetime.now(UTC).isoformat()}
        _write_about(folder, {**about, **_read_about(folder), "preset": preset})


def rename_run(folder: Path, title: str) -> None:
    """Change the title of a run, even while it runs; the folder keeps its name.

    Raises:
        SaveError: the folder cannot be written.
    """
    about = _read_about(folder)
    known = {"created": _created(folder, about).isoformat(), "preset": _text(about, "preset")}
    _write_about(folder, {**known, **about, "title": _clean_title(title)})


def duplicate_run(folder: Path, title: str) -> Path:
    """Create a run beside `folder` with the same configuration and none of its state.

    Raises:
        ConfigError: the configuration is damaged.
        SaveError: the folder cannot be created or written.
    """
    return create_run(folder.parent, title, _text(_read_about(folder), "preset"), read_config(folder / CONFIG_NAME))


def delete_run(folder: Path) -> None:
    """Delete a run and everything in it.

    It disappears at once, because it is renamed first; files that cannot be deleted yet go when the next run is created
    or deleted.

    Raises:
        TrainingError: it is running.
        SaveError: it cannot be renamed.
    """
    if is_alive(folder):
        raise TrainingError("This run is running.", path=folder, hint="Stop it first, then delete it.")
    try:
        if folder.is_symlink():
            folder.unlink()  # only the link: its target may belong to others
            return
        folder.rename(folder.with_name(f"{_DELETED_PREFIX}{secrets.token_hex(6)}"))
    except OSError as error:
        raise SaveError(
            f"The run cannot be deleted: {_words(error)}",
            path=folder,
            hint="Close programs that use its files, then try again.",
        ) from error
    _sweep(folder.parent)


def _state(folder: Path, tail: RunTail) -> RunState:
    if is_alive(folder):
        return RunState.PAUSED if tail.paused else RunState.RUNNING
    match tail.end:
        case RunEnd.COMPLETE:
            return RunState.FINISHED
        case RunEnd.FAILED:
            return RunState.FAILED
        case _:
            return RunState.STOPPED


def _looks_like_run(folder: Path) -> bool:
    try:
        return any((folder / name).exists() for name in (CONFIG_NAME, *FOUND_IN_RUNS_ALONE))
    except OSError:
        return True  # a folder without access is listed as damaged, with the reason


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link to itself must not hide other runs


def _read_about(folder: Path) -> dict[str, Any]:
    """Contents of run.json; if it is missing or damaged, little more than the title is lost."""
    try:
        about = json.loads((folder / RUN_NAME).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return about if isinstance(about, dict) else {}


def _write_about(folder: Path, about: dict[str, Any]) -> None:
    # Text written there by others may not be encodable as UTF-8: JSON's escapes keep it.
    write_atomically(folder / RUN_NAME, json.dumps(about, indent=1).encode())


def _text(about: dict[str, Any], key: str) -> str:
    value = about.get(key, "")
    return value.strip() if isinstance(value, str) else ""


def _created(folder: Path, about: dict[str, Any]) -> datetime:
    try:
        moment = datetime.fromisoformat(_text(about, "created"))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        pass
    try:
        path = folder / CONFIG_NAME
        return datetime.fromtimestamp((path if path.exists() else folder).stat().st_mtime, UTC)
    except OSError:
        return datetime.fromtimestamp(0, UTC)


def _clean_title(title: str) -> str:
    """`title` on one line, not empty."""
    return one_line(title) or "Run"


def _folder_name(title: str) -> str:
    """A folder name that is valid on every system."""
    name = re.sub(r"[^\w.-]+", "-", unicodedata.normalize("NFC", title))[:_NAME_CHARACTERS].strip("-._ ")
    return f"run-{name}" if not name or _WINDOWS_DEVICES.fullmatch(name) else name


def _new_folder(root: Path, name: str) -> Path:
    number = 1
    while True:
        folder = root / (name if number == 1 else f"{name}-{number}")
        try:
            root.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileExistsError as error:
            if not root.is_dir():
                raise save_error(root, NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))) from error
            number += 1
        except OSError as error:
            raise save_error(folder, error) from error
        else:
            return folder


def _sweep(root: Path) -> None:
    """Delete what `delete_run` renamed; what cannot be deleted stays for the next time."""
    for folder in root.glob(f"{_DELETED_PREFIX}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _words(error: OSError) -> str:
    return f"{error.strerror or error}."
