"""The results of a run: the weights, how they compare, and a card that says what they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vdsr_app.control import CancelToken
from vdsr_app.core.network import VDSR
from vdsr_app.core.weights import save_weights
from vdsr_app.errors import Cancelled
from vdsr_trainer.card import RunFacts, without_places, write_card
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.config_file import to_toml
from vdsr_trainer.data.dataset import TrainingData
from vdsr_trainer.events import Compared
from vdsr_trainer.meter import Spent
from vdsr_trainer.result import compare
from vdsr_trainer.run_files import WEIGHTS_NAME
from vdsr_trainer.runs import describe_run
from vdsr_trainer.trials import MOST_PICTURES

_MOST_PICTURES_UNFINISHED = 4
"""Pictures measured if a run was stopped before its end: the user is waiting for it to be saved."""


def write_weights(average: VDSR, run: Path, config: TrainConfig, step: int) -> Path:
    """Write the moving average as the run's weight file.

    Raises:
        SaveError: the folder cannot be written.
    """
    weights = run / WEIGHTS_NAME
    about = {
        "title": describe_run(run).title,
        "steps": str(step),
        "training": to_toml(without_places(config)),
    }
    save_weights(average, weights, about)
    return weights


def write_result(
    run: Path,
    config: TrainConfig,
    average: VDSR,
    data: TrainingData,
    *,
    step: int,
    spent: Spent,
    device: str,
    should_continue: Callable[[], bool],
    notice: Callable[[str], None],
) -> Compared | None:
    """Compare the result with other models and write the model card.

    Args:
        run: folder of the run.
        config: of the run.
        average: the trained network.
        data: the pictures; the held-out ones are measured.
        step: steps done.
        spent: where the time went.
        device: what it ran on, for display.
        should_continue: called after each measurement; once it returns False, the card is written without the table.
        notice: called with a message for the user.

    Raises:
        SaveError: the folder cannot be written.
    """
    token = CancelToken()

    def on_progress(done: int, total: int) -> None:
        if not should_continue():
            token.cancel()

    complete = step >= config.steps
    try:
        compared = compare(
            average,
            data.validation,
            config,
            run,
            step=step,
            most_pictures=MOST_PICTURES if complete else _MOST_PICTURES_UNFINISHED,
            token=token,
            on_progress=on_progress,
            notice=notice,
        )
    except Cancelled:
        compared = None
    about = describe_run(run)
    facts = RunFacts(
        about.title,
        about.preset,
        step,
        data.pictures,
        len(data.held_out),
        spent.training,
        device,
        average.config.parameters,
        data_wait_share=spent.share(spent.waiting),
        saving_share=spent.share(spent.saving),
    )
    write_card(run, config, facts, compared)
    return compared
