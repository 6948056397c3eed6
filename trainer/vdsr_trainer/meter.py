"""Averages steps into reports, and adds up how a run's time was spent."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from vdsr_app.core.memory import resident_bytes
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.events import Stepped
from vdsr_trainer.memory import device_bytes
from vdsr_trainer.stepper import StepResult

_REPORT_SECONDS = 2.0
_PAST_SHARE = 0.8
_ESTIMATE_AFTER_S = 2.0
"""An earlier estimate would fluctuate."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of a run, over all its parts, without pauses.

    Attributes:
        training: from the first step to the last, including all of the following.
        waiting: the network waited for patches.
        saving: checkpoints held up the steps.
        judging: validations, and measuring other models before the first.
    """

    training: float = 0.0
    waiting: float = 0.0
    saving: float = 0.0
    judging: float = 0.0

    def share(self, seconds: float) -> float:
        """`seconds` as a share of the training, 0 to 1."""
        return min(1.0, seconds / self.training) if self.training > 0 else 0.0


class TimeLeft:
    """Estimates the time left for a task reported as done and total, which may start over."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget earlier progress, as after a pause."""
        self._first: tuple[int, int] | None = None
        self._last = 0
        self._started = 0.0

    def after(self, done: int, total: int) -> float | None:
        """Seconds left, from the pace since it began; None if not known yet."""
        now = time.monotonic()
        if self._first is None or done < self._last or total != self._first[1]:
            self._first, self._started = (done, total), now
        self._last = done
        first = self._first[0]
        if done == first or now - self._started < _ESTIMATE_AFTER_S:
            return None
        return (now - self._started) / (done - first) * (total - done)


class Meter:
    """Counts steps and time.

    Args:
        config: of the run.
        device: whose memory is reported.
        spent: time in earlier parts of the run.
    """

    def __init__(self, config: TrainConfig, device: torch.device, spent: Spent) -> None:
        self._config = config
        self._device = device
        self._before = spent
        self._waiting, self._saving, self._judging = spent.waiting, spent.saving, spent.judging
        self._started = time.monotonic()
        self._paused = 0.0
        self._seconds_per_step: float | None = None
        self._seconds_per_validation = 0.0
        self._open_window()

    @property
    def spent(self) -> Spent:
        """Time spent until now."""
        here = time.monotonic() - self._started - self._paused
        return Spent(self._before.training + here, self._waiting, self._saving, self._judging)

    def add_step(self, step: int, result: StepResult, rate: float, waited: float) -> Stepped | None:
        """Count one step; return a report every two seconds and when the run ends.

        Args:
            step: steps done.
            result: of this step.
            rate: its learning rate.
            waited: seconds spent waiting for its patches.
        """
        self._losses.append(result.mean_square)
        self._window_waited += waited
        self._waiting += waited
        elapsed = time.monotonic() - self._window_started
        if elapsed < _REPORT_SECONDS and step < self._config.steps:
            return None
        # Only here are values read from the device, which waits for it.
        losses = torch.stack(self._losses).cpu().double()  # in this order: Apple's GPUs have no float64
        count = len(losses)
        seconds_per_step = max(elapsed, 1e-9) / count
        past = self._seconds_per_step if self._seconds_per_step is not None else seconds_per_step
        self._seconds_per_step = _PAST_SHARE * past + (1.0 - _PAST_SHARE) * seconds_per_step
        waited_share = min(1.0, self._window_waited / max(elapsed, 1e-9))
        self._open_window()
        return Stepped(
            step,
            float(losses.mean()),
            rate,
            float(result.norm),
            float(result.clipped_share),
            self._config.batch / seconds_per_step,
            waited_share,
            self._seconds_left(step),
            resident_bytes() or 0,
            device_bytes(self._device),
        )

    def add_saving(self, seconds: float) -> None:
        """Add time for which a checkpoint held up the steps; it also counts as step time."""
        self._saving += seconds

    def add_judging(self, seconds: float) -> None:
        """Add the time of a validation; it does not count as step time."""
        self.add_comparing(seconds)
        self._seconds_per_validation = seconds

    def add_comparing(self, seconds: float) -> None:
        """Add the time of measuring other models, which is done once: it says nothing about validations to come."""
        self._judging += seconds
        self._window_started += seconds

    def add_pause(self, seconds: float) -> None:
        """Add time that counts as nothing."""
        self._paused += seconds
        self._window_started += seconds

    def _open_window(self) -> None:
        self._window_started = time.monotonic()
        self._window_waited = 0.0
        self._losses: list[Tensor] = []

    def _seconds_left(self, step: int) -> float | None:
        if self._seconds_per_step is None:
            return None
        steps, every = self._config.steps, self._config.validate_every
        validations = -(-steps // every) - step // every
        return (steps - step) * self._seconds_per_step + validations * self._seconds_per_validation
