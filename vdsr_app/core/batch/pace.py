"""Remaining time, estimated from the recent pace in pixels."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW_S = 120.0
"""Only this much of the past counts: load from other programs comes and goes, and pictures differ."""

_LEAST_S = 1.0


class Pace:
    """Recent pixels per second and time worked, excluding pauses."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the clock.

        Args:
            clock: returns seconds.
        """
        self._clock = clock
        self._started = clock()
        self._paused_s = 0.0
        self._stopped_at: float | None = None
        self._marks: deque[tuple[float, int]] = deque([(0.0, 0)])

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start, excluding pauses."""
        now = self._clock() if self._stopped_at is None else self._stopped_at
        return now - self._started - self._paused_s

    def stop(self) -> None:
        """Begin a pause."""
        if self._stopped_at is None:
            self._stopped_at = self._clock()

    def resume(self) -> None:
        """End a pause."""
        if self._stopped_at is not None:
            self._paused_s += self._clock() - self._stopped_at
            self._stopped_at = None

    def reached(self, pixels: int) -> None:
        """Record how many pixels in total are done by now."""
        now = self.elapsed_s
        if now - self._marks[-1][0] >= _LEAST_S:
            self._marks.append((now, pixels))
        while len(self._marks) > 2 and now - self._marks[1][0] > WINDOW_S:
            self._marks.popleft()

    def left_s(self, done_px: int, all_px: int) -> float | None:
        """Seconds until all pixels are done, None if there is too little to judge by yet."""
        since, before = self._marks[0]
        spent, made = self.elapsed_s - since, done_px - before
        if spent < _LEAST_S or made <= 0:
            return None
        return max(0.0, (all_px - done_px) * spent / made)
