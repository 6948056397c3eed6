"""Checkpoints: one safetensors file with weights, moving average, optimiser state and progress; two are kept."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from vdsr_app.core.atomic import replace_file, write_atomically
from vdsr_app.core.weights import MAX_ABSOLUTE, tensor_checksum
from vdsr_app.errors import SaveError, TrainingError
from vdsr_trainer.health import Health
from vdsr_trainer.meter import Spent
from vdsr_trainer.run_files import NEWEST_NAME, NEXT_NAME, PREVIOUS_NAME
from vdsr_trainer.stepper import NotFiniteError, Stepper

logger = logging.getLogger(__name__)

_KIND = "vdsr-checkpoint-2"
_Values = TypeVar("_Values", "Progress", Health, Spent)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a checkpoint holds besides tensors.

    Attributes:
        step: steps done.
        rate_share: factor on the scheduled learning rates; halved at each roll-back.
        roll_backs: number of roll-backs so far.
        referenced: whether the installed models have been measured already.
        health: what the validations show.
        judged_step: step of the last validation, -1 before the first.
        spent: where the time went.
    """

    step: int = 0
    rate_share: float = 1.0
    roll_backs: int = 0
    referenced: bool = False
    health: Health = field(default_factory=Health)
    judged_step: int = -1
    spent: Spent = field(default_factory=Spent)

    @property
    def proven(self) -> bool:
        """Whether this very state was validated and found good: one to roll back to if the run diverges."""
        return self.health.sound and self.judged_step == self.step

    def to_json(self) -> str:
        """Serialise to text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Progress:
        """Parse the output of `to_json`.

        Raises:
            ValueError: the text is something else.
            TypeError: likewise.
            KeyError: likewise.
        """
        try:
            values = json.loads(text)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        if not isinstance(values, dict):
            raise TypeError("it tells no progress")
        values.pop("best_psnr_db", None)  # in checkpoints of earlier versions
        health, spent = _checked(Health(**values["health"])), _checked(Spent(**values["spent"]))
        return _checked(cls(**{**values, "health": health, "spent": spent}))


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A state copied off the device, unaffected by later steps."""

    tensors: dict[str, Tensor]
    scalars: dict[str, Any]
    progress: Progress


def take(learner: Stepper[Any, Any], progress: Progress) -> Snapshot:
    """Copy the state of a run.

    Raises:
        NotFiniteError: a tensor is not finite, or a weight of the moving average exceeds `MAX_ABSOLUTE`.
    """
    tensors: dict[str, Tensor] = {}
    scalars: dict[str, Any] = {}
    tensors.update({f"model.{name}": tensor for name, tensor in learner.model.state_dict().items()})
    tensors.update({f"average.{name}": tensor for name, tensor in learner.average.model.state_dict().items()})
    for i, part in enumerate(learner.optimiser.parts):
        for index, state in part.state_dict()["state"].items():
            for key, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"optimiser.{i}.{index}.{key}"] = value
                else:
                    scalars[f"optimiser.{i}.{index}.{key}"] = value
    # clone: training continues, and the matrices that Muon sees are views, which safetensors rejects.
    tensors = {name: tensor.detach().to("cpu").contiguous().clone() for name, tensor in tensors.items()}
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise NotFiniteError
    if any(float(tensor.abs().max()) > MAX_ABSOLUTE for tensor in learner.average.model.state_dict().values()):
        raise NotFiniteError  # diverging; the weight file would be refused anyway
    return Snapshot(tensors, scalars, progress)


def write(run: Path, snapshot: Snapshot, *, keep_newest: bool = True) -> Path:
    """Write a checkpoint atomically; the earlier ones are touched only afterwards.

    Args:
        run: folder of the run.
        snapshot: the state.
        keep_newest: the newest checkpoint on disk becomes the previous one; otherwise the previous one is kept.

    Raises:
        SaveError: the disk is full or the folder is gone, and the earlier checkpoints are unchanged; or Windows did not
            release one of them, and at least one is left.
    """
    metadata = {
        "kind": _KIND,
        "progress": snapshot.progress.to_json(),
        "scalars": json.dumps(snapshot.scalars),
        "sha256": tensor_checksum(snapshot.tensors),
    }
    payload = safetensors.torch.save(snapshot.tensors, metadata=metadata)
    newest, upcoming = run / NEWEST_NAME, run / NEXT_NAME
    write_atomically(upcoming, payload)
    if keep_newest and newest.exists():
        replace_file(newest, run / PREVIOUS_NAME)
    replace_file(upcoming, newest)
    return newest


def saved_step(run: Path) -> int:
    """Step of the newest checkpoint in `run`, from its header without reading tensors; 0 if there is none."""
    found = (_progress_in(run / name) for name in (NEWEST_NAME, PREVIOUS_NAME))
    return next((progress.step for progress in found if progress is not None), 0)


