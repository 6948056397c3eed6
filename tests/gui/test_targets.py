"""Arithmetic of the target-size box."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdsr_app.core.job import MAX_SCALE, MIN_SCALE, Target, TargetKind
from vdsr_app.errors import UsageError
from vdsr_app.gui.targets import feasible, limits, measure

KINDS = [kind for kind in TargetKind if kind is not TargetKind.SCALE]
sides = st.integers(1, 40_000)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (TargetKind.WIDTH, 300),
        (TargetKind.HEIGHT, 200),
        (TargetKind.LONG_SIDE, 300),
        (TargetKind.SHORT_SIDE, 200),
        (TargetKind.MEGAPIXELS, 0.06),
    ],
)
def test_measure_returns_value_of_each_kind(kind: TargetKind, expected: float) -> None:
    assert measure(kind, 300, 200) == pytest.approx(expected)


def test_measure_rejects_scale_factor() -> None:
    with pytest.raises(UsageError):
        measure(TargetKind.SCALE, 3, 2)


@given(st.sampled_from(KINDS), sides, sides)
def test_limits_match_smallest_and_largest_scale(kind: TargetKind, width: int, height: int) -> None:
    least, most = limits(kind, width, height)
    assert Target(kind, least).size_for(width, height).scale == pytest.approx(MIN_SCALE)
    assert Target(kind, most).size_for(width, height).scale == pytest.approx(MAX_SCALE)


@given(
    st.sampled_from(list(TargetKind)),
    st.floats(allow_nan=True, allow_infinity=True, width=32),
    sides,
    sides,
)
def test_feasible_returns_valid_size_for_any_target(kind: TargetKind, value: float, width: int, height: int) -> None:
    target = feasible(Target(kind, value), width, height)
    size = target.size_for(width, height)
    assert MIN_SCALE <= size.scale <= MAX_SCALE


@given(st.sampled_from(KINDS), st.floats(MIN_SCALE, MAX_SCALE), st.integers(50, 5000), st.integers(50, 5000))
def test_size_round_trips_through_any_measure(kind: TargetKind, scale: float, width: int, height: int) -> None:
    size = Target(TargetKind.SCALE, scale).size_for(width, height)
    least, most = limits(kind, width, height)
    value = min(max(measure(kind, size.width, size.height), least), most)
    again = Target(kind, value).size_for(width, height)
    # Rounding the measured side by one pixel changes the other by their ratio.
    slack = 1 + max(width, height) / min(width, height)
    assert abs(again.width - size.width) <= slack
    assert abs(again.height - size.height) <= slack


def test_feasible_clamps_target_to_nearest_limit() -> None:
    assert feasible(Target(TargetKind.WIDTH, 4000), 100, 50) == Target(TargetKind.SCALE, MAX_SCALE)
    assert feasible(Target(TargetKind.WIDTH, 40), 100, 50) == Target(TargetKind.SCALE, MIN_SCALE)
    assert feasible(Target(TargetKind.WIDTH, 400), 100, 50) == Target(TargetKind.WIDTH, 400)
