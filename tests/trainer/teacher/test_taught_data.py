"""Taught data: a teacher's answers change the targets of the patches that have an answer, and no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.trainer.conftest import Opener, draw_picture
from tests.trainer.teacher.conftest import small_teacher
from vdsr_app.control import CancelToken
from vdsr_app.errors import ConfigError
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.dataset import Patches, TrainingData, draw_of_step, drawn_scales
from vdsr_trainer.data.resident import ResidentBatches, resident_batches
from vdsr_trainer.events import TEACHER, Event, Referenced
from vdsr_trainer.loop import train


def _say(luma: np.ndarray) -> Mapping[float, np.ndarray]:
    """An answer that shows what it was computed from: the scale factor and the picture."""
    return {scale: (luma / 8 + 100 * scale).astype(np.float16) for scale in (2.0, 3.0, 4.0)}


def _teach(data: TrainingData) -> TrainingData:
    data.set_teacher(_say, lambda done, of: None, CancelToken())
    return data


def test_answers_are_added_only_to_clean_patches_at_answered_scales(taught: TrainConfig, opened: Opener) -> None:
    config = replace(taught, fixed_share=0.5, batch=32, jpeg_share=0.3)
    plain, reported = opened(config), _teach(opened(config))
    of = {"teacher": 0, "picture": 0}
    for step in range(4):
        before, after = plain.batch(step), reported.batch(step)
        np.testing.assert_array_equal(after.bicubic, before.bicubic)
        draws = draw_of_step(config, step)
        for i, scale in enumerate(drawn_scales(config, draws)):
            said = (after.target[i] - before.target[i]) * 255
            if draws[i, 5] >= config.jpeg_share and scale in (2.0, 3.0, 4.0):
                np.testing.assert_allclose(said, 255 * before.target[i] / 8 + 100 * scale, atol=0.2)
                of["teacher"] += 1
            else:
                assert not said.any()
                of["picture"] += 1
    assert min(of.values()) > 10


def test_targets_match_on_device(taught: TrainConfig, opened: Opener) -> None:
    config = replace(taught, fixed_share=0.5, batch=32)
    data = _teach(opened(config))
    resident = ResidentBatches(data, config, torch.device("cpu"))
    for step in range(3):
        np.testing.assert_array_equal(resident.batch(step).target.numpy(), data.batch(step).target)


def test_pictures_that_do_not_fit_in_memory_are_taught_when_read(
    taught: TrainConfig, opened: Opener, pictures: Path
) -> None:
    for seed in range(16):
        Image.fromarray(draw_picture(70 + seed, 200, 300)).save(pictures / f"large{seed}.png")
    config = replace(taught, cache_mb=4, shrunk_copies=())
    data = _teach(opened(config))
    asked = 0
    for step in range(0, 40, 4):
        batch = data.batch(step)
        asked += int((batch.target > 1.1).any(axis=(1, 2, 3)).sum())
        assert data.bytes_held < 5e6
    assert not data.in_memory
    assert asked > 5


def test_picture_too_large_to_hold_whole_has_no_answers(
    taught: TrainConfig, opened: Opener, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, (height, width) in enumerate([(300, 400), (300, 400), (900, 1000)]):
        Image.fromarray(draw_picture(90 + seed, height, width)).save(pictures / f"z{seed}.png")
    config = replace(taught, cache_mb=5, shrunk_copies=())
    data = _teach(opened(config))
    assert data.in_memory, "this test is about a picture that fits without answers"
    assert not data.holds_all_whole
    parts = [held for _, group in data.everything() for held in group if not held.band.whole]
    assert parts
    assert not any(held.answers for held in parts)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (1 << 40, 1 << 40))
    assert resident_batches(data, config, torch.device("cuda")) is None
    for step in range(4):
        data.batch(step)


def test_pictures_are_cropped_to_multiples_of_scale_factors(
    taught: TrainConfig, opened: Opener, pictures: Path
) -> None:
    data = opened(taught)
    lumas = {item.record.file: [held.source.luma for held in group] for item, group in data.everything()}
    for group in lumas.values():
        for luma in group:
            assert luma.shape[0] % 12 == luma.shape[1] % 12 == 0
    whole = opened(replace(taught, teacher_steps=0))
    for item, group in whole.everything():
        there = lumas[item.record.file][0]
        np.testing.assert_array_equal(there, group[0].source.luma[: there.shape[0], : there.shape[1]])


def test_answered_scales_are_fractional_only_with_teacher_between(taught: TrainConfig) -> None:
    config = replace(taught, scales=(4.5, 1.0, 1.5, 3.5, 3.0, 2.0))
    assert config.answered_scales == (2.0, 3.0)
    assert replace(config, teacher_between=True).answered_scales == (1.5, 2.0, 3.0)
    assert replace(config, teacher_between=True, teacher_steps=0).answered_scales == ()


@pytest.mark.usefixtures("tiny_bundled")
def test_run_with_teacher_between_has_answers_at_fractional_scale(
    taught: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vdsr_trainer.teacher.phase.teacher_config", small_teacher)
    events: list[Event] = []
    config = replace(taught, scales=(1.5, 2.0), teacher_between=True, fixed_share=1.0)
    seen: list[Mapping[float, np.ndarray]] = []
    real = TrainingData.batch

    def batch(self: TrainingData, step: int) -> Patches:
        seen.extend(held.answers for _, group in self.everything() for held in group)
        return real(self, step)

    monkeypatch.setattr(TrainingData, "batch", batch)
    train(config, tmp_path / "run", events.append, CancelToken())
    assert seen
    assert all(list(answers) == [1.5, 2.0] for answers in seen)
    (row,) = [event.psnr_db[TEACHER] for event in events if isinstance(event, Referenced) and TEACHER in event.psnr_db]
    assert list(row) == ["1.5", "2"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scales": (1.5, 5.0)}, "2, 3 or 4"),
        ({"teacher_width": 30}, "multiple"),
        ({"teacher_width": 16, "scales": (4.0,)}, "sub-pixels"),
        ({"sampling": "grid"}, "random"),
        ({"teacher_steps": -1}, "outside"),
    ],
)
def test_config_rejects_recipes_incompatible_with_teacher(
    taught: TrainConfig, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        replace(taught, **changes)  # type: ignore[arg-type]
