"""The events of a run as curves, for plots and CSV, and a reader for a log that is being written. No torch."""

from __future__ import annotations

import bisect
import csv
import io
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vdsr_trainer.events import (
    Compared,
    Event,
    Failed,
    Finished,
    Noticed,
    Preparing,
    Referenced,
    RolledBack,
    Started,
    Stepped,
    Validated,
)
from vdsr_trainer.run_tail import parse

_MAX_READ_BYTES = 1 << 18
"""Read at once, about a thousand events: handled in a few milliseconds, so that the window stays responsive."""

CONTINUED = "The run continued."
"""The mark at the step where a stopped run was resumed; any other mark tells why a run rolled back."""


class RunHistory:
    """Accumulates events; steps increase from entry to entry of a list, even after roll-backs.

    Attributes:
        steps: steps done at each report, as numbers for plots.
        losses: mean squared error at each report; NaN where it was not finite.
        rates: learning rate at each report.
        norms: gradient norm at each report.
        clipped: share of clipped gradient elements at each report, 0 to 1.
        psnr_db: scale factor as text -> (steps, PSNR of the network).
        bicubic_psnr_db: scale factor as text -> PSNR of bicubic on the same pictures.
        targets: name of an installed model, or `TEACHER` -> scale factor as text -> PSNR on the same pictures.
        crops: (step, file relative to the run folder) of each held-out crop.
        marks: (step, sentence) where the run rolled back or was resumed.
        notices: (step, sentence) for the user.
        started: the last `Started`; its step is where this part of the run began, or an earlier one it rolled back to.
        preparing: progress of the work before the first step; None once that is over.
        latest: the last report.
        compared: the result compared with others.
        finished: how the last part ended; None while it continues.
        failed: the error it ended with.
    """

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.losses: list[float] = []
        self.rates: list[float] = []
        self.norms: list[float] = []
        self.clipped: list[float] = []
        self.psnr_db: dict[str, tuple[list[int], list[float]]] = {}
        self.bicubic_psnr_db: dict[str, float] = {}
        self.targets: dict[str, dict[str, float]] = {}
        self.crops: list[tuple[int, str]] = []
        self.marks: list[tuple[int, str]] = []
        self.notices: list[tuple[int, str]] = []
        self.started: Started | None = None
        self.preparing: Preparing | None = None
        self.latest: Stepped | None = None
        self.compared: Compared | None = None
        self.finished: Finished | None = None
        self.failed: Failed | None = None

    @property
    def step(self) -> int:
        """Steps done, from the last report that is still valid or the beginning of this part of the run."""
        return max(self.started.step if self.started else 0, int(self.steps[-1]) if self.steps else 0)

    def add(self, event: Event) -> None:
        """Add one event, in the order in which they were reported."""
        match event:
            case Started():
                self._start(event)
            case Preparing():
                self.preparing = event
                self.finished = self.failed = None
            case Stepped():
                self._add_report(event)
            case Validated():
                self._add_validation(event)
            case Referenced():
                self.targets = {
                    name: {scale: value for scale, value in row.items() if math.isfinite(_number(value))}
                    for name, row in event.psnr_db.items()
                    if isinstance(row, dict)
                }
            case RolledBack():
                self._roll_back(event)
            case Noticed():
                self.notices.append((event.step, event.message))
            case Compared():
                self.compared = event
            case Finished():
                self.finished, self.preparing = event, None
            case Failed():
                self.failed, self.preparing = event, None
            case _:
                pass

    def to_csv(self) -> str:
        """Every report and validation as one table with a row per step; cells without a value are empty."""
        scales = sorted(self.psnr_db, key=scale_order)
        rows: dict[int, dict[str, object]] = {}
        for step, *values in zip(self.steps, self.losses, self.rates, self.norms, self.clipped, strict=True):
            row = rows.setdefault(int(step), {})
            row.update(zip(("loss", "rate", "gradient_norm", "clipped_share"), map(_cell, values), strict=True))
        for scale, (steps, values) in self.psnr_db.items():
            for step, value in zip(steps, values, strict=True):
                rows.setdefault(step, {})[f"psnr_db_x{scale}"] = _cell(value)
                rows[step][f"bicubic_psnr_db_x{scale}"] = _cell(self.bicubic_psnr_db.get(scale, math.nan))
        names = [f"{kind}_x{scale}" for scale in scales for kind in ("psnr_db", "bicubic_psnr_db")]
        text = io.StringIO()
        table = csv.DictWriter(
            text, ["step", "loss", "rate", "gradient_norm", "clipped_share", *names], restval="", lineterminator="\n"
        )
        table.writeheader()
        for step in sorted(rows):
            table.writerow({"step": step, **rows[step]})
        return text.getvalue()

    def _start(self, event: Started) -> None:
        again = self.started is not None
        self._forget_after(event.step)
        self.started, self.preparing, self.finished, self.failed = event, None, None, None
        if again and event.step:
            self.marks.append((event.step, CONTINUED))

    def _roll_back(self, event: RolledBack) -> None:
        self._forget_after(event.to_step)
        self.marks.append((event.to_step, event.reason))
        if self.started is not None:  # this part of the run is now behind where it began
            self.started = replace(self.started, step=min(self.started.step, event.to_step))

    def _add_report(self, event: Stepped) -> None:
        self.preparing = None
        if self.steps and event.step <= self.steps[-1]:
            self._forget_after(event.step - 1)
        self.latest = event
        self.steps.append(float(event.step))
        for values, value in (
            (self.losses, event.loss),
            (self.rates, event.rate),
            (self.norms, event.gradient_norm),
            (self.clipped, event.clipped_share),
        ):
            values.append(_number(value))

    def _add_validation(self, event: Validated) -> None:
        for scale, value in event.psnr_db.items():
            steps, values = self.psnr_db.setdefault(scale, ([], []))
            while steps and steps[-1] >= event.step:
                steps.pop()
                values.pop()
            steps.append(event.step)
            values.append(_number(value))
        self.bicubic_psnr_db.update({scale: _number(value) for scale, value in event.bicubic_psnr_db.items()})
        if event.crop:
            self.crops = [crop for crop in self.crops if crop[0] < event.step]
            self.crops.append((event.step, event.crop))

    def _forget_after(self, step: int) -> None:
        """Drop what was reported for later steps: they are done again."""
        kept = bisect.bisect_right(self.steps, step)
        if self.latest is not None and self.latest.step > step:
            self.latest = None
        for values in (self.steps, self.losses, self.rates, self.norms, self.clipped):
            del values[kept:]
        for steps, results in self.psnr_db.values():
            kept = bisect.bisect_right(steps, step)
            del steps[kept:], results[kept:]
        self.crops = [crop for crop in self.crops if crop[0] <= step]
        self.marks = [mark for mark in self.marks if mark[0] <= step]
        if self.compared is not None and self.compared.step > step:
            self.compared = None


