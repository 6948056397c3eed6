"""Checkpoints on disk: which are kept, and which are accepted."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from vdsr_app.errors import SaveError, TrainingError
from vdsr_trainer import checkpoint
from vdsr_trainer.checkpoint import Keeper, Progress
from vdsr_trainer.data.dataset import Patches
from vdsr_trainer.health import Health
from vdsr_trainer.learner import Learner
from vdsr_trainer.meter import Spent
from vdsr_trainer.presets import preset
from vdsr_trainer.run_files import NEWEST_NAME, PREVIOUS_NAME
from vdsr_trainer.stepper import NotFiniteError

CONFIG = replace(preset("robust"), depth=3, width=4, batch=2, patch_px=16, precision="fp32", threads=1, device="cpu")
GOOD, BAD, NEW = Health(rose=True), Health(rose=True, below=1), Health(below=2)
LATER = (GOOD, -1)
"""Of a run that was doing well at its last validation; this state itself was not validated."""


@pytest.fixture
def learner() -> Learner:
    return Learner(CONFIG)


def _steps(run: Path, learner: Learner) -> tuple[int, int]:
    """Steps of the newest and of the previous checkpoint; -1 if there is none."""
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
def test_keeper_always_keeps_a_proven_checkpoint(
    tmp_path: Path, learner: Learner, states: list[Health | tuple[Health, int]], kept: tuple[int, int]
) -> None:
    for i, state in enumerate(states):
        health, judged_step = state if isinstance(state, tuple) else (state, i + 1)
        with Keeper(tmp_path) as keeper:  # a new one each time: what it knows comes from the disk
            keeper.begin(checkpoint.take(learner, Progress(step=i + 1, health=health, judged_step=judged_step)))
            assert keeper.finish() == tmp_path / NEWEST_NAME
            assert keeper.newest_is_proven == (health.sound and judged_step == i + 1)
            found = keeper.proven_step
        with Keeper(tmp_path) as keeper:
            assert keeper.proven_step == found
    assert _steps(tmp_path, learner) == kept


def test_failed_write_keeps_earlier_checkpoints(
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


def test_damaged_checkpoint_does_not_displace_valid_one(tmp_path: Path, learner: Learner) -> None:
    for step in (1, 2):
        checkpoint.write(tmp_path, checkpoint.take(learner, Progress(step)))
    newest = tmp_path / NEWEST_NAME
    payload = bytearray(newest.read_bytes())
    payload[-5] ^= 0xFF
    newest.write_bytes(payload)
    assert checkpoint.load(tmp_path, learner).step == 1
    checkpoint.write(tmp_path, checkpoint.take(learner, Progress(5)))
    assert _steps(tmp_path, learner) == (5, 1)


def test_snapshot_is_unaffected_by_later_steps(tmp_path: Path, learner: Learner) -> None:
    before = {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}
    snapshot = checkpoint.take(learner, Progress(step=1))
    with torch.no_grad():
        for parameter in learner.model.parameters():
            parameter.add_(1.0)
    checkpoint.write(tmp_path, snapshot)
    checkpoint.load(tmp_path, learner)
    assert all(torch.equal(tensor, before[name]) for name, tensor in learner.model.state_dict().items())


def test_take_rejects_nan_weights(learner: Learner) -> None:
    with torch.no_grad():
        next(learner.model.parameters())[0] = float("nan")
    with pytest.raises(NotFiniteError):
        checkpoint.take(learner, Progress())


def test_progress_round_trips_through_checkpoint(tmp_path: Path, learner: Learner) -> None:
    progress = Progress(7, 0.25, 2, True, Health(rose=True, below=1), 5, Spent(10.0, 1.0, 0.5, 2.0))
    checkpoint.write(tmp_path, checkpoint.take(learner, progress))
    assert checkpoint.load(tmp_path, learner) == progress


def test_progress_reads_json_of_earlier_versions() -> None:
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
def test_load_skips_checkpoint_with_invalid_metadata(tmp_path: Path, learner: Learner, said: dict[str, str]) -> None:
    for step in (1, 2):
        checkpoint.write(tmp_path, checkpoint.take(learner, Progress(step)))
    newest = tmp_path / NEWEST_NAME
    with safetensors.safe_open(newest, framework="pt") as file:
        metadata = file.metadata()
    newest.write_bytes(safetensors.torch.save(safetensors.torch.load(newest.read_bytes()), {**metadata, **said}))
    with Keeper(tmp_path):
        assert "scalars" in said or checkpoint.saved_step(tmp_path) == 1
    assert checkpoint.load(tmp_path, learner).step == 1


def test_keeper_raises_save_error_when_folder_is_gone(tmp_path: Path, learner: Learner) -> None:
    with Keeper(tmp_path / "gone") as keeper:
        keeper.begin(checkpoint.take(learner, Progress()))
        with pytest.raises(SaveError):
            keeper.finish()
        assert keeper.step == -1


@pytest.mark.parametrize("change", ["depth", "kind", "nothing there"])
def test_load_rejects_missing_or_incompatible_checkpoint(tmp_path: Path, learner: Learner, change: str) -> None:
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


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_load_names_optimiser_that_config_no_longer_has(tmp_path: Path, learner: Learner, optimizer: str) -> None:
    noise = np.random.default_rng(0).random((2, 2, 1, 16, 16), np.float32)
    grid = np.full((2, 2, 2), 2.0, np.float32)
    learner.step(Patches(noise[0], noise[1], grid), 0)
    checkpoint.write(tmp_path, checkpoint.take(learner, Progress(1)))
    other = Learner(replace(CONFIG, optimizer=optimizer))
    with pytest.raises(TrainingError, match="its optimiser is another one"):
        checkpoint.load(tmp_path, other)
    assert checkpoint.load(tmp_path, learner).step == 1


def test_load_keeps_newest_checkpoint_after_read_error(
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
