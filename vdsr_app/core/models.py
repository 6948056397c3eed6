"""Which models there are: those that ship with the program and those that the user added. Imports no torch."""

from __future__ import annotations

import filecmp
import hashlib
import logging
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from vdsr_app import paths
from vdsr_app.core.atomic import atomic_file, save_error
from vdsr_app.core.weight_header import FORMAT, HINT, check_kind, read_metadata
from vdsr_app.core.words import one_line
from vdsr_app.errors import WeightsError

logger = logging.getLogger(__name__)

DEFAULT_MODEL = "vdsr"
"""Trained on clean pictures, downscaled by bicubic."""
PHOTO_MODEL = "photo"
"""Trained on pictures with JPEG artefacts, blur and noise."""
AUTO_MODEL = "auto"
"""Not a model: lets `core.model_choice` choose the one that suits the picture."""
SUFFIX = ".safetensors"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A weight file that can be chosen.

    Attributes:
        name: short name for settings, file names and the command line.
        path: the .safetensors file.
        title: display name.
        bundled: whether it ships with the program.
        sha256: expected hash of the whole file, if known.
    """

    name: str
    path: Path
    title: str
    bundled: bool
    sha256: str | None = None


def installed_models() -> tuple[ModelInfo, ...]:
    """Bundled models, the default first, then the user's own, each by name; invalid files are left out."""
    found: dict[str, ModelInfo] = {}
    for folder, bundled in ((paths.models_dir(), True), (paths.user_models_dir(), False)):
        sums = _checksums(folder) if bundled else {}
        for path in sorted(folder.glob(f"*{SUFFIX}"), key=lambda path: (path.stem != DEFAULT_MODEL, path.name)):
            if path.name.startswith(".") or path.stem in found:
                continue
            if path.stem == AUTO_MODEL:
                logger.warning("Left out of the model list, for its name means that the program chooses: %s", path)
                continue
            try:
                found[path.stem] = describe_model(path, bundled=bundled, sha256=sums.get(path.name))
            except WeightsError as error:
                logger.warning("Left out of the model list: %s", error)
    return tuple(found.values())


def find_model(name_or_path: str) -> ModelInfo:
    """The installed model of that name, or the weight file at that path.

    Raises:
        WeightsError: neither exists, or the file is not a weight file.
    """
    models = {model.name: model for model in installed_models()}
    if name_or_path in models:
        return models[name_or_path]
    if is_file_name(name_or_path) or os.path.exists(name_or_path):
        return describe_model(Path(name_or_path))
    installed = f"Installed: {', '.join(models)}." if models else "None is installed."
    raise WeightsError(f"There is no model '{name_or_path}'.", hint=f"{installed} A .safetensors file works too.")


def is_file_name(name_or_path: str) -> bool:
    """Whether `name_or_path` looks like the path of a weight file, which need not exist, rather than a model's name."""
    return name_or_path.lower().endswith(SUFFIX) or any(mark in name_or_path for mark in (os.sep, os.altsep) if mark)


def persistent_name(requested: str) -> str:
    """Name that means the same model later and from another folder: the full path of a weight file.

    Args:
        requested: as `find_model` takes it, or `AUTO_MODEL`, or an empty text.

    Returns:
        `requested` itself if it is the name of an installed model, or no existing path.
    """
    # It is nearly always a name: then the installed models need not be searched.
    if (
        requested == AUTO_MODEL
        or not os.path.exists(requested)
        or any(requested == each.name for each in installed_models())
    ):
        return requested
    # Links are resolved in the folder only, where ".." may follow one: results are named after the file.
    folder, name = os.path.split(requested)
    return os.path.join(os.path.realpath(folder), name)


def describe_model(path: Path, *, bundled: bool = False, sha256: str | None = None) -> ModelInfo:
    """Name and title of one weight file, from its header.

    Raises:
        WeightsError: it is not a weight file, or one of another kind of network.
    """
    metadata = read_metadata(path)
    check_kind(path, metadata, FORMAT)
    title = one_line(metadata.get("title", "")) or path.stem
    return ModelInfo(path.stem, path, title, bundled, sha256)


def install_model(path: Path) -> ModelInfo:
    """Copy a weight file into the user's models; an identical file is not copied twice, whatever its name.

    Only the header is checked here; values and checksum are checked when the model is first used.

    Raises:
        WeightsError: it cannot be read, is not a weight file, or is one of another kind of network.
        SaveError: it could not be copied.
    """
    info = describe_model(path)
    folder = paths.user_models_dir()
    stem = re.sub(r"[^\w.-]+", "_", info.name).strip("._") or "model"
    taken = {model.name: model for model in installed_models()}
    for model in taken.values():
        # A copy of a bundled one may be wanted under another name: the next version may replace the bundled one.
        if (model.name == stem or not model.bundled) and _equal_files(model.path, path):
            return model
    name, number = stem, 2
    while name in taken or name == AUTO_MODEL or os.path.lexists(folder / f"{name}{SUFFIX}"):
        name, number = f"{stem}-{number}", number + 1
    target = folder / f"{name}{SUFFIX}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise save_error(target, error) from error
    try:
        source = path.open("rb")
    except OSError as error:
        raise WeightsError(f"The file cannot be read: {error.strerror}.", path=path, hint=HINT) from error
    with source, atomic_file(target) as copy:
        shutil.copyfileobj(source, copy)
    return describe_model(target)


def model_digest(path: Path) -> str:
    """SHA-256 of a whole weight file, in hexadecimal.

    Raises:
        WeightsError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"The file cannot be read: {error.strerror}.", path=path, hint=HINT) from error


def check_file(info: ModelInfo) -> None:
    """Compare a bundled file with its line in SHA256SUMS.

    Raises:
        WeightsError: it differs, or cannot be read.
    """
    if info.sha256 is not None and model_digest(info.path) != info.sha256:
        raise WeightsError(
            "The bundled model is damaged: it does not match SHA256SUMS.",
            path=info.path,
            hint="Install the program again.",
        )


def _equal_files(one: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False  # it vanished since it was listed; an unreadable source fails when it is copied


def _checksums(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / "SHA256SUMS").read_text("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines if line.strip())}
