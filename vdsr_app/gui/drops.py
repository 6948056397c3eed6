"""Determines from its data what a drop or paste would do, before it happens."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote_to_bytes

from PySide6.QtCore import QCoreApplication, QMimeData

from vdsr_app.core.formats import READABLE_SUFFIXES
from vdsr_app.core.models import SUFFIX as MODEL_SUFFIX
from vdsr_app.gui.texts import file_name

translate = QCoreApplication.translate


class DropKind(StrEnum):
    """Effect of a drop."""

    OPEN = "open"
    MODEL = "model"
    BATCH = "batch"
    """Folders, or several pictures."""
    PICTURE = "picture"
    """Pixels without a file, such as a picture from a browser."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class DropPlan:
    """What a drop would do.

    Attributes:
        kind: its effect.
        words: the same in words, shown while hovering.
        path: the file of OPEN or MODEL, None for all others.
        paths: files and folders of a BATCH.
    """

    kind: DropKind
    words: str
    path: Path | None = None
    paths: tuple[Path, ...] = ()


def plan_drop(data: QMimeData | None) -> DropPlan:
    """Plan a drop of `data`, looking only at names and folders, not at file contents."""
    if data is None:  # an empty clipboard
        data = QMimeData()
    paths = local_paths(data)
    if not paths:
        if data.hasImage():
            return DropPlan(DropKind.PICTURE, translate("Drops", "Open the picture"))
        return DropPlan(DropKind.REFUSED, translate("Drops", "Only pictures and models can be dropped here"))
    if len(paths) == 1 and paths[0].suffix.lower() == MODEL_SUFFIX:
        return DropPlan(
            DropKind.MODEL, translate("Drops", "Use the model {name}").format(name=file_name(paths[0])), paths[0]
        )
    if len(paths) == 1 and not paths[0].is_dir():
        return DropPlan(DropKind.OPEN, translate("Drops", "Open {name}").format(name=file_name(paths[0])), paths[0])
    return plan_batch(paths)


def plan_batch(paths: Sequence[Path]) -> DropPlan:
    """Plan adding these to the batch; of files, only those with a picture's suffix are added."""
    wanted = tuple(path for path in paths if path.is_dir() or path.suffix.lower() in READABLE_SUFFIXES)
    if not wanted:
        return DropPlan(DropKind.REFUSED, translate("Drops", "It contains no pictures"))
    words = translate("Drops", "Add {count} to the batch").format(count=len(wanted))
    if len(wanted) == 1:
        words = translate("Drops", "Add {name} to the batch").format(name=file_name(wanted[0]))
    return DropPlan(DropKind.BATCH, words, paths=wanted)


def local_paths(data: QMimeData) -> list[Path]:
    """Local files in `data`, including those whose names are not valid UTF-8."""
    if not data.hasUrls():
        return []
    paths = [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]
    if os.name == "nt" or all(path.exists() for path in paths):
        return paths
    raw = bytes(data.data("text/uri-list").data()).split()
    return [
        Path(os.fsdecode(unquote_to_bytes(uri.removeprefix(b"file://")))) for uri in raw if uri.startswith(b"file:///")
    ]