def load(run: Path, learner: Stepper[Any, Any], names: Sequence[str] = (NEWEST_NAME, PREVIOUS_NAME)) -> Progress:
    """Load the first valid checkpoint of `names` into `learner`.

    Damaged ones before it are deleted; otherwise later saves would push the valid one off the disk.

    Raises:
        TrainingError: none of them can be used.
    """
    reasons: list[str] = []
    damaged: list[Path] = []
    for name in names:
        path = run / name
        if not path.is_file():
            continue
        try:
            tensors, metadata = _read(path)
            progress = _restore(tensors, metadata, learner)
        except (safetensors.SafetensorError, OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
            logger.warning("%s cannot be used: %s", path, error)
            reasons.append(f"{name}: {error}")
            if not isinstance(error, OSError):  # after a read error the file itself may be intact
                damaged.append(path)
        else:
            for each in damaged:
                each.unlink(missing_ok=True)
            return progress
    why = "; ".join(reasons) if reasons else "the folder holds none"
    raise TrainingError(f"No checkpoint can be used ({why}).", path=run, hint="Start a new run.")


class Keeper:
    """Writes checkpoints in a thread of its own, so that training waits only for the copy, not for the disk.

    Args:
        run: folder of the run.
        step: of the newest checkpoint on disk, -1 if there is none.
    """

    def __init__(self, run: Path, step: int = -1) -> None:
        self._run = run
        (run / NEXT_NAME).unlink(missing_ok=True)  # left by a process that was killed
        self._look_at_disk()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._pending: Future[Path] | None = None
        self._step = step

    def __enter__(self) -> Keeper:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True)

    @property
    def newest_is_proven(self) -> bool:
        """Whether the newest checkpoint on disk is one to roll back to."""
        return self._newest_proven >= 0

    @property
    def proven_step(self) -> int:
        """Step of the latest checkpoint on disk that can be rolled back to; -1 if there is none."""
        return max(self._newest_proven, self._previous_proven)

    @property
    def step(self) -> int:
        """Step of the newest checkpoint that is on disk or being written; -1 if there is none."""
        return self._step

    def begin(self, snapshot: Snapshot) -> None:
        """Start writing a state in the thread; `finish` must have been called for the previous one.

        The newest checkpoint replaces the previous one unless the previous one is proven and the newest is not, so that
        a proven one always remains to roll back to.
        """
        keep_newest = self.newest_is_proven or self._previous_proven < 0
        future = self._pool.submit(write, self._run, snapshot, keep_newest=keep_newest)
        self._pending = future
        self._step = snapshot.progress.step

    def finish(self, *, wait: bool = True) -> Path | None:
        """Result of the write that `begin` started: its file, or None while it is being written or if there is none.

        Raises:
            SaveError: it could not be written.
        """
        if self._pending is None or not (wait or self._pending.done()):
            return None
        future, self._pending = self._pending, None
        try:
            return future.result()
        except SaveError:
            self._step = -1
            raise
        finally:
            self._look_at_disk()

    def _look_at_disk(self) -> None:
        """Find out which checkpoints on disk can be rolled back to."""
        self._newest_proven = _proven_step(self._run / NEWEST_NAME)
        self._previous_proven = _proven_step(self._run / PREVIOUS_NAME)


def _proven_step(path: Path) -> int:
    """Step of a checkpoint that can be rolled back to, from its header; -1 for any other, and if there is none."""
    progress = _progress_in(path)
    return progress.step if progress is not None and progress.proven else -1


def _progress_in(path: Path) -> Progress | None:
    """Progress in the header of a checkpoint; None if there is no such file or it cannot be read."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return Progress.from_json((file.metadata() or {})["progress"])
    except (safetensors.SafetensorError, OSError, KeyError, ValueError, TypeError):
        return None


def _checked(values: _Values) -> _Values:
    """Return a part of `Progress` after checking that each field has the type of its default.

    Raises:
        TypeError: a field has another type, or is too large a number.
    """
    usual = type(values)()
    for each in fields(values):
        value, kind = getattr(values, each.name), type(getattr(usual, each.name))
        whole = type(value) is int
        if not (type(value) is kind or (whole and kind is float)) or (whole and value.bit_length() > 64):
            raise TypeError(f"its {each.name} makes no sense")
    return values


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    payload = path.read_bytes()
    tensors = safetensors.torch.load(payload)
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata() or {})
    if metadata.get("kind") != _KIND:
        raise ValueError("it is no checkpoint of this version")
    if metadata.get("sha256") != tensor_checksum(tensors):
        raise ValueError("it does not match its checksum")
    return tensors, metadata


def _restore(tensors: Mapping[str, Tensor], metadata: Mapping[str, str], learner: Stepper[Any, Any]) -> Progress:
    def under(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

    scalars = json.loads(metadata["scalars"])
    if not isinstance(scalars, dict):
        raise TypeError("it tells no state of the optimiser")
    progress = Progress.from_json(metadata["progress"])
    learner.model.load_state_dict(under("model."), strict=True)
    learner.average.model.load_state_dict(under("average."), strict=True)
    for i, part in enumerate(learner.optimiser.parts):
        prefix = f"optimiser.{i}."
        states: dict[int, dict[str, Any]] = {}
        entries: dict[str, Any] = {**under(prefix)}
        entries.update({k.removeprefix(prefix): v for k, v in scalars.items() if k.startswith(prefix)})
        for name, value in entries.items():
            index, key = name.split(".", 1)
            states.setdefault(int(index), {})[key] = value
        _load_optimiser(part, states)
    return progress


def _load_optimiser(part: torch.optim.Optimizer, states: Mapping[int, Mapping[str, Any]]) -> None:
    """Load the states of one part of the optimiser, by the index of their parameter.

    Raises:
        ValueError: they are those of another optimiser. PyTorch would notice some of that only in a step.
    """
    reason = "its optimiser is another one than that of the run's configuration"
    parameters = [parameter for group in part.param_groups for parameter in group["params"]]
    for index, state in states.items():
        tensors = [value for value in state.values() if isinstance(value, Tensor) and value.ndim]
        if index >= len(parameters) or any(tensor.shape != parameters[index].shape for tensor in tensors):
            raise ValueError(reason)
    try:
        part.load_state_dict({"state": states, "param_groups": part.state_dict()["param_groups"]})
    except KeyError as error:
        raise ValueError(reason) from error
