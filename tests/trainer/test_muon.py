"""Muon against its formula in double precision, and against torch's own implementation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from vdsr_trainer.muon import Muon, orthogonal


def _matrices(*shapes: tuple[int, int]) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(3)
    return [nn.Parameter(torch.randn(shape, generator=generator) * 0.05) for shape in shapes]


def _in_double(matrix: Tensor) -> Tensor:
    """The iteration on one matrix's singular values, in double precision."""
    u, s, v = torch.linalg.svd(matrix.double(), full_matrices=False)
    s = s / matrix.double().norm()
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return u @ torch.diag(s) @ v


@pytest.mark.parametrize("shape", [(8, 8), (8, 72), (72, 8), (1, 9)])
def test_singular_values_follow_the_polynomial(shape: tuple[int, int]) -> None:
    matrices = torch.stack([matrix.detach() for matrix in _matrices(shape, shape, shape)])
    made = orthogonal(matrices)
    for matrix, result in zip(matrices, made, strict=True):
        assert torch.allclose(result.double(), _in_double(matrix), atol=2e-4)


def test_orthogonal_keeps_zeros() -> None:
    assert not orthogonal(torch.zeros(2, 4, 36)).any()


def test_steps_on_several_shapes_match_torch() -> None:
    shapes = ((8, 72), (8, 72), (16, 8), (8, 72))
    ours, theirs = _matrices(*shapes), _matrices(*shapes)
    first = Muon(ours, lr=0.01, momentum=0.9, weight_decay=0.1)
    second = torch.optim.Muon(theirs, lr=0.01, momentum=0.9, weight_decay=0.1)
    generator = torch.Generator().manual_seed(5)
    for _ in range(4):
        for mine, other in zip(ours, theirs, strict=True):
            mine.grad = torch.randn(mine.shape, generator=generator)
            other.grad = mine.grad.clone()
        first.step()
        second.step()
    for mine, other in zip(ours, theirs, strict=True):
        # torch's iteration is in bfloat16: three digits of a step of 0.01, four times.
        assert torch.allclose(mine, other, atol=8e-4)


def test_parameter_without_gradient_keeps_value_and_gets_no_state() -> None:
    still, moving = _matrices((8, 72), (8, 72))
    before = still.detach().clone()
    optimiser = Muon([still, moving], lr=0.01, momentum=0.9, weight_decay=0.1)
    moving.grad = torch.ones_like(moving)
    optimiser.step()
    assert torch.equal(still, before)
    assert still not in optimiser.state


def test_momentum_round_trips_through_state_dict() -> None:
    whole, halves = _matrices((8, 72)), _matrices((8, 72))
    generator = torch.Generator().manual_seed(7)
    gradients = [torch.randn(8, 72, generator=generator) for _ in range(4)]
    one = Muon(whole, lr=0.01, momentum=0.9, weight_decay=0.0)
    for gradient in gradients:
        whole[0].grad = gradient.clone()
        one.step()
    two = Muon(halves, lr=0.01, momentum=0.9, weight_decay=0.0)
    for gradient in gradients[:2]:
        halves[0].grad = gradient.clone()
        two.step()
    three = Muon(halves, lr=0.5, momentum=0.0, weight_decay=0.0)
    three.load_state_dict(two.state_dict())
    for gradient in gradients[2:]:
        halves[0].grad = gradient.clone()
        three.step()
    assert torch.equal(whole[0], halves[0])


def test_muon_rejects_parameters_that_are_not_matrices() -> None:
    with pytest.raises(ValueError, match="matrices"):
        Muon([nn.Parameter(torch.zeros(3))], lr=0.1, momentum=0.9, weight_decay=0.0)
