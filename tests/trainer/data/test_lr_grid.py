"""LR grid: a patch shrunk by itself yields the samples of the whole picture's LR version."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer.conftest import draw_picture
from vdsr_app.control import CancelToken
from vdsr_app.core.resize import resize
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.dataset import open_data, turned
from vdsr_trainer.data.lr_grid import lr_grid, lr_matrices

SIDE = 40


@pytest.mark.parametrize("turn", range(8))
@pytest.mark.parametrize(
    ("scale", "place"), [(2.0, (0, 0)), (2.0, (13, 8)), (3.0, (31, 41)), (2.35, (7, 29)), (1.0, (5, 6))]
)
def test_samples_match_lr_version_of_whole_picture(scale: float, place: tuple[int, int], turn: int) -> None:
    picture = draw_picture(3, 71, 82)[..., 0].astype(np.float64)
    height, width = picture.shape
    small = resize(picture, round(height / scale), round(width / scale), dtype=np.float64)
    known = []
    for size, first, count in ((height, place[0], small.shape[0]), (width, place[1], small.shape[1])):
        factor = size / count
        centres = (np.arange(count) + 0.5) * factor - 0.5 - first
        known.append((centres - 2 * factor >= -1 - 1e-6) & (centres + 2 * factor <= SIDE + 1e-6))
    expected = turned(small[np.ix_(*known)], turn)

    patch = turned(picture[place[0] : place[0] + SIDE, place[1] : place[1] + SIDE], turn)
    grid = lr_grid(
        torch.tensor([[height, width]]),
        torch.tensor([place]),
        torch.tensor([scale]).double(),
        torch.tensor([turn]),
        SIDE,
    )
    rows, columns = (lr_matrices(grid[:, axis], SIDE)[0].numpy() for axis in (0, 1))
    made = rows @ patch @ columns.T
    made = made[rows.any(axis=1)][:, columns.any(axis=1)]
    assert made.shape == expected.shape
    assert min(made.shape) >= 8
    assert np.abs(made - expected).max() < 2e-3  # of 255


def test_matrices_are_zero_for_grid_of_zeros() -> None:
    assert not lr_matrices(torch.zeros(3, 2), SIDE).any()


def test_matrices_are_zero_when_patch_is_smaller_than_kernel() -> None:
    assert not lr_matrices(torch.tensor([[8.0, 3.0]]), 24).any()


def test_grid_of_degraded_patches_is_zero(small: TrainConfig, tmp_path: Path) -> None:
    config = replace(small, batch=64, consistency=1.0, noise_share=0.5)
    with_noise = open_data(config, tmp_path, on_progress=lambda *_: None, notice=lambda _: None, token=CancelToken())
    grid = with_noise.batch(0).grid
    with_noise.close()
    assert grid is not None
    assert 10 < (grid[:, 0, 0] == 0).sum() < 54
    assert ((grid == 0).all(axis=(1, 2)) == (grid[:, 0, 0] == 0)).all()
