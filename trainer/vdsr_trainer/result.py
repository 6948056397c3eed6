"""The result of a run beside bicubic and the models that are there already, on the held-out pictures."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from vdsr_app.control import CancelToken, ProgressCallback
from vdsr_app.core.atomic import write_atomically
from vdsr_app.core.engine import Engine
from vdsr_app.core.models import installed_models
from vdsr_app.core.network import VDSR
from vdsr_app.core.protocol import Plane, Score, Trial, make_trial, score
from vdsr_app.core.resize import resize
from vdsr_app.core.weights import load_model
from vdsr_app.errors import UsageError, WeightsError
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.dataset import Luma8
from vdsr_trainer.events import Compared
from vdsr_trainer.run_files import RESULT_NAME

THIS_RUN = "this run"
BICUBIC = "bicubic"
JPEG_QUALITY = 40
"""Of the pictures that show what a run for photographs was for."""

_CROP_PX = 512
_MAX_PICTURES = 16
_EQUAL_PSNR_DB = 100.0
"""Stands for the infinite PSNR of equal pictures: JSON has no infinity, and a mean with one says nothing."""

_Rows = dict[str, dict[str, list[float]]]
_Estimate = Callable[[Plane], Plane]


def compare(
    model: VDSR,
    validation: Mapping[str, Luma8],
    config: TrainConfig,
    run: Path,
    *,
    step: int,
    token: CancelToken | None = None,
    on_progress: ProgressCallback | None = None,
    notice: Callable[[str], None] | None = None,
) -> Compared:
    """Measure `model`, bicubic, the bundled models and the one the run started from, and write `result.json`.

    By the protocol of the papers (`core.protocol`), on the middle of at most 512 x 512 px of at most 16 pictures,
    spread evenly, so that this takes a minute and not an hour. Every model runs as the upscaler would run it, on the
    run's device in the arithmetic that suits it. A run that trained on JPEGs is measured on those too, under keys such
    as "2 jpeg 40": the picture was shrunk, went through JPEG of quality 40, and is enlarged.

    Args:
        model: the trained network, on any device; unchanged.
        validation: held-out lumas, (H, W) uint8 by name.
        config: of the run; its scale factors above 1 are measured.
        run: folder of the run.
        step: steps done.
        token: tested before each picture; not the one that stopped the run, or nothing would be measured.
        on_progress: called with (done, total) measurements.
        notice: takes a sentence where a model could not be measured.

    Returns:
        Rows "bicubic", installed names and "this run": scale factor as text -> [PSNR in dB, SSIM]. A factor for which
        every picture is too small is left out.

    Raises:
        SaveError: `result.json` cannot be written.
        Cancelled: through `token`.
    """
    names = _spread(sorted(validation))
    planes = [_middle(validation[name]).astype(np.float64) for name in names]
    device = str(next(model.parameters()).device)
    networks = {**_others(config, notice), THIS_RUN: model}
    total = len(_keys(config)) * len(planes) * (1 + len(networks))
    rows: _Rows = {}
    done = 0
    for name in (BICUBIC, *networks):
        estimate = _bicubic if name == BICUBIC else _network(networks[name], device, token)
        for key, trials in _trials(planes, config):
            scores = []
            for trial in trials:
                if token is not None:
                    token.raise_if_cancelled()
                scores.append(score(trial, estimate(trial.bicubic)))
                done += 1
                if on_progress is not None:
                    on_progress(done, total)
            if scores:
                rows.setdefault(name, {})[key] = _mean(scores)
    compared = Compared(step, len(planes), rows)
    write_atomically(run / RESULT_NAME, json.dumps({"step": step, "pictures": len(planes), "rows": rows}).encode())
    return compared


def read_result(run: Path) -> Compared | None:
    """What `compare` wrote last; None where there is none, or it is damaged."""
    try:
        values = json.loads((run / RESULT_NAME).read_text("utf-8"))
        return Compared(int(values["step"]), int(values["pictures"]), dict(values["rows"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _others(config: TrainConfig, notice: Callable[[str], None] | None) -> dict[str, VDSR]:
    """The bundled models, and the installed one that the run started from, by name."""
    networks: dict[str, VDSR] = {}
    for info in installed_models():
        if not info.bundled and info.name != config.start_from:
            continue
        try:
            networks[info.name] = load_model(info).model
        except WeightsError as error:
            if notice is not None:
                notice(f"Not compared with: {error}")
    return networks


def _network(model: VDSR, device: str, token: CancelToken | None) -> _Estimate:
    engine = Engine.create(model, device=device)

    def estimate(bicubic: Plane) -> Plane:
        return engine.upscale_luma((bicubic / 255.0).astype(np.float32), token=token).astype(np.float64) * 255.0

    return estimate


def _bicubic(bicubic: Plane) -> Plane:
    return bicubic


def _keys(config: TrainConfig) -> list[tuple[str, float, int]]:
    """Key of a column, scale factor, and JPEG quality of its pictures or 0."""
    qualities = (0, JPEG_QUALITY) if config.jpeg_share else (0,)
    scales = sorted({scale for scale in config.scales if scale > 1.0})
    return [
        (f"{scale:g} jpeg {quality}" if quality else f"{scale:g}", scale, quality)
        for quality in qualities
        for scale in scales
    ]


def _trials(planes: list[Plane], config: TrainConfig) -> Iterator[tuple[str, Iterator[Trial]]]:
    """Made anew for each model: kept, they would take more memory than the network."""
    for key, scale, quality in _keys(config):
        yield key, (trial for plane in planes if (trial := _trial(plane, scale, quality)) is not None)


def _trial(plane: Plane, scale: float, quality: int) -> Trial | None:
    """None where the picture is too small for the factor."""
    try:
        trial = make_trial(plane, scale)
    except UsageError:
        return None
    if not quality:
        return trial
    height, width = trial.reference.shape
    small = resize(trial.reference, round(height / scale), round(width / scale), dtype=np.float64)
    worn = _through_jpeg(np.clip(np.rint(small), 0, 255).astype(np.uint8), quality)
    return Trial(trial.reference, np.asarray(resize(worn, height, width, dtype=np.float64)), trial.border_px)


def _through_jpeg(luma: Luma8, quality: int) -> Luma8:
    file = io.BytesIO()
    Image.fromarray(luma).save(file, "jpeg", quality=quality)
    return np.asarray(Image.open(file))


def _middle(luma: Luma8) -> Luma8:
    top, left = (max(0, (size - _CROP_PX) // 2) for size in luma.shape)
    return luma[top : top + _CROP_PX, left : left + _CROP_PX]


def _spread(names: list[str]) -> list[str]:
    """At most `_MAX_PICTURES` of `names`, evenly spread."""
    count = min(len(names), _MAX_PICTURES)
    return [names[i * len(names) // count] for i in range(count)]


def _mean(scores: list[Score]) -> list[float]:
    psnr_db = math.fsum(min(each.psnr_db, _EQUAL_PSNR_DB) for each in scores) / len(scores)
    return [round(psnr_db, 4), round(math.fsum(each.ssim for each in scores) / len(scores), 6)]
