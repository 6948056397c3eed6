"""A small teacher, and pictures for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainer.conftest import draw_picture
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.teacher.learner import teacher_config


@pytest.fixture
def taught(small: TrainConfig, pictures: Path) -> TrainConfig:
    """A small run with a teacher; the size of one of its pictures is not divisible by any scale factor."""
    Image.fromarray(draw_picture(20, 79, 101)).save(pictures / "uneven.png")
    return replace(small, teacher_steps=8, checkpoint_every=4, shrunk_copies=(0.8,))


def small_teacher(config: TrainConfig) -> TrainConfig:
    """The configuration of the teacher, but thin and with four layers."""
    return replace(teacher_config(config), depth=4, width=16)


def smooth(seed: int, height: int, width: int) -> np.ndarray:
    """Luma of a drawn picture, (height, width) uint8."""
    return np.ascontiguousarray(draw_picture(seed, height, width)[..., 0])
