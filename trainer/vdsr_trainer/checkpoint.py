"""Resumable states: one safetensors file with weights, moving average, optimiser and progress; two are kept."""

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
    """What a run carries on beside tensors.

    Attributes:
        step: steps done.
        rate_share: what the scheduled rates are multiplied with; halved at each roll-back.
        roll_backs: how often the run went back.
        referenced: the installed models were measured already.
        health: what the validations say.
        judged_step: step of the last of them, -1 before the first.
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
        """Whether this very state was judged, and found good: one to go back to where the run diverges."""
        return self.health.sound and self.judged_step == self.step

    def to_json(self) -> str:
        """As text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Progress:
        """From `to_json`.

        Raises:
            ValueError: it is something else.
            TypeError: the same.
            KeyError: the same.
        """
        try:
            values = json.loads(text)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        if not isinstance(values, dict):
            raise TypeError("it tells no progress")
        values.pop("best_psnr_db", None)  # in states of earlier versions
        health, spent = _checked(Health(**values["health"])), _checked(Spent(**values["spent"]))
        return _checked(cls(**{**values, "health": health, "spent": spent}))


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A state taken off the device, which later steps do not change."""

    tensors: dict[str, Tensor]
    scalars: dict[str, Any]
    progress: Progress


def take(learner: Stepper[Any, Any], progress: Progress) -> Snapshot:
    """Copy the state of a run.

    Raises:
        NotFiniteError: a weight is NaN or infinite, or beyond what any trained network has.
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
    # clone: the run goes on, and the matrices that Muon sees are views, which safetensors refuses.
    tensors = {name: tensor.detach().to("cpu").contiguous().clone() for name, tensor in tensors.items()}
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise NotFiniteError
    if any(float(tensor.abs().max()) > MAX_ABSOLUTE for tensor in learner.average.model.state_dict().values()):
        raise NotFiniteError  # on its way there, and no weight file would be written of it
    return Snapshot(tensors, scalars, progress)


def write(run: Path, snapshot: Snapshot, *, keep_newest: bool = True) -> Path:
    """Write a state atomically, and only then touch the earlier ones.

    Args:
        run: folder of the run.
        snapshot: the state.
        keep_newest: the newest state on the disk becomes the previous one; else the previous one stays.

    Raises:
        SaveError: no room, or the folder is gone: the earlier states are there as before. Or Windows would not let go
            of one of them, and at least one is there.
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
    """Step of the newest state in `run` by its header, its tensors unread; 0 where there is none."""
    found = (_progress_in(run / name) for name in (NEWEST_NAME, PREVIOUS_NAME))
    return next((progress.step for progress in found if progress is not None), 0)


def load(run: Path, learner: Stepper[Any, Any], names: Sequence[str] = (NEWEST_NAME, PREVIOUS_NAME)) -> Progress:
    """Put the first sound state of `names` into `learner`.

    A damaged one before it is deleted, or it would push the sound one off the disk.

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
            if not isinstance(error, OSError):  # a disk that does not answer may have it whole
                damaged.append(path)
        else:
            for each in damaged:
                each.unlink(missing_ok=True)
            return progress
    why = "; ".join(reasons) if reasons else "the folder holds none"
    raise TrainingError(f"No checkpoint can be used ({why}).", path=run, hint="Start a new run.")


class Keeper:
    """Writes states in a thread of its own, so that the steps wait for the copy alone and not for the disk.

    Args:
        run: folder of the run.
        step: of the newest state on the disk, -1 where there is none.
    """

    def __init__(self, run: Path, step: int = -1) -> None:
        self._run = run
        (run / NEXT_NAME).unlink(missing_ok=True)  # of a process that was killed
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
        """Whether the newest state on the disk is one to go back to."""
        return self._newest_proven >= 0

    @property
    def proven_step(self) -> int:
        """Step of the last state on the disk that is one to go back to; -1 where there is none."""
        return max(self._newest_proven, self._previous_proven)

    @property
    def step(self) -> int:
        """Step of the newest state that is on the disk or on its way there; -1 where there is none."""
        return self._step

    def begin(self, snapshot: Snapshot) -> None:
        """Write a state in the thread; `finish` must have been called for the one before.

        The newest state takes the place of the previous one unless that one is proven and the newest is not, so that
        a proven state is always left to go back to.
        """
        keep_newest = self.newest_is_proven or self._previous_proven < 0
        future = self._pool.submit(write, self._run, snapshot, keep_newest=keep_newest)
        self._pending = future
        self._step = snapshot.progress.step

    def finish(self, *, wait: bool = True) -> Path | None:
        """What became of the state that `begin` took: its file, or None while it is being written or there is none.

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
        """See which of the states there are ones to go back to."""
        self._newest_proven = _proven_step(self._run / NEWEST_NAME)
        self._previous_proven = _proven_step(self._run / PREVIOUS_NAME)


def _proven_step(path: Path) -> int:
    """Step of a state that is one to go back to, by its header; -1 for any other, and where there is none."""
    progress = _progress_in(path)
    return progress.step if progress is not None and progress.proven else -1


def _progress_in(path: Path) -> Progress | None:
    """What the header of a state says; None where there is no such file or it cannot be read."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return Progress.from_json((file.metadata() or {})["progress"])
    except (safetensors.SafetensorError, OSError, KeyError, ValueError, TypeError):
        return None


def _checked(values: _Values) -> _Values:
    """A part of `Progress`, where each field is of the kind that its default is of.

    Raises:
        TypeError: one is not, or too large a number.
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
        part.load_state_dict({"state": states, "param_groups": part.state_dict()["param_groups"]})
    return progress
