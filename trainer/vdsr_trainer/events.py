"""What a training run tells: one frozen value an event, as one JSON object a line. No torch."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Started:
    """The run begins or goes on.

    Attributes:
        step: steps done already; 0 in a new run.
        steps: steps in all.
        parameters: trainable numbers of the network.
        pictures: training pictures, without shrunk copies.
        held_out: names of the validation pictures.
        device: what it runs on.
    """

    step: int
    steps: int
    parameters: int
    pictures: int
    held_out: tuple[str, ...]
    device: str


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
    """

    step: int
    loss: float
    rate: float
    gradient_norm: float
    clipped_share: float
    samples_per_second: float
    data_wait_share: float
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class Validated:
    """The moving average was measured on the validation pictures.

    Attributes:
        step: steps done.
        psnr_db: scale factor as text -> mean PSNR of the network.
        bicubic_psnr_db: the same of bicubic.
    """

    step: int
    psnr_db: dict[str, float]
    bicubic_psnr_db: dict[str, float]


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
class Finished:
    """The run ended.

    Attributes:
        step: steps done.
        weights: path of the .safetensors file.
        complete: False where it was stopped before its last step; it can be resumed.
    """

    step: int
    weights: str
    complete: bool


Event = Started | Stepped | Validated | CheckpointSaved | Noticed | Finished
EventCallback = Callable[[Event], None]
_EVENTS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (Started, Stepped, Validated, CheckpointSaved, Noticed, Finished)
}


def to_json(event: Event) -> str:
    """One line of JSON with the event's name under "event"; numbers that are not finite become null."""
    values = {key: _finite(value) for key, value in asdict(event).items()}
    return json.dumps({"event": type(event).__name__, **values}, ensure_ascii=False, allow_nan=False)


def from_json(line: str) -> Event | None:
    """The event of one line, or None for a line or event that this version does not know."""
    try:
        values = json.loads(line)
        kind = _EVENTS[values.pop("event")]
        if kind is Started:
            values["held_out"] = tuple(values["held_out"])
        event: Event = kind(**values)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return event


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
