"""States on the disk: which are kept, and what is taken for one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vdsr_app.errors import SaveError, TrainingError
from vdsr_trainer import checkpoint
from vdsr_trainer.checkpoint import Keeper, Progress
from vdsr_trainer.config import preset
from vdsr_trainer.health import Health
from vdsr_trainer.learner import Learner
from vdsr_trainer.meter import Spent
from vdsr_trainer.run_files import NEWEST_NAME, PREVIOUS_NAME
from vdsr_trainer.stepper import NotFiniteError

CONFIG = replace(preset("robust"), depth=3, width=4, batch=2, patch_px=16, precision="fp32", threads=1, device="cpu")
GOOD, BAD, NEW = Health(rose=True), Health(rose=True, below=1), Health(below=2)


@pytest.fixture
def learner() -> Learner:
    return Learner(CONFIG)


def _steps(run: Path, learner: Learner) -> tuple[int, int]:
    """Steps of the newest and of the previous state; -1 where there is none."""
    steps = []
    for name in (NEWEST_NAME, PREVIOUS_NAME):
        try:
            steps.append(checkpoint.load(run, learner, (name,)).step)
        except TrainingError:
            steps.append(-1)
    return steps[0], steps[1]


@pytest.mark.parametrize(
    ("states", "kept"),
    [
        ([GOOD], (1, -1)),
        ([GOOD, GOOD, GOOD], (3, 2)),
        ([GOOD, BAD], (2, 1)),
        ([GOOD, BAD, BAD, BAD], (4, 1)),
        ([GOOD, BAD, GOOD], (3, 2)),
        ([NEW, NEW, NEW], (3, 2)),
        ([NEW, GOOD, BAD, BAD], (4, 2)),
    ],
)
def test_a_good_state_is_always_kept(
    tmp_path: Path, learner: Learner, states: list[Health], kept: tuple[int, int]
) -> None:
    with Keeper(tmp_path, newest_is_sound=False) as keeper:
        for i, health in enumerate(states):
            keeper.begin(checkpoint.take(learner, Progress(step=i + 1, health=health)))
            assert keeper.finish() == tmp_path / NEWEST_NAME
            assert keeper.newest_is_sound == health.sound
    assert _steps(tmp_path, learner) == kept


def test_a_snapshot_is_not_changed_by_later_steps(tmp_path: Path, learner: Learner) -> None:
    before = {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}
    snapshot = checkpoint.take(learner, Progress(step=1))
    with torch.no_grad():
        for parameter in learner.model.parameters():
            parameter.add_(1.0)
    checkpoint.write(tmp_path, snapshot)
    checkpoint.load(tmp_path, learner)
    assert all(torch.equal(tensor, before[name]) for name, tensor in learner.model.state_dict().items())


def test_numbers_that_are_none_are_never_saved(learner: Learner) -> None:
    with torch.no_grad():
        next(learner.model.parameters())[0] = float("nan")
    with pytest.raises(NotFiniteError):
        checkpoint.take(learner, Progress())


def test_progress_is_carried_on(tmp_path: Path, learner: Learner) -> None:
    progress = Progress(7, 31.5, 0.25, 2, True, Health(rose=True, below=1), Spent(10.0, 1.0, 0.5, 2.0))
    checkpoint.write(tmp_path, checkpoint.take(learner, progress))
    assert checkpoint.load(tmp_path, learner) == progress


def test_a_folder_that_is_gone_is_one_plain_error(tmp_path: Path, learner: Learner) -> None:
    with Keeper(tmp_path / "gone", newest_is_sound=False) as keeper:
        keeper.begin(checkpoint.take(learner, Progress()))
        with pytest.raises(SaveError):
            keeper.finish()
        assert keeper.step == -1


@pytest.mark.parametrize("change", ["depth", "kind", "nothing there"])
def test_what_is_no_state_of_this_run_is_refused(tmp_path: Path, learner: Learner, change: str) -> None:
    checkpoint.write(tmp_path, checkpoint.take(learner, Progress()))
    other = learner
    if change == "depth":
        other = Learner(replace(CONFIG, depth=4))
    elif change == "kind":
        path = tmp_path / NEWEST_NAME
        path.write_bytes(path.read_bytes().replace(b"vdsr-checkpoint-2", b"vdsr-checkpoint-9"))
    else:
        (tmp_path / NEWEST_NAME).unlink()
    with pytest.raises(TrainingError, match="No checkpoint can be used"):
        checkpoint.load(tmp_path, other)
