"""A run's teacher before the run's first step: it is trained, measured, and asked about each picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vdsr_app.control import CancelToken, ProgressCallback
from vdsr_app.core.network import VDSR
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.dataset import TrainingData
from vdsr_trainer.teacher.answers import Teacher
from vdsr_trainer.teacher.kept_answers import KeptAnswers
from vdsr_trainer.teacher.phase import TeacherProgress, trained_teacher
from vdsr_trainer.validate import Judge


def ask_teacher(
    config: TrainConfig,
    run: Path,
    data: TrainingData,
    judge: Judge,
    network: VDSR | None,
    *,
    on_learned: TeacherProgress,
    on_answered: ProgressCallback,
    notice: Callable[[str], None],
    token: CancelToken,
) -> dict[str, float]:
    """Train the teacher, unless it is trained, and use its answers for the targets of patches.

    Args:
        config: of the run.
        run: its folder.
        data: its pictures.
        judge: measures the teacher on the held-out ones.
        network: what it is to teach, measured beside it; None if an earlier part of the run has measured it.
        on_learned: called before each of its steps, see `phase.trained_teacher`.
        on_answered: called with (done, total) pictures, from this thread, if all fit into memory together.
        notice: called with a message for the user.
        token: checked at each picture.

    Returns:
        Its mean PSNR in dB by the judge's keys; empty if it was not measured.

    Raises:
        TrainingError, WeightsError, SaveError, DeviceError: see `phase.trained_teacher`.
        Cancelled: by the token, or by the callbacks.
    """
    if not data.holds_all_whole:
        notice(
            "The pictures do not fit into memory together with what the teacher says of them, so it is asked each"
            " time one is read, which takes long, and not about one that is too large. A larger cache_mb helps."
        )
    teacher = Teacher(trained_teacher(config, run, data, on_progress=on_learned, notice=notice), config.answered_scales)
    psnr_db = {} if network is None else _measured(teacher, network, judge, config, notice)
    # Answers that do not fit into memory might fill the disk.
    asked = KeptAnswers(teacher, run) if data.holds_all_whole else teacher
    data.set_teacher(asked, on_answered, token)
    return psnr_db


def _measured(
    teacher: Teacher, network: VDSR, judge: Judge, config: TrainConfig, notice: Callable[[str], None]
) -> dict[str, float]:
    """Its PSNR on the held-out pictures; gives a notice if it has nothing to teach."""
    psnr_db = judge.measure_teacher(teacher)
    if not psnr_db:
        return psnr_db
    rows = (psnr_db, judge.measure(network), judge.bicubic_psnr_db)
    mean, *begins = [sum(row[key] for key in psnr_db) / len(psnr_db) for row in rows]
    if mean <= max(begins):
        better = "Take another one" if config.teacher_from else "Let it learn longer (teacher_steps)"
        notice(
            f"On the held-out pictures the teacher is no better than what it is to teach ({mean:.2f} and"
            f" {max(begins):.2f} dB), so there is little to learn from it. {better}, or have none."
        )
    return psnr_db
