"""Runs with a teacher: it is trained first, can be interrupted, and the run resumes from there."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.trainer.conftest import draw_picture
from tests.trainer.teacher.conftest import small_teacher
from vdsr_app.control import CancelToken
from vdsr_app.core.atomic import save_error
from vdsr_app.errors import Cancelled, TrainingError
from vdsr_trainer import checkpoint
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.degrade import Luma8
from vdsr_trainer.data.pictures import read_luma
from vdsr_trainer.events import (
    TEACHER,
    Event,
    Failed,
    Finished,
    Noticed,
    Paused,
    Preparing,
    Referenced,
    Resumed,
    Started,
    Stepped,
    Validated,
)
from vdsr_trainer.loop import train
from vdsr_trainer.run_files import NEWEST_NAME, TEACHER_NAME, WEIGHTS_NAME, has_state, write_control
from vdsr_trainer.teacher.answers import Teacher
from vdsr_trainer.teacher.learner import TeacherLearner
from vdsr_trainer.teacher.patches import TeacherPatches

pytestmark = pytest.mark.usefixtures("tiny_bundled")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the teacher with a thin one."""
    monkeypatch.setattr("vdsr_trainer.teacher.phase.teacher_config", small_teacher)


class _Recorder:
    """Records the events, and calls `then` once the teacher has reached step `at`."""

    def __init__(self, at: int = -1, then: object = None) -> None:
        self.events: list[Event] = []
        self.token = CancelToken()
        self._at, self._then = at, then

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Preparing) and event.what == "teacher" and event.done >= self._at >= 0:
            self._at = -1
            assert callable(self._then)
            self._then()

    def of(self, what: str) -> list[Preparing]:
        return [event for event in self.events if isinstance(event, Preparing) and event.what == what]


