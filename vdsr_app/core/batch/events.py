"""What a batch tells while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vdsr_app.core.batch.items import Item


@dataclass(frozen=True, slots=True)
class Planned:
    """Some pictures have been planned, or planned anew.

    Attributes:
        items: they, in order.
    """

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """A picture is in another state.

    Attributes:
        item: as it is now.
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
    """How far the batch is.

    Attributes:
        number: of the picture in the network.
        done_px: of its result, those of an intermediate stage included.
        total_px: likewise.
        files_done: pictures with an outcome.
        files: pictures in all, as far as they are planned.
        batch_done_px: pixels of results, of those that are done or begun.
        batch_px: likewise in all.
        elapsed_s: since the start, without pauses.
        left_s: seconds that the rest will take at the pace of late, None where that is not known yet.
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
    """The disk is full; the batch goes on by itself when there is room.

    Attributes:
        folder: on that disk.
        needed_bytes: what the next result takes, roughly.
        free_bytes: what there is.
    """

    folder: Path
    needed_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class FoundRoom:
    """There is room again."""


BatchEvent = Planned | Changed | Noticed | Progress | WaitsForRoom | FoundRoom


@dataclass(frozen=True, slots=True)
class BatchReport:
    """How a batch ended.

    Attributes:
        done: pictures with a new result.
        skipped: pictures that needed none.
        failed: pictures without.
        seconds: that it took, without pauses.
        busy_share: share of the time, 0 to 1, that the network worked.
    """

    done: int
    skipped: int
    failed: int
    seconds: float
    busy_share: float
