"""What a step makes small: one number for each patch of a batch."""

from __future__ import annotations

from torch import Tensor

from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.lr_grid import lr_matrices

_CHARBONNIER = 1e-3
"""Where the Charbonnier loss goes over from squares to amounts, on the scale [0, 1]: a quarter of an 8-bit level."""

_LEVEL = 1 / 255
"""Where the root of a patch's mean square goes over from squares to amounts: one 8-bit level."""


def patch_losses(error: Tensor, grid: Tensor | None, config: TrainConfig) -> Tensor:
    """The loss of each patch.

    Args:
        error: (N, 1, P, P) float32, what the network gave less what it should give; 1 is full scale.
        grid: (N, 2, 2) float32, from `lr_grid`; read where `config.consistency` is not 0.
        config: of the run.

    Returns:
        (N,) float32, means over the pixels.
    """
    squares = error.square()
    if config.loss == "charbonnier":
        return (squares + _CHARBONNIER**2).sqrt().mean(dim=(1, 2, 3))
    power = squares.mean(dim=(1, 2, 3))
    if config.consistency and grid is not None:
        power = power + config.consistency * lr_power(error, grid)
    return power if config.loss == "mse" else (power + _LEVEL**2).sqrt()


def lr_power(error: Tensor, grid: Tensor) -> Tensor:
    """Of the mean square of each patch, the share that shows in the LR picture, where there is nothing to guess.

    The input is the LR picture enlarged, so this part of the error can become 0, and its gradient has no noise from
    what nobody can know.

    Args:
        error: (N, 1, P, P) float32.
        grid: (N, 2, 2) float32, from `lr_grid`.

    Returns:
        (N,) float32.
    """
    side = error.shape[-1]
    down, across = (lr_matrices(grid[:, axis], side) for axis in (0, 1))  # (N, LR, P)
    small = down @ error[:, 0] @ across.mT  # (N, LR, LR)
    return small.square().sum(dim=(1, 2)) / side**2
