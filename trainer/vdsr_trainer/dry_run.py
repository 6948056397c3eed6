"""A dry run: what a step and a validation cost on this computer, measured before anything is trained."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from vdsr_app.control import CancelToken
from vdsr_app.core.device import choose_device
from vdsr_app.core.memory import resident_bytes
from vdsr_app.core.network import VDSR
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.dataset import Patches
from vdsr_trainer.events import Measured
from vdsr_trainer.failures import device_failures
from vdsr_trainer.learner import Learner
from vdsr_trainer.memory import device_bytes, forget_device_bytes
from vdsr_trainer.stepper import StepResult
from vdsr_trainer.teacher.answers import Teacher
from vdsr_trainer.teacher.learner import TeacherLearner, teacher_config
from vdsr_trainer.teacher.patches import made_up
from vdsr_trainer.trials import COMPARED_PX, JUDGED_PX
from vdsr_trainer.validate import Judge, bundled_models

_WARM_UP_STEPS = 2
_STEPS = 8
_LONG_ENOUGH_S = 6.0
"""On a slow computer fewer steps suffice."""
_ASKED_PX = 384
"""Side of the picture a teacher is timed on: about that of the usual training pictures, a multiple of 2, 3 and 4."""


def measure(config: TrainConfig, preset: str, token: CancelToken) -> Measured:
    """Time some steps on random patches and the validation of a random picture; no picture is read, nothing written.

    Args:
        config: what would be trained; its pictures and model to start from are not read.
        preset: name to put into the result.
        token: checked between steps.

    Raises:
        DeviceError: the device is missing, failed, or lacks memory for one patch.
        Cancelled: through `token`.
    """
    with device_failures(choose_device(config.device)):
        return _measured(config, preset, token)


def _measured(config: TrainConfig, preset: str, token: CancelToken) -> Measured:
    learner = Learner(config)
    teacher, asking_s = _measure_teacher(config, token) if config.has_teacher else (_NO_TEACHER, 0.0)
    rng = np.random.default_rng(0)
    shape = (config.batch, 1, config.patch_px, config.patch_px)
    target = rng.random(shape, np.float32)
    grid = np.tile(np.array([2.0, 0.5], np.float32), (config.batch, 2, 1)) if config.consistency else None
    patches = Patches(target + rng.normal(0, 0.01, shape).astype(np.float32), target, grid)
    cost = _measure_steps(lambda step: learner.step(patches, step, 0.0), learner.device, token)
    most_bytes = max(cost.memory_bytes, teacher.memory_bytes)
    before = teacher.seconds_a_step * config.teacher_steps  # 0 seconds a step for a trained teacher
    steps = 0 if config.epochs else config.steps
    judging_s = _measure_judging(learner, token)
    return Measured(preset, cost.seconds_a_step, most_bytes, steps, before, asking_s, *judging_s)


@dataclass(frozen=True, slots=True)
class _Cost:
    """Median seconds per step, and peak memory."""

    seconds_a_step: float
    memory_bytes: int


_NO_TEACHER = _Cost(0.0, 0)


def _measure_teacher(config: TrainConfig, token: CancelToken) -> tuple[_Cost, float]:
    """Cost of the teacher's steps, if it is to be trained, and the seconds in which it answers for a megapixel."""
    rng = np.random.default_rng(0)
    learner, cost = TeacherLearner(teacher_config(config)), _NO_TEACHER
    if config.teacher_learns:
        patches = made_up(rng, config.taught_scales)
        cost = _measure_steps(lambda step: learner.step(patches, step, 0.0), learner.device, token)
    luma, ask = rng.integers(0, 256, (_ASKED_PX, _ASKED_PX), np.uint8), Teacher(learner, config.answered_scales)
    started = 0.0
    for _ in range(2):  # the first time includes what is built once
        token.raise_if_cancelled()
        started = time.monotonic()
        ask(luma)
    return cost, (time.monotonic() - started) / (luma.size / 1e6)


def _measure_judging(learner: Learner, token: CancelToken) -> tuple[float, float]:
    """Seconds to judge a trial at a validation, and to compare it with the bundled models.

    The bundled models are measured at the first validation, and again, with the network, for the table at the end. The
    table uses larger pictures, which take longer in proportion to their number of pixels.
    """
    luma = np.random.default_rng(0).integers(0, 256, (JUDGED_PX, JUDGED_PX), np.uint8)
    judge = Judge.prepare({"made up": luma}, TrainConfig(scales=(2.0,)))

    def seconds(model: VDSR) -> float:
        token.raise_if_cancelled()
        started = time.monotonic()
        judge.measure(model)
        return time.monotonic() - started

    seconds(learner.average.model)  # the first time includes what is built once
    own = seconds(learner.average.model)
    others = sum(seconds(model) for _, model in bundled_models(learner.device))
    return own, others + (COMPARED_PX / JUDGED_PX) ** 2 * (own + others)


def _measure_steps(do: Callable[[int], StepResult], device: torch.device, token: CancelToken) -> _Cost:
    seconds: list[float] = []
    most_bytes = 0
    forget_device_bytes(device)
    started = time.monotonic()
    for step in range(_WARM_UP_STEPS + _STEPS):
        token.raise_if_cancelled()
        step_started = time.monotonic()
        # Reading a value waits for the device.
        float(do(step).norm)
        seconds.append(time.monotonic() - step_started)
        most_bytes = max(most_bytes, resident_bytes() or 0)
        if step >= _WARM_UP_STEPS and time.monotonic() - started > _LONG_ENOUGH_S:
            break
    return _Cost(float(np.median(seconds[_WARM_UP_STEPS:])), most_bytes + device_bytes(device))
