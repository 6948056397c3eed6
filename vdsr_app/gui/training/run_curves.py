"""A run's history as arrays for plots. Only new entries are converted, so a long run stays cheap to follow."""

from __future__ import annotations

import math

import numpy as np

from vdsr_app.gui.training.plot_model import Values
from vdsr_trainer.history import RunHistory, Smoothed

_FIRST_ROOM = 1024
_COLUMNS = 5


class RunCurves:
    """Follows one history.

    Attributes:
        history: the history that is followed.
    """

    def __init__(self, history: RunHistory) -> None:
        self.history = history
        self._count = 0
        self._table = np.empty((_COLUMNS, _FIRST_ROOM))
        self._smooth = (Smoothed(), Smoothed())
        self._smoothed = np.empty((2, _FIRST_ROOM))
        self._marks: tuple[tuple[int, str], ...] = ()
        self._started: object = None

    @property
    def steps(self) -> Values:
        """Number of steps done at each report."""
        return self._table[0, : self._count]

    @property
    def losses(self) -> Values:
        """Loss at each report, NaN where it was not finite."""
        return self._table[1, : self._count]

    @property
    def rates(self) -> Values:
        """Learning rate at each report."""
        return self._table[2, : self._count]

    @property
    def norms(self) -> Values:
        """Gradient norm at each report."""
        return self._table[3, : self._count]

    @property
    def clipped(self) -> Values:
        """Share of clipped gradient elements at each report, 0 to 1."""
        return self._table[4, : self._count]

    @property
    def smooth_losses(self) -> Values:
        """Smoothed losses."""
        return self._smoothed[0, : self._count]

    @property
    def smooth_norms(self) -> Values:
        """Smoothed gradient norms."""
        return self._smoothed[1, : self._count]

    def update(self) -> None:
        """Convert new entries of the history, or all of it after a part was repeated."""
        history = self.history
        columns = (history.steps, history.losses, history.rates, history.norms, history.clipped)
        marks, started = tuple(history.marks), history.started
        if marks != self._marks or started is not self._started or not self._is_continuation(columns):
            self._count = 0
            self._smooth = (Smoothed(), Smoothed())
        self._marks, self._started = marks, started
        first, count = self._count, len(history.steps)
        self._make_room(count)
        for row, column in enumerate(columns):
            self._table[row, first:count] = column[first:]
        for row, (smooth, column) in enumerate(zip(self._smooth, (history.losses, history.norms), strict=True)):
            self._smoothed[row, first:count] = smooth.extend(column[first:])
        self._count = count

    def _is_continuation(self, columns: tuple[list[float], ...]) -> bool:
        """Whether the converted entries still are the start of the history, judged by the last of them."""
        last = self._count - 1
        if last < 0:
            return True
        if last >= len(columns[0]):
            return False
        known = self._table[:, last]
        return all(_same(known[row], column[last]) for row, column in enumerate(columns))

    def _make_room(self, count: int) -> None:
        if count > self._table.shape[1]:
            room = max(count, 2 * self._table.shape[1])
            for name in ("_table", "_smoothed"):
                old = getattr(self, name)
                new = np.empty((old.shape[0], room))
                new[:, : old.shape[1]] = old
                setattr(self, name, new)


def _same(known: float, value: float) -> bool:
    return bool(known == value) or (math.isnan(known) and math.isnan(value))
