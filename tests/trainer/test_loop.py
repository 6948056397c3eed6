"""Small whole runs: they learn, stop, resume bit-exactly, and recover from divergence and damaged checkpoints."""

from __future__ import annotations

import errno
import json
import math
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from tests.trainer.conftest import draw_picture
from vdsr_app.control import CancelToken
from vdsr_app.core.atomic import save_error
from vdsr_app.core.network import VDSR, VDSRConfig, initialise
from vdsr_app.core.weights import load_weights, save_weights
from vdsr_app.errors import Cancelled, DeviceError, SaveError, TrainingError, UsageError, VdsrError
from vdsr_trainer import checkpoint
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.dataset import Patches, TrainingData
from vdsr_trainer.data.resident import ResidentBatches
from vdsr_trainer.events import (
    CheckpointSaved,
    Compared,
    Event,
    Failed,
    Finished,
    Noticed,
    Paused,
    Preparing,
    Referenced,
    Resumed,
    RolledBack,
    Started,
    Stepped,
    Validated,
    from_json,
)
from vdsr_trainer.history import read_history
from vdsr_trainer.learner import forward_detail
from vdsr_trainer.loop import resume_config, train
from vdsr_trainer.presets import preset, starting_from
from vdsr_trainer.run_files import (
    CARD_NAME,
    EVENTS_NAME,
    NEWEST_NAME,
    PREVIOUS_NAME,
    WEIGHTS_NAME,
    RunLock,
    write_control,
)
from vdsr_trainer.runs import RunState, create_run, describe_run
from vdsr_trainer.validate import Judge

pytestmark = pytest.mark.usefixtures("tiny_bundled")


def _run(config: TrainConfig, run: Path, *, stop_at: int | None = None, resume: bool = False) -> list[Event]:
    events: list[Event] = []
    token = CancelToken()

    def collect(event: Event) -> None:
        events.append(event)
        if stop_at is not None and isinstance(event, CheckpointSaved) and event.step >= stop_at:
            token.cancel()

    train(config, run, collect, token, resume=resume)
    return events


def _started(events: list[Event]) -> Started:
    (started,) = [event for event in events if isinstance(event, Started)]
    return started


def test_run_learns_and_writes_weights(small: TrainConfig, tmp_path: Path) -> None:
    larger = replace(small, depth=5, width=16, batch=8, muon_rate=3e-3, average_decay=0.98)
    events = _run(replace(larger, steps=150, validate_every=150), tmp_path / "run")
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert (finished.step, finished.complete) == (150, True)
    assert finished.weights == str(tmp_path / "run" / WEIGHTS_NAME)
    validated = [event for event in events if isinstance(event, Validated)]
    for scale in ("2", "3", "4"):
        assert validated[-1].psnr_db[scale] > validated[-1].bicubic_psnr_db[scale] + 0.1, "no better than bicubic"
    loaded = load_weights(tmp_path / "run" / WEIGHTS_NAME)
    assert loaded.model.config.depth == 5
    assert loaded.metadata["steps"] == "150"
    assert str(tmp_path) not in json.dumps(loaded.metadata), "weights tell where the pictures lie"


