"""Checks before a run creates anything, and which folder a new run may use."""

from __future__ import annotations

from pathlib import Path

from vdsr_app.core.atomic import save_error
from vdsr_app.core.device import choose_device
from vdsr_app.core.words import counted
from vdsr_app.errors import TrainingError, UsageError
from vdsr_trainer.checkpoint import saved_step
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.preflight import require_places
from vdsr_trainer.run_files import EVENTS_NAME, START_WEIGHTS_NAME, TEACHER_WEIGHTS_NAME, has_learned
from vdsr_trainer.run_tail import lines_backwards


def refuse_started(run: Path) -> None:
    """Refuse a folder for a new run if something was learned in it, by the network or by its teacher.

    Raises:
        TrainingError: something was.
    """
    if has_learned(run) or _has_started(run / EVENTS_NAME):
        raise TrainingError(
            "This folder already contains a run.", path=run, hint="Use --resume, or choose another folder."
        )


def refuse_passed(config: TrainConfig, run: Path) -> None:
    """Refuse a total number of steps that a resumed run has already passed; with epochs it is not known yet.

    Raises:
        UsageError: it has.
    """
    step = saved_step(run)
    if step > config.steps and not config.epochs:
        raise UsageError(
            f"The run stands at step {step:,} already, beyond the {counted(config.steps, 'step')} that it is to have"
            " in all.",
            path=run,
            hint=f"Ask for more than {step:,} steps.",
        )


def _has_started(log: Path) -> bool:
    """Whether a run reached its first step, by its log; a log that cannot be read counts."""
    try:
        return any(b'"event": "Started"' in line for line in lines_backwards(log))
    except OSError:
        return log.exists()


def remove_failed_start(run: Path) -> None:
    """Delete what a run that never started left behind and the new one must not take for its own.

    Raises:
        SaveError: it cannot be deleted.
    """
    for name in (EVENTS_NAME, START_WEIGHTS_NAME, TEACHER_WEIGHTS_NAME):
        try:
            (run / name).unlink(missing_ok=True)
        except OSError as error:
            raise save_error(run / name, error) from error


def require_needed(config: TrainConfig) -> None:
    """Check that what a new run needs is there: a wrong name must leave nothing behind.

    Raises:
        TrainingError: a folder of pictures is missing, or the teacher was made for other scale factors.
        WeightsError: the model to start from, or the teacher, is missing or invalid.
        UsageError: there is no such kind of device, or the model to start from has another shape than the run.
        DeviceError: this computer has no such device.
    """
    require_places(config)
    choose_device(config.device)
