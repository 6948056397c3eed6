"""Tally: counts of pictures and pixels of a batch, and its clock."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vdsr_app.core.batch import Item, SourceFacts, State
from vdsr_app.core.batch.tally import Tally
from vdsr_app.core.job import TargetSize


def item(number: int, width: int, state: State = State.QUEUED) -> Item:
    """A picture whose result has ten rows."""
    size = TargetSize(width, 10, 2.0)
    return Item(number, Path(f"{number}.png"), Path("out.png"), SourceFacts(None), size, "vdsr", state)


def test_progress_counts_started_pictures_partly_and_ended_ones_fully() -> None:
    tally = Tally()
    first, second, third = item(0, 10), item(1, 20), item(2, 30)
    tally.add([first, second, third, item(3, 99, State.SKIPPED)])
    tally.reach(first, 1, 4)
    tally.reach(second, 200, 200)  # the network is done with it, but it is not written yet
    reported = tally.progress(0, 1, 4)
    assert (reported.number, reported.done_px, reported.total_px) == (0, 1, 4)
    assert (reported.files_done, reported.files) == (1, 4)
    assert (reported.batch_done_px, reported.batch_px) == (25 + 200, 600)
    tally.settle(replace(second, state=State.DONE))
    tally.settle(replace(first, state=State.FAILED))
    reported = tally.progress(1, 1, 1)
    assert (reported.files_done, reported.batch_done_px) == (3, 300)


def test_replanned_picture_counts_with_its_new_size() -> None:
    tally = Tally()
    before, now = item(0, 10), item(0, 40)
    tally.add([before])
    tally.replan(before, now)
    tally.settle(replace(now, state=State.DONE))
    reported = tally.progress(0, 1, 1)
    assert (reported.batch_done_px, reported.batch_px) == (400, 400)


def test_clock_is_stopped_while_stalled() -> None:
    tally = Tally()
    tally.set_stalled(True)
    before = tally.elapsed_s
    assert tally.elapsed_s == before
    tally.set_stalled(False)
    assert tally.elapsed_s >= before
