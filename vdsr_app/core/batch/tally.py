"""Counts of a batch: pictures and pixels planned, started and done, and how long the rest will take."""

from __future__ import annotations

from collections.abc import Sequence

from vdsr_app.core.batch.events import Progress
from vdsr_app.core.batch.items import Item
from vdsr_app.core.batch.pace import Pace


class Tally:
    """Counts what is reported about each picture. Not thread-safe by itself."""

    def __init__(self) -> None:
        """Start the clock."""
        self._pace = Pace()
        self._files = self._files_done = 0
        self._px = self._px_done = 0
        # Of pictures without an outcome: the one in the network, and others still being written.
        self._partial_px: dict[int, int] = {}

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start, excluding those in which it stood still."""
        return self._pace.elapsed_s

    def set_stalled(self, stalled: bool) -> None:
        """Stop the clock, or let it run again."""
        if stalled:
            self._pace.stop()
        else:
            self._pace.resume()

    def add(self, items: Sequence[Item]) -> None:
        """Count planned pictures; those that already have an outcome take no time."""
        self._files += len(items)
        for item in items:
            if item.state.is_outcome:
                self._files_done += 1
            else:
                self._px += item.output_px

    def replan(self, before: Item, now: Item) -> None:
        """Account for a picture that has changed since it was planned."""
        self._px += now.output_px - before.output_px

    def settle(self, item: Item) -> None:
        """Count a picture that has got its outcome."""
        self._partial_px.pop(item.number, None)
        self._files_done += 1
        self._px_done += item.output_px

    def reach(self, item: Item, done_px: int, total_px: int) -> None:
        """Record how far a picture without an outcome is, including pixels of intermediate stages."""
        self._partial_px[item.number] = int(item.output_px * done_px / max(1, total_px))

    def progress(self, number: int, done_px: int, total_px: int) -> Progress:
        """Progress of the batch together with that of one picture."""
        done = self._px_done + sum(self._partial_px.values())
        self._pace.reached(done)
        return Progress(
            number,
            done_px,
            total_px,
            self._files_done,
            self._files,
            done,
            self._px,
            self._pace.elapsed_s,
            self._pace.left_s(done, self._px),
        )
