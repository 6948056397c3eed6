"""The work of `TrainingDesk`, called in its thread. No torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vdsr_app.control import CancelToken
from vdsr_app.core.disk_space import free_bytes
from vdsr_app.errors import TrainingError
from vdsr_app.workers.runner import JobContext
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.config_file import read_config
from vdsr_trainer.history import RunHistory, read_history
from vdsr_trainer.run_files import CONFIG_NAME, EVENTS_NAME, Control, read_control
from vdsr_trainer.runs import RunInfo, create_run, delete_run, describe_run, list_runs, rename_run

if TYPE_CHECKING:
    from vdsr_trainer.data.report import PreflightReport

_NEEDED_BYTES = 200_000_000
"""Two checkpoints, weights, crops and log of the largest preset, plus a margin."""


@dataclass(frozen=True, slots=True, eq=False)
class NewRun:
    """A run to be created.

    Attributes:
        root: folder of all runs.
        title: name for the user.
        preset: name of the preset it is based on, or "".
        config: what to train.
        report: what is known about its pictures; None lets the run find out.
    """

    root: Path
    title: str
    preset: str
    config: TrainConfig
    report: PreflightReport | None = None


def list_all(root: Path, context: JobContext) -> tuple[RunInfo, ...]:
    """Every run, newest first."""
    return list_runs(root)


def count_pictures(folders: tuple[str, ...], context: JobContext) -> tuple[int, ...]:
    """Number of files with a picture's suffix in each folder, at all levels, hidden ones excluded; -1 if no folder."""
    return tuple(_count(folder, context.token) for folder in folders)


def read_histories(runs: tuple[tuple[str, Path], ...], context: JobContext) -> tuple[tuple[str, RunHistory], ...]:
    """The whole history of each run, with its title."""
    found = []
    for title, folder in runs:
        context.token.raise_if_cancelled()
        try:
            found.append((title, read_history(folder / EVENTS_NAME)))
        except OSError as error:
            raise TrainingError(
                f"The log of the run cannot be read: {error.strerror or error}.",
                path=folder,
                hint="Check that the folder exists and can be read.",
            ) from error
    return tuple(found)


def create(new: NewRun, context: JobContext) -> Path:
    """Create the folder of a run.

    Raises:
        TrainingError: there is not enough disk space, a folder of pictures is missing, or the teacher was made for
            other scale factors.
        WeightsError: the model to start from, or the teacher, is missing or not a model.
        UsageError: the model to start from has another shape than the run.
        SaveError: the folder cannot be created or written.
    """
    from vdsr_trainer.data.preflight import require_places, write_index

    require_places(new.config)
    _check_room(new.root)
    run = create_run(new.root, new.title, new.preset, new.config)
    if new.report is not None:
        write_index(run, new.report)
    return run


def read_settings(folder: Path, context: JobContext) -> TrainConfig:
    """The configuration that a run was created with.

    Raises:
        ConfigError: its file cannot be read.
    """
    return read_config(folder / CONFIG_NAME)


def last_control(folder: Path, context: JobContext) -> Control:
    """The last request to a run."""
    return read_control(folder)


def rename(folder: Path, title: str, context: JobContext) -> RunInfo:
    """Give a run another title, even while it is running.

    Raises:
        SaveError: the folder cannot be written.
    """
    rename_run(folder, title)
    return describe_run(folder)


def delete(folder: Path, context: JobContext) -> Path:
    """Delete a run.

    Raises:
        TrainingError: it is running.
        SaveError: it cannot be deleted.
    """
    delete_run(folder)
    return folder


def _check_room(root: Path) -> None:
    free = free_bytes(root)
    if free is not None and free < _NEEDED_BYTES:
        raise TrainingError(
            f"There is not enough space on the disk: {_NEEDED_BYTES // 10**6} MB are needed, {free // 10**6} are free.",
            path=root,
            hint="Free some space, then start again.",
        )


def _count(folder: str, token: CancelToken) -> int:
    from vdsr_app.core.folders import list_pictures

    if not os.path.isdir(folder):
        return -1
    try:
        return len(list_pictures(Path(folder), token=token))
    except OSError:  # no permission to list it, which the check of the pictures will report
        return 0
