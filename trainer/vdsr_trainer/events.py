"""What a training run tells: one frozen value an event, as one JSON object a line. No torch."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

PreparedKind = Literal["pictures", "teacher", "answers"]

TEACHER = "teacher"
"""Among names of models, that of a run's teacher."""


@dataclass(frozen=True, slots=True)
class Started:
    """The run begins or goes on. Whatever was told before of later steps than `step` is void: it is done again.

    Attributes:
        step: steps done already; 0 in a new run.
        steps: steps in all.
        parameters: trainable numbers of the network.
        pictures: training pictures, without shrunk copies.
        held_out: names of the validation pictures, also of those that are too many to be measured.
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
    """Something is being done before the first step.

    Attributes:
        step: steps done already.
        done: of what is done: pictures, or the teacher's steps.
        total: of them in all.
        what: "pictures" are read, the "teacher" learns, or its "answers" are taken.
        seconds_left: estimate to the end of it, None until there is one.
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
        loss: mean squared error of luma on the scale [0, 1], mean since the last event.
        rate: learning rate of the last step (of the inner layers, where there are two).
        gradient_norm: L2 norm over all gradients before clipping, last step.
        clipped_share: share of gradient elements that were clipped, last step, 0 to 1.
        samples_per_second: patches a second since the last event.
        data_wait_share: share of the time spent waiting for patches, 0 to 1.
        seconds_left: estimate to the end, None until there is one.
        memory_bytes: resident memory of the process, 0 where the system does not tell.
        device_memory_bytes: memory that torch holds on the GPU, 0 on a CPU.
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
        bicubic_psnr_db: the same of bicubic.
        crop: PNG of one held-out crop made by the network at this step, relative to the run folder; "" without one.
            `crops/bicubic.png` and `crops/original.png` there show the same crop.
    """

    step: int
    psnr_db: dict[str, float]
    bicubic_psnr_db: dict[str, float]
    crop: str = ""


@dataclass(frozen=True, slots=True)
class Referenced:
    """What other models reach on what `Validated` measures: lines to aim for. Told once, before the first validation.

    Attributes:
        step: steps done.
        psnr_db: name of an installed model, or `TEACHER` -> scale factor as text -> mean PSNR in dB.
    """

    step: int
    psnr_db: dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class CheckpointSaved:
    """A resumable state is on the disk."""

    step: int
    path: str


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something a person should know: a picture was left out, memory was short."""

    step: int
    message: str


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The run diverged; it goes on from an earlier state with a lower learning rate.

    Attributes:
        step: step at which it was seen.
        to_step: step of the state it went back to.
        reason: one sentence for people.
        rate_share: what the configured learning rates are multiplied with from now on, below 1.
    """

    step: int
    to_step: int
    reason: str
    rate_share: float


@dataclass(frozen=True, slots=True)
class Paused:
    """The run waits, at the person's wish."""

    step: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """A pause is over."""

    step: int


@dataclass(frozen=True, slots=True)
class Compared:
    """The result beside others on the middles of validation pictures, at the end of a part of the run.

    Attributes:
        step: steps done.
        pictures: how many were measured.
        rows: name ("bicubic", an installed model's name, "this run") -> scale factor as text -> [PSNR in dB, SSIM].
    """

    step: int
    pictures: int
    rows: dict[str, dict[str, list[float]]]


@dataclass(frozen=True, slots=True)
class Measured:
    """A dry run of a few steps on made-up patches; no run folder is written.

    Attributes:
        preset: name of the preset, or "" for a configuration of one's own.
        seconds_a_step: median.
        memory_bytes: most that the process held in RAM, plus the most that torch held on a GPU.
        steps: steps that a whole run of this configuration takes; 0 where epochs count, and so the pictures decide.
        seconds_before: what its teacher takes to learn, where it has one that has not learned yet.
        seconds_a_megapixel: what such a teacher takes to answer, for each megapixel of the pictures and their shrunk
            copies; 0 where there is none.
        seconds_a_trial: what judging one held-out picture at one scale factor takes, at each validation.
        seconds_compared: what comparing with the bundled models takes for each such trial, in the whole run.
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
        weights: path of the .safetensors file; "" where it was discarded.
        complete: False where it was stopped before its last step; it can be resumed.
        discarded: the person threw the run away; its folder is gone.
        seconds: time spent training in all parts of the run, without pauses.
        data_wait_share: share of it in which the network waited for patches, 0 to 1.
        saving_share: share of it that checkpoints took, 0 to 1.
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
    """The run, or this part of it, ended by an error; the last good checkpoint is kept.

    Attributes:
        step: steps done.
        message: cause, file and next step, one plain text.
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
    """One line of JSON with the event's name under "event"; numbers that are not finite become null."""
    values = {key: _finite(value) for key, value in asdict(event).items()}
    # ASCII: a file's name may have bytes that are no text, which no encoding but this takes.
    return json.dumps({"event": type(event).__name__, **values}, allow_nan=False)


def from_json(line: str) -> Event | None:
    """The event of one line, or None for a line or event that this version does not know."""
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
