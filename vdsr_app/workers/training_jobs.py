"""What the training service does in threads: checking pictures, exporting and installing a result."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vdsr_app.core.models import ModelInfo, describe_model, install_model, installed_models
from vdsr_app.core.weight_header import read_metadata
from vdsr_app.errors import WeightsError
from vdsr_app.workers.messages import SavedFile
from vdsr_app.workers.preload import load_torch
from vdsr_app.workers.runner import JobContext
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.run_files import RUN_NAME

if TYPE_CHECKING:
    from vdsr_app.core.onnx_export import OnnxReport
    from vdsr_trainer.data.report import PictureRecord, PreflightReport


def check_pictures(config: TrainConfig, known: Sequence[PictureRecord], context: JobContext) -> PreflightReport:
    """Decode the pictures of a configuration that are not in `known`; see `vdsr_trainer.data.preflight`."""
    from vdsr_trainer.data.preflight import check_pictures as check

    return check(config, context.progress, context.token, known)


def export_onnx(model: Path, out: Path, context: JobContext) -> OnnxReport:
    """Export a weight file to ONNX; see `core.onnx_export`."""
    load_torch(context.token)
    from vdsr_app.core.onnx_export import export_onnx as export

    return export(describe_model(model), out, context.token)


def export_weights(model: Path, out: Path, context: JobContext) -> SavedFile:
    """Copy a weight file after checking it; see `core.weights.export_weights`."""
    load_torch(context.token)
    from vdsr_app.core.weights import export_weights as export

    export(describe_model(model), out)
    return SavedFile(out, out.stat().st_size)


def install(weights: Path, context: JobContext) -> ModelInfo:
    """Add a run's result to the list of models, named after the run; one that is already there is not added twice.

    Raises:
        WeightsError: the file is damaged.
        SaveError: it could not be copied.
    """
    load_torch(context.token)
    from vdsr_app.core.weights import load_weights, save_weights

    loaded = load_weights(weights)
    title = _run_title(weights.parent) or loaded.metadata.get("title", "").strip() or weights.stem
    models = installed_models()
    found = _installed_already(loaded.checksum, title, models)
    if found is not None:
        return found
    taken = {model.title for model in models}
    unique, number = title, 2
    while unique in taken:
        unique, number = f"{title} {number}", number + 1
    context.token.raise_if_cancelled()
    with tempfile.TemporaryDirectory(prefix="vdsr-") as folder:
        named = Path(folder) / f"{_file_stem(unique)}.safetensors"
        save_weights(loaded.model, named, {**loaded.metadata, "title": unique})
        return install_model(named)


def _run_title(run: Path) -> str:
    """Current title of the run, which may have been renamed since its weights were written."""
    try:
        title = json.loads((run / RUN_NAME).read_text("utf-8"))["title"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return title.strip() if isinstance(title, str) else ""


def _installed_already(checksum: str, title: str, models: tuple[ModelInfo, ...]) -> ModelInfo | None:
    """The user's model with these tensors under this title, or this title with a number."""
    for model in models:
        if model.bundled or not re.fullmatch(rf"{re.escape(title)}( \d+)?", model.title):
            continue
        try:
            if read_metadata(model.path).get("sha256") == checksum:
                return model
        except WeightsError:
            continue  # it changed since it was listed
    return None


def _file_stem(title: str) -> str:
    return re.sub(r"[^\w.-]+", "-", title)[:60].strip("-._") or "model"
