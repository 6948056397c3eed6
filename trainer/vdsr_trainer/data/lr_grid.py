"""Where the samples of the LR picture lie in a patch: what the input says about the patch for certain.

A patch is cut anywhere, at any scale factor, and turned. Two numbers per axis say where LR samples lie on it: how many
HR samples one of them covers, and where the centre of one is.
"""

from __future__ import annotations

import torch
from torch import Tensor

CUBIC_REACH = 2
"""Samples that bicubic reads on each side, in samples of the coarser axis."""

_ROUNDING = 1e-3
"""Generous bound on the float32 error of positions, in HR samples."""


def lr_grid(sizes: Tensor, firsts: Tensor, scales: Tensor, turns: Tensor, side: int) -> Tensor:
    """LR samples of turned patches.

    Args:
        sizes: (N, 2) int64, rows and columns of the pictures.
        firsts: (N, 2) int64, top and left of the patches.
        scales: (N,) float64, at least 1.
        turns: (N,) int64, as for `dataset.turned`.
        side: of a patch.

    Returns:
        (N, 2, 2) float32, for each patch and axis: HR samples per LR sample, at least about 1, and the centre of an LR
        sample, in HR samples from the patch's first sample on.
    """
    factors = lr_factors(sizes, scales[:, None])
    centres = torch.remainder(0.5 * factors - 0.5 - firsts, factors)
    quarter = turns % 4
    swapped = (quarter % 2 == 1)[:, None]
    factors, centres = (torch.where(swapped, each.flip(1), each) for each in (factors, centres))
    backwards = torch.stack([(quarter == 1) | (quarter == 2), (quarter >= 2) ^ (turns >= 4)], dim=1)
    centres = torch.where(backwards, torch.remainder(side - 1 - centres, factors), centres)
    return torch.stack([factors, centres], dim=2).to(torch.float32)


def lr_factors(sizes: Tensor, scales: Tensor) -> Tensor:
    """HR samples per LR sample: about the scale factors, because sizes are rounded to whole samples."""
    return sizes / torch.round(sizes / scales).clamp(min=1)


def lr_matrices(axis: Tensor, side: int) -> Tensor:
    """Matrices that shrink an axis of patches to the LR samples that read nothing beyond the patch.

    Args:
        axis: (N, 2), one axis of `lr_grid`; if its first number is 0, there are no samples.
        side: of a patch.

    Returns:
        (N, side, side) float32, one row per sample, the other rows zero; bicubic and antialiased.
    """
    factors = axis[:, :1].clamp(min=1.0)
    along = torch.arange(side, dtype=torch.float32, device=axis.device)
    at = torch.remainder(axis[:, 1:], factors) + factors * along
    # The first pixel beyond the patch may lie at the end of the kernel, where it is flat.
    reach = CUBIC_REACH * factors - _ROUNDING
    within = (at - reach >= -1.0) & (at + reach <= side) & (axis[:, :1] > 0)
    weights = cubic((at[..., None] - along) / factors[..., None])
    return torch.where(within[..., None], weights / weights.sum(dim=2, keepdim=True), 0.0)


def cubic(distances: Tensor) -> Tensor:
    """Bicubic weights at distances in samples of the coarser axis.

    Source: Keys, "Cubic convolution interpolation for digital image processing", 1981, with a = -0.5.
    """
    x = distances.abs().clamp(max=2.0)
    inner = (1.5 * x - 2.5) * x * x + 1.0
    outer = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return torch.where(x <= 1.0, inner, outer)
