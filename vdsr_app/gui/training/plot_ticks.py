"""Tick positions of an axis, and localised numbers."""

from __future__ import annotations

import math

from PySide6.QtCore import QLocale

from vdsr_app.gui.texts import number

_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def linear_ticks(low: float, high: float, most: int, *, whole: bool = False) -> list[float]:
    """Round numbers from `low` to `high`, about `most` of them, and at least two where possible.

    Args:
        low: lower end of the axis.
        high: upper end, above `low`.
        most: about how many there may be.
        whole: whole numbers only.
    """
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return []
    for count in range(max(1, most), max(1, most) + 8):
        step = _nice_step((high - low) / count, whole)
        first = math.ceil(low / step - 1e-9)
        ticks = [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]
        if len(ticks) > 1:  # a single number does not show the scale
            break
    return ticks


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Base-10 logarithms of round numbers from 10**`low` to 10**`high`, at most about `most` of them."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return []
    if high - low < 0.8:
        # Less than a decade: evenly spaced round numbers stay nearly even on the axis.
        return [math.log10(value) for value in linear_ticks(10.0**low, 10.0**high, most) if value > 0]
    decades = _decade_ticks(low, high, (1,))
    if len(decades) > most:
        stride = math.ceil(len(decades) / max(2, most))
        return [tick for tick in decades if round(tick) % stride == 0]
    finer = [_decade_ticks(low, high, digits) for digits in ((1, 3), (1, 2, 5))]
    fitting = [ticks for ticks in (decades, *finer) if len(ticks) <= most]
    # A single number does not show the scale.
    return fitting[-1] if len(fitting[-1]) > 1 else next((t for t in finer if len(t) > 1), fitting[-1])


def _decade_ticks(low: float, high: float, digits: tuple[int, ...]) -> list[float]:
    exponents = range(math.floor(low), math.ceil(high) + 1)
    places = [exponent + math.log10(digit) for exponent in exponents for digit in digits]
    return [place for place in places if low <= place <= high]


def tick_text(value: float, step: float) -> str:
    """A number on an axis whose ticks are `step` apart: "5,000", "36.5", "0.0002", "3·10⁻⁵"."""
    if value == 0:
        return "0"
    size = abs(value)
    if size < 1e-4 or size >= 1e7:
        return _power_text(value)
    decimals = 0 if step >= 1 else min(6, math.ceil(-math.log10(step) - 1e-9))
    while decimals < 6 and step > 0 and abs(step * 10**decimals - round(step * 10**decimals)) > 1e-6:
        decimals += 1
    return QLocale().toString(float(value), "f", decimals)


def short_text(value: float) -> str:
    """A number with three significant digits: "0.00213", "1.25", "312"; a dash if not finite."""
    if not math.isfinite(value):
        return "–"  # noqa: RUF001
    if value == 0:
        return "0"
    size = abs(value)
    if size < 1e-4 or size >= 1e6:
        return _power_text(value)
    return number(value, max(0, 2 - math.floor(math.log10(size))))


def decibel_text(value: float) -> str:
    """A level in dB with two decimals; a dash if not finite."""
    return number(value, 2) if math.isfinite(value) else "–"  # noqa: RUF001


def share_text(value: float) -> str:
    """A share from 0 to 1 as a percentage, with one decimal if below 10 %."""
    if not math.isfinite(value):
        return "–"  # noqa: RUF001
    return f"{number(100 * value, 1 if 0 < value < 0.0995 else 0)} %"


def count_text(value: float) -> str:
    """A whole number with thousands separators: "12,400"."""
    return QLocale().toString(round(value))


def _power_text(value: float) -> str:
    head, exponent = (float(part) for part in f"{value:.1e}".split("e"))
    power = f"10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
    if head == 1.0:
        return power
    return f"{number(head, 0 if head == round(head) else 1)}·{power}"


def _nice_step(rough: float, whole: bool) -> float:
    if rough <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * power for nice in _NICE if nice * power >= rough * (1 - 1e-9))
    if whole:
        step = max(1.0, step)
        step = float(math.ceil(step)) if step != int(step) else step
    return step
