"""What a plot shows: series, levels and marks, and the ranges that fit them. Numbers only, no widget."""

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
"""Share of an axis that stays free above and below the data."""


class LineStyle(StrEnum):
    """How a line is drawn."""

    SOLID = "solid"
    THIN = "thin"
    FAINT = "faint"
    """Thin, behind the others: raw values whose smoothed ones are shown too."""
    DASHED = "dashed"
    DOTTED = "dotted"


@dataclass(frozen=True, eq=False, slots=True)
class Series:
    """One curve.

    Attributes:
        name: for the legend.
        ink: name of its colour, see `plot_theme.ink_color`.
        x: rising.
        y: as long as `x`; NaN leaves a gap.
        style: of its line.
        label: words at its end; "" for none.
        on_right: whether `y` is a share, 0 to 1, on the axis at the right.
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
        y: where.
        ink: name of its colour.
        style: of its line.
        label: words at its end.
        rank: of all labels that find no room, those of a higher rank go first.
    """

    y: float
    ink: str
    style: LineStyle
    label: str
    rank: int = 1


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line at which something happened.

    Attributes:
        x: where.
        text: what, one sentence.
        caution: whether it is a thing to look at, rather than to know.
    """

    x: float
    text: str
    caution: bool


@dataclass(frozen=True, eq=False, slots=True)
class Content:
    """All that a plot shows.

    Attributes:
        series: curves.
        levels: horizontal lines.
        marks: vertical lines.
        keys: (name, ink, style) of lines that the legend explains without a value.
        floor: values below it do not stretch the axis; they are reached by panning.
    """

    series: tuple[Series, ...] = ()
    levels: tuple[Level, ...] = ()
    marks: tuple[Mark, ...] = ()
    keys: tuple[tuple[str, str, LineStyle], ...] = ()
    floor: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is no value to draw."""
        return not any(np.isfinite(series.y).any() for series in self.series)

    @property
    def x_end(self) -> float:
        """The last x of all curves, 0 without one."""
        return max((float(series.x[-1]) for series in self.series if len(series.x)), default=0.0)


def mapped(values: Values, log: bool) -> Values:
    """Values as they lie on the axis: on a logarithmic one the exponent of ten, NaN where there is none."""
    if not log:
        return np.where(np.isfinite(values), values, np.nan)
    good = np.isfinite(values) & (values > 0)
    return np.log10(values, out=np.full(len(values), np.nan), where=good)


def place(value: float, log: bool) -> float:
    """One value as it lies on the axis; see `mapped`."""
    if not math.isfinite(value) or (log and value <= 0):
        return math.nan
    return math.log10(value) if log else value


def nearest(x: Values, wanted: float) -> int:
    """Index of the entry of rising `x`, which has one at least, that is nearest to `wanted`."""
    right = int(np.searchsorted(x, wanted))
    if right == 0 or (right < len(x) and x[right] - wanted < wanted - x[right - 1]):
        return right
    return right - 1


def value_at(series: Series, x: float) -> float:
    """Value of a curve at the entry nearest to `x`; NaN where the curve does not reach so far."""
    if not len(series.x):
        return math.nan
    reach = (series.x[-1] - series.x[0]) / max(1, len(series.x) - 1)
    if not series.x[0] - reach <= x <= series.x[-1] + reach:
        return math.nan
    return float(series.y[nearest(series.x, x)])


def newest(series: Series) -> float:
    """Last value of a curve; NaN where it has none."""
    return float(series.y[-1]) if len(series.y) else math.nan


def fit_x(content: Content) -> Range:
    """From zero to a little beyond the last value."""
    end = content.x_end
    return (0.0, 1.0) if end <= 0 else (-0.01 * end, 1.02 * end)


def fit_y(content: Content, x_range: Range, log: bool) -> Range:
    """The range that holds every value of the left axis between the ends of `x_range`.

    Levels count too. Of a plot with a `floor`, what lies below it does not count.
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
    """Places for labels: in the order of `wanted` (rising), `gap` apart, between `low` and `high` where they fit."""
    places = list(wanted)
    for index, wish in enumerate(places):
        floor = low if index == 0 else places[index - 1] + gap
        places[index] = max(wish, floor)
    ceiling = high
    for index in reversed(range(len(places))):
        places[index] = min(places[index], ceiling)
        ceiling = places[index] - gap
    return places


def _bounds(series: Series, x_range: Range | None, log: bool) -> list[float]:
    values = series.y
    if x_range is not None:
        first, last = np.searchsorted(series.x, x_range[0], "left"), np.searchsorted(series.x, x_range[1], "right")
        # One more at each side: the line to it is in view.
        values = values[max(0, int(first) - 1) : int(last) + 1]
    good = values[np.isfinite(values) & (values > 0)] if log else values[np.isfinite(values)]
    return [place(float(good.min()), log), place(float(good.max()), log)] if len(good) else []
