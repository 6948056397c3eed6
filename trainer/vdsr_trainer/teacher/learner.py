"""The teacher with its optimiser."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody calls it
from torch import Tensor

from vdsr_trainer.config import TrainConfig
from vdsr_trainer.cpu_network import CpuFeatures
from vdsr_trainer.loss import patch_losses
from vdsr_trainer.stepper import Stepper, forward_features
from vdsr_trainer.symmetry import Symmetry
from vdsr_trainer.teacher.network import (
    MARGIN_PX,
    SYMMETRY,
    TeacherNetwork,
    enlarged,
    first_network,
    make_symmetry,
)
from vdsr_trainer.teacher.patches import BATCH, Floats, TeacherPatches

_PIECE_PX = 256
"""Side of what is enlarged at once, in LR pixels, without its halo."""


def teacher_config(config: TrainConfig) -> TrainConfig:
    """The configuration for training the teacher of a run, with a recipe of its own."""
    return replace(
        config,
        depth=20,
        width=config.teacher_width,
        start_from="",
        symmetry=SYMMETRY,
        batch=BATCH,
        micro_batch=0,
        steps=max(1, config.teacher_steps),  # irrelevant for a trained one
        epochs=0,
        loss="rms",
        consistency=0.0,
        optimizer="muon",
        muon_rate=0.01,
        rate=5e-3,
        relative_rates=True,
        momentum=0.95,
        weight_decay=0.0,
        inputs="centred",
        clip_theta=0.0,
        schedule="cosine",
        warmup_steps=min(200, config.teacher_steps // 4),
        average_decay=0.999,
    )


class TeacherLearner(Stepper[TeacherNetwork, TeacherPatches]):
    """The teacher, its moving average and their optimiser; learns from squares of LR pictures."""

    def restart(self) -> None:
        """Forget everything learned."""
        super().restart()
        self._features = self._fast(self.model)
        self._average_features = self._fast(self.average.model)

    def enlarge(self, low: Floats, scale: int) -> Floats:
        """Enlarge a whole LR picture with the average: the mean of its outputs for it and for its mirror image.

        Args:
            low: (h + 4, w + 4) float32, from `patches.lr_picture`.
            scale: one of the teacher's scale factors.

        Returns:
            (h * scale, w * scale) float32; 1 is full scale.
        """
        halo = self._config.depth
        height, width = (size - 2 * MARGIN_PX for size in low.shape)
        out = np.empty((height * scale, width * scale), np.float32)
        for top, bottom in _pieces(height):
            for left, right in _pieces(width):
                first, last = max(0, top - halo), min(height, bottom + halo)
                begin, end = max(0, left - halo), min(width, right + halo)
                piece = self._enlarge(low[first : last + 2 * MARGIN_PX, begin : end + 2 * MARGIN_PX], scale)
                rows = slice((top - first) * scale, (bottom - first) * scale)
                columns = slice((left - begin) * scale, (right - begin) * scale)
                out[top * scale : bottom * scale, left * scale : right * scale] = piece[rows, columns]
        return out

    def _enlarge(self, low: Floats, scale: int) -> Floats:
        with torch.inference_mode():
            pair = torch.from_numpy(np.stack([low, low[:, ::-1]]))[:, None].to(self.device)
            features = forward_features(self.average.model, _inside(pair), self.precision, self._average_features)
            answers = enlarged(pair, scale) + self.average.model.detail(features.float(), scale)
            pictures = F.pixel_shuffle(answers, scale)[:, 0]
            return np.asarray(((pictures[0] + pictures[1].flip(-1)) / 2).cpu().numpy())

    def _first_model(self) -> TeacherNetwork:
        config = self._config
        return first_network(config.taught_scales, config.depth, config.width, config.seed)

    def _make_symmetry(self) -> Symmetry:
        return make_symmetry(self.model)

    def _fast(self, model: TeacherNetwork) -> CpuFeatures | None:
        layers = model.convolutions[:-1]
        suits = self._uses_cpu_network() and CpuFeatures.suits(layers)
        return CpuFeatures(layers, bf16=self.precision == "bf16") if suits else None

    def _accumulate(self, patches: TeacherPatches) -> Tensor:
        squares, pixels = torch.zeros((), device=self.device), 0
        self._seen = []
        scales = [scale for scale, those in patches.high.items() for _ in those]
        for first in range(0, len(scales), self._micro):
            low = self._load(patches.low[first : first + self._micro])
            inputs: list[Tensor] = []
            features = forward_features(self.model, _inside(low), self.precision, self._features, inputs).float()
            self._see(inputs)
            losses = []
            for scale in dict.fromkeys(scales[first : first + self._micro]):
                begin = scales.index(scale)
                these = slice(max(first, begin), min(first + self._micro, begin + scales.count(scale)))
                here = slice(these.start - first, these.stop - first)
                high = F.pixel_unshuffle(
                    self._load(patches.high[scale][these.start - begin : these.stop - begin]), scale
                )
                error = self.model.detail(features[here], scale) - (high - enlarged(low[here], scale))
                losses.append(patch_losses(error, None, self._config))
                squares += error.detach().square().sum()
                pixels += error.numel()
            torch.autograd.backward(torch.cat(losses).sum() / len(scales))
        return squares / pixels


def _pieces(size: int) -> list[tuple[int, int]]:
    """Parts of an axis that are enlarged at once: memory is needed for the features of all layers."""
    count = -(-size // _PIECE_PX)
    return [(size * i // count, size * (i + 1) // count) for i in range(count)]


def _inside(low: Tensor) -> Tensor:
    return low[:, :, MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX].contiguous()
