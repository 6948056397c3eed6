"""States on the disk: which are kept, and what is taken for one."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from vdsr_app.errors import SaveError, TrainingError
from vdsr_trainer import checkpoint
from vdsr_trainer.checkpoint import Keeper, Progress
from vdsr_trainer.health import Health
from vdsr_trainer.learner import Learner
from vdsr_trainer.meter import Spent
from vdsr_trainer.presets import preset
from vdsr_trainer.run_files import NEWEST_NAME, PREVIOUS_NAME
from vdsr_trainer.stepper import NotFiniteError

CONFIG = replace(preset("robust"), depth=3, width=4, batch=2, patch_px=16, precision="fp32", threads=1, device="cpu")
GOOD, BAD, NEW = Health(rose=True), Health(rose=True, below=1), Health(below=2)
LATER = (GOOD, -1)
"""Of a run that was doing well when it was judged last; nobody judged this state."""


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
        ([GOOD, BAD, GOOD], (3, 1)),
        ([GOOD, LATER, LATER, LATER], (4, 1)),
        ([GOOD, LATER, GOOD, LATER], (4, 3)),
        ([LATER, LATER, LATER], (3, 2)),
        ([NEW, NEW, NEW], (3, 2)),
        ([NEW, GOOD, BAD, BAD], (4, 2)),
    ],
)
def test_a_good_state_is_always_kept(
    tmp_path: Path, learner: Learner, states: list[Health | tuple[Health, int]], kept: tuple[int, int]
) -> None:
    for i, state in enumerate(states):
        health, judged_step = state if isinstance(state, tuple) else (state, i + 1)
        with Keeper(tmp_path) as keeper:  # a new one each time: what it knows, it has from the disk
            keeper.begin(checkpoint.take(learner, Progress(step=i + 1, health=health, judged_step=judged_step)))
            assert keeper.finish() == tmp_path / NEWEST_NAME
            assert keeper.newest_is_proven == (health.sound and judged_step == i + 1)
            found = keeper.proven_step
        with Keeper(tmp_path) as keeper:
            assert keeper.proven_step == found
    assert _steps(tmp_path, learner) == kept


def test_what_cannot_be_written_costs_no_earlier_state(
    tmp_path: Path, learner: Learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, payload: bytes) -> None:
        raise SaveError("The disk is full.", path=path)

    with Keeper(tmp_path) as keeper:
        for step, health in ((1, GOOD), (2, BAD)):
            keeper.begin(checkpoint.take(learner, Progress(step, health=health, judged_step=step)))
            keeper.finish()
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint, "write_atomically", full)
            keeper.begin(checkpoint.take(learner, Progress(3, health=GOOD, judged_step=3)))
            with pytest.raises(SaveError):
                keeper.finish()
        assert _steps(tmp_path, learner) == (2, 1)
        assert (keeper.step, keeper.newest_is_proven, keeper.proven_step) == (-1, False, 1)


def test_a_damaged_state_pushes_no_sound_one_off_the_disk(tmp_path: Path, learner: Learner) -> None:
    for step in (1, 2):
        checkpoint.write(tmp_path, checkpoint.take(learner, Progress(step)))
    newest = tmp_path / NEWEST_NAME
    payload = bytearray(newest.read_bytes())
    payload[-5] ^= 0xFF
    newest.write_bytes(payload)
    assert checkpoint.load(tmp_path, learner).step == 1
    checkpoint.write(tmp_path, checkpoint.take(learner, Progress(5)))
    assert _steps(tmp_path, learner) == (5, 1)


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
    progress = Progress(7, 0.25, 2, True, Health(rose=True, below=1), 5, Spent(10.0, 1.0, 0.5, 2.0))
    checkpoint.write(tmp_path, checkpoint.take(learner, progress))
    assert checkpoint.load(tmp_path, learner) == progress


def test_progress_of_an_earlier_version_is_understood() -> None:
    values = json.loads(Progress(7, health=GOOD).to_json())
    del values["judged_step"]
    assert Progress.from_json(json.dumps({**values, "best_psnr_db": 31.5})) == Progress(7, health=GOOD)


@pytest.mark.parametrize(
    "said",
    [
        {"progress": "0"},
        {"progress": "[" * 100_000},
        {"progress": json.dumps({**json.loads(Progress().to_json()), "step": "many"})},
        {"progress": json.dumps({**json.loads(Progress().to_json()), "rate_share": 10**400})},
        {"progress": json.dumps({**json.loads(Progress().to_json()), "health": {"below": [1]}})},
        {"scalars": "[]"},
    ],
)
def test_a_state_that_says_nonsense_is_passed_over(tmp_path: Path, learner: Learner, said: dict[str, str]) -> None:
    for step in (1, 2):
        checkpoint.write(tmp_path, checkpoint.take(learner, Progress(step)))
    newest = tmp_path / NEWEST_NAME
    with safetensors.safe_open(newest, framework="pt") as file:
        metadata = file.metadata()
    newest.write_bytes(safetensors.torch.save(safetensors.torch.load(newest.read_bytes()), {**metadata, **said}))
    with Keeper(tmp_path):
        assert "scalars" in said or checkpoint.saved_step(tmp_path) == 1
    assert checkpoint.load(tmp_path, learner).step == 1


def test_a_folder_that_is_gone_is_one_plain_error(tmp_path: Path, learner: Learner) -> None:
    with Keeper(tmp_path / "gone") as keeper:
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


def test_a_state_that_the_disk_does_not_give_now_is_left_where_it_is(
    tmp_path: Path, learner: Learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (1, 2):
        checkpoint.write(tmp_path, checkpoint.take(learner, Progress(step)))
    newest, read = tmp_path / NEWEST_NAME, Path.read_bytes

    def does_not_answer(path: Path) -> bytes:
        if path == newest:
            raise OSError(errno.EIO, "Input/output error")
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", does_not_answer)
        assert checkpoint.load(tmp_path, learner).step == 1
    assert checkpoint.load(tmp_path, learner).step == 2