@pytest.fixture
def at_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports every step, however quick it is."""
    monkeypatch.setattr("vdsr_trainer.early._TELL_EVERY_S", 0.0)


def _weights(run: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(run / WEIGHTS_NAME)


def test_teacher_is_trained_before_network_and_affects_it(taught: TrainConfig, tmp_path: Path) -> None:
    recorder, run = _Recorder(), tmp_path / "run"
    train(taught, run, recorder, recorder.token)
    learned = recorder.of("teacher")
    assert (learned[0].done, learned[-1].done, learned[-1].total) == (0, 8, 8)
    (started,) = [event for event in recorder.events if isinstance(event, Started)]
    assert recorder.of("answers")[-1].done == recorder.of("answers")[-1].total == started.pictures
    kinds = [type(event) for event in recorder.events]
    assert kinds.index(Started) > max(i for i, event in enumerate(recorder.events) if isinstance(event, Preparing))
    assert isinstance(recorder.events[-1], Finished)
    assert recorder.events[-1].complete
    plain = tmp_path / "plain"
    train(replace(taught, teacher_steps=0), plain, _Recorder(), CancelToken())
    assert any(
        not torch.equal(one, other) for one, other in zip(_weights(run).values(), _weights(plain).values(), strict=True)
    )


def test_time_left_is_reported_for_each_stage_of_preparation(
    taught: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_each_step: None
) -> None:
    monkeypatch.setattr("vdsr_trainer.meter._ESTIMATE_AFTER_S", 0.0)
    recorder = _Recorder()
    train(taught, tmp_path / "run", recorder, recorder.token)
    for what in ("pictures", "teacher", "answers"):
        first, *_, last = recorder.of(what)
        assert first.seconds_left is None, "nobody can know yet"
        assert last.seconds_left == 0


def test_cancelling_while_teacher_is_queried_loses_no_teacher_step(
    taught: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, recorder, real = tmp_path / "run", _Recorder(), Teacher.guess

    def stop(self: Teacher, luma: Luma8, scale: int) -> np.ndarray:
        recorder.token.cancel()
        return real(self, luma, scale)

    monkeypatch.setattr(Teacher, "guess", stop)
    config = replace(taught, teacher_steps=6, checkpoint_every=4)
    with pytest.raises(Cancelled):
        train(config, run, recorder, recorder.token)
    monkeypatch.undo()
    monkeypatch.setattr("vdsr_trainer.teacher.phase.teacher_config", small_teacher)
    again = _Recorder()
    newest = (run / TEACHER_NAME / NEWEST_NAME).read_bytes()
    assert train(config, run, again, again.token, resume=True) is not None
    assert {event.done for event in again.of("teacher")} == {6}
    assert (run / TEACHER_NAME / NEWEST_NAME).read_bytes() == newest


def test_interrupted_teacher_training_resumes_bit_exactly(
    taught: TrainConfig, tmp_path: Path, at_each_step: None
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(taught, whole, _Recorder(), CancelToken())
    token = CancelToken()
    recorder = _Recorder(3, token.cancel)
    with pytest.raises(Cancelled):
        train(taught, parts, recorder, token)
    assert isinstance(recorder.events[-1], Finished)
    assert not recorder.events[-1].complete
    assert has_state(parts / TEACHER_NAME)
    assert not has_state(parts)
    again = _Recorder()
    train(taught, parts, again, CancelToken(), resume=True)
    assert again.of("teacher")[0].done >= 3, "it began anew"
    for one, other in zip(_weights(whole).values(), _weights(parts).values(), strict=True):
        assert torch.equal(one, other)


def test_extended_run_does_not_train_teacher_again(taught: TrainConfig, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(taught, run, _Recorder(), CancelToken())
    newest = run / TEACHER_NAME / NEWEST_NAME
    before = newest.read_bytes()
    recorder = _Recorder()
    train(replace(taught, steps=35), run, recorder, CancelToken(), resume=True)
    assert [event.done for event in recorder.of("teacher")] == [8]
    assert newest.read_bytes() == before
    assert [event.step for event in recorder.events if isinstance(event, Stepped)][-1] == 35


def test_resuming_finished_run_skips_teacher(taught: TrainConfig, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(taught, run, _Recorder(), CancelToken())
    recorder = _Recorder()
    train(taught, run, recorder, CancelToken(), resume=True)
    assert not recorder.of("teacher")


def test_teacher_is_measured_on_held_out_pictures(taught: TrainConfig, tmp_path: Path) -> None:
    recorder, run = _Recorder(), tmp_path / "run"
    learns = replace(taught, teacher_steps=120)
    train(learns, run, recorder, recorder.token)
    (referenced,) = [event for event in recorder.events if isinstance(event, Referenced)]
    learner = TeacherLearner(small_teacher(learns))
    checkpoint.load(run / TEACHER_NAME, learner)
    expected = []
    for path in sorted(Path(learns.data[0]).glob("*.png")):
        if path.stem in _held_out(run):
            luma = read_luma(path)
            luma = luma[: luma.shape[0] // 2 * 2, : luma.shape[1] // 2 * 2]
            guess = np.clip(np.round(Teacher(learner).guess(luma, 2)), 0, 255)[2:-2, 2:-2]
            expected.append(10 * np.log10(255**2 / np.mean((guess - luma[2:-2, 2:-2]) ** 2)))
    assert expected
    assert referenced.psnr_db[TEACHER]["2"] == pytest.approx(np.mean(expected), abs=0.01)
    assert set(referenced.psnr_db[TEACHER]) == {"2", "3", "4"}
    assert referenced.psnr_db[TEACHER]["2"] > _bicubic(recorder)["2"] + 0.3
    assert not _notices(recorder)


def test_run_gives_notice_when_teacher_is_no_better_than_network(
    taught: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poor(self: Teacher, luma: Luma8, scale: int) -> np.ndarray:
        return np.full(luma.shape, 128, np.float32)

    monkeypatch.setattr(Teacher, "guess", poor)
    recorder = _Recorder()
    train(taught, tmp_path / "run", recorder, recorder.token)
    (notice,) = _notices(recorder)
    assert "teacher is no better" in notice
    assert "teacher_steps" in notice


def _held_out(run: Path) -> set[str]:
    index = json.loads((run / "pictures.json").read_text())
    return {Path(index["records"][number][1]).stem for number in index["plan"]["held_out"]}


def _bicubic(recorder: _Recorder) -> dict[str, float]:
    return next(event for event in recorder.events if isinstance(event, Validated)).bicubic_psnr_db


def _notices(recorder: _Recorder) -> list[str]:
    return [event.message for event in recorder.events if isinstance(event, Noticed) and "teacher" in event.message]


def test_pausing_teacher_training_saves_checkpoint_first(
    taught: TrainConfig, tmp_path: Path, at_each_step: None
) -> None:
    run = tmp_path / "run"
    recorder = _Recorder(2, lambda: write_control(run, "pause"))
    states: list[bool] = []

    class Goes(_Recorder):
        def __call__(self, event: Event) -> None:
            recorder(event)
            if isinstance(event, Paused):
                states.append((run / TEACHER_NAME / NEWEST_NAME).is_file())
                write_control(run, "run")

    train(replace(taught, teacher_steps=200, checkpoint_every=1000), run, Goes(), CancelToken())
    assert states == [True]
    kinds = [type(event) for event in recorder.events]
    assert kinds.index(Paused) < kinds.index(Resumed) < kinds.index(Started)


def test_run_pauses_while_teacher_is_queried(
    taught: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vdsr_trainer.control._LOOK_EVERY_S", 0.0)
    run, events = tmp_path / "run", []

    def recorder(event: Event) -> None:
        events.append(event)
        if isinstance(event, Preparing) and event.what == "answers" and not event.done:
            write_control(run, "pause")
        if isinstance(event, Paused):
            write_control(run, "run")

    train(taught, run, recorder, CancelToken())
    kinds = [type(event) for event in events]
    assert kinds.count(Paused) == 1
    assert kinds.index(Paused) < kinds.index(Resumed) < kinds.index(Started)
    assert isinstance(events[kinds.index(Resumed) + 1], Preparing), "the others are still to be asked about"


def test_run_can_be_discarded_during_teacher_training(taught: TrainConfig, tmp_path: Path, at_each_step: None) -> None:
    run = tmp_path / "run"
    recorder = _Recorder(2, lambda: write_control(run, "discard"))
    assert train(replace(taught, teacher_steps=400), run, recorder, recorder.token) is None
    assert isinstance(recorder.events[-1], Finished)
    assert recorder.events[-1].discarded
    assert not run.exists()


def test_teacher_training_continues_when_disk_is_temporarily_full(
    taught: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = checkpoint.write, []

    def write(folder: Path, snapshot: checkpoint.Snapshot, *, keep_newest: bool = True) -> Path:
        tries.append(folder.name)
        if len(tries) == 1:
            full = OSError(errno.ENOSPC, "no space")
            raise save_error(folder, full) from full
        return real(folder, snapshot, keep_newest=keep_newest)

    monkeypatch.setattr(checkpoint, "write", write)
    recorder = _Recorder()
    train(taught, tmp_path / "run", recorder, recorder.token)
    assert tries[0] == TEACHER_NAME
    assert len([notice for notice in _notices(recorder) if "checkpoint that fits" in notice]) == 1
    assert isinstance(recorder.events[-1], Finished)
    assert recorder.events[-1].complete


def test_pictures_added_before_teacher_resumes_do_not_change_index(
    taught: TrainConfig, pictures: Path, tmp_path: Path, at_each_step: None
) -> None:
    run = tmp_path / "run"
    recorder = _Recorder(3)
    recorder._then = recorder.token.cancel
    with pytest.raises(Cancelled):
        train(taught, run, recorder, recorder.token)
    before = json.loads((run / "pictures.json").read_text())
    for seed in range(6):
        Image.fromarray(draw_picture(70 + seed)).save(pictures / f"a{seed}.png")
    train(taught, run, _Recorder(), CancelToken(), resume=True)
    assert json.loads((run / "pictures.json").read_text()) == before


@pytest.mark.parametrize("after", [0, 3])
def test_nan_loss_in_teacher_training_fails_run(
    taught: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    real, steps = TeacherLearner._accumulate, []

    def fail(self: TeacherLearner, patches: TeacherPatches) -> torch.Tensor:
        steps.append(real(self, patches))
        return steps[-1] if len(steps) <= after else torch.tensor(float("nan"))

    monkeypatch.setattr(TeacherLearner, "_accumulate", fail)
    recorder = _Recorder()
    with pytest.raises(TrainingError, match="teacher"):
        train(taught, tmp_path / "run", recorder, recorder.token)
    assert isinstance(recorder.events[-1], Failed)


def test_run_can_be_discarded_after_its_teacher_diverged(
    taught: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_each_step: None
) -> None:
    real = TeacherLearner._accumulate

    def diverge(self: TeacherLearner, patches: TeacherPatches) -> torch.Tensor:
        for parameter in self.average.model.parameters():
            parameter.fill_(1e9)
        return real(self, patches)

    monkeypatch.setattr(TeacherLearner, "_accumulate", diverge)
    run = tmp_path / "run"
    recorder = _Recorder(2, lambda: write_control(run, "discard"))
    config = replace(taught, teacher_steps=400, checkpoint_every=1000)
    assert train(config, run, recorder, recorder.token) is None
    assert not run.exists()
    assert recorder.events[-1] == replace(recorder.events[-1], discarded=True)


def test_memory_shortage_halves_micro_batch_of_teacher(
    taught: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, sizes = TeacherLearner._accumulate, []

    def short(self: TeacherLearner, patches: object) -> torch.Tensor:
        sizes.append(self._micro)
        if self._micro > 6:
            raise MemoryError
        return real(self, patches)  # type: ignore[arg-type]

    monkeypatch.setattr(TeacherLearner, "_accumulate", short)
    train(taught, tmp_path / "run", _Recorder(), CancelToken())
    assert sizes[:3] == [22, 11, 5]
