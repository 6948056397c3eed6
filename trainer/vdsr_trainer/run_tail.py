"""The last word of a run, read from the end of its log: a log of 50,000 lines is not read for one line of a list."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

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
_WANTED = tuple(_EVENT + kind.__name__.encode() + b'"' for kind in (Validated, Started, CheckpointSaved))


class RunEnd(Enum):
    """How the last part of a run ended, by its log."""

    NONE = "none"
    """It did not say: it runs, or was killed."""
    COMPLETE = "complete"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RunTail:
    """What the log says last.

    Attributes:
        step: steps done.
        saved_step: step of the last checkpoint.
        paused: the last event is a pause.
        end: how it ended.
        message: of a failure.
        psnr_db: last validation that still holds.
        bicubic_psnr_db: the same of bicubic.
    """

    step: int = 0
    saved_step: int = 0
    paused: bool = False
    end: RunEnd = RunEnd.NONE
    message: str = ""
    psnr_db: dict[str, float] = field(default_factory=dict)
    bicubic_psnr_db: dict[str, float] = field(default_factory=dict)


def read_tail(path: Path) -> RunTail:
    """Read a log backwards until its last event, checkpoint and validation are known; no log says nothing.

    Raises:
        OSError: it cannot be read.
    """
    last: Event | None = None
    saved: int | None = None
    validated: Validated | None = None
    limit: float = math.inf  # events of later steps were told before a part that does them again
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
            case CheckpointSaved() if saved is None and event.step <= limit:
                saved = event.step
            case Validated() if validated is None and event.step <= limit:
                validated = event
            case _:
                pass
        if saved is not None and validated is not None:
            break
    if last is None:
        return RunTail()
    return RunTail(
        _step(last),
        saved or 0,
        isinstance(last, Paused),
        _end(last),
        last.message if isinstance(last, Failed) else "",
        _numbers(validated.psnr_db) if validated else {},
        _numbers(validated.bicubic_psnr_db) if validated else {},
    )


def parse(line: bytes) -> Event | None:
    """The event of one line of a log; None for a line, an event or a shape that this version does not know.

    A process that was killed may have left half a line, to which the next one added its first event: that one counts.
    """
    event = from_json(line[max(0, line.rfind(_EVENT)) :].decode("utf-8", "replace"))
    if event is None:
        return None
    steps = [getattr(event, name, 0) for name in ("step", "to_step")]
    tables = [getattr(event, name, {}) for name in ("psnr_db", "bicubic_psnr_db")]
    sound = all(isinstance(step, int) for step in steps) and all(isinstance(table, dict) for table in tables)
    return event if sound else None


def lines_backwards(path: Path) -> Iterator[bytes]:
    """Whole lines of a file from its end, without their line ends; no file has none.

    What follows the last line end is left out: it is being written, or was cut short.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        end = file.seek(0, 2)
        rest: bytes | None = None  # the beginning of the block after, None until the last line end was met
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
    """`values` without what is no number: JSON's null stands for what is not finite."""
    return {str(key): float(value) for key, value in values.items() if isinstance(value, int | float)}
