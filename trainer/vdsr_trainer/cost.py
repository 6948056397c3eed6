"""The time a run takes besides its steps, from what a dry run measured. No torch."""

from __future__ import annotations

from vdsr_trainer.config import TrainConfig
from vdsr_trainer.events import Measured
from vdsr_trainer.trials import MOST_PICTURES, trial_keys


def judging_seconds(config: TrainConfig, measured: Measured, steps: int, held_out: int | None = None) -> float:
    """Seconds spent on measuring: the validations, the bundled models at the first one, and the table at the end.

    Args:
        config: of the run.
        measured: dry run of such a network.
        steps: of the whole run.
        held_out: number of held-out pictures; None if unknown, for as many as `config` asks for.
    """
    if held_out is None:
        held_out = MOST_PICTURES if config.validation else config.holdout
    trials = min(held_out, MOST_PICTURES) * len(trial_keys(config))
    validations = -(-steps // config.validate_every) + (1 if config.start_from else 0)  # one before the first step
    return trials * (validations * measured.seconds_a_trial + measured.seconds_compared)
