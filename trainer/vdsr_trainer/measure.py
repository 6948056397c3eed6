"""A dry run: what a step of a configuration costs on this machine, told before anything is trained."""

from __future__ import annotations

import time

import numpy as np

from vdsr_app.control import CancelToken
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.dataset import Patches
from vdsr_trainer.events import Measured
from vdsr_trainer.learner import Learner
from vdsr_trainer.memory import device_bytes, resident_bytes

_WARM_UP_STEPS = 2
_STEPS = 8
_LONG_ENOUGH_S = 6.0
"""On a slow machine fewer steps tell enough."""


def measure(config: TrainConfig, preset: str, token: CancelToken) -> Measured:
    """Do some steps on made-up patches; nothing is read or written.

    Args:
        config: what would be trained; its pictures are not looked at, and it begins from chance.
        preset: name that the answer carries.
        token: tested between steps.

    Raises:
        DeviceError: the device is absent, failed, or has no memory for one patch.
        Cancelled: through `token`.
    """
    learner = Learner(config)
    rng = np.random.default_rng(0)
    shape = (config.batch, 1, config.patch_px, config.patch_px)
    target = rng.random(shape, np.float32)
    grid = np.tile(np.array([2.0, 0.5], np.float32), (config.batch, 2, 1)) if config.consistency else None
    patches = Patches(target + rng.normal(0, 0.01, shape).astype(np.float32), target, grid)
    seconds: list[float] = []
    most_bytes = 0
    begun = time.monotonic()
    for step in range(_WARM_UP_STEPS + _STEPS):
        token.raise_if_cancelled()
        step_begun = time.monotonic()
        # Fetching a number waits for the device.
        float(learner.step(patches, step, 0.0).norm)
        seconds.append(time.monotonic() - step_begun)
        most_bytes = max(most_bytes, resident_bytes())
        if step >= _WARM_UP_STEPS and time.monotonic() - begun > _LONG_ENOUGH_S:
            break
    a_step = float(np.median(seconds[_WARM_UP_STEPS:]))
    return Measured(preset, a_step, max(most_bytes, device_bytes(learner.device)), config.steps)
