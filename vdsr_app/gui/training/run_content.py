"""What the plots of a run show, built from its history."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from PySide6.QtCore import QCoreApplication

from vdsr_app.gui.training.plot_model import Content, Level, LineStyle, Mark, Series
from vdsr_app.gui.training.plot_theme import is_fixed, scale_ink
from vdsr_app.gui.training.run_curves import RunCurves
from vdsr_app.gui.training.words import scale_key_text
from vdsr_trainer.events import TEACHER
from vdsr_trainer.history import CONTINUED, RunHistory

translate = QCoreApplication.translate

Targets = Mapping[str, Mapping[str, float]]
"""Model name -> scale factor as text -> PSNR in dB."""

_FLOOR_DB = 2.0
"""The PSNR axis extends to values this far below the lowest of the newest values and reference lines."""


def marks_of(history: RunHistory) -> tuple[Mark, ...]:
    """Events of a run with their texts: rolled back after diverging, or continued after a stop."""
    return tuple(
        Mark(float(step), translate("TrainingMarks", "The run continued."), False)
        if sentence == CONTINUED
        else Mark(float(step), translate("TrainingMarks", "Went back: {reason}").format(reason=sentence), True)
        for step, sentence in history.marks
    )


def loss_content(curves: RunCurves) -> Content:
    """Loss, raw and smoothed."""
    raw = Series(translate("RunPlots", "Raw"), "outline", curves.steps, curves.losses, LineStyle.FAINT)
    smooth = Series(translate("RunPlots", "Smoothed"), "text", curves.steps, curves.smooth_losses)
    return Content((smooth, raw), marks=marks_of(curves.history))


def rate_content(curves: RunCurves) -> Content:
    """Learning rate."""
    name = translate("RunPlots", "Rate")
    return Content((Series(name, "text", curves.steps, curves.rates),), marks=marks_of(curves.history))


def gradient_content(curves: RunCurves) -> Content:
    """Gradient norm, and the share of clipped elements if any were ever clipped."""
    norms = Series(translate("RunPlots", "Norm"), "text", curves.steps, curves.smooth_norms)
    raw = Series(translate("RunPlots", "Raw"), "outline", curves.steps, curves.norms, LineStyle.FAINT)
    series = [norms, raw]
    clipped = curves.clipped
    if len(clipped) and np.nanmax(np.nan_to_num(clipped)) > 0:
        name = translate("RunPlots", "Clipped")
        series.append(Series(name, "clipped", curves.steps, clipped, LineStyle.THIN, on_right=True))
    return Content(tuple(series), marks=marks_of(curves.history))


def psnr_content(history: RunHistory, targets: Targets, title_of: Callable[[str], str] = str) -> Content:
    """PSNR per scale factor, with bicubic dashed and targets dotted in the same colour.

    Args:
        history: history of the run.
        targets: models to compare with.
        title_of: gives the displayed title of a model by its name.
    """
    scales = sorted_scales(history.psnr_db)
    others = tuple(scale for scale in scales if not is_fixed(scale))
    series, levels = [], []
    for scale in scales:
        steps, values = history.psnr_db[scale]
        ink, name = scale_ink(scale, others), scale_key_text(scale)
        series.append(Series(name, ink, np.array(steps, float), np.array(values, float), label=name))
        bicubic = history.bicubic_psnr_db.get(scale, math.nan)
        if math.isfinite(bicubic):
            label = translate("RunPlots", "{scale} bicubic").format(scale=name)
            levels.append(Level(bicubic, ink, LineStyle.DASHED, label, rank=1))
        for model, row in targets.items():
            if math.isfinite(value := row.get(scale, math.nan)):
                levels.append(Level(value, ink, LineStyle.DOTTED, _target_label(name, model, title_of), rank=2))
    keys = [(translate("RunPlots", "Bicubic"), "quiet", LineStyle.DASHED)] if history.bicubic_psnr_db else []
    teacher = translate("RunPlots", "Teacher")
    keys += [
        (teacher if model == TEACHER else title_of(model), "quiet", LineStyle.DOTTED)
        for model, row in targets.items()
        if set(row) & set(scales)
    ]
    latest = [values[-1] for _, values in history.psnr_db.values() if values and math.isfinite(values[-1])]
    floor = min([*latest, *(level.y for level in levels)], default=math.nan) - _FLOOR_DB
    return Content(
        tuple(series), tuple(levels), marks_of(history), tuple(keys), floor if math.isfinite(floor) else None
    )


def _target_label(scale: str, model: str, title_of: Callable[[str], str]) -> str:
    if model == TEACHER:
        return translate("RunPlots", "{scale} teacher").format(scale=scale)
    return f"{scale} {title_of(model)}"


def sorted_scales(scales: Iterable[str]) -> list[str]:
    """Scale factors in ascending order; those that are not numbers come last."""

    def place(scale: str) -> tuple[float, str]:
        head = (scale.split() or [""])[0]
        try:
            return float(head), scale
        except ValueError:
            return math.inf, scale

    return sorted(scales, key=place)
