"""The training loss: one value for each patch of a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.lr_grid import lr_matrices

_CHARBONNIER = 1e-3
"""Where Charbonnier changes from squared to absolute error, on the scale [0, 1]: a quarter of an 8-bit level."""

_LEVEL = 1 / 255
"""Where the root of a patch's mean square changes from quadratic to linear: one 8-bit level."""


def patch_losses(error: Tensor, grid: Tensor | None, config: TrainConfig) -> Tensor:
    """The loss of each patch.

    Args:
        error: (N, C, P, P) float32, output minus target; 1 is full scale. C is 1 where `grid` is used.
        grid: (N, 2, 2) float32, from `lr_grid`; used if `config.consistency` is not 0.
        config: of the run.

    Returns:
        (N,) float32, means over the pixels.

    Raises:
        ValueError: the grid is needed and missing.
    """
    of_pixels = _near_amounts if config.loss == "charbonnier" else torch.square
    losses = of_pixels(error).mean(dim=(1, 2, 3))
    if config.consistency:
        if grid is None:
            raise ValueError("Consistency needs to know where the LR samples lie.")
        area = grid[:, 0, 0] * grid[:, 1, 0] / error[0].numel()  # share of a patch that one LR sample covers
        losses = losses + config.consistency * area * of_pixels(lr_errors(error, grid)).sum(dim=(1, 2))
    return (losses + _LEVEL**2).sqrt() if config.loss == "rms" else losses


def lr_errors(error: Tensor, grid: Tensor) -> Tensor:
    """The part of the error that shows in the LR picture, where nothing has to be guessed.

    The input is the LR picture enlarged, so this part of the error can become 0, and its gradient has no noise from
    detail that cannot be known.

    Args:
        error: (N, 1, P, P) float32.
        grid: (N, 2, 2) float32, from `lr_grid`.

    Returns:
        (N, P, P) float32; 0 where there is no LR sample.
    """
    down, across = (lr_matrices(grid[:, axis], error.shape[-1]) for axis in (0, 1))  # (N, LR, P)
    return down @ error[:, 0] @ across.mT


def _near_amounts(error: Tensor) -> Tensor:
    return (error.square() + _CHARBONNIER**2).sqrt()
