"""The latest state of a run, from the end of its log: listing a run must not take reading a log of 50,000 lines."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any

from vdsr_trainer.events import (
    CheckpointSaved,
    Event,
    Failed,
    Finished,
    Paused,
    RolledBack,
    Started,
    Validated,
    from_json,
)

_BLOCK_BYTES = 1 << 17
_EVENT = b'{"event": "'
_KINDS: dict[str, type] = {
    **dict.fromkeys(("step", "to_step", "steps"), int),
    **dict.fromkeys(("psnr_db", "bicubic_psnr_db", "rows"), dict),
    **dict.fromkeys(("message", "reason", "crop", "weights", "path", "device"), str),
}
"""Types of the fields of these names, whatever the event: readers of a log rely on them."""
_WANTED = tuple(_EVENT + kind.__name__.encode() + b'"' for kind in (Validated, Started, RolledBack, CheckpointSaved))


class RunEnd(Enum):
    """How the last part of a run ended, according to its log."""

    NONE = "none"
    """Not recorded: it is running, or was killed."""
    COMPLETE = "complete"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RunTail:
    """What a log says last.

    Attributes:
        step: steps done.
        steps: steps in total, as reported by the last part; 0 if the log was not read that far.
        saved_step: step of the last checkpoint.
        paused: whether the last event is a pause.
        end: how it ended.
        message: of a failure.
        psnr_db: last validation that is still valid.
        bicubic_psnr_db: the same for bicubic.
    """

    step: int = 0
    steps: int = 0
    saved_step: int = 0
    paused: bool = False
    end: RunEnd = RunEnd.NONE
    message: str = ""
    psnr_db: dict[str, float] = field(default_factory=dict)
    bicubic_psnr_db: dict[str, float] = field(default_factory=dict)


def read_tail(path: Path, *, with_steps: bool = False) -> RunTail:
    """Read a log backwards until its last event, checkpoint and validation are known; without a log, all is empty.

    Args:
        path: the log.
        with_steps: continue to the beginning of the last part, for `RunTail.steps`.

    Raises:
        OSError: the log cannot be read.
    """
    last: Event | None = None
    steps: int | None = None
    saved: int | None = None
    validated: Validated | None = None
    limit: float = math.inf  # events of later steps precede a part that repeats those steps
    for line in lines_backwards(path):
        if last is not None and not any(wanted in line for wanted in _WANTED):
            continue
        event = parse(line)
        if event is None:
            continue
        last = last or event
        match event:
            case Started():
                limit = min(limit, event.step)
                saved = event.step if saved is None else saved
                steps = event.steps if steps is None else steps
            case RolledBack():
                limit = min(limit, event.to_step)
            case CheckpointSaved() if saved is None and event.step <= limit:
                saved = event.step
            case Validated() if validated is None and event.step <= limit:
                validated = event
            case _:
                pass
        if saved is not None and validated is not None and not (with_steps and steps is None):
            break
    if last is None:
        return RunTail()
    return RunTail(
        _step(last),
        steps or 0,
        saved or 0,
        isinstance(last, Paused),
        _end(last),
        last.message if isinstance(last, Failed) else "",
        _numbers(validated.psnr_db) if validated else {},
        _numbers(validated.bicubic_psnr_db) if validated else {},
    )


def parse(line: bytes) -> Event | None:
    """The event in one line of a log; None for a line, an event or a shape that this version does not know.

    A process that was killed may have left half a line, to which the next one appended its first event: that counts.
    Non-finite numbers, null in JSON, become NaN again.
    """
    event = from_json(line[max(0, line.rfind(_EVENT)) :].decode("utf-8", "replace"))
    if event is None:
        return None
    lost: dict[str, Any] = {
        each.name: math.nan
        for each in fields(event)
        if each.type in ("float", float) and getattr(event, each.name) is None
    }
    event = replace(event, **lost) if lost else event
    return event if all(isinstance(getattr(event, name, kind()), kind) for name, kind in _KINDS.items()) else None


def lines_backwards(path: Path) -> Iterator[bytes]:
    """Complete lines of a file from its end, without their line ends; none if there is no file.

    Anything after the last line end is skipped: it is being written, or was truncated.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        end = file.seek(0, 2)
        rest: bytes | None = None  # start of the following block, None until the last line end was found
        while end > 0:
            begin = max(0, end - _BLOCK_BYTES)
            file.seek(begin)
            block = file.read(end - begin)
            end = begin
            first, *lines = block.split(b"\n")
            if rest is None:
                if not lines:
                    continue
                lines.pop()
            elif lines:
                lines[-1] += rest
            else:
                rest = first + rest
                continue
            yield from (line for line in reversed(lines) if line)
            rest = first
        if rest:
            yield rest


def _step(event: Event) -> int:
    if isinstance(event, RolledBack):
        return event.to_step
    return int(getattr(event, "step", 0))


def _end(event: Event) -> RunEnd:
    match event:
        case Finished():
            return RunEnd.COMPLETE if event.complete else RunEnd.STOPPED
        case Failed():
            return RunEnd.FAILED
        case _:
            return RunEnd.NONE


def _numbers(values: dict[str, float]) -> dict[str, float]:
    """`values` without what is not a number: JSON's null stands for a non-finite value."""
    return {str(key): float(value) for key, value in values.items() if isinstance(value, int | float)}
