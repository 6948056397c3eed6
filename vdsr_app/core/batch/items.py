"""The pictures of a batch, as they are planned and as they end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from vdsr_app.core.compression import Compression
from vdsr_app.core.job import TargetSize


class State(StrEnum):
    """How far one picture is. Exactly one of the last three is its outcome."""

    QUEUED = "queued"
    WORKING = "working"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"

    @property
    def is_outcome(self) -> bool:
        """Whether nothing more happens to it, unless the person asks for it."""
        return self in (State.DONE, State.SKIPPED, State.FAILED)


@dataclass(frozen=True, slots=True)
class Stamp:
    """The state of a file, by which a change is noticed.

    Attributes:
        size: bytes.
        mtime_ns: time of the last change, nanoseconds since 1970.
    """

    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What is known of a source without decoding it.

    Attributes:
        stamp: its state, or None where it is not there.
        width: columns; 0 where its header cannot be read.
        height: rows; likewise.
        bits: 8 or 16.
        has_alpha: there is transparency.
        compression: of a lossy file that tells of it, or None.
        error: why it cannot be enlarged, in words for people, or "".
    """

    stamp: Stamp | None
    width: int = 0
    height: int = 0
    bits: int = 8
    has_alpha: bool = False
    compression: Compression | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of a batch.

    Attributes:
        number: from 0, in the order of the batch.
        source: the file.
        output: the result; the source itself where that is left out as the result of another.
        facts: what was known of the source when it was planned.
        target: size of the result, or None where the source cannot be read.
        model: name of the model that will be used, or path of a weight file.
        state: how far it is.
        note: what a person should know: why it is skipped or has failed, or why its name is not the plain one.
        disk_bytes: room that the result will take, roughly.
        seconds: work on it, when it is done.
    """

    number: int
    source: Path
    output: Path
    facts: SourceFacts
    target: TargetSize | None
    model: str
    state: State = State.QUEUED
    note: str = ""
    disk_bytes: int = 0
    seconds: float = 0.0

    @property
    def output_px(self) -> int:
        """Pixels of the result, 0 where they are not known."""
        return 0 if self.target is None else self.target.width * self.target.height

    @property
    def has_output(self) -> bool:
        """Whether `output` is a file of its own: False where the picture is left out as the result of another."""
        return self.state is not State.SKIPPED or self.output != self.source


@dataclass(frozen=True, slots=True)
class Totals:
    """What a plan comes to.

    Attributes:
        files: pictures in all.
        queued: pictures to do.
        skipped: pictures that need nothing.
        failed: pictures that cannot be done.
        output_px: pixels of the results to make.
        disk_bytes: room that is needed, roughly: for the results, and for what the largest takes beside its own while
            it is worked on.
        memory_bytes: most that one of them takes while it is worked on, roughly.
    """

    files: int = 0
    queued: int = 0
    skipped: int = 0
    failed: int = 0
    output_px: int = 0
    disk_bytes: int = 0
    memory_bytes: int = 0
