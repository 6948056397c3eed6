"""Whether a folder holds a batch that was stopped or killed, and how it can be resumed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vdsr_app.core.batch.items import State
from vdsr_app.core.batch.journal_view import reading
from vdsr_app.core.batch.options import BatchOptions


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A batch that can be resumed, or whose failures can be tried again.

    Attributes:
        options: its options.
        left: number of pictures without an outcome, as far as they were planned.
        failed: number of failed pictures.
        ended: whether it ran to its end.
    """

    options: BatchOptions
    left: int
    failed: int
    ended: bool


def unfinished(folder: Path) -> Unfinished | None:
    """The batch of an output folder, None if there is none.

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
