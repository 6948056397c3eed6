"""Resumable states: one safetensors file with weights, moving average, optimiser and step; two are kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from vdsr_app.core.atomic import write_atomically
from vdsr_app.core.network import VDSR
from vdsr_app.core.weights import tensor_checksum
from vdsr_app.errors import TrainingError
from vdsr_trainer.optimise import MovingAverage, Optimiser

NEWEST = "checkpoint.safetensors"
PREVIOUS = "checkpoint-previous.safetensors"


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run carries on beside tensors.

    Attributes:
        step: steps done.
        seconds: time spent training, in all parts of the run.
        best_psnr_db: best mean validation PSNR so far.
    """

    step: int = 0
    seconds: float = 0.0
    best_psnr_db: float = -1.0


def save(run: Path, model: VDSR, average: MovingAverage, optimiser: Optimiser, progress: Progress) -> Path:
    """Write the newest state atomically; the one before it is kept under another name.

    Raises:
        SaveError: no room, or the folder is gone; earlier states are untouched.
    """
    tensors: dict[str, Tensor] = {}
    scalars: dict[str, Any] = {}
    tensors.update({f"model.{name}": tensor for name, tensor in model.state_dict().items()})
    tensors.update({f"average.{name}": tensor for name, tensor in average.model.state_dict().items()})
    for i, part in enumerate(optimiser.parts):
        for index, state in part.state_dict()["state"].items():
            for key, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"optimiser.{i}.{index}.{key}"] = value
                else:
                    scalars[f"optimiser.{i}.{index}.{key}"] = value
    # clone: safetensors refuses tensors that share memory, and the matrices that Muon sees are views.
    tensors = {name: tensor.detach().to("cpu").contiguous().clone() for name, tensor in tensors.items()}
    metadata = {
        "kind": "vdsr-checkpoint-1",
        "progress": json.dumps(
            {"step": progress.step, "seconds": progress.seconds, "best_psnr_db": progress.best_psnr_db}
        ),
        "scalars": json.dumps(scalars),
        "sha256": tensor_checksum(tensors),
    }
    newest = run / NEWEST
    if newest.exists():
        newest.replace(run / PREVIOUS)
    write_atomically(newest, safetensors.torch.save(tensors, metadata=metadata))
    return newest


def load(run: Path, model: VDSR, average: MovingAverage, optimiser: Optimiser) -> Progress:
    """Put the newest sound state of `run` into the three objects.

    Raises:
        TrainingError: neither the newest nor the previous state can be used.
    """
    reasons = []
    for name in (NEWEST, PREVIOUS):
        path = run / name
        if not path.is_file():
            continue
        try:
            tensors, metadata = _read(path)
            return _restore(tensors, metadata, model, average, optimiser)
        except (safetensors.SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
            reasons.append(f"{name}: {error}")
    why = "; ".join(reasons) if reasons else "the folder holds none"
    raise TrainingError(f"No checkpoint can be used ({why}).", path=run, hint="Start a new run.")


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    payload = path.read_bytes()
    tensors = safetensors.torch.load(payload)
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata() or {})
    if metadata.get("kind") != "vdsr-checkpoint-1":
        raise ValueError("it is no checkpoint")
    if metadata.get("sha256") != tensor_checksum(tensors):
        raise ValueError("it does not match its checksum")
    return tensors, metadata


def _restore(
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str],
    model: VDSR,
    average: MovingAverage,
    optimiser: Optimiser,
) -> Progress:
    def under(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

    scalars = json.loads(metadata["scalars"])
    progress = Progress(**json.loads(metadata["progress"]))
    model.load_state_dict(under("model."), strict=True)
    average.model.load_state_dict(under("average."), strict=True)
    for i, part in enumerate(optimiser.parts):
        prefix = f"optimiser.{i}."
        states: dict[int, dict[str, Any]] = {}
        entries: dict[str, Any] = {**under(prefix)}
        entries.update({k.removeprefix(prefix): v for k, v in scalars.items() if k.startswith(prefix)})
        for name, value in entries.items():
            index, key = name.split(".", 1)
            states.setdefault(int(index), {})[key] = value
        part.load_state_dict({"state": states, "param_groups": part.state_dict()["param_groups"]})
    return progress
