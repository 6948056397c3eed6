"""Kept answers: a teacher is queried once per picture; a resumed run reads them from disk, or works without them."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from safetensors.torch import load_file

from tests.trainer.teacher.conftest import small_teacher, smooth
from vdsr_app.control import CancelToken
from vdsr_app.core.atomic import save_error
from vdsr_app.errors import Cancelled
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.degrade import Luma8
from vdsr_trainer.data.items import Answers
from vdsr_trainer.events import Event, Validated
from vdsr_trainer.loop import train
from vdsr_trainer.run_files import ANSWERS_NAME, WEIGHTS_NAME
from vdsr_trainer.runs import describe_run
from vdsr_trainer.teacher.answers import Teacher
from vdsr_trainer.teacher.kept_answers import KeptAnswers
from vdsr_trainer.teacher.learner import TeacherLearner

LUMA = smooth(3, 48, 60)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The pictures for which a teacher was queried, rather than the disk."""
    pictures: list[bytes] = []
    real = Teacher.__call__

    def remembered(self: Teacher, luma: Luma8) -> Answers:
        pictures.append(luma.tobytes())
        return real(self, luma)

    monkeypatch.setattr(Teacher, "__call__", remembered)
    return pictures


@pytest.fixture
def teacher(taught: TrainConfig) -> Teacher:
    return Teacher(TeacherLearner(small_teacher(taught)))


def _files(run: Path) -> list[Path]:
    return sorted((run / ANSWERS_NAME).iterdir())


def _same(one: Answers, other: Answers) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[scale], other[scale]) for scale in one)


def test_teacher_is_queried_once_per_picture(teacher: Teacher, tmp_path: Path, asked: list[bytes]) -> None:
    expected = teacher(LUMA)
    asked.clear()
    for _ in range(2):
        kept = KeptAnswers(teacher, tmp_path)
        for _ in range(2):
            answers = kept(LUMA)
            assert _same(answers, expected)
            assert {array.dtype for array in answers.values()} == {np.dtype(np.float16)}
    assert asked == [LUMA.tobytes()]
    kept(LUMA.T.copy())
    kept(255 - LUMA)
    assert len(asked) == 3


def test_answers_of_another_teacher_are_ignored(
    taught: TrainConfig, teacher: Teacher, tmp_path: Path, asked: list[bytes]
) -> None:
    KeptAnswers(teacher, tmp_path)(LUMA)
    other = Teacher(TeacherLearner(small_teacher(replace(taught, seed=taught.seed + 1))))
    expected = other(LUMA)
    asked.clear()
    assert _same(KeptAnswers(other, tmp_path)(LUMA), expected)
    assert asked == [LUMA.tobytes()]


@pytest.mark.parametrize("damage", ["cut", "empty", "no numbers", "of another size", "of other scale factors"])
def test_damaged_answer_file_is_rewritten(teacher: Teacher, tmp_path: Path, asked: list[bytes], damage: str) -> None:
    expected = KeptAnswers(teacher, tmp_path)(LUMA)
    (path,) = _files(tmp_path)
    whole = path.read_bytes()
    arrays = {str(scale): array for scale, array in safetensors.numpy.load(whole).items()}
    path.write_bytes(
        {
            "cut": whole[: len(whole) // 2],
            "empty": b"",
            "no numbers": b"x" * 200,
            "of another size": safetensors.numpy.save({scale: array[1:].copy() for scale, array in arrays.items()}),
            "of other scale factors": safetensors.numpy.save({"2": arrays["2"]}),
        }[damage]
    )
    for _ in range(2):
        assert _same(KeptAnswers(teacher, tmp_path)(LUMA), expected)
    assert len(asked) == 2
    assert path.read_bytes() == whole


def _no_room(path: Path, payload: bytes) -> None:
    raise save_error(path, OSError(errno.ENOSPC, "full"))


def _little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vdsr_trainer.teacher.kept_answers._LEFT_FREE_BYTES", 1 << 60)


def _full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vdsr_trainer.teacher.kept_answers.write_atomically", _no_room)


@pytest.mark.parametrize("way", [_little_room, _full])
def test_full_disk_is_logged_once_and_answers_are_still_returned(
    teacher: Teacher,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    way: Callable[[pytest.MonkeyPatch], None],
) -> None:
    way(monkeypatch)
    kept = KeptAnswers(teacher, tmp_path)
    for luma in (LUMA, LUMA.T.copy()):
        assert _same(kept(luma), teacher(luma))
    assert _files(tmp_path) == []
    assert sum("no longer kept" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.usefixtures("tiny_bundled")
def test_resumed_run_reuses_answers_and_matches_uninterrupted_run(
    taught: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[bytes]
) -> None:
    monkeypatch.setattr("vdsr_trainer.teacher.phase.teacher_config", small_teacher)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(taught, whole, lambda event: None, CancelToken())
    questions = len(asked)
    token = CancelToken()

    def stop(event: Event) -> None:
        if isinstance(event, Validated):
            token.cancel()

    train(taught, parts, stop, token)
    assert len(asked) == 2 * questions
    assert len(_files(parts)) == questions
    assert 0 < describe_run(parts).step < taught.steps
    train(taught, parts, lambda event: None, CancelToken(), resume=True)
    assert len(asked) == 2 * questions, "it was asked again"
    ends = [load_file(run / WEIGHTS_NAME) for run in (whole, parts)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    for run in (whole, parts):
        assert not (run / ANSWERS_NAME).exists(), "the end of a run leaves them behind"


@pytest.mark.usefixtures("tiny_bundled")
def test_cancelling_while_teacher_is_queried_keeps_answers(
    taught: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[bytes]
) -> None:
    monkeypatch.setattr("vdsr_trainer.teacher.phase.teacher_config", small_teacher)
    token, run = CancelToken(), tmp_path / "run"
    real = Teacher.__call__

    def stop(self: Teacher, luma: Luma8) -> Answers:
        token.cancel()
        return real(self, luma)

    with monkeypatch.context() as patched:
        patched.setattr(Teacher, "__call__", stop)
        with pytest.raises(Cancelled):
            train(taught, run, lambda event: None, token)
    said = len(asked)
    assert len(_files(run)) == said > 0
    train(taught, run, lambda event: None, CancelToken(), resume=True)
    assert len(asked) > said
    assert len(set(asked)) == len(asked), "something was asked twice"
