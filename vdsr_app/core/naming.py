"""Where results go: names by template, and the guard that no source is ever overwritten by its own result."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vdsr_app.core.job import FileFormat, Target, TargetKind
from vdsr_app.errors import SaveError, UsageError

SUFFIXES: dict[FileFormat, str] = {
    FileFormat.PNG: ".png",
    FileFormat.JPEG: ".jpg",
    FileFormat.WEBP: ".webp",
    FileFormat.TIFF: ".tif",
    FileFormat.AVIF: ".avif",
}
DEFAULT_TEMPLATE = "{name}_{model}_{target}"
MAX_NAME_BYTES = 255


@dataclass(frozen=True, slots=True)
class PlannedOutput:
    """One source and where its result goes."""

    source: Path
    output: Path


def target_text(target: Target) -> str:
    """Short text of a target for file names: "x2", "6000w", "24Mpx"."""
    unit = {
        TargetKind.WIDTH: "w",
        TargetKind.HEIGHT: "h",
        TargetKind.LONG_SIDE: "long",
        TargetKind.SHORT_SIDE: "short",
        TargetKind.MEGAPIXELS: "Mpx",
    }
    return f"x{target.value:g}" if target.kind is TargetKind.SCALE else f"{target.value:g}{unit[target.kind]}"


def output_name(source: Path, model: str, target: Target, file_format: FileFormat) -> str:
    """File name of the result: "photo_vdsr_x2.png"; the source's name is shortened where 255 bytes would not do."""
    model_name = Path(model).stem if model.endswith(".safetensors") else model
    ending = f"_{model_name}_{target_text(target)}{SUFFIXES[file_format]}"
    room = MAX_NAME_BYTES - len(os.fsencode(ending))
    name = source.stem
    while len(os.fsencode(name)) > room:
        name = name[:-1]
    return name + ending


def plan_outputs(
    sources: Sequence[Path], folder: Path, model: str, target: Target, file_format: FileFormat
) -> list[PlannedOutput]:
    """A name in `folder` for each source; names that would collide also on other systems get the source's type.

    "a.png" and "a.jpg" become "a_png_vdsr_x2.png" and "a_jpg_vdsr_x2.png"; what still collides is numbered.
    """
    keys = [_collision_key(source.stem) for source in sources]
    taken: set[str] = set()
    planned = []
    for source, key in zip(sources, keys, strict=True):
        stem = source.stem
        if keys.count(key) > 1:
            stem = f"{stem}_{source.suffix.removeprefix('.').lower()}"
        candidate, number = stem, 2
        while _collision_key(candidate) in taken:
            candidate, number = f"{stem}-{number}", number + 1
        taken.add(_collision_key(candidate))
        # A stand-in suffix: a dot within the stem must survive Path.stem.
        planned.append(PlannedOutput(source, folder / output_name(Path(f"{candidate}.x"), model, target, file_format)))
    return planned


def refuse_overwriting_a_source(output: Path, sources: Sequence[Path]) -> None:
    """Stop where `output` is one of `sources`, also through a link or another spelling of the name.

    Raises:
        SaveError: it is.
    """
    for source in sources:
        try:
            same = output.samefile(source)
        except OSError:
            # One of them does not exist: then only equal names are one file.
            same = os.path.abspath(output) == os.path.abspath(source)
        if same:
            raise SaveError(
                "The result would replace its own source.", path=output, hint="Choose another name or folder."
            )


def format_of(path: Path) -> FileFormat:
    """Format that a file name asks for.

    Raises:
        UsageError: the ending is none that can be written.
    """
    endings = {ending: file_format for file_format, ending in SUFFIXES.items()}
    endings |= {".jpeg": FileFormat.JPEG, ".jpe": FileFormat.JPEG, ".tiff": FileFormat.TIFF}
    if path.suffix.lower() not in endings:
        wanted = ", ".join(SUFFIXES.values())
        raise UsageError(f"'{path.suffix or path.name}' says no format that can be written.", hint=f"Use {wanted}.")
    return endings[path.suffix.lower()]


def _collision_key(name: str) -> str:
    """Equal for names that some file system takes for one: case and composed letters do not tell them apart."""
    return unicodedata.normalize("NFC", name).casefold()
