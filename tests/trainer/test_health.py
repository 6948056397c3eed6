"""When a run counts as diverged."""

from __future__ import annotations

import pytest

from vdsr_trainer.health import Diverged, Health


def _after(*gains: float) -> Health:
    health = Health()
    for gain in gains:
        health = health.after(gain)
    return health


@pytest.mark.parametrize(
    ("gains", "patience", "verdict"),
    [
        ((), 2, None),
        ((-1,) * 6, 2, None),
        ((-1,) * 7, 2, Diverged.NEVER_ROSE),
        ((0,) * 7, 2, Diverged.NEVER_ROSE),
        ((0.02,) * 7, 2, Diverged.NEVER_ROSE),
        ((-9, -8, -7, -6, -5, -4, -3, -2, -1.9, -1.8), 2, None),
        ((-9, -8, *(-8.5,) * 6), 2, Diverged.NEVER_ROSE),
        ((1, -1), 2, None),
        ((1, -1, -1), 2, Diverged.FELL),
        ((1, -0.01, -0.01), 2, Diverged.FELL),
        ((1, 0.0, 0.0), 2, None),
        ((1, -1, 1, -1), 2, None),
        ((1, 0.01, 0.0, 0.02), 2, None),
        ((-1, -1, -1, -1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), 2, None),
        ((float("nan"),) * 3, 1, Diverged.NEVER_ROSE),
        ((1, -1, -1, -1, -1, -1, -1), 0, None),
    ],
)
def test_verdict_depends_on_gains_and_patience(
    gains: tuple[float, ...], patience: int, verdict: Diverged | None
) -> None:
    assert _after(*gains).verdict(patience) is verdict


def test_health_is_sound_only_when_better_than_bicubic() -> None:
    assert [_after(*gains).sound for gains in ((), (-1,), (1,), (1, -1), (1, -1, 1))] == [
        False,
        False,
        True,
        False,
        True,
    ]


def test_every_reason_names_the_step() -> None:
    assert {how.reason(1250).count("1,250") for how in Diverged} == {1}
