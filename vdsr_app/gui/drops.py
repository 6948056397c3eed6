"""What a drop, or a paste, would do: decided from its data before it happens."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from urllib.parse import unquote_to_bytes

from PySide6.QtCore import QCoreApplication, QMimeData

from vdsr_app.core.models import SUFFIX as MODEL_SUFFIX
from vdsr_app.gui.texts import file_name

translate = QCoreApplication.translate

_LOOK_AT_MOST = 10_000
"""Entries of a dropped folder that are looked at."""


class DropKind(StrEnum):
    """What would happen."""

    OPEN = "open"
    MODEL = "model"
    PICTURE = "picture"
    """Pixels without a file, such as a picture out of a browser."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class DropPlan:
    """What a drop would do.

    Attributes:
        kind: what would happen.
        words: the same for the person, shown while they hover.
        path: the file it would happen with.
        left_alone: other pictures that would not be opened.
    """

    kind: DropKind
    words: str
    path: Path | None = None
    left_alone: int = 0


def plan_drop(data: QMimeData | None) -> DropPlan:
    """What a drop of `data` would do. Only names and folders are looked at, no file's content."""
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
    pictures = [picture for path in paths for picture in _pictures_in(path)]
    if not pictures:
        return DropPlan(DropKind.REFUSED, translate("Drops", "There is no picture in it"))
    words = translate("Drops", "Open {name}, the first of {count}").format(
        name=file_name(pictures[0]), count=len(pictures)
    )
    if len(pictures) == 1:
        words = translate("Drops", "Open {name}").format(name=file_name(pictures[0]))
    return DropPlan(DropKind.OPEN, words, pictures[0], len(pictures) - 1)


def local_paths(data: QMimeData) -> list[Path]:
    """Files of this computer in `data`, also those whose names are no UTF-8."""
    if not data.hasUrls():
        return []
    paths = [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]
    if os.name == "nt" or all(path.exists() for path in paths):
        return paths
    raw = bytes(data.data("text/uri-list").data()).split()
    return [
        Path(os.fsdecode(unquote_to_bytes(uri.removeprefix(b"file://")))) for uri in raw if uri.startswith(b"file:///")
    ]


def _pictures_in(path: Path) -> list[Path]:
    """`path` itself where it has a picture's name, or such files directly in the folder, by name."""
    from vdsr_app.core.image_io.formats import READABLE_SUFFIXES  # with it comes the whole package: not at the start

    try:
        entries = list(islice(path.iterdir(), _LOOK_AT_MOST)) if path.is_dir() else [path]
    except OSError:
        return []
    return sorted(
        entry for entry in entries if entry.suffix.lower() in READABLE_SUFFIXES and not entry.name.startswith(".")
    )
