"""Measures the network on held-out pictures during training, and saves a crop of one of them to look at."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from vdsr_app.core.atomic import write_atomically
from vdsr_app.core.color import luma_to_gray
from vdsr_app.core.models import installed_models
from vdsr_app.core.network import VDSR
from vdsr_app.core.protocol import Plane, Trial, score
from vdsr_app.core.tiling import Insets
from vdsr_app.core.weights import load_model
from vdsr_app.core.winograd.backend import WinogradBackend
from vdsr_app.errors import SaveError, TrainingError, WeightsError
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.dataset import Luma8
from vdsr_trainer.events import TEACHER, Referenced, Validated
from vdsr_trainer.run_files import CROPS_NAME
from vdsr_trainer.teacher.answers import Teacher
from vdsr_trainer.trials import JUDGED_PX, capped_psnr_db, degraded_trial, middle, trial_keys

logger = logging.getLogger(__name__)

_CROP_PX = 160
_MOST_CROPS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """Trials of the held-out pictures by scale factor, with bicubic's mean PSNR.

    Attributes:
        trials: key of `trial_keys` -> one trial per picture.
        bicubic_psnr_db: the same key -> mean PSNR in dB.
    """

    trials: dict[str, list[Trial]]
    bicubic_psnr_db: dict[str, float]

    @classmethod
    def prepare(cls, lumas: Mapping[str, Luma8], config: TrainConfig) -> Judge:
        """Make the trials once.

        Args:
            lumas: (H, W) uint8 by name; all are judged.
            config: of the run.

        Raises:
            TrainingError: every picture is too small.
        """
        planes = [middle(lumas[name], JUDGED_PX).astype(np.float64) for name in sorted(lumas)]
        trials = {}
        for key, scale, quality in trial_keys(config):
            those = [trial for plane in planes if (trial := degraded_trial(plane, scale, quality)) is not None]
            if those:
                trials[key] = those
        if not trials:
            raise TrainingError(
                "The held-out pictures are too small to judge by.", hint="Choose larger ones, or smaller scale factors."
            )
        return cls(trials, {key: _mean([_psnr(t, t.bicubic) for t in those]) for key, those in trials.items()})

    def measure(self, model: VDSR) -> dict[str, float]:
        """Mean PSNR of `model` by key, in full precision on its device."""
        estimate = _estimator(model)
        return {key: _mean([_psnr(t, estimate(t.bicubic)) for t in those]) for key, those in self.trials.items()}

    def validated(self, model: VDSR, step: int, crop: str = "") -> Validated:
        """The event of a validation after `step` steps."""
        return Validated(step, self.measure(model), self.bicubic_psnr_db, crop)

    def measure_teacher(self, teacher: Teacher) -> dict[str, float]:
        """Mean PSNR of a teacher by key, at those of its scale factors that are judged."""
        keys = {f"{scale:g}": scale for scale in teacher.scales}
        return {
            key: _mean(
                [_psnr(t, teacher.guess(t.reference.astype(np.uint8), keys[key]).astype(np.float64)) for t in those]
            )
            for key, those in self.trials.items()
            if key in keys
        }

    def referenced(self, device: torch.device, step: int, teacher: Mapping[str, float]) -> Referenced:
        """PSNR of the bundled models; one that cannot be loaded is skipped and logged.

        Args:
            device: to measure on.
            step: steps done.
            teacher: result of `measure_teacher`, or empty.
        """
        rows = {TEACHER: dict(teacher)} if teacher else {}
        rows.update((name, self.measure(model)) for name, model in bundled_models(device))
        return Referenced(step, rows)


class CropWriter:
    """Saves what the network makes of one held-out crop, for the window to show over the steps.

    The crop is where bicubic does worst, at the largest scale factor up to 4, so that there is something to see. At
    most about `_MOST_CROPS` are written, evenly spread over the run.

    Args:
        run: folder of the run.
        judge: provides the trials to choose from.
        config: of the run.
    """

    def __init__(self, run: Path, judge: Judge, config: TrainConfig) -> None:
        clean = [(scale, key) for key, scale, quality in trial_keys(config) if not quality and key in judge.trials]
        seen = [pair for pair in clean if pair[0] <= 4] or clean[:1]
        self._folder = run / CROPS_NAME
        key = max(seen)[1] if seen else next(iter(judge.trials))
        self._trial, self._rows, self._cols = _worst_window(judge.trials[key])
        validations = -(-config.steps // config.validate_every)
        self._stride = -(-validations // _MOST_CROPS)
        self._validate_every = config.validate_every

    def write_fixed(self) -> None:
        """Write what does not change: bicubic and the original.

        Raises:
            SaveError: the folder cannot be written.
        """
        self._folder.mkdir(exist_ok=True)
        self._save("bicubic", self._trial.bicubic)
        self._save("original", self._trial.reference)

    def write(self, model: VDSR, step: int, steps: int) -> str:
        """Write the crop as `model` makes it; its path relative to the run, or "" if it is skipped or fails."""
        if step % (self._validate_every * self._stride) and step != steps:
            return ""
        name = f"{step:08d}"
        try:
            self._save(name, _estimator(model)(self._trial.bicubic))
        except SaveError as error:
            logger.info("The crop of step %d could not be written: %s", step, error)
            return ""
        return f"{CROPS_NAME}/{name}.png"

    def _save(self, name: str, plane: Plane) -> None:
        gray = luma_to_gray(plane[self._rows, self._cols])  # left as luma, black and white would be shades of gray
        pixels = np.clip(np.floor(gray + 0.5), 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "png")
        write_atomically(self._folder / f"{name}.png", file.getvalue())


def bundled_models(device: torch.device) -> Iterator[tuple[str, VDSR]]:
    """Name and network of each bundled model, on a device; one that cannot be loaded is skipped and logged."""
    for info in installed_models():
        if not info.bundled:
            continue
        try:
            yield info.name, load_model(info).model.to(device)
        except WeightsError as error:
            logger.warning("Not compared with: %s", error)


def _estimator(model: VDSR) -> Callable[[Plane], Plane]:
    """A function that runs luma through `model`, with its current weights, in fp32 on its device.

    It takes bicubic luma, (H, W) in [0, 255], and returns the same shape and range, not rounded.
    """
    device = next(model.parameters()).device
    if device.type == "cpu" and WinogradBackend.suits(model):
        # A third of the time of PyTorch, and the same PSNR to 0.001 dB.
        backend, whole = WinogradBackend(model, torch.get_num_threads()), Insets(0, 0, 0, 0)
        return lambda bicubic: bicubic + 255.0 * backend.residual((bicubic / 255.0).astype(np.float32), whole)

    def by_torch(bicubic: Plane) -> Plane:
        with torch.inference_mode():
            tensor = torch.from_numpy(bicubic / 255.0).to(device, torch.float32)[None, None]
            return np.asarray(model(tensor)[0, 0].cpu().numpy() * 255.0, dtype=np.float64)

    return by_torch


def _worst_window(trials: list[Trial]) -> tuple[Trial, slice, slice]:
    """Trial and window of `_CROP_PX` where bicubic has the largest error."""
    best: tuple[float, Trial, int, int] | None = None
    for trial in trials:
        errors = (trial.bicubic - trial.reference) ** 2
        height, width = errors.shape
        for top in range(0, max(1, height - _CROP_PX + 1), 8):
            for left in range(0, max(1, width - _CROP_PX + 1), 8):
                error = float(errors[top : top + _CROP_PX, left : left + _CROP_PX].sum())
                if best is None or error > best[0]:
                    best = (error, trial, top, left)
    assert best is not None  # a judge has a trial for each key
    _, trial, top, left = best
    return trial, slice(top, top + _CROP_PX), slice(left, left + _CROP_PX)


def _psnr(trial: Trial, plane: Plane) -> float:
    return capped_psnr_db(score(trial, plane))


def _mean(values: list[float]) -> float:
    return float(np.mean(values))
