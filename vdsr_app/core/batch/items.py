"""The pictures of a batch, from plan to outcome."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from vdsr_app.core.compression import Compression
from vdsr_app.core.job import TargetSize

_LAST_NS = 2**63 - 1
"""In the year 2262; file systems have later ones."""


class State(StrEnum):
    """State of one picture. The last three are outcomes, of which each picture gets exactly one."""

    QUEUED = "queued"
    WORKING = "working"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"

    @property
    def is_outcome(self) -> bool:
        """Whether the state is final unless the user asks for another try."""
        return self in (State.DONE, State.SKIPPED, State.FAILED)


@dataclass(frozen=True, slots=True)
class Stamp:
    """State of a file, used to detect changes.

    Attributes:
        size: in bytes.
        mtime_ns: time of the last modification, in nanoseconds since 1970, within what SQLite can store.
    """

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """The state in which a file was found; impossible dates, as faulty drives have them, count as the last one."""
        return cls(status.st_size, max(-_LAST_NS, min(status.st_mtime_ns, _LAST_NS)))


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What is known about a source without decoding it.

    Attributes:
        stamp: state of the file, or None if it does not exist.
        width: columns; 0 if the header cannot be read.
        height: rows; likewise.
        bits: 8 or 16.
        has_alpha: whether there is transparency.
        compression: of a lossy file that states it, or None.
        error: why it cannot be enlarged, in words for the user, or "".
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
        output: path of the result; the source itself if it is skipped for being the result of another picture.
        facts: what was known about the source when it was planned.
        target: size of the result, or None if the source cannot be read or the size is not possible.
        model: name of the model to use, or path of a weight file.
        state: its current state.
        note: what the user should know: why it was skipped or failed, or why its name is not the plain one.
        disk_bytes: estimated size of the result on disk.
        seconds: time spent on it, once it is done.
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
        """Pixels of the result, 0 if not known."""
        return 0 if self.target is None else self.target.width * self.target.height

    @property
    def has_output(self) -> bool:
        """Whether `output` is a file of its own; False if the picture is skipped for being the result of another."""
        return self.state is not State.SKIPPED or self.output != self.source


@dataclass(frozen=True, slots=True)
class Totals:
    """Totals of a plan.

    Attributes:
        files: pictures in total.
        queued: pictures to do.
        skipped: pictures that need nothing done.
        failed: pictures that cannot be done.
        output_px: pixels of the results to make.
        disk_bytes: estimated disk space needed: for all results, plus the most temporary space that any one picture
            takes.
        memory_bytes: estimated peak memory of the most demanding picture.
    """

    files: int = 0
    queued: int = 0
    skipped: int = 0
    failed: int = 0
    output_px: int = 0
    disk_bytes: int = 0
    memory_bytes: int = 0
