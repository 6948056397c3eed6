"""Patches: exactly what whole-picture degradation gives, and a function of (seed, step) alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vdsr_app.core.resize import resize
from vdsr_app.errors import TrainingError
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.dataset import PatchSampler, TrainingPicture, degraded_patch, load_split, prepare


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(20, 60),
    width=st.integers(20, 60),
    scale=st.floats(1.0, 4.5),
    data=st.data(),
)
def test_a_patch_is_cut_from_the_whole_degraded_picture(
    height: int, width: int, scale: float, data: st.DataObject
) -> None:
    luma = np.random.default_rng(height * 64 + width).integers(16, 236, (height, width), dtype=np.uint8)
    small = resize(luma, max(1, round(height / scale)), max(1, round(width / scale)), dtype=np.float64)
    whole = resize(small, height, width, dtype=np.float64)
    top, left = data.draw(st.integers(0, height - 10)), data.draw(st.integers(0, width - 10))
    patch = degraded_patch(luma, scale, slice(top, top + 10), slice(left, left + 10))
    assert patch == pytest.approx(whole[top : top + 10, left : left + 10], abs=2e-3)


def _sampler(config: TrainConfig, lumas: dict[str, np.ndarray] | None = None) -> PatchSampler:
    return PatchSampler(prepare(lumas or load_split(config, lambda text: None).training, config), config)


def test_batches_depend_on_seed_and_step_alone(small: TrainConfig) -> None:
    first, second = _sampler(small), _sampler(small)
    second.batch(3)
    for step in (5, 0):
        one, other = first.batch(step), second.batch(step)
        assert np.array_equal(one.bicubic, other.bicubic)
        assert np.array_equal(one.target, other.target)
    assert not np.array_equal(first.batch(5).target, first.batch(6).target)
    assert not np.array_equal(first.batch(5).target, _sampler(replace(small, seed=1)).batch(5).target)


def test_input_and_target_show_the_same_place(small: TrainConfig) -> None:
    patches = _sampler(replace(small, scales=(2.0,), fixed_share=1.0, batch=16)).batch(0)
    assert patches.bicubic.shape == patches.target.shape == (16, 1, 24, 24)
    assert patches.target.dtype == patches.bicubic.dtype == np.float32
    assert patches.target.min() >= 16 / 255 - 1e-6
    assert patches.target.max() <= 235 / 255 + 1e-6
    for low, high in zip(patches.bicubic[:, 0], patches.target[:, 0], strict=True):
        error = np.mean((low - high) ** 2)
        assert error < np.mean((low[::-1] - high) ** 2) or np.ptp(high) == 0


def test_all_eight_turns_come_up(small: TrainConfig) -> None:
    corner = np.zeros((24, 24), np.uint8)
    corner[:6, :12] = 200
    seen = set()
    sampler = _sampler(replace(small, batch=64), {"corner": corner})
    for target in sampler.batch(0).target[:, 0]:
        seen.add(target.tobytes())
    assert len(seen) == 8


def test_hard_patches_are_preferred(small: TrainConfig) -> None:
    half = np.full((200, 200), 100, np.uint8)
    half[:, 100:] = np.random.default_rng(0).integers(16, 236, (200, 100))
    spread = []
    for candidates in (1, 6):
        config = replace(small, hard_candidates=candidates, batch=100)
        targets = _sampler(config, {"half": half}).batch(0).target
        spread.append(float(np.mean(targets.std(axis=(1, 2, 3)) > 0.1)))
    assert spread[0] < 0.75 < 0.95 < spread[1]


def test_held_out_pictures_are_never_trained_on(small: TrainConfig) -> None:
    split = load_split(small, lambda text: None)
    again = load_split(small, lambda text: None)
    assert len(split.validation) == 2
    assert len(split.training) == 6
    assert not split.training.keys() & split.validation.keys()
    assert split.validation.keys() == again.validation.keys()


def test_a_validation_folder_is_taken_as_it_is(small: TrainConfig, pictures: Path) -> None:
    split = load_split(replace(small, validation=str(pictures)), lambda text: None)
    assert len(split.training) == len(split.validation) == 8


def test_bad_files_are_left_out_and_named(small: TrainConfig, pictures: Path) -> None:
    (pictures / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    (pictures / "notes.txt").write_text("no picture")
    said: list[str] = []
    split = load_split(small, said.append)
    assert len(split.training) == 6
    assert len(said) == 1
    assert "broken.png" in said[0]


@pytest.mark.parametrize("what", ["missing", "empty", "few"])
def test_unusable_folders(small: TrainConfig, tmp_path: Path, what: str) -> None:
    (tmp_path / "empty").mkdir()
    config = {
        "missing": replace(small, data=(str(tmp_path / "nowhere"),)),
        "empty": replace(small, data=(str(tmp_path / "empty"),)),
        "few": replace(small, holdout=8),
    }[what]
    with pytest.raises(TrainingError):
        load_split(config, lambda text: None)


def test_shrunk_copies_add_pictures(small: TrainConfig) -> None:
    lumas = load_split(small, lambda text: None).training
    pictures: list[TrainingPicture] = prepare(lumas, replace(small, shrunk_copies=(0.5, 0.2)))
    sizes = {picture.luma.shape for picture in pictures}
    assert sizes == {(72, 88), (36, 44)}, "a copy smaller than a patch is not made"
