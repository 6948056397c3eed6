"""How long the rest will take: from what was done lately, weighted by pixels."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW_S = 120.0
"""Only this much of the past counts: other programs come and go, and pictures differ."""

_LEAST_S = 1.0


class Pace:
    """Pixels a second of late, and the time that has been worked; pauses are left out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Time runs from here.

        Args:
            clock: seconds.
        """
        self._clock = clock
        self._begun = clock()
        self._stood = 0.0
        self._stopped_at: float | None = None
        self._marks: deque[tuple[float, int]] = deque([(0.0, 0)])

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start without pauses."""
        now = self._clock() if self._stopped_at is None else self._stopped_at
        return now - self._begun - self._stood

    def stop(self) -> None:
        """A pause begins."""
        if self._stopped_at is None:
            self._stopped_at = self._clock()

    def go_on(self) -> None:
        """A pause ends."""
        if self._stopped_at is not None:
            self._stood += self._clock() - self._stopped_at
            self._stopped_at = None

    def reached(self, pixels: int) -> None:
        """So many pixels are done by now."""
        now = self.elapsed_s
        if now - self._marks[-1][0] >= _LEAST_S:
            self._marks.append((now, pixels))
        while len(self._marks) > 2 and now - self._marks[1][0] > WINDOW_S:
            self._marks.popleft()

    def left_s(self, done_px: int, all_px: int) -> float | None:
        """Seconds until all pixels are done, None where there is nothing to judge by yet."""
        since, before = self._marks[0]
        spent, made = self.elapsed_s - since, done_px - before
        if spent < _LEAST_S or made <= 0:
            return None
        return max(0.0, (all_px - done_px) * spent / made)
