"""Whether a folder holds a batch that was stopped or killed, and with what it can go on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vdsr_app.core.batch.items import State
from vdsr_app.core.batch.journal_view import reading
from vdsr_app.core.batch.options import BatchOptions


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A batch that can go on, or whose failures can be tried again.

    Attributes:
        options: how it was asked for.
        left: pictures that have no outcome yet, as far as they were planned.
        failed: pictures without a result.
        ended: it came to its end.
    """

    options: BatchOptions
    left: int
    failed: int
    ended: bool


def unfinished(folder: Path) -> Unfinished | None:
    """The batch of an output folder, None where there is none.

    Raises:
        UsageError: a batch is running there.
        SaveError: its journal cannot be read.
    """
    with reading(folder) as journal:
        options = None if journal is None else journal.options()
        if journal is None or options is None:
            return None
        counts = journal.counts()
        return Unfinished(
            options, counts[State.QUEUED] + counts[State.WORKING], counts[State.FAILED], not journal.unfinished
        )
