"""Muon: momentum with orthogonalised steps, for weight matrices.

It computes what `torch.optim.Muon` does, but differently: matrices of one shape are orthogonalised together, in
float32, and with fewer products. torch takes them one by one in bfloat16, which CPUs without such arithmetic emulate: a
third of a step of this network was spent on that.

Source: Keller Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

_QUINTIC = (3.4445, -4.7750, 2.0315)
"""Odd polynomial that pulls singular values in (0, 1] to about 1; coefficients from the source."""

_ROUNDS = 5
_TINY = 1e-7


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised.

    State of a parameter: `momentum_buffer`, of its shape.
    """

    def __init__(self, matrices: Iterable[nn.Parameter], lr: float, momentum: float, weight_decay: float) -> None:
        """Set up the parameters.

        Args:
            matrices: two-dimensional parameters.
            lr: approximate largest singular value of a step; times sqrt(rows / columns) if there are more rows.
            momentum: share of the previous direction that is kept, 0 to below 1.
            weight_decay: decoupled; weights shrink by `lr * weight_decay` of themselves.

        Raises:
            ValueError: a parameter is not a matrix.
        """
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        if any(matrix.ndim != 2 for group in self.param_groups for matrix in group["params"]):
            raise ValueError("Muon drives matrices only.")
        self._whitening: dict[Tensor, Tensor] = {}

    def whiten(self, whitening: Tensor) -> None:
        """Make the next steps act on V, for weights V * R: see `layer_inputs`.

        Args:
            whitening: (matrices, C, C) float32, R for each matrix; C divides its columns, which hold the channels one
                after the other.
        """
        everything = (matrix for group in self.param_groups for matrix in group["params"])
        self._whitening = dict(zip(everything, whitening.unbind(), strict=True))

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Update all parameters that have a gradient."""
        for group in self.param_groups:
            alike: dict[tuple[int, ...], list[Tensor]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    alike[tuple(matrix.shape)].append(matrix)
            for (rows, columns), matrices in alike.items():
                rate = group["lr"] * max(1.0, rows / columns) ** 0.5
                directions = torch.stack(self._directions(matrices, group["momentum"]))
                if self._whitening:
                    right = torch.stack([self._whitening[matrix] for matrix in matrices])
                    directions = _times(orthogonal(_times(directions, right.mT)), right)
                else:
                    directions = orthogonal(directions)
                torch._foreach_mul_(matrices, 1.0 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(matrices, list(directions.unbind()), alpha=-rate)

    def _directions(self, matrices: list[Tensor], momentum: float) -> list[Tensor]:
        for matrix in matrices:
            if not self.state[matrix]:
                self.state[matrix]["momentum_buffer"] = torch.zeros_like(matrix)
        gradients = [matrix.grad for matrix in matrices if matrix.grad is not None]
        kept = [self.state[matrix]["momentum_buffer"] for matrix in matrices]
        torch._foreach_lerp_(kept, gradients, 1.0 - momentum)
        return list(torch._foreach_lerp(gradients, kept, momentum))


def _times(matrices: Tensor, right: Tensor) -> Tensor:
    """Multiply the channels of (N, rows, C * k) matrices by (N, C, C) ones."""
    count, rows, columns = matrices.shape
    channels = right.shape[-1]
    by_place = matrices.view(count, rows, channels, columns // channels).transpose(2, 3)  # (N, rows, k, C)
    return (by_place.reshape(count, -1, channels) @ right).view(by_place.shape).transpose(2, 3).reshape(matrices.shape)


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearest matrices with singular values of about 1 (0.7 to 1.2), by the source's Newton-Schulz iteration.

    Each round multiplies X by a polynomial P of S = X X'. The effect on S is known without X: it becomes P S P. So all
    rounds are products of the small S, and X, with many times its columns, is multiplied once, by the product of all P.

    Args:
        matrices: (N, rows, columns), float32.

    Returns:
        The same shape; a matrix of zeros stays one.
    """
    a, b, c = _QUINTIC
    tall = matrices.shape[-2] > matrices.shape[-1]
    x: Tensor = matrices.mT if tall else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=_TINY)
    square = x @ x.mT
    total = torch.eye(x.shape[-2], dtype=x.dtype, device=x.device)
    for _ in range(_ROUNDS):
        factor = b * square + c * square @ square
        factor.diagonal(dim1=-2, dim2=-1).add_(a)
        total, square = factor @ total, factor @ square @ factor
    x = total @ x
    return x.mT if tall else x
