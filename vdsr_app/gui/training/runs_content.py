"""Several runs as curves of one plot and as a table."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

import numpy as np

from vdsr_app.gui.training.plot_model import Content, Series
from vdsr_app.gui.training.plot_theme import run_style
from vdsr_app.gui.training.run_content import sorted_scales
from vdsr_trainer.history import RunHistory

Runs = Sequence[tuple[str, RunHistory]]

MEAN_GAIN = ""
"""Denotes the mean gain over bicubic in place of a scale factor."""

MINUTE_S, HOUR_S = 60.0, 3600.0


def pace_s(history: RunHistory) -> float | None:
    """Seconds per step from the duration of the whole run, or else its estimate of the time left; None without both.

    A history holds no times of single steps, so a time axis shows steps at this mean pace.
    """
    finished, latest, started = history.finished, history.latest, history.started
    if finished is not None and finished.seconds > 0 and finished.step > 0:
        return finished.seconds / finished.step
    if latest is None or started is None or not latest.seconds_left or started.steps <= latest.step:
        return None
    return latest.seconds_left / (started.steps - latest.step)


def shared_scales(runs: Runs) -> list[str]:
    """Scale factors common to all validated runs, because means are comparable only over the same ones."""
    validated = [set(history.psnr_db) & set(history.bicubic_psnr_db) for _, history in runs if history.psnr_db]
    return sorted_scales(set.intersection(*validated)) if validated else []


def all_scales(runs: Runs) -> list[str]:
    """Scale factors of any run."""
    return sorted_scales({scale for _, history in runs for scale in history.psnr_db})


def time_unit(runs: Runs) -> float:
    """Unit of a time axis in seconds: an hour, or a minute if all runs are shorter than three hours."""
    longest = max((history.step * (pace_s(history) or 0.0) for _, history in runs), default=0.0)
    return HOUR_S if longest >= 3 * HOUR_S else MINUTE_S


def runs_content(runs: Runs, scale: str, unit_s: float | None) -> Content:
    """One curve per run.

    Args:
        runs: titles and histories.
        scale: whose PSNR, or `MEAN_GAIN`.
        unit_s: unit of the time axis in seconds, which omits runs of unknown pace; None shows steps.
    """
    shared = shared_scales(runs)
    series = []
    for index, (title, history) in enumerate(runs):
        steps, values = _mean_gain(history, shared) if scale == MEAN_GAIN else _psnr(history, scale)
        pace = 1.0 if unit_s is None else (pace_s(history) or math.nan) / unit_s
        if len(steps) and math.isfinite(pace):
            x = np.array(steps, float) * pace
            series.append(Series(title, f"run {index}", x, np.array(values, float), run_style(index), title))
    return Content(tuple(series))


def runs_csv(runs: Runs) -> str:
    """A CSV table with a line for each validation of each run; cells without a value are empty."""
    scales, shared = all_scales(runs), shared_scales(runs)
    names = [f"{kind}_x{scale}" for scale in scales for kind in ("psnr_db", "bicubic_psnr_db")]
    text = io.StringIO()
    table = csv.DictWriter(
        text, ["run", "step", "seconds", "mean_gain_db", *names], restval="", lineterminator="\n", extrasaction="raise"
    )
    table.writeheader()
    for title, history in runs:
        pace, gains = pace_s(history), dict(zip(*_mean_gain(history, shared), strict=True))
        values = {scale: dict(zip(*history.psnr_db[scale], strict=True)) for scale in history.psnr_db}
        for step in sorted({step for row in values.values() for step in row}):
            cells: dict[str, object] = {"run": title, "step": step}
            cells["seconds"] = "" if pace is None else f"{step * pace:.1f}"
            cells["mean_gain_db"] = _cell(gains.get(step, math.nan))
            for scale, row in values.items():
                cells[f"psnr_db_x{scale}"] = _cell(row.get(step, math.nan))
                cells[f"bicubic_psnr_db_x{scale}"] = _cell(history.bicubic_psnr_db.get(scale, math.nan))
            table.writerow(cells)
    return text.getvalue()


def _psnr(history: RunHistory, scale: str) -> tuple[list[int], list[float]]:
    return history.psnr_db.get(scale, ([], []))


def _mean_gain(history: RunHistory, scales: Sequence[str]) -> tuple[list[int], list[float]]:
    """Steps at which all of `scales` were measured, and the mean PSNR gain over bicubic there."""
    if not scales or not set(scales) <= set(history.psnr_db):
        return [], []
    rows = [dict(zip(*history.psnr_db[scale], strict=True)) for scale in scales]
    steps = sorted(set.intersection(*(set(row) for row in rows)))
    bicubic = sum(history.bicubic_psnr_db[scale] for scale in scales)
    return steps, [(sum(row[step] for row in rows) - bicubic) / len(scales) for step in steps]


def _cell(value: float) -> str:
    return f"{value:.7g}" if math.isfinite(value) else ""
