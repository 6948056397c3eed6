"""What a batch reports while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vdsr_app.core.batch.items import Item


@dataclass(frozen=True, slots=True)
class Planned:
    """Pictures have been planned, or planned again.

    Attributes:
        items: the pictures, in order.
    """

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """A picture has changed state.

    Attributes:
        item: the picture as it is now.
    """

    item: Item


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something worth knowing about a picture.

    Attributes:
        item: the picture.
        text: one sentence.
    """

    item: Item
    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of the batch.

    Attributes:
        number: of the picture in the network.
        done_px: pixels of its result done so far, including those of intermediate stages.
        total_px: likewise, in total.
        files_done: pictures with an outcome.
        files: pictures in total, as far as planned.
        batch_done_px: pixels done of all results, finished and started.
        batch_px: likewise, in total.
        elapsed_s: time since the start, without pauses.
        left_s: estimated time left at the recent pace, None if not known yet.
    """

    number: int
    done_px: int
    total_px: int
    files_done: int
    files: int
    batch_done_px: int
    batch_px: int
    elapsed_s: float
    left_s: float | None


@dataclass(frozen=True, slots=True)
class WaitsForRoom:
    """The disk is full; the batch continues by itself when there is space.

    Attributes:
        folder: a folder on that disk.
        needed_bytes: free space needed to continue, roughly.
        free_bytes: free space now.
    """

    folder: Path
    needed_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class FoundRoom:
    """There is disk space again."""


BatchEvent = Planned | Changed | Noticed | Progress | WaitsForRoom | FoundRoom


@dataclass(frozen=True, slots=True)
class BatchReport:
    """How a batch ended.

    Attributes:
        done: pictures with a new result.
        skipped: pictures that needed none.
        failed: pictures that could not be done.
        seconds: duration without pauses.
        busy_share: fraction of the time, 0 to 1, that the network was busy.
    """

    done: int
    skipped: int
    failed: int
    seconds: float
    busy_share: float
