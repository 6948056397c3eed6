"""Which models there are: those that ship with the program and those that the person added. No torch."""

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
"""Trained on clean pictures, shrunk by bicubic."""
PHOTO_MODEL = "photo"
"""Trained on pictures with the marks of JPEG, blur and noise."""
AUTO_MODEL = "auto"
"""No model, but the wish that `core.model_choice` takes the one that suits the picture."""
SUFFIX = ".safetensors"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A weight file that can be chosen.

    Attributes:
        name: short name for settings, file names and the command line.
        path: the .safetensors file.
        title: name for people.
        bundled: whether it ships with the program.
        sha256: what the whole file must hash to, where that is known.
    """

    name: str
    path: Path
    title: str
    bundled: bool
    sha256: str | None = None


def installed_models() -> tuple[ModelInfo, ...]:
    """Bundled models, the default first, then the person's own, each by name; what is no weight file is left out."""
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
        WeightsError: neither exists, or the file is no weight file.
    """
    models = {model.name: model for model in installed_models()}
    if name_or_path in models:
        return models[name_or_path]
    if is_file_name(name_or_path) or os.path.exists(name_or_path):
        return describe_model(Path(name_or_path))
    installed = f"Installed: {', '.join(models)}." if models else "None is installed."
    raise WeightsError(f"There is no model '{name_or_path}'.", hint=f"{installed} A .safetensors file works too.")


def is_file_name(wish: str) -> bool:
    """Whether what was wished for is the path of a weight file by its looks: there may be none, or no such model."""
    return wish.lower().endswith(SUFFIX) or any(mark in wish for mark in (os.sep, os.altsep) if mark)


def lasting_name(wish: str) -> str:
    """What means the same model from another folder, and later: a weight file's path in full.

    Args:
        wish: as `find_model` takes it, or `AUTO_MODEL`, or nothing.

    Returns:
        `wish` itself where it is the name of an installed model, or nothing that is there.
    """
    # Nearly always it is a name: then the installed models need not be looked through.
    if wish == AUTO_MODEL or not os.path.exists(wish) or any(wish == each.name for each in installed_models()):
        return wish
    # Links are followed up to the folder alone, as ".." may stand behind one: results are named after the file.
    folder, name = os.path.split(wish)
    return os.path.join(os.path.realpath(folder), name)


def describe_model(path: Path, *, bundled: bool = False, sha256: str | None = None) -> ModelInfo:
    """Name and title of one weight file, from its header.

    Raises:
        WeightsError: it is no weight file, or one of another kind of network.
    """
    metadata = read_metadata(path)
    check_kind(path, metadata, FORMAT)
    title = one_line(metadata.get("title", "")) or path.stem
    return ModelInfo(path.stem, path, title, bundled, sha256)


def install_model(path: Path) -> ModelInfo:
    """Copy a weight file into the person's own models; an equal file is not copied twice, whatever it is called.

    Only the header is checked here; numbers and checksum are when the model is first used.

    Raises:
        WeightsError: it cannot be read, is no weight file, or one of another kind of network.
        SaveError: it could not be copied.
    """
    info = describe_model(path)
    folder = paths.user_models_dir()
    stem = re.sub(r"[^\w.-]+", "_", info.name).strip("._") or "model"
    taken = {model.name: model for model in installed_models()}
    for model in taken.values():
        # A bundled one may be wanted under another name: the next version may bring another in its place.
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


def check_file(info: ModelInfo) -> None:
    """Compare a bundled file with its line in SHA256SUMS.

    Raises:
        WeightsError: it differs.
    """
    if info.sha256 is not None and _file_sha256(info.path) != info.sha256:
        raise WeightsError(
            "The bundled model is damaged: it does not match SHA256SUMS.",
            path=info.path,
            hint="Install the program again.",
        )


def _equal_files(one: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False  # it went since it was listed; one that is to be copied is told when it is


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checksums(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / "SHA256SUMS").read_text("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines if line.strip())}