class EventTail:
    """Reads a log of events while another process writes it.

    Args:
        path: the log; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""
        self._file_id: tuple[int, int] | None = None

    @property
    def offset(self) -> int:
        """Bytes of the log read so far."""
        return self._offset

    def read_new(self, stop_at: int | None = None) -> list[Event]:
        """Events reported since the last call, at most some thousands; call again until there are none.

        A line without its end waits for the rest. Unknown lines and events are skipped. A log that was truncated or
        replaced is read from its beginning.

        Args:
            stop_at: byte of the log to read up to; None reads to its end.

        Raises:
            OSError: the log exists but cannot be read.
        """
        events: list[Event] = []
        while not events and (block := self._read_block(stop_at)):
            *lines, self._rest = (self._rest + block).split(b"\n")
            events = [event for line in lines if (event := parse(line)) is not None]
        return events

    def _read_block(self, stop_at: int | None) -> bytes:
        try:
            with self._path.open("rb") as file:
                state = os.fstat(file.fileno())
                file_id = (state.st_dev, state.st_ino)
                if file_id != self._file_id or state.st_size < self._offset:
                    self._offset, self._rest, self._file_id = 0, b"", file_id
                file.seek(self._offset)
                wanted = _MAX_READ_BYTES if stop_at is None else min(_MAX_READ_BYTES, max(0, stop_at - self._offset))
                block = file.read(wanted)
        except FileNotFoundError:
            return b""
        self._offset += len(block)
        return block


def read_history(path: Path) -> RunHistory:
    """The whole history in a log; empty if there is no log.

    Raises:
        OSError: the log cannot be read.
    """
    history, tail = RunHistory(), EventTail(path)
    while events := tail.read_new():
        for event in events:
            history.add(event)
    return history


class Smoothed:
    """Exponential moving average without bias towards the first value; NaN stays NaN and is left out of the average.

    Args:
        weight: share of the past, 0 to below 1.
    """

    def __init__(self, weight: float = 0.9) -> None:
        self._weight = weight
        self._total = self._share = 0.0

    def extend(self, values: Sequence[float]) -> list[float]:
        """Averages at `values`, any numbers, continuing those of earlier calls."""
        weight, total, share = self._weight, self._total, self._share
        result: list[float] = []
        for value in values:
            if math.isfinite(value):
                total = weight * total + (1.0 - weight) * value
                share = weight * share + (1.0 - weight)
                result.append(total / share)
            else:
                result.append(math.nan)
        self._total, self._share = total, share
        return result


def scale_order(scale: str) -> tuple[float, str]:
    """Sort key for the keys of validations and results, such as "2", "10" and "2 jpeg 40": by scale factor."""
    number = scale.split()[0] if scale.split() else scale
    try:
        return float(number), scale
    except ValueError:
        return math.inf, scale


def _number(value: object) -> float:
    """A number of an event; JSON's null, which stands for a non-finite value, becomes NaN."""
    return float(value) if isinstance(value, int | float) else math.nan


def _cell(value: float) -> str:
    return f"{value:.7g}" if math.isfinite(value) else ""
