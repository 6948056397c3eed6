"""Progress of a job, reported at a rate that a window can follow. No Qt."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from vdsr_app.workers.messages import JobProgress

INTERVAL_S = 0.05
"""At most 20 reports per second; more cannot be seen."""

_WINDOW_S = 10.0
"""The rate is that of the last ten seconds, so a slow start or a pause elsewhere is soon forgotten."""

_FIRST_ESTIMATE_S = 0.5
"""No time left is reported before this: the first units say little."""


class ProgressThrottle:
    """Passes on progress at most every `INTERVAL_S`; the first and the last report always get through."""

    def __init__(self, emit: Callable[[JobProgress], None], clock: Callable[[], float] = time.monotonic) -> None:
        """Report to `emit` in the caller's thread; `clock` returns seconds."""
        self._emit = emit
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()
        self._last_emitted_s: float | None = None
        self._held: tuple[int, int] | None = None

    def __call__(self, done: int, total: int) -> None:
        """Record that `done` of `total` units are done, in the caller's unit."""
        now = self._clock()
        if not self._samples or now - self._samples[-1][0] >= INTERVAL_S:
            self._samples.append((now, done))
            # One sample older than the window stays, as the start of the window.
            while len(self._samples) > 2 and now - self._samples[1][0] >= _WINDOW_S:
                self._samples.popleft()
        self._held = (done, total)
        if done >= total or self._last_emitted_s is None or now - self._last_emitted_s >= INTERVAL_S:
            self.flush()

    def flush(self) -> None:
        """Pass on the report that was held back, if there is one."""
        if self._held is None:
            return
        done, total = self._held
        self._held = None
        now = self._clock()
        self._last_emitted_s = now
        self._emit(JobProgress(done, total, self._seconds_left(now, done, total)))

    def _seconds_left(self, now: float, done: int, total: int) -> float | None:
        if done >= total:
            return 0.0
        start_s, start_done = self._samples[0]
        elapsed, gained = now - start_s, done - start_done
        if elapsed < _FIRST_ESTIMATE_S or gained <= 0:
            return None
        return (total - done) * elapsed / gained