def test_run_learns_from_pictures_resident_on_device(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(small, depth=5, width=16, batch=8, muon_rate=3e-3, average_decay=0.98, steps=150)
    made: list[ResidentBatches] = []

    def on_the_processor(
        data: TrainingData, config: TrainConfig, device: torch.device, notice: object
    ) -> ResidentBatches:
        made.append(ResidentBatches(data, config, device))
        return made[-1]

    monkeypatch.setattr("vdsr_trainer.loop.resident_batches", on_the_processor)
    events = _run(replace(config, validate_every=150), tmp_path / "there")
    assert len(made) == 1
    monkeypatch.undo()
    same = _run(replace(config, validate_every=150), tmp_path / "here")
    validated, expected = ([event for event in each if isinstance(event, Validated)] for each in (events, same))
    assert [event.step for event in validated] == [event.step for event in expected] == [150]
    for there, here in zip(validated, expected, strict=True):
        assert there.psnr_db == pytest.approx(here.psnr_db, abs=0.02), "it learns something else"
    assert validated[-1].psnr_db["2"] > validated[-1].bicubic_psnr_db["2"] + 0.1


def test_event_log_matches_emitted_events(small: TrainConfig, tmp_path: Path) -> None:
    events = _run(small, tmp_path / "run")
    lines = (tmp_path / "run" / EVENTS_NAME).read_text("utf-8").splitlines()
    assert [from_json(line) for line in lines] == events
    steps = [event.step for event in events if isinstance(event, Stepped)]
    assert steps == sorted(steps)
    assert steps[-1] == 30


@pytest.mark.parametrize("optimizer", ["muon", "adamw", "sgd"])
@pytest.mark.parametrize("stop_at", [10, 20])
def test_resumed_run_equals_uninterrupted_run(small: TrainConfig, tmp_path: Path, optimizer: str, stop_at: int) -> None:
    # So many steps that they cannot all be done while one checkpoint is being written.
    config = replace(small, optimizer=optimizer, rate=1e-3, steps=200)
    _run(config, tmp_path / "whole")
    first = _run(config, tmp_path / "parts", stop_at=stop_at)
    # The checkpoint is written while the next steps are done, so the run ends some steps after it.
    assert stop_at < first[-1].step < 200
    assert first[-1] == replace(first[-1], complete=False)
    _run(resume_config(tmp_path / "parts"), tmp_path / "parts", resume=True)
    whole = load_weights(tmp_path / "whole" / WEIGHTS_NAME)
    parts = load_weights(tmp_path / "parts" / WEIGHTS_NAME)
    assert whole.checksum == parts.checksum


def test_killed_run_resumes_from_last_checkpoint(small: TrainConfig, tmp_path: Path) -> None:
    _run(small, tmp_path / "whole")

    class Killed(BaseException):
        pass

    def die(event: Event) -> None:
        if isinstance(event, Validated):
            raise Killed

    with pytest.raises(Killed):
        train(small, tmp_path / "parts", die, CancelToken())
    events = _run(small, tmp_path / "parts", resume=True)
    assert _started(events).step == 10
    assert load_weights(tmp_path / "whole" / WEIGHTS_NAME).checksum == (
        load_weights(tmp_path / "parts" / WEIGHTS_NAME).checksum
    )


@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_resume_uses_previous_checkpoint_when_newest_is_damaged(
    small: TrainConfig, tmp_path: Path, damage: str
) -> None:
    _run(small, tmp_path / "run", stop_at=20)
    newest = tmp_path / "run" / NEWEST_NAME
    good = newest.read_bytes()
    match damage:
        case "cut":
            newest.write_bytes(good[:-1000])
        case "flip":
            newest.write_bytes(good[:-1000] + bytes([good[-1000] ^ 1]) + good[-999:])
        case _:
            newest.unlink()
    events = _run(small, tmp_path / "run", resume=True)
    assert _started(events).step == 15  # the last one that a validation found good
    assert isinstance(events[-1], Finished)
    assert events[-1].complete


def test_resume_fails_when_no_checkpoint_is_usable(small: TrainConfig, tmp_path: Path) -> None:
    _run(small, tmp_path / "run", stop_at=10)
    for name in (NEWEST_NAME, PREVIOUS_NAME):
        (tmp_path / "run" / name).write_bytes(b"nonsense")
    events: list[Event] = []
    with pytest.raises(TrainingError, match="No checkpoint can be used"):
        train(small, tmp_path / "run", events.append, CancelToken(), resume=True)
    assert isinstance(events[-1], Failed)


def test_failed_resume_keeps_progress_and_configuration(small: TrainConfig, tmp_path: Path) -> None:
    run = tmp_path / "run"
    _run(replace(small, steps=10), run)
    events: list[Event] = []
    with pytest.raises(DeviceError):
        train(replace(small, steps=30, device="cuda:999"), run, events.append, CancelToken(), resume=True)
    assert isinstance(events[-1], Failed)
    assert events[-1].step == 10
    reported = describe_run(run)
    assert (reported.state, reported.step, reported.steps) == (RunState.FAILED, 10, 10)
    assert resume_config(run) == replace(small, steps=10)
    _run(replace(small, steps=12), run, resume=True)
    assert resume_config(run).steps == 12


def test_resume_rejects_fewer_steps_than_already_done(small: TrainConfig, tmp_path: Path) -> None:
    run = tmp_path / "run"
    _run(replace(small, steps=10), run)
    there = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    with pytest.raises(UsageError, match=r"at step 10 already, beyond the 5 steps"):
        _run(replace(small, steps=5), run, resume=True)
    assert {path: path.read_bytes() for path in run.iterdir() if path.is_file()} == there
    assert _started(_run(resume_config(run), run, resume=True)).step == 10


_SHORT, _LOST = torch.OutOfMemoryError("CUDA out of memory"), torch.AcceleratorError("CUDA error: launch failure")
_NO_ROOM_FOR_CUBLAS = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


@pytest.mark.parametrize(
    ("where", "error", "words"),
    [
        *(("torch.nn.Module.to", _SHORT, "out of memory"), ("torch.nn.Module.to", _LOST, "failed")),
        ("vdsr_trainer.loop.resident_batches", _SHORT, "out of memory"),
        ("vdsr_trainer.loop.open_data", MemoryError("Unable to allocate 3 GiB"), "This computer is out of memory"),
        ("vdsr_trainer.loop.ask_teacher", _LOST, "failed"),
        ("vdsr_trainer.stepper.Optimiser.step", _NO_ROOM_FOR_CUBLAS, "out of memory"),
        ("vdsr_trainer.validate.Judge.measure", RuntimeError("MPS backend out of memory"), "out of memory"),
        ("vdsr_trainer.validate.Judge.measure", RuntimeError("CUDNN_STATUS_EXECUTION_FAILED"), "failed"),
    ],
)
def test_device_failure_at_any_stage_raises_and_is_reported(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, error: Exception, words: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(where, fail)
    config = replace(small, teacher_steps=8 if "teacher" in where else 0, steps=2)
    events: list[Event] = []
    with pytest.raises(DeviceError, match=words):
        train(config, tmp_path / "run", events.append, CancelToken())
    assert isinstance(events[-1], Failed)
    assert words in events[-1].message
    assert "esume the run" in events[-1].message


def test_run_reports_card_that_is_passed_over(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vdsr_trainer.loop.passed_over", lambda device: f"{device}: the processor is used instead.")
    events = _run(replace(small, steps=1), tmp_path / "run")
    assert [event.message for event in events if isinstance(event, Noticed)] == ["cpu: the processor is used instead."]


def test_programming_error_is_reported_as_unexpected(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(Judge, "measure", fail)
    events: list[Event] = []
    with pytest.raises(RuntimeError, match="mat1"):
        train(replace(small, steps=2), tmp_path / "run", events.append, CancelToken())
    assert isinstance(events[-1], Failed)
    assert "unexpected" in events[-1].message


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"data": ("/no/such/folder",)}, "no such folder"),
        ({"validation": "/no/such/folder"}, "no such folder"),
        ({"start_from": "gone"}, "no model 'gone'"),
        ({"teacher_from": "gone.safetensors"}, "no such teacher"),
        ({"device": "cuda:999"}, "CUDA"),
    ],
)
def test_wrong_name_in_config_leaves_no_run_folder(
    small: TrainConfig, tmp_path: Path, wrong: dict[str, Any], words: str
) -> None:
    with pytest.raises(VdsrError, match=words):
        _run(replace(small, **wrong), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_folder_of_run_that_learned_nothing_can_be_reused(small: TrainConfig, tmp_path: Path) -> None:
    run, empty = tmp_path / "run", tmp_path / "empty"
    empty.mkdir()
    wrong = replace(starting_from(small, "vdsr", 2, 4), data=(str(empty),))
    with pytest.raises(TrainingError, match="no pictures"):
        train(wrong, run, lambda _: None, CancelToken(), preset="quick")
    assert describe_run(run).state is RunState.FAILED
    model = VDSR(VDSRConfig(2, 4))
    initialise(model, 6)
    save_weights(model, tmp_path / "other.safetensors")
    right = replace(wrong, data=small.data, start_from=str(tmp_path / "other.safetensors"), steps=2)
    train(right, run, lambda _: None, CancelToken(), preset="robust")
    reported = describe_run(run)
    assert (reported.state, reported.preset) == (RunState.FINISHED, "robust")
    assert resume_config(run) == right
    kept, wanted = load_weights(run / "start.safetensors"), load_weights(tmp_path / "other.safetensors")
    assert kept.checksum == wanted.checksum
    with pytest.raises(TrainingError, match="already"):
        _run(right, run)


def test_resume_starts_run_that_has_not_begun(small: TrainConfig, tmp_path: Path) -> None:
    folder = create_run(tmp_path / "runs", "Mine", "robust", small)
    events = _run(resume_config(folder), folder, resume=True)
    assert isinstance(events[-1], Finished)
    assert events[-1].complete
    assert load_weights(folder / WEIGHTS_NAME).metadata["title"] == "Mine"


def test_finished_run_is_not_overwritten(small: TrainConfig, tmp_path: Path) -> None:
    _run(replace(small, steps=2), tmp_path / "run")
    before = (tmp_path / "run" / WEIGHTS_NAME).read_bytes()
    with pytest.raises(TrainingError, match="already"):
        _run(small, tmp_path / "run")
    assert (tmp_path / "run" / WEIGHTS_NAME).read_bytes() == before


def test_finished_run_can_be_extended(small: TrainConfig, tmp_path: Path) -> None:
    _run(replace(small, steps=10), tmp_path / "run")
    events = _run(replace(small, steps=20), tmp_path / "run", resume=True)
    assert [event.step for event in events if isinstance(event, Started)] == [10]
    assert events[-1].step == 20
    assert describe_run(tmp_path / "run").state is RunState.FINISHED


def test_run_locked_by_another_process_is_rejected(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vdsr_trainer.run_files._LOCK_PATIENCE_S", 0.0)
    (tmp_path / "run").mkdir()
    with RunLock(tmp_path / "run"), pytest.raises(TrainingError, match="Another process"):
        _run(small, tmp_path / "run", resume=True)


def test_resume_config_rejects_folder_without_run(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no training run"):
        resume_config(tmp_path)


def test_run_keeps_two_checkpoints_and_no_temporary_files(small: TrainConfig, tmp_path: Path) -> None:
    _run(small, tmp_path / "run")
    names = [path.name for path in (tmp_path / "run").iterdir()]
    assert sorted(name for name in names if "checkpoint" in name) == [PREVIOUS_NAME, NEWEST_NAME]
    assert [name for name in names if name.startswith(".vdsr-") or name == "reserve"] == []


def test_run_writes_card_and_comparison(small: TrainConfig, tmp_path: Path) -> None:
    events = _run(small, tmp_path / "run")
    (compared,) = [event for event in events if isinstance(event, Compared)]
    assert set(compared.rows) == {"bicubic", "vdsr", "this run"}
    assert json.loads((tmp_path / "run" / "result.json").read_text("utf-8"))["rows"] == compared.rows
    card = (tmp_path / "run" / CARD_NAME).read_text("utf-8")
    assert f"{compared.rows['this run']['2'][0]:.2f}" in card
    assert str(tmp_path) not in card
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.seconds > 0
    assert 0 <= finished.data_wait_share <= 1
    assert 0 <= finished.saving_share <= 1


def test_reference_results_are_emitted_once(small: TrainConfig, tmp_path: Path) -> None:
    first = _run(small, tmp_path / "run", stop_at=20)
    second = _run(small, tmp_path / "run", resume=True)
    (reported,) = [event for event in first + second if isinstance(event, Referenced)]
    assert set(reported.psnr_db) == {"vdsr"}
    (validated, *_) = [event for event in first if isinstance(event, Validated)]
    assert set(reported.psnr_db["vdsr"]) == set(validated.psnr_db)
    assert first.index(reported) < first.index(validated)


def test_time_left_excludes_measuring_other_models(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, real = [0.0], Judge.referenced

    def referenced(self: Judge, *arguments: Any) -> Referenced:
        now[0] += 1000.0
        return real(self, *arguments)

    for module in ("loop", "meter"):
        monkeypatch.setattr(f"vdsr_trainer.{module}.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr("vdsr_trainer.meter._REPORT_SECONDS", -math.inf)
    monkeypatch.setattr(Judge, "referenced", referenced)
    events = _run(replace(small, validate_every=10), tmp_path / "run")
    left = [event.seconds_left for event in events if isinstance(event, Stepped)]
    assert len(left) == 30
    assert all(seconds is not None and seconds < 1000.0 for seconds in left)


def test_run_starting_from_model_validates_before_first_step(small: TrainConfig, tmp_path: Path) -> None:
    config = starting_from(small, "vdsr", depth=2, width=4)
    events = _run(config, tmp_path / "run")
    first = next(event for event in events if isinstance(event, Validated))
    reported = next(event for event in events if isinstance(event, Referenced))
    assert first.step == 0
    assert first.psnr_db == pytest.approx(reported.psnr_db["vdsr"], abs=1e-4)
    assert (tmp_path / "run" / first.crop).is_file()
    assert config.muon_rate < small.muon_rate
    assert config.relative_rates
    assert config.steps < small.steps


def test_run_keeps_held_out_crop_for_each_validation(small: TrainConfig, tmp_path: Path) -> None:
    events = _run(small, tmp_path / "run")
    crops = [event.crop for event in events if isinstance(event, Validated)]
    assert crops == ["crops/00000015.png", "crops/00000030.png"]
    sizes = set()
    for name in (*crops, "crops/bicubic.png", "crops/original.png"):
        with Image.open(tmp_path / "run" / name) as picture:
            sizes.add((picture.size, picture.mode))
    assert len(sizes) == 1


# --- requests


@pytest.fixture
def alert(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control file is read before each step."""
    monkeypatch.setattr("vdsr_trainer.control._LOOK_EVERY_S", 0.0)
    monkeypatch.setattr("vdsr_trainer.control._PAUSED_LOOK_EVERY_S", 0.001)


def _run_obeying(config: TrainConfig, run: Path, requests: dict[type, str]) -> list[Event]:
    """Train, and write a request when an event of a kind is emitted for the first time."""
    events: list[Event] = []
    left = dict(requests)

    def collect(event: Event) -> None:
        events.append(event)
        if type(event) in left:
            write_control(run, left.pop(type(event)))  # type: ignore[arg-type]

    train(config, run, collect, CancelToken())
    return events


@pytest.mark.usefixtures("alert")
def test_pause_saves_first_and_does_not_change_result(small: TrainConfig, tmp_path: Path) -> None:
    events = _run_obeying(small, tmp_path / "run", {CheckpointSaved: "pause", Paused: "run"})
    paused = next(event for event in events if isinstance(event, Paused))
    assert isinstance(events[events.index(paused) + 1], Resumed)
    assert any(isinstance(e, CheckpointSaved) and e.step == paused.step for e in events), "a pause saves first"
    _run(small, tmp_path / "whole")
    assert load_weights(tmp_path / "run" / WEIGHTS_NAME).checksum == (
        load_weights(tmp_path / "whole" / WEIGHTS_NAME).checksum
    )


@pytest.mark.usefixtures("alert")
def test_run_pauses_while_reading_pictures(small: TrainConfig, tmp_path: Path) -> None:
    events = _run_obeying(small, tmp_path / "run", {Preparing: "pause", Paused: "run"})
    kinds = [type(event) for event in events]
    assert kinds[:3] == [Preparing, Paused, Resumed]
    assert kinds.index(Started) > 3, "it reads on"
    assert events[-1] == replace(events[-1], step=30, complete=True)


@pytest.mark.usefixtures("alert")
def test_run_paused_before_first_step_can_be_discarded(small: TrainConfig, tmp_path: Path) -> None:
    events = _run_obeying(small, tmp_path / "run", {Preparing: "pause", Paused: "discard"})
    kinds = [type(event) for event in events]
    assert kinds[1] is Paused
    assert not {Resumed, Started} & set(kinds)
    assert events[-1] == Finished(0, "", complete=False, discarded=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("alert")
def test_stop_writes_weights_and_measures_result(small: TrainConfig, tmp_path: Path) -> None:
    events = _run_obeying(small, tmp_path / "run", {CheckpointSaved: "stop"})
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert not finished.complete
    assert 10 <= finished.step < 30
    assert load_weights(Path(finished.weights)).metadata["steps"] == str(finished.step)
    assert any(isinstance(event, Compared) for event in events)


@pytest.mark.usefixtures("alert")
def test_discard_deletes_run_folder(small: TrainConfig, tmp_path: Path) -> None:
    events = _run_obeying(small, tmp_path / "run", {CheckpointSaved: "discard"})
    assert isinstance(events[-1], Finished)
    assert events[-1].discarded
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("alert")
@pytest.mark.parametrize("command", ["stop", "discard"])
def test_run_can_be_stopped_or_discarded_while_reading_pictures(
    small: TrainConfig, tmp_path: Path, command: str
) -> None:
    run, events = tmp_path / "run", []

    def collect(event: Event) -> None:
        events.append(event)
        write_control(run, command)  # type: ignore[arg-type]

    if command == "discard":
        assert train(small, run, collect, CancelToken()) is None
    else:
        with pytest.raises(Cancelled):
            train(small, run, collect, CancelToken())
    assert not any(isinstance(event, Stepped) for event in events)
    assert events[-1] == Finished(0, "", complete=False, discarded=command == "discard")
    assert run.exists() == (command == "stop")


def test_missing_picture_loses_no_step(small: TrainConfig, tmp_path: Path, monkeypatch) -> None:
    real = TrainingData.batch

    def batch(data: TrainingData, step: int) -> Patches:
        if step == 17:
            raise TrainingError("The picture is gone.", path="a.png", hint="Put it back.")
        return real(data, step)

    monkeypatch.setattr(TrainingData, "batch", batch)
    events: list[Event] = []
    with pytest.raises(TrainingError, match="gone"):
        train(small, tmp_path / "run", events.append, CancelToken())
    assert events[-1] == Failed(17, "a.png: The picture is gone. Put it back.")
    monkeypatch.setattr(TrainingData, "batch", real)
    assert _started(_run(small, tmp_path / "run", resume=True)).step == 17
    _run(small, tmp_path / "whole")
    assert load_weights(tmp_path / "run" / WEIGHTS_NAME).checksum == (
        load_weights(tmp_path / "whole" / WEIGHTS_NAME).checksum
    )


def test_resuming_finished_run_keeps_both_checkpoints(small: TrainConfig, tmp_path: Path) -> None:
    _run(small, tmp_path / "run")
    before = [(tmp_path / "run" / name).read_bytes() for name in (NEWEST_NAME, PREVIOUS_NAME)]
    _run(small, tmp_path / "run", resume=True)
    assert [(tmp_path / "run" / name).read_bytes() for name in (NEWEST_NAME, PREVIOUS_NAME)] == before


# --- divergence


class ScriptedJudge:
    """Makes validations report the gains that a test specifies."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, gains: list[float]) -> None:
        self.gains = gains

        def validated(judge: Judge, model: object, step: int, crop: str = "") -> Validated:
            gain = self.gains.pop(0) if self.gains else 1.0
            return Validated(step, {"2": 30.0 + gain}, {"2": 30.0}, crop)

        monkeypatch.setattr(Judge, "validated", validated)


def test_non_finite_loss_rolls_back_and_lowers_rate(small: TrainConfig, tmp_path: Path) -> None:
    config = replace(small, optimizer="sgd", rate=0.5, clip_theta=0.0, schedule="constant", warmup_steps=0, patience=0)
    events = _run(config, tmp_path / "run")
    back = [event for event in events if isinstance(event, RolledBack)]
    assert back, "the rate was not too high"
    assert [event.rate_share for event in back] == [0.5 ** (i + 1) for i in range(len(back))]
    assert "no longer a number" in back[0].reason
    assert isinstance(events[-1], Finished)
    assert events[-1].complete
    load_weights(tmp_path / "run" / WEIGHTS_NAME)  # rejects non-finite numbers
    rates = [event.rate for event in events if isinstance(event, Stepped)]
    assert rates[-1] == pytest.approx(0.5 * back[-1].rate_share)


def test_result_below_bicubic_rolls_back_to_good_checkpoint(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ScriptedJudge(monkeypatch, [1.0, 1.0, -1.0, -1.0, -1.0])
    config = replace(small, patience=3, validate_every=4, checkpoint_every=4, steps=40)
    events = _run(config, tmp_path / "run")
    (back,) = [event for event in events if isinstance(event, RolledBack)]
    assert (back.step, back.to_step, back.rate_share) == (20, 8, 0.5)
    assert "worse than bicubic by step 20" in back.reason
    assert "back to step 8" in back.reason
    steps = [event.step for event in events if isinstance(event, Validated)]
    assert steps == [4, 8, 12, 16, 20, 12, 16, 20, 24, 28, 32, 36, 40]
    assert events[-1] == replace(events[-1], step=40, complete=True)
    history = read_history(tmp_path / "run" / EVENTS_NAME)
    assert history.marks == [(8, back.reason)]


@pytest.mark.parametrize(
    ("validate_every", "checkpoint_every", "steps", "back_at", "back_to"),
    [
        pytest.param(8, 2, 40, 24, 8, id="not to one that came after"),
        pytest.param(5, 4, 16, 15, 5, id="where no other state falls on a validation"),
    ],
)
def test_run_rolls_back_to_validated_checkpoint(
    small: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    validate_every: int,
    checkpoint_every: int,
    steps: int,
    back_at: int,
    back_to: int,
) -> None:
    ScriptedJudge(monkeypatch, [1.0, -1.0, -1.0])
    config = replace(small, patience=2, validate_every=validate_every, checkpoint_every=checkpoint_every, steps=steps)
    (back,) = [event for event in _run(config, tmp_path / "run") if isinstance(event, RolledBack)]
    assert (back.step, back.to_step) == (back_at, back_to)


def test_run_resumes_when_its_start_model_is_gone(small: TrainConfig, tmp_path: Path) -> None:
    start = tmp_path / "start.safetensors"
    save_weights(VDSR(VDSRConfig(small.depth, small.width)), start, {"title": "A start"})
    config = replace(small, start_from=str(start), steps=200)
    _run(config, tmp_path / "whole")
    _run(config, tmp_path / "parts", stop_at=10)
    start.unlink()
    _run(resume_config(tmp_path / "parts"), tmp_path / "parts", resume=True)
    whole, parts = (load_weights(tmp_path / name / WEIGHTS_NAME) for name in ("whole", "parts"))
    assert whole.checksum == parts.checksum


def test_run_rolls_back_to_beginning_when_its_start_model_is_gone(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = tmp_path / "start.safetensors"
    save_weights(VDSR(VDSRConfig(small.depth, small.width)), start, {"title": "A start"})
    ScriptedJudge(monkeypatch, [-1.0] * 5)
    config = replace(small, start_from=str(start), patience=1, validate_every=4, checkpoint_every=4)
    events: list[Event] = []

    def collect(event: Event) -> None:
        events.append(event)
        if isinstance(event, Started):
            start.unlink()

    train(config, tmp_path / "run", collect, CancelToken())
    assert [event.to_step for event in events if isinstance(event, RolledBack)] == [0]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are text")
def test_run_accepts_pictures_with_names_that_are_not_utf8(small: TrainConfig, tmp_path: Path) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    for seed in range(3):
        Image.fromarray(draw_picture(40 + seed)).save(os.fsdecode(os.fsencode(folder) + b"/caf\xe9%d.png" % seed))
    (folder / os.fsdecode(b"broken\xe9.png")).write_bytes(b"nothing")
    config = replace(small, data=(str(folder),), steps=2, holdout=1)
    events = _run(config, tmp_path / "run")
    assert len(_started(events).held_out) == 1
    assert [from_json(line) for line in (tmp_path / "run" / EVENTS_NAME).read_text("ascii").splitlines()] == events


def test_leftovers_of_killed_process_are_removed_from_every_folder(small: TrainConfig, tmp_path: Path) -> None:
    run = tmp_path / "run"
    _run(replace(small, steps=2), run)
    (run / "teacher").mkdir()
    leftovers = [run / folder / ".vdsr-1.part" for folder in ("", "crops", "teacher")]
    for leftover in leftovers:
        leftover.write_bytes(b"half")
    _run(replace(small, steps=4), run, resume=True)
    assert not any(leftover.exists() for leftover in leftovers)


def test_run_that_never_beats_bicubic_restarts_from_beginning(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ScriptedJudge(monkeypatch, [-1.0, -1.0, -1.0, -1.0])
    config = replace(small, patience=1, validate_every=4, checkpoint_every=4)
    events = _run(config, tmp_path / "run")
    (back,) = [event for event in events if isinstance(event, RolledBack)]
    assert (back.step, back.to_step) == (16, 0)
    assert "no better than bicubic by step 16" in back.reason
    assert "to the beginning" in back.reason


def test_network_without_skip_connection_may_stay_below_bicubic(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ScriptedJudge(monkeypatch, [-5.0] * 100)
    config = replace(small, residual=False, patience=1, validate_every=2, checkpoint_every=10)
    events = _run(config, tmp_path / "run")
    assert not any(isinstance(event, RolledBack) for event in events)
    assert isinstance(events[-1], Finished)


def test_run_that_keeps_diverging_fails_after_three_roll_backs(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ScriptedJudge(monkeypatch, [-1.0] * 1000)
    config = replace(small, patience=1, validate_every=2, checkpoint_every=2, depth=2, width=4)
    events: list[Event] = []
    with pytest.raises(TrainingError, match="went back 3 times"):
        train(config, tmp_path / "run", events.append, CancelToken())
    assert isinstance(events[-1], Failed)
    assert "another recipe" in events[-1].message
    assert len([event for event in events if isinstance(event, RolledBack)]) == 3


def test_run_killed_after_roll_back_keeps_lower_rate(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    reported: list[Event] = []

    def die(event: Event) -> None:
        # Only after a roll-back: the event for an earlier checkpoint may arrive late.
        if isinstance(event, CheckpointSaved) and any(isinstance(earlier, RolledBack) for earlier in reported):
            raise Killed
        reported.append(event)

    config = replace(small, patience=2, validate_every=4, checkpoint_every=4, steps=24)
    gains = [1.0, -1.0, -1.0]
    script = ScriptedJudge(monkeypatch, list(gains))
    _run(config, tmp_path / "whole")
    script.gains = list(gains)
    with pytest.raises(Killed):
        train(config, tmp_path / "parts", die, CancelToken())
    events = _run(config, tmp_path / "parts", resume=True)
    assert _started(events).step == 4
    assert load_weights(tmp_path / "whole" / WEIGHTS_NAME).checksum == (
        load_weights(tmp_path / "parts" / WEIGHTS_NAME).checksum
    )


def test_run_killed_after_roll_back_to_its_start_model_rolls_back_as_uninterrupted_run(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(event: Event) -> None:
        if isinstance(event, CheckpointSaved) and event.step == 0:
            raise Killed

    start = tmp_path / "start.safetensors"
    save_weights(VDSR(VDSRConfig(small.depth, small.width)), start)
    config = replace(small, start_from=str(start), patience=1, validate_every=2, checkpoint_every=2, steps=12)
    script = ScriptedJudge(monkeypatch, [-1.0] * 9)
    whole = _run(config, tmp_path / "whole")
    script.gains = [-1.0] * 9
    with pytest.raises(Killed):
        train(config, tmp_path / "parts", die, CancelToken())
    parts = _run(config, tmp_path / "parts", resume=True)
    back = [event.step for event in whole if isinstance(event, RolledBack)]
    assert len(back) > 1
    assert [event.step for event in parts if isinstance(event, RolledBack)] == back[1:]
    assert load_weights(tmp_path / "whole" / WEIGHTS_NAME).checksum == (
        load_weights(tmp_path / "parts" / WEIGHTS_NAME).checksum
    )


# --- faults


def _no_room(run: Path) -> SaveError:
    cause = OSError(errno.ENOSPC, "No space left on device")
    error = save_error(run / NEWEST_NAME, cause)
    error.__cause__ = cause
    return error


def test_full_disk_at_start_is_reported_before_pictures_are_read(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    events: list[Event] = []
    with pytest.raises(SaveError, match="MB on the disk"):
        train(small, tmp_path / "run", events.append, CancelToken())
    assert [type(event) for event in events] == [Failed]


def test_run_continues_when_disk_is_temporarily_full(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = checkpoint.write, []

    def write(run: Path, snapshot: checkpoint.Snapshot, *, keep_newest: bool = True) -> Path:
        tries.append(snapshot.progress.step)
        if len(tries) <= 1:
            raise _no_room(run)
        return real(run, snapshot, keep_newest=keep_newest)

    monkeypatch.setattr(checkpoint, "write", write)
    events = _run(small, tmp_path / "run")
    assert [event.step for event in events if isinstance(event, CheckpointSaved)] == [15, 20, 30]
    notices = [event.message for event in events if isinstance(event, Noticed)]
    assert len([text for text in notices if "no space" in text and "continues" in text]) == 1
    assert isinstance(events[-1], Finished)


def test_full_disk_at_end_fails_with_hint_to_resume(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(run: Path, snapshot: checkpoint.Snapshot, *, keep_newest: bool = True) -> Path:
        raise _no_room(run)

    monkeypatch.setattr(checkpoint, "write", write)
    events: list[Event] = []
    with pytest.raises(SaveError, match="no space"):
        train(replace(small, checkpoint_every=100), tmp_path / "run", events.append, CancelToken())
    assert isinstance(events[-1], Failed)
    assert "no space" in events[-1].message
    assert "resume the run" in events[-1].message


def test_forward_detail_in_bf16_approximates_fp32() -> None:
    model = VDSR(VDSRConfig(6, 16))
    initialise(model, 0)
    luma = torch.rand(2, 1, 20, 20)
    with torch.no_grad():
        exact, half = forward_detail(model, luma, "fp32"), forward_detail(model, luma, "bf16")
        assert exact == pytest.approx(model(luma) - luma, abs=1e-5)
    assert half.dtype == torch.float32
    assert float((half - exact).norm() / exact.norm()) < 0.02


def test_optimiser_settings_of_paper_beat_bicubic(small: TrainConfig, tmp_path: Path) -> None:
    paper = preset("paper")
    config = replace(
        small,
        optimizer=paper.optimizer,
        rate=paper.rate,
        momentum=paper.momentum,
        weight_decay=paper.weight_decay,
        clip_theta=paper.clip_theta,
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
