"""Compares the result of a run with bicubic and the existing models, on the held-out pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from vdsr_app.control import CancelToken, ProgressCallback
from vdsr_app.core.atomic import write_atomically
from vdsr_app.core.engine import Engine
from vdsr_app.core.evaluate import Estimate, estimator
from vdsr_app.core.models import installed_models
from vdsr_app.core.network import VDSR
from vdsr_app.core.protocol import Plane, Score, Trial, score
from vdsr_app.core.weights import load_model
from vdsr_app.errors import VdsrError, WeightsError
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.dataset import Luma8
from vdsr_trainer.events import Compared
from vdsr_trainer.run_files import RESULT_NAME
from vdsr_trainer.trials import COMPARED_PX, MOST_PICTURES, capped_psnr_db, degraded_trial, middle, spread, trial_keys

THIS_RUN = "this run"
BICUBIC = "bicubic"

_Rows = dict[str, dict[str, list[float]]]


def compare(
    model: VDSR,
    validation: Mapping[str, Luma8],
    config: TrainConfig,
    run: Path,
    *,
    step: int,
    most_pictures: int = MOST_PICTURES,
    token: CancelToken | None = None,
    on_progress: ProgressCallback | None = None,
    notice: Callable[[str], None] | None = None,
) -> Compared:
    """Measure `model`, bicubic, the bundled models and the one the run started from, and write `result.json`.

    Follows the protocol of the papers (`core.protocol`) on the centre, at most 320 x 320 px, of some pictures, evenly
    spread, so that it takes a minute rather than an hour. Every model runs as the upscaler would run it, on the run's
    device with the arithmetic that suits it. A run trained on JPEGs is measured on those, too, under keys such as
    "2 jpeg 40": the picture is shrunk, compressed as JPEG of quality 40, and enlarged.

    Args:
        model: the trained network, on any device; unchanged.
        validation: held-out lumas, (H, W) uint8 by name.
        config: of the run; its scale factors above 1 are measured.
        run: folder of the run.
        step: steps done.
        most_pictures: most pictures to measure.
        token: checked at each picture; not the one that stopped the run, or nothing would be measured.
        on_progress: called with (done, total) measurements.
        notice: called with a message if a model could not be measured because it is damaged, does not fit on the device
            or gives non-finite values. Its row is left out.

    Returns:
        Rows "bicubic", installed names and "this run": scale factor as text -> [PSNR in dB, SSIM]. A factor for which
        every picture is too small is left out.

    Raises:
        SaveError: `result.json` cannot be written.
        Cancelled: through `token`.
    """
    names = spread(sorted(validation), most_pictures)
    planes = [middle(validation[name], COMPARED_PX).astype(np.float64) for name in names]
    device = str(next(model.parameters()).device)
    networks = {**_others(config, notice), THIS_RUN: model}
    total = len(trial_keys(config)) * len(planes) * (1 + len(networks))
    rows: _Rows = {}
    done = 0

    def measured() -> None:
        nonlocal done
        if token is not None:
            token.raise_if_cancelled()
        done += 1
        if on_progress is not None:
            on_progress(done, total)

    for name in (BICUBIC, *networks):
        try:
            estimate = (
                _bicubic if name == BICUBIC else estimator(Engine.create(networks[name], device=device), token=token)
            )
            row = _row(planes, config, estimate, measured)
        except VdsrError as error:
            _say(notice, error)
            continue
        if row:
            rows[name] = row
    compared = Compared(step, len(planes), rows)
    write_atomically(run / RESULT_NAME, json.dumps({"step": step, "pictures": len(planes), "rows": rows}).encode())
    return compared


def _others(config: TrainConfig, notice: Callable[[str], None] | None) -> dict[str, VDSR]:
    """The bundled models, and the installed one that the run started from, by name."""
    networks: dict[str, VDSR] = {}
    for info in installed_models():
        if info.name in (BICUBIC, THIS_RUN) or not (info.bundled or info.name == config.start_from):
            continue
        try:
            networks[info.name] = load_model(info).model
        except WeightsError as error:
            _say(notice, error)
    return networks


def _say(notice: Callable[[str], None] | None, error: VdsrError) -> None:
    if notice is not None:
        notice(f"Not compared with: {error}")


def _row(
    planes: list[Plane], config: TrainConfig, estimate: Estimate, measured: Callable[[], None]
) -> dict[str, list[float]]:
    """One row of the table; `measured` is called after each measurement, and may abort by raising."""
    row = {}
    for key, trials in _trials(planes, config):
        scores = []
        for trial in trials:
            scores.append(score(trial, estimate(trial.bicubic)))
            measured()
        if scores:
            row[key] = _mean(scores)
    return row


def _bicubic(bicubic: Plane) -> Plane:
    return bicubic


def _trials(planes: list[Plane], config: TrainConfig) -> Iterator[tuple[str, Iterator[Trial]]]:
    """Generated anew for each model: kept, they would take more memory than the network."""
    for key, scale, quality in trial_keys(config):
        yield key, (trial for plane in planes if (trial := degraded_trial(plane, scale, quality)) is not None)


def _mean(scores: list[Score]) -> list[float]:
    psnr_db = math.fsum(map(capped_psnr_db, scores)) / len(scores)
    return [round(psnr_db, 4), round(math.fsum(each.ssim for each in scores) / len(scores), 6)]
