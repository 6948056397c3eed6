"""What a plot shows: series, levels and marks, and the ranges that fit them. Numbers only, no widgets."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Range = tuple[float, float]

_PAD = 0.06
"""Margin above and below the data, as a share of its range."""


class LineStyle(StrEnum):
    """How a line is drawn."""

    SOLID = "solid"
    THIN = "thin"
    FAINT = "faint"
    """Thin, behind the others: raw values that are also shown smoothed."""
    DASHED = "dashed"
    DOTTED = "dotted"


@dataclass(frozen=True, eq=False, slots=True)
class Series:
    """One curve.

    Attributes:
        name: name in the legend.
        ink: name of its colour; see `plot_theme.ink_color`.
        x: rising values.
        y: values, as many as `x`; NaN leaves a gap.
        style: style of its line.
        label: text at its end; "" for none.
        on_right: whether `y` is a share, 0 to 1, on the right axis.
    """

    name: str
    ink: str
    x: Values
    y: Values
    style: LineStyle = LineStyle.SOLID
    label: str = ""
    on_right: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line from edge to edge.

    Attributes:
        y: height of the line.
        ink: name of its colour.
        style: style of the line.
        label: text at its end.
        rank: where labels do not all fit, those of a higher rank are dropped first.
    """

    y: float
    ink: str
    style: LineStyle
    label: str
    rank: int = 1


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line where something happened.

    Attributes:
        x: place of the line.
        text: what happened, in one sentence.
        caution: whether it needs attention rather than being plain information.
    """

    x: float
    text: str
    caution: bool


@dataclass(frozen=True, eq=False, slots=True)
class Content:
    """Everything that a plot shows.

    Attributes:
        series: curves.
        levels: horizontal lines.
        marks: vertical lines.
        keys: (name, ink, style) of lines that the legend lists without a value.
        floor: values below it do not extend the axis; panning reaches them.
    """

    series: tuple[Series, ...] = ()
    levels: tuple[Level, ...] = ()
    marks: tuple[Mark, ...] = ()
    keys: tuple[tuple[str, str, LineStyle], ...] = ()
    floor: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there are no values to draw."""
        return not any(np.isfinite(series.y).any() for series in self.series)

    @property
    def x_end(self) -> float:
        """Largest last x of all curves; 0 without any."""
        return max((float(series.x[-1]) for series in self.series if len(series.x)), default=0.0)


def mapped(values: Values, log: bool) -> Values:
    """Values in axis units: log10 on a logarithmic axis; NaN where that is undefined."""
    if not log:
        return np.where(np.isfinite(values), values, np.nan)
    good = np.isfinite(values) & (values > 0)
    return np.log10(values, out=np.full(len(values), np.nan), where=good)


def place(value: float, log: bool) -> float:
    """One value in axis units; see `mapped`."""
    if not math.isfinite(value) or (log and value <= 0):
        return math.nan
    return math.log10(value) if log else value


def nearest(x: Values, wanted: float) -> int:
    """Index of the entry of `x`, which rises and is not empty, nearest to `wanted`."""
    right = int(np.searchsorted(x, wanted))
    if right == 0 or (right < len(x) and x[right] - wanted < wanted - x[right - 1]):
        return right
    return right - 1


def value_at(series: Series, x: float) -> float:
    """Value of a curve at the entry nearest to `x`; NaN more than a mean spacing beyond its ends."""
    if not len(series.x):
        return math.nan
    reach = (series.x[-1] - series.x[0]) / max(1, len(series.x) - 1)
    if not series.x[0] - reach <= x <= series.x[-1] + reach:
        return math.nan
    return float(series.y[nearest(series.x, x)])


def newest(series: Series) -> float:
    """Last value of a curve; NaN if it has none."""
    return float(series.y[-1]) if len(series.y) else math.nan


def fit_x(content: Content) -> Range:
    """Range from just below zero to just beyond the last value."""
    end = content.x_end
    return (0.0, 1.0) if end <= 0 else (-0.01 * end, 1.02 * end)


def fit_y(content: Content, x_range: Range, log: bool) -> Range:
    """Range that holds every value of the left axis within `x_range`.

    Levels count too. Values below a `floor` do not.
    """
    found = [bounds for series in content.series if not series.on_right for bounds in _bounds(series, x_range, log)]
    if not found:
        found = [bounds for series in content.series if not series.on_right for bounds in _bounds(series, None, log)]
    found += [y for level in content.levels if math.isfinite(y := place(level.y, log))]
    if not found:
        return 0.0, 1.0
    low, high = min(found), max(found)
    if content.floor is not None and not log and content.floor < high:
        low = max(low, content.floor)
    if high - low < 1e-9 * max(1.0, abs(high)):
        half = 0.1 if log else 0.05 * abs(high) or 0.5
        return low - half, high + half
    return low - _PAD * (high - low), high + _PAD * (high - low)


def spread(wanted: Iterable[float], gap: float, low: float, high: float) -> list[float]:
    """Places for labels: in the order of `wanted` (rising), `gap` apart, between `low` and `high` if they fit."""
    places = list(wanted)
    for index, preferred in enumerate(places):
        floor = low if index == 0 else places[index - 1] + gap
        places[index] = max(preferred, floor)
    ceiling = high
    for index in reversed(range(len(places))):
        places[index] = min(places[index], ceiling)
        ceiling = places[index] - gap
    return places


def _bounds(series: Series, x_range: Range | None, log: bool) -> list[float]:
    values = series.y
    if x_range is not None:
        first, last = np.searchsorted(series.x, x_range[0], "left"), np.searchsorted(series.x, x_range[1], "right")
        # One more on each side, because the line to it is in view.
        values = values[max(0, int(first) - 1) : int(last) + 1]
    good = values[np.isfinite(values) & (values > 0)] if log else values[np.isfinite(values)]
    return [place(float(good.min()), log), place(float(good.max()), log)] if len(good) else []
