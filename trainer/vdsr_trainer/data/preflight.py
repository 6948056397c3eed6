"""Checks every picture before a run, and stores what was found in the run's folder. No torch.

`pictures.json` holds one record per picture. Until a run has a checkpoint, it only saves decoding files again. From the
first checkpoint on, it also says which pictures the run trains and validates on, so that a resumed run continues with
exactly those.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from vdsr_app.control import CancelToken, ProgressCallback
from vdsr_app.core.atomic import write_atomically
from vdsr_app.core.models import find_model
from vdsr_app.core.weight_header import read_shape
from vdsr_app.core.words import counted
from vdsr_app.errors import TrainingError, UsageError
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.fingerprint import check_fingerprint
from vdsr_trainer.data.pictures import record_pictures, require_folder
from vdsr_trainer.data.report import PictureRecord, PreflightReport
from vdsr_trainer.data.split import plan_split
from vdsr_trainer.teacher.weight_header import require_teacher

INDEX_NAME = "pictures.json"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """The pictures and memory that a run has settled on.

    Attributes:
        training: pictures that are trained on.
        held_out: pictures that are validated on.
        cache_bytes: memory for decoded pictures; which pictures a step may use depends on it.
    """

    training: tuple[PictureRecord, ...]
    held_out: tuple[PictureRecord, ...]
    cache_bytes: int


@dataclass(frozen=True, slots=True)
class Index:
    """Contents of `pictures.json`.

    Attributes:
        records: every file that was examined.
        plan: None before the run has begun.
        folders: those named in the configuration, in its order; the records have no others.
    """

    records: tuple[PictureRecord, ...]
    plan: Plan | None = None
    folders: tuple[str, ...] = ()


def check_pictures(
    config: TrainConfig, on_progress: ProgressCallback, token: CancelToken, known: Sequence[PictureRecord] = ()
) -> PreflightReport:
    """Decode every picture of `config`, on all cores, and decide what each is used for.

    Args:
        config: folders, sizes, what to exclude.
        on_progress: called with (done, total) files, from this thread.
        token: checked at each file.
        known: records of an earlier check; files unchanged since are not decoded again.

    Raises:
        TrainingError: a folder is missing, empty or vanished, or nothing is left to train or validate on.
        Cancelled: by the token.
    """
    return plan_split(record_pictures(config, known, on_progress, token), config)


def require_places(config: TrainConfig) -> None:
    """Check that a new run finds what its configuration names; reads no picture, and of weight files only the header.

    Raises:
        TrainingError: a folder of pictures is missing, or the teacher was made for other scale factors.
        WeightsError: the model to start from, or the teacher, is missing or invalid.
        UsageError: the model to start from has another shape than the run.
    """
    for folder in named_folders(config):
        require_folder(Path(folder))
    if config.start_from:
        _require_start(config)
    if config.teacher_from:
        require_teacher(Path(config.teacher_from), config.taught_scales)


def _require_start(config: TrainConfig) -> None:
    depth, width = read_shape(find_model(config.start_from).path)
    if (depth, width) != (config.depth, config.width):
        raise UsageError(
            f"The model '{config.start_from}' has {depth} convolutions of {width} channels, the run {config.depth} of"
            f" {config.width}.",
            hint="Choose the same depth and width, or start from nothing.",
        )


def write_index(run: Path, report: PreflightReport) -> None:
    """Store what a check found in the folder of a run, so that the run need not decode all pictures again.

    Raises:
        SaveError: the folder cannot be written.
    """
    save_index(run, Index(report.records))


def save_index(run: Path, index: Index) -> None:
    """Write `pictures.json`.

    Raises:
        SaveError: the folder cannot be written.
    """
    folders = list(dict.fromkeys((*index.folders, *(record.folder for record in index.records))))
    number = {folder: i for i, folder in enumerate(folders)}
    rows = [[number[record.folder], *list(asdict(record).values())[1:]] for record in index.records]
    values: dict[str, Any] = {"version": _VERSION, "folders": folders, "records": rows}
    if index.plan is not None:
        place = {record: i for i, record in enumerate(index.records)}
        values["plan"] = {
            "training": [place[record] for record in index.plan.training],
            "held_out": [place[record] for record in index.plan.held_out],
            "cache_bytes": index.plan.cache_bytes,
        }
    write_atomically(run / INDEX_NAME, json.dumps(values, separators=(",", ":")).encode())


def read_index(run: Path) -> Index | None:
    """What `save_index` wrote; None if it is missing, damaged or of another version."""
    try:
        values = json.loads((run / INDEX_NAME).read_text("utf-8"))
        if values["version"] != _VERSION:
            return None
        folders = [str(folder) for folder in values["folders"]]
        records = tuple(_record(folders, row) for row in values["records"])
        plan = values.get("plan")
        if plan is None:
            return Index(records, None, tuple(folders))
        places = dict(enumerate(records))
        training, held_out = (tuple(places[i] for i in plan[key]) for key in ("training", "held_out"))
        if not training or not held_out:
            return None
        return Index(records, Plan(training, held_out, int(plan["cache_bytes"])), tuple(folders))
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None


def moved(index: Index, config: TrainConfig) -> Index:
    """`index` with the folders that `config` names now, each in the place of the one named before.

    So a run can be carried to another computer, where its pictures are elsewhere.

    Raises:
        TrainingError: there are more or fewer folders than before.
    """
    now = named_folders(config)
    if index.folders == now:
        return index
    if len(index.folders) != len(now):
        raise TrainingError(
            f"The run began with {counted(len(index.folders), 'folder')} of pictures; named now: {len(now)}.",
            path=now[0] if now else None,
            hint="Name as many folders, in the same order, or begin a new run.",
        )
    place = dict(zip(index.folders, now, strict=True))
    records = tuple(replace(record, folder=place[record.folder]) for record in index.records)
    if index.plan is None:
        return Index(records, None, now)
    new = dict(zip(index.records, records, strict=True))
    training, held_out = (tuple(new[r] for r in those) for those in (index.plan.training, index.plan.held_out))
    return Index(records, Plan(training, held_out, index.plan.cache_bytes), now)


def named_folders(config: TrainConfig) -> tuple[str, ...]:
    """The folders of `config`, each once: those of `data`, then `validation`."""
    return tuple(dict.fromkeys((*config.data, *((config.validation,) if config.validation else ()))))


def _record(folders: Sequence[str], row: Sequence[Any]) -> PictureRecord:
    names = [field.name for field in fields(PictureRecord)]
    values = dict(zip(names, row, strict=True))
    kinds = {"file": str, "digest": str, "fingerprint": str, "reason": str, "folder": int}
    if not all(type(value) is kinds.get(name, int) for name, value in values.items()) or values["folder"] < 0:
        raise ValueError(f"damaged record {row}")
    check_fingerprint(values["fingerprint"])
    return PictureRecord(**{**values, "folder": folders[values["folder"]]})
