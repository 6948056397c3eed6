"""The events of a training run: frozen values, each one JSON object on a line. No torch."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

PreparedKind = Literal["pictures", "teacher", "answers"]

TEACHER = "teacher"
"""Name of a run's teacher among the names of models."""


@dataclass(frozen=True, slots=True)
class Started:
    """The run starts or resumes. Earlier events about steps after `step` are void: those steps are done again.

    Attributes:
        step: steps already done; 0 in a new run.
        steps: steps in total.
        parameters: number of trainable parameters.
        pictures: number of training pictures, without shrunk copies.
        held_out: names of the validation pictures, including those not measured because there are too many.
        device: what it runs on.
    """

    step: int
    steps: int
    parameters: int
    pictures: int
    held_out: tuple[str, ...]
    device: str


@dataclass(frozen=True, slots=True)
class Preparing:
    """Work before the first step.

    Attributes:
        step: steps already done.
        done: items done: pictures, or the teacher's steps.
        total: items in total.
        what: "pictures" are read, the "teacher" is trained, or its "answers" are computed.
        seconds_left: estimated time left for it, None until there is an estimate.
    """

    step: int
    done: int
    total: int
    what: PreparedKind = "pictures"
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class Stepped:
    """Optimiser steps were done.

    Attributes:
        step: steps done.
        loss: mean squared error of luma on the scale [0, 1], averaged since the last event.
        rate: learning rate of the last step (of the inner layers if there are two).
        gradient_norm: L2 norm of all gradients before clipping, last step.
        clipped_share: share of clipped gradient elements, last step, 0 to 1.
        samples_per_second: patches per second since the last event.
        data_wait_share: share of the time spent waiting for patches, 0 to 1.
        seconds_left: estimated time to the end, None until there is an estimate.
        memory_bytes: resident memory of the process, 0 if the OS does not report it.
        device_memory_bytes: memory torch holds on the GPU (on CUDA, the peak), 0 on a CPU.
    """

    step: int
    loss: float
    rate: float
    gradient_norm: float
    clipped_share: float
    samples_per_second: float
    data_wait_share: float
    seconds_left: float | None
    memory_bytes: int = 0
    device_memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Validated:
    """The moving average was measured on the validation pictures.

    Attributes:
        step: steps done.
        psnr_db: scale factor as text -> mean PSNR of the network.
        bicubic_psnr_db: the same for bicubic.
        crop: PNG of a held-out crop as the network renders it at this step, relative to the run folder; "" if there is
            none. `crops/bicubic.png` and `crops/original.png` show the same crop.
    """

    step: int
    psnr_db: dict[str, float]
    bicubic_psnr_db: dict[str, float]
    crop: str = ""


@dataclass(frozen=True, slots=True)
class Referenced:
    """PSNR of other models on the pictures of `Validated`, as targets. Sent once, before the first validation.

    Attributes:
        step: steps done.
        psnr_db: name of an installed model, or `TEACHER` -> scale factor as text -> mean PSNR in dB.
    """

    step: int
    psnr_db: dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class CheckpointSaved:
    """A checkpoint is on disk."""

    step: int
    path: str


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something the user should know: a picture was left out, memory was short."""

    step: int
    message: str


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The run diverged; it continues from an earlier state with a lower learning rate.

    Attributes:
        step: step at which this was noticed.
        to_step: step of the state it rolled back to.
        reason: one sentence for the user.
        rate_share: factor on the configured learning rates from now on, below 1.
    """

    step: int
    to_step: int
    reason: str
    rate_share: float


@dataclass(frozen=True, slots=True)
class Paused:
    """The run is paused, at the user's request."""

    step: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """A pause is over."""

    step: int


@dataclass(frozen=True, slots=True)
class Compared:
    """The result compared with others on the centres of validation pictures, at the end of a part of the run.

    Attributes:
        step: steps done.
        pictures: number of pictures measured.
        rows: name ("bicubic", an installed model's name, "this run") -> scale factor as text -> [PSNR in dB, SSIM].
    """

    step: int
    pictures: int
    rows: dict[str, dict[str, list[float]]]


@dataclass(frozen=True, slots=True)
class Measured:
    """Result of a dry run of a few steps on random patches; no run folder is written.

    Attributes:
        preset: name of the preset, or "" for a custom configuration.
        seconds_a_step: median.
        memory_bytes: peak memory of the process in RAM, plus the peak that torch held on a GPU.
        steps: steps of a whole run of this configuration; 0 if epochs are counted, because the pictures decide then.
        seconds_before: time to train its teacher, if it has one that is still to be trained.
        seconds_a_megapixel: time the teacher takes to answer, per megapixel of the pictures and their shrunk copies; 0
            without a teacher.
        seconds_a_trial: time to judge one held-out picture at one scale factor, at each validation.
        seconds_compared: time to compare with the bundled models per such trial, in the whole run.
    """

    preset: str
    seconds_a_step: float
    memory_bytes: int
    steps: int
    seconds_before: float = 0.0
    seconds_a_megapixel: float = 0.0
    seconds_a_trial: float = 0.0
    seconds_compared: float = 0.0


@dataclass(frozen=True, slots=True)
class Finished:
    """The run, or this part of it, ended; always the last event unless it failed.

    Attributes:
        step: steps done.
        weights: path of the .safetensors file; "" if the run was discarded.
        complete: False if it was stopped before its last step; it can be resumed.
        discarded: the user discarded the run; its folder is deleted.
        seconds: time spent training in all parts of the run, without pauses.
        data_wait_share: share of it in which the network waited for patches, 0 to 1.
        saving_share: share of it spent on checkpoints, 0 to 1.
    """

    step: int
    weights: str
    complete: bool
    discarded: bool = False
    seconds: float = 0.0
    data_wait_share: float = 0.0
    saving_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Failed:
    """The run, or this part of it, ended with an error; the last good checkpoint is kept.

    Attributes:
        step: steps done.
        message: cause, file and next step, as one plain text.
    """

    step: int
    message: str


Event = (
    Started
    | Preparing
    | Stepped
    | Validated
    | Referenced
    | CheckpointSaved
    | Noticed
    | RolledBack
    | Paused
    | Resumed
    | Compared
    | Measured
    | Finished
    | Failed
)
EventCallback = Callable[[Event], None]
_EVENTS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Event)}


def to_json(event: Event) -> str:
    """One line of JSON with the event's name under "event"; non-finite numbers become null."""
    values = {key: _finite(value) for key, value in asdict(event).items()}
    # ASCII: a file name may contain bytes that are not valid text, which no other encoding accepts.
    return json.dumps({"event": type(event).__name__, **values}, allow_nan=False)


def from_json(line: str) -> Event | None:
    """The event in one line, or None for a line or event this version does not know."""
    try:
        values = _DECODER.decode(line)
        kind = _EVENTS[values.pop("event")]
        if kind is Started:
            values["held_out"] = tuple(values["held_out"])
        event: Event = kind(**values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return event


def _whole(digits: str) -> int:
    number = int(digits)
    if number.bit_length() > 64:
        raise ValueError("no event has so large a number")  # nor could it become a float
    return number


_DECODER = json.JSONDecoder(parse_int=_whole)


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: _finite(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_finite(inner) for inner in value]
        case _:
            return value
