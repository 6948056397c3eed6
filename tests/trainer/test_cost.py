"""Estimated time of judging: for each validation, picture and column."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vdsr_trainer.config import TrainConfig
from vdsr_trainer.cost import judging_seconds
from vdsr_trainer.events import Measured
from vdsr_trainer.presets import preset, starting_from

QUICK = starting_from(preset("quick"), "vdsr")
MEASURED = Measured("quick", 0.5, 1000, 600, seconds_a_trial=1.0, seconds_compared=100.0)


def test_judging_seconds_multiplies_validations_pictures_and_scales() -> None:
    assert (QUICK.steps, QUICK.validate_every, QUICK.holdout, QUICK.scales) == (600, 50, 10, (2.0, 3.0, 4.0))
    assert judging_seconds(QUICK, MEASURED, 600) == (12 + 1) * 30 * 1.0 + 30 * 100.0


@pytest.mark.parametrize(
    ("config", "held_out", "trials", "validations"),
    [
        (replace(QUICK, start_from=""), None, 30, 12),
        (replace(QUICK, validate_every=500), None, 30, 3),  # also after the last step
        (replace(QUICK, scales=(1.0, 2.0)), None, 10, 13),
        (replace(QUICK, jpeg_share=0.5), None, 60, 13),
        (QUICK, 4, 12, 13),
        (QUICK, 400, 48, 13),
        (replace(QUICK, validation="/there"), None, 48, 13),
        (replace(QUICK, holdout=400), None, 48, 13),
    ],
)
def test_judging_seconds_counts_trials_and_validations_of_config(
    config: TrainConfig, held_out: int | None, trials: int, validations: int
) -> None:
    assert judging_seconds(config, MEASURED, 600, held_out) == trials * (validations + 100.0)


def test_judging_seconds_is_zero_without_measurements() -> None:
    assert judging_seconds(QUICK, Measured("quick", 0.5, 1000, 600), 600) == 0.0
