"""The part of a run in which its teacher is trained, before the network."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from vdsr_app.core.atomic import is_out_of_room, save_error
from vdsr_app.errors import Cancelled, SaveError, TrainingError
from vdsr_trainer import checkpoint
from vdsr_trainer.checkpoint import Progress
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.dataset import TrainingData
from vdsr_trainer.prefetch import Prefetcher, threads_for
from vdsr_trainer.run_files import TEACHER_NAME, TEACHER_WEIGHTS_NAME, has_state
from vdsr_trainer.stepper import NotFiniteError
from vdsr_trainer.teacher.learner import TeacherLearner, teacher_config
from vdsr_trainer.teacher.patches import TeacherPatches, cut, scales_of_batch
from vdsr_trainer.teacher.weight_file import load_teacher, save_teacher

TeacherProgress = Callable[[int, int, Callable[[], None]], None]
"""Called with steps done, steps in total, and a function that saves the state."""

_DRAWS = 3
_STREAM = 1
"""Separates the random numbers of a teacher's patches from those of the network's."""


def trained_teacher(
    config: TrainConfig,
    run: Path,
    data: TrainingData,
    *,
    on_progress: TeacherProgress,
    notice: Callable[[str], None],
) -> TeacherLearner:
    """Train a teacher on a run's pictures, or resume its training; or load one that `take_over` copied.

    Checkpoints are kept in a folder within the run's, and the trained teacher in a weight file of its own.

    Args:
        config: of the run.
        run: its folder.
        data: its pictures.
        on_progress: called before each step with steps done, steps in total, and a function that saves the state, for
            when it pauses; if it raises `Cancelled`, the state is saved.
        notice: called with a message for the user.

    Raises:
        TrainingError: it diverged, its checkpoints cannot be used, or a picture is gone; a copied one is for other
            scale factors.
        WeightsError: the run's copy of one from elsewhere is damaged.
        SaveError: the folder cannot be written.
        DeviceError: the device failed or lacks memory for one patch.
        Cancelled: by `on_progress`.
    """
    if config.teacher_from:
        return _taken_over(config, run, notice)
    own = teacher_config(config)
    learner, folder = TeacherLearner(own, notice), run / TEACHER_NAME
    progress = Progress()
    if has_state(folder):
        progress = checkpoint.load(folder, learner)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise save_error(folder, error) from error
    saved = progress.step

    def save() -> None:
        nonlocal saved
        if progress.step == saved:
            return
        try:
            checkpoint.write(folder, checkpoint.take(learner, progress))
        except SaveError as error:
            if not is_out_of_room(error):
                raise
            notice(f"{error} The teacher keeps learning; its state is saved at the next checkpoint that fits.")
        else:
            saved = progress.step

    with Prefetcher(_Cutter(own, data), progress.step, own.steps, threads_for(learner.device)) as batches:
        try:
            for step in range(progress.step, own.steps):
                on_progress(step, own.steps, save)
                learner.step(batches.next()[0], step)
                progress = Progress(step + 1)
                if progress.step % own.checkpoint_every == 0 or progress.step == own.steps:
                    save()
            on_progress(own.steps, own.steps, save)
        except NotFiniteError:
            raise TrainingError(
                "The teacher's loss is no longer a number.",
                path=run,
                hint="Start a new run with another seed, or with teacher_steps = 0.",
            ) from None
        except (Cancelled, TrainingError):  # such as a picture that is gone
            with contextlib.suppress(NotFiniteError):  # a state that diverged is not worth keeping
                save()
            raise
    save_teacher(learner.average.model, run / TEACHER_WEIGHTS_NAME)
    return learner


def take_over(config: TrainConfig, run: Path) -> None:
    """Copy a teacher from elsewhere into the run's folder, so that the run can be resumed when that file is gone.

    Does nothing if the run has its copy, or trains a teacher of its own.

    Raises:
        WeightsError: the file is missing or damaged, or holds no teacher.
        TrainingError: it was made for other scale factors.
        SaveError: the folder cannot be written.
    """
    copy = run / TEACHER_WEIGHTS_NAME
    if config.teacher_from and not copy.exists():
        save_teacher(load_teacher(Path(config.teacher_from), config.taught_scales), copy)


def _taken_over(config: TrainConfig, run: Path, notice: Callable[[str], None]) -> TeacherLearner:
    network = load_teacher(run / TEACHER_WEIGHTS_NAME, config.taught_scales)
    layers = network.convolutions
    shape = replace(teacher_config(config), depth=len(layers), width=layers[0].out_channels)
    learner = TeacherLearner(shape, notice)
    learner.average.model.load_state_dict(network.state_dict())
    return learner


class _Cutter:
    """Makes the batch of a step, as a function of the seed and the step."""

    def __init__(self, config: TrainConfig, data: TrainingData) -> None:
        self._seed = config.seed
        self._data = data
        self._scales = scales_of_batch(config.taught_scales)

    def __call__(self, step: int) -> TeacherPatches:
        draws = np.random.default_rng([self._seed, step, _STREAM]).random((len(self._scales), 2 + _DRAWS))
        return cut(self._data.bands(step, draws[:, :2]), draws[:, 2:], self._scales)
