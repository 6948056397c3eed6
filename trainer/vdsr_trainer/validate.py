"""Measuring the network on held-out pictures while it trains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from vdsr_app.core.network import VDSR
from vdsr_app.core.protocol import Trial, make_trial, score
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.dataset import Luma8
from vdsr_trainer.events import Validated

_CROP_PX = 180
"""Side of the middle of each picture that is measured: enough to choose by, cheap enough to do often."""


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """Trials of the held-out pictures by scale factor, with bicubic's mean PSNR."""

    trials: dict[str, list[Trial]]
    bicubic_psnr_db: dict[str, float]

    @classmethod
    def prepare(cls, lumas: dict[str, Luma8], config: TrainConfig) -> Judge:
        """Make the trials once; `lumas` are (H, W) uint8 by name."""
        trials = {
            f"{scale:g}": [make_trial(_middle(luma).astype(np.float64), scale) for luma in lumas.values()]
            for scale in config.scales
        }
        means = {
            scale: float(np.mean([score(trial, trial.bicubic).psnr_db for trial in those]))
            for scale, those in trials.items()
        }
        return cls(trials, means)

    def measure(self, model: VDSR, step: int) -> Validated:
        """Mean PSNR of `model` at each scale factor, in full precision."""
        device = next(model.parameters()).device
        results = {}
        with torch.inference_mode():
            for scale, trials in self.trials.items():
                scores = []
                for trial in trials:
                    tensor = torch.from_numpy(trial.bicubic / 255.0).to(device, torch.float32)[None, None]
                    estimate = model(tensor)[0, 0].cpu().numpy() * 255.0
                    scores.append(score(trial, estimate).psnr_db)
                results[scale] = float(np.mean(scores))
        return Validated(step, results, self.bicubic_psnr_db)


def _middle(luma: Luma8) -> Luma8:
    top, left = (max(0, (size - _CROP_PX) // 2) for size in luma.shape)
    return luma[top : top + _CROP_PX, left : left + _CROP_PX]
