"""Whole runs, small: they learn, stop, resume to the bit, and survive damaged checkpoints."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vdsr_app.control import CancelToken
from vdsr_app.core.weights import load_weights
from vdsr_app.errors import TrainingError
from vdsr_trainer import checkpoint
from vdsr_trainer.config import TrainConfig, preset
from vdsr_trainer.events import CheckpointSaved, Event, Finished, Started, Stepped, Validated, from_json
from vdsr_trainer.loop import EVENTS_NAME, WEIGHTS_NAME, resume_config, train


def _run(config: TrainConfig, run: Path, *, stop_at: int | None = None, resume: bool = False) -> list[Event]:
    events: list[Event] = []
    token = CancelToken()

    def collect(event: Event) -> None:
        events.append(event)
        if stop_at is not None and isinstance(event, CheckpointSaved) and event.step >= stop_at:
            token.cancel()

    train(config, run, collect, token, resume=resume)
    return events


def test_a_run_learns_and_leaves_weights(small: TrainConfig, tmp_path: Path) -> None:
    larger = replace(small, depth=5, width=16, batch=8, muon_rate=3e-3, average_decay=0.98)
    events = _run(replace(larger, steps=150, validate_every=150), tmp_path / "run")
    assert isinstance(events[0], Started)
    assert events[-1] == Finished(150, str(tmp_path / "run" / WEIGHTS_NAME), True)
    validated = [event for event in events if isinstance(event, Validated)]
    for scale in ("2", "3", "4"):
        assert validated[-1].psnr_db[scale] > validated[-1].bicubic_psnr_db[scale] + 0.1, "no better than bicubic"
    loaded = load_weights(tmp_path / "run" / WEIGHTS_NAME)
    assert loaded.model.config.depth == 5
    assert loaded.metadata["steps"] == "150"
    assert str(tmp_path) not in json.dumps(loaded.metadata), "weights tell where the pictures lie"


def test_the_event_log_is_what_was_told(small: TrainConfig, tmp_path: Path) -> None:
    events = _run(small, tmp_path / "run")
    lines = (tmp_path / "run" / EVENTS_NAME).read_text("utf-8").splitlines()
    assert [from_json(line) for line in lines] == events
    steps = [event.step for event in events if isinstance(event, Stepped)]
    assert steps == sorted(steps)
    assert steps[-1] == 30


@pytest.mark.parametrize("optimizer", ["muon", "adamw", "sgd"])
@pytest.mark.parametrize("stop_at", [10, 20])
def test_a_resumed_run_equals_an_uninterrupted_one(
    small: TrainConfig, tmp_path: Path, optimizer: str, stop_at: int
) -> None:
    config = replace(small, optimizer=optimizer, rate=1e-3)
    _run(config, tmp_path / "whole")
    first = _run(config, tmp_path / "parts", stop_at=stop_at)
    assert first[-1] == Finished(stop_at, str(tmp_path / "parts" / WEIGHTS_NAME), False)
    _run(resume_config(tmp_path / "parts"), tmp_path / "parts", resume=True)
    whole = load_weights(tmp_path / "whole" / WEIGHTS_NAME)
    parts = load_weights(tmp_path / "parts" / WEIGHTS_NAME)
    assert whole.checksum == parts.checksum


def test_a_run_killed_between_checkpoints_goes_on_from_the_last(small: TrainConfig, tmp_path: Path) -> None:
    _run(small, tmp_path / "whole")

    class Killed(BaseException):
        pass

    def die(event: Event) -> None:
        if isinstance(event, Validated):
            raise Killed

    with pytest.raises(Killed):
        train(small, tmp_path / "parts", die, CancelToken())
    events = _run(small, tmp_path / "parts", resume=True)
    assert isinstance(events[0], Started)
    assert events[0].step == 10
    assert load_weights(tmp_path / "whole" / WEIGHTS_NAME).checksum == (
        load_weights(tmp_path / "parts" / WEIGHTS_NAME).checksum
    )


@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(small: TrainConfig, tmp_path: Path, damage: str) -> None:
    _run(small, tmp_path / "run", stop_at=20)
    newest = tmp_path / "run" / checkpoint.NEWEST
    good = newest.read_bytes()
    match damage:
        case "cut":
            newest.write_bytes(good[:-1000])
        case "flip":
            newest.write_bytes(good[:-1000] + bytes([good[-1000] ^ 1]) + good[-999:])
        case _:
            newest.unlink()
    events = _run(small, tmp_path / "run", resume=True)
    assert isinstance(events[0], Started)
    assert events[0].step == 10
    assert isinstance(events[-1], Finished)
    assert events[-1].complete


def test_no_usable_checkpoint_is_said(small: TrainConfig, tmp_path: Path) -> None:
    _run(small, tmp_path / "run", stop_at=10)
    for name in (checkpoint.NEWEST, checkpoint.PREVIOUS):
        (tmp_path / "run" / name).write_bytes(b"nonsense")
    with pytest.raises(TrainingError, match="No checkpoint can be used"):
        _run(small, tmp_path / "run", resume=True)


def test_a_finished_run_is_not_overwritten(small: TrainConfig, tmp_path: Path) -> None:
    _run(replace(small, steps=2), tmp_path / "run")
    with pytest.raises(TrainingError, match="already"):
        _run(small, tmp_path / "run")


def test_a_folder_without_run_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no training run"):
        resume_config(tmp_path)


def test_a_loss_that_is_not_finite_stops_the_run(small: TrainConfig, tmp_path: Path) -> None:
    config = replace(small, optimizer="sgd", rate=10.0, clip_theta=0.0, schedule="constant", warmup_steps=0, steps=200)
    with pytest.raises(TrainingError, match="not finite"):
        _run(config, tmp_path / "run")
    assert not (tmp_path / "run" / WEIGHTS_NAME).exists()


def test_two_checkpoints_are_kept_and_no_temporary_file(small: TrainConfig, tmp_path: Path) -> None:
    _run(small, tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        checkpoint.PREVIOUS,
        checkpoint.NEWEST,
        "config.toml",
        EVENTS_NAME,
        WEIGHTS_NAME,
    ]


def test_bf16_and_fp32_agree_roughly() -> None:
    from vdsr_app.core.network import VDSR, VDSRConfig, initialise
    from vdsr_trainer.loop import forward_detail

    model = VDSR(VDSRConfig(6, 16))
    initialise(model, 0)
    luma = torch.rand(2, 1, 20, 20)
    with torch.no_grad():
        exact, half = forward_detail(model, luma, "fp32"), forward_detail(model, luma, "bf16")
        assert exact == pytest.approx(model(luma) - luma, abs=1e-5)
    assert half.dtype == torch.float32
    assert float((half - exact).norm() / exact.norm()) < 0.02


def test_the_papers_optimiser_does_not_get_stuck(small: TrainConfig, tmp_path: Path) -> None:
    paper = preset("paper")
    config = replace(
        small,
        optimizer=paper.optimizer,
        rate=paper.rate,
        momentum=paper.momentum,
        weight_decay=paper.weight_decay,
        clip_theta=0.003,
        schedule="step",
        depth=5,
        width=16,
        average_decay=0.0,
        steps=200,
        batch=8,
        warmup_steps=0,
        validate_every=200,
    )
    validated = [event for event in _run(config, tmp_path / "run") if isinstance(event, Validated)][-1]
    assert validated.psnr_db["2"] > validated.bicubic_psnr_db["2"] + 0.5
