"""A teacher's weight file: round trip, rejected files, and a run that learns from another run's teacher."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from tests.trainer.teacher.conftest import small_teacher, smooth
from vdsr_app.control import CancelToken
from vdsr_app.core.models import install_model
from vdsr_app.core.network import VDSR, VDSRConfig, initialise
from vdsr_app.core.weights import load_weights, save_weights
from vdsr_app.errors import TrainingError, VdsrError, WeightsError
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.events import Event, Failed, Preparing
from vdsr_trainer.loop import train
from vdsr_trainer.run_files import TEACHER_NAME, TEACHER_WEIGHTS_NAME, WEIGHTS_NAME
from vdsr_trainer.runs import create_run
from vdsr_trainer.teacher.answers import Teacher
from vdsr_trainer.teacher.learner import TeacherLearner
from vdsr_trainer.teacher.network import first_network
from vdsr_trainer.teacher.weight_file import load_teacher, save_teacher

SCALES = (2, 3, 4)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "saved.safetensors"
    save_teacher(first_network(SCALES, 4, 16, 3), path)
    return path


def test_round_trip(file: Path) -> None:
    loaded = load_teacher(file, SCALES)
    assert (len(loaded.convolutions), loaded.convolutions[0].out_channels, loaded.scales) == (4, 16, SCALES)
    for one, other in zip(
        loaded.state_dict().values(), first_network(SCALES, 4, 16, 3).state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)


def _flip(path: Path) -> None:
    payload = bytearray(path.read_bytes())
    payload[-3] ^= 1
    path.write_bytes(payload)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def _change(change: Callable[[dict[str, torch.Tensor]], None]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        tensors = safetensors.torch.load(path.read_bytes())
        change(tensors)
        path.write_bytes(safetensors.torch.save(tensors, metadata={"format": "vdsr-teacher-1", "scales": "2 3 4"}))

    return spoil


def _without_a_layer(tensors: dict[str, torch.Tensor]) -> None:
    del tensors["layers.2.bias"]


def _not_finite(tensors: dict[str, torch.Tensor]) -> None:
    tensors["layers.1.bias"][2] = float("nan")


def _in_half(tensors: dict[str, torch.Tensor]) -> None:
    tensors["layers.1.weight"] = tensors["layers.1.weight"].half()


def _empty(tensors: dict[str, torch.Tensor]) -> None:
    tensors["layers.1.bias"] = torch.zeros(0)


def _of_ten_channels(tensors: dict[str, torch.Tensor]) -> None:
    tensors.update(first_network(SCALES, 4, 12, 3).state_dict())
    for name, tensor in tensors.items():
        before, after = (
            10 if size == 12 else size for size in (tensor.shape[1] if tensor.ndim > 1 else 0, len(tensor))
        )
        tensors[name] = tensor[:after, :before].contiguous() if tensor.ndim > 1 else tensor[:after].contiguous()


def _says_no_scales(path: Path) -> None:
    path.write_bytes(
        safetensors.torch.save(safetensors.torch.load(path.read_bytes()), metadata={"format": "vdsr-teacher-1"})
    )


def _newer(path: Path) -> None:
    tensors = safetensors.torch.load(path.read_bytes())
    path.write_bytes(safetensors.torch.save(tensors, metadata={"format": "vdsr-teacher-2", "scales": "2 3 4"}))


def _of_vdsr(path: Path) -> None:
    model = VDSR(VDSRConfig(4, 16))
    initialise(model, 1)
    save_weights(model, path)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_flip, "checksum"),
        (_cut, "damaged or truncated"),
        (_change(_without_a_layer), "is missing"),
        (_change(_not_finite), "not finite"),
        (_change(_in_half), "float16, not float32"),
        (_change(_empty), "shape"),
        (_change(_of_ten_channels), "no teacher"),
        (_says_no_scales, "no teacher"),
        (_newer, "newer than this program"),
        (_of_vdsr, "a model to enlarge with, not the teacher"),
        (Path.unlink, "no such teacher"),
    ],
)
def test_load_teacher_rejects_damaged_and_foreign_files(file: Path, spoil: Callable[[Path], None], says: str) -> None:
    spoil(file)
    with pytest.raises(WeightsError, match=says):
        load_teacher(file, SCALES)


def test_load_teacher_rejects_other_scales(file: Path) -> None:
    with pytest.raises(TrainingError, match="2 3 4, not 2 3"):
        load_teacher(file, (2, 3))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [(lambda path: None, "2 3 4, not 2 3"), (_of_vdsr, "a model to enlarge with, not the teacher"), (_cut, "damaged")],
)
def test_unusable_teacher_leaves_no_run_folder(
    file: Path, taught: TrainConfig, tmp_path: Path, spoil: Callable[[Path], object], says: str
) -> None:
    spoil(file)
    wrong = replace(taught, scales=(2.0, 3.0), teacher_from=str(file), teacher_steps=0)
    with pytest.raises(VdsrError, match=says):
        train(wrong, tmp_path / "run", _Recorder(), CancelToken())
    assert not (tmp_path / "run").exists()


def test_teacher_file_is_rejected_as_model(file: Path) -> None:
    for use in (load_weights, install_model):
        with pytest.raises(WeightsError, match="the teacher of a training run, not a model"):
            use(file)


class _Recorder:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def steps_learned(self) -> list[int]:
        return [event.done for event in self.events if isinstance(event, Preparing) and event.what == "teacher"]


@pytest.mark.usefixtures("tiny_bundled")
def test_run_learns_from_teacher_of_another_run(
    taught: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vdsr_trainer.teacher.phase.teacher_config", small_teacher)
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    train(taught, first, _Recorder(), CancelToken())
    elsewhere = tmp_path / "elsewhere.safetensors"
    (first / TEACHER_WEIGHTS_NAME).rename(elsewhere)

    recorder = _Recorder()
    learns_from = replace(taught, teacher_from=str(elsewhere), teacher_steps=0)
    train(learns_from, second, recorder, CancelToken())
    assert recorder.steps_learned() == []
    assert not (second / TEACHER_NAME).exists()
    assert (second / WEIGHTS_NAME).read_bytes()[-4096:] == (first / WEIGHTS_NAME).read_bytes()[-4096:]

    elsewhere.unlink()  # the run has its own copy
    train(replace(learns_from, steps=35), second, _Recorder(), CancelToken(), resume=True)

    recorder = _Recorder()
    with pytest.raises(WeightsError, match="no such"):
        train(learns_from, third, recorder, CancelToken())
    assert not recorder.events
    assert not third.exists()

    made = create_run(tmp_path / "runs", "Third", "", learns_from)
    with pytest.raises(WeightsError, match="no such"):
        train(learns_from, made, recorder, CancelToken(), resume=True)
    assert [type(event) for event in recorder.events] == [Failed], "pictures were read before it was looked for"


def test_answers_are_computed_by_average_model(file: Path, small: TrainConfig) -> None:
    config = replace(small_teacher(replace(small, teacher_steps=8)), depth=4, width=16)
    learner = TeacherLearner(config)
    before = Teacher(learner)(smooth(1, 24, 36))[2.0]
    learner.average.model.load_state_dict(load_teacher(file, SCALES).state_dict())
    after = Teacher(learner)(smooth(1, 24, 36))[2.0]
    assert not np.array_equal(before, after), "what was loaded says nothing"
