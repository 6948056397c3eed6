"""The teacher: its output, its training patches, and that it learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from tests.trainer.conftest import Opener
from tests.trainer.teacher.conftest import small_teacher, smooth
from vdsr_app.core.resize import resize
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.dataset import turned
from vdsr_trainer.data.degrade import Source
from vdsr_trainer.data.items import Band, Held
from vdsr_trainer.teacher.answers import Teacher
from vdsr_trainer.teacher.learner import TeacherLearner, teacher_config
from vdsr_trainer.teacher.network import MARGIN_PX, enlarged
from vdsr_trainer.teacher.patches import BATCH, PATCH_PX, TeacherPatches, cut, lr_picture, scales_of_batch

SCALES = (2, 3, 4)


def _held(luma: np.ndarray) -> Held:
    height, width = luma.shape
    return Held(Band(height, width, 0, height, 0, height), Source(luma, height), None)


def _batch(count_seed: int, scales: tuple[int, ...] = SCALES) -> TeacherPatches:
    held = [_held(smooth(count_seed + i, 180, 192)) for i in range(BATCH)]
    return cut(held, np.random.default_rng(count_seed).random((BATCH, 3)), scales_of_batch(scales))


def _shake(learner: TeacherLearner) -> None:
    """Strengthens the last layer, so that it has an effect; weights stay tied."""
    with torch.no_grad():
        learner.model.convolutions[-1].weight *= 100
    learner.average.model.load_state_dict(learner.model.state_dict())


@pytest.mark.parametrize("scale", SCALES)
def test_lr_picture_and_its_enlargement_match_protocol(scale: int) -> None:
    luma = smooth(1, 48, 60)
    small = resize(luma.astype(np.float64), 48 // scale, 60 // scale, dtype=np.float64)
    low = lr_picture(luma, scale)
    assert low.dtype == np.float32
    np.testing.assert_allclose(255 * low[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX], small, atol=1e-3)
    bicubic = F.pixel_shuffle(enlarged(torch.from_numpy(low)[None, None], scale), scale)[0, 0]
    np.testing.assert_allclose(255 * bicubic, resize(small, 48, 60, dtype=np.float64), atol=2e-3)


@pytest.mark.parametrize("turn", range(8))
def test_patch_is_part_of_picture_and_of_its_lr_picture(turn: int) -> None:
    luma = smooth(2, 240, 252)
    patches = cut([_held(luma)], np.array([[0.5, 0.99, turn / 8]]), [3])
    ((scale, high),) = patches.high.items()
    top, left = int(0.5 * (80 - PATCH_PX + 1)), int(0.99 * (84 - PATCH_PX + 1))
    rows, columns = slice(top * 3, (top + PATCH_PX) * 3), slice(left * 3, (left + PATCH_PX) * 3)
    assert scale == 3
    np.testing.assert_array_equal(np.rint(255 * high[0, 0]), turned(luma[rows, columns], turn))
    whole = lr_picture(luma, 3)
    side = PATCH_PX + 2 * MARGIN_PX
    np.testing.assert_allclose(patches.low[0, 0], turned(whole[top : top + side, left : left + side], turn), atol=1e-6)


def test_small_pictures_are_mirrored_at_their_edges() -> None:
    luma = smooth(3, 60, 96)
    patches = cut([_held(luma)], np.array([[0.7, 0.7, 0.0]]), [4])
    high = np.rint(255 * patches.high[4][0, 0])
    np.testing.assert_array_equal(high[:60, :96], luma)
    np.testing.assert_array_equal(high[60:120, :96], luma[::-1])
    np.testing.assert_allclose(patches.low[0, 0, 2:17, 2:26], lr_picture(luma, 4)[2:-2, 2:-2], atol=1e-6)


def test_batch_is_divided_evenly_between_scale_factors() -> None:
    assert [scales_of_batch(SCALES).count(scale) for scale in SCALES] == [8, 7, 7]
    assert scales_of_batch([4]) == [4] * BATCH
    batch = _batch(4, (2, 4))
    assert {scale: those.shape for scale, those in batch.high.items()} == {
        2: (11, 1, 2 * PATCH_PX, 2 * PATCH_PX),
        4: (11, 1, 4 * PATCH_PX, 4 * PATCH_PX),
    }


@pytest.mark.parametrize("scales", [(2.0, 3.0, 4.0), (3.0,), (2.0, 4.0)])
def test_answers_rotate_with_picture(taught: TrainConfig, scales: tuple[float, ...]) -> None:
    learner = TeacherLearner(small_teacher(replace(taught, scales=scales)))
    _shake(learner)
    luma = smooth(5, 48, 72)
    teacher = Teacher(learner)
    answers = teacher(luma)
    assert list(answers) == list(scales)
    for element in range(1, 4):
        again = teacher(np.ascontiguousarray(np.rot90(luma, element)))
        for scale, answer in answers.items():
            off = np.abs(np.rot90(answer, element).astype(np.float32) - again[scale])
            assert off.max() < 0.25, f"float16 alone is off by less (x{scale:g})"
            assert np.abs(answer.astype(np.float32)).max() > 10, "there is nothing to turn"


def test_answers_match_lr_picture_better_than_raw_output(taught: TrainConfig) -> None:
    learner = TeacherLearner(small_teacher(taught))
    _shake(learner)
    luma = smooth(11, 96, 120)
    for scale, answer in Teacher(learner)(luma).items():
        low = 255 * lr_picture(luma, int(scale))
        small = low[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX].astype(np.float64)
        raw = 255 * learner.enlarge(low / 255, int(scale)).astype(np.float64)

        def off(picture: np.ndarray, small: np.ndarray = small) -> float:
            return float(np.square(resize(picture, *small.shape, dtype=np.float64) - small).mean())

        assert off(raw) > 1
        assert off(luma + answer.astype(np.float64)) < 0.3 * off(raw)


@pytest.mark.parametrize("scale", [1.25, 1.5, 2.5, 3.5])
def test_answers_at_fractional_scales_match_lr_better_than_bicubic(taught: TrainConfig, scale: float) -> None:
    learner = TeacherLearner(small_teacher(taught))
    _shake(learner)
    luma = smooth(12, 96, 120)
    teacher = Teacher(learner, (2.0, scale))
    answers = teacher(luma)
    assert list(answers) == [2.0, scale]
    low = lr_picture(luma, scale)[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX].astype(np.float64)
    assert low.shape == (round(96 / scale), round(120 / scale))
    said = (luma + answers[scale].astype(np.float64)) / 255
    seen = np.square(resize(said, *low.shape, dtype=np.float64) - low).mean()
    bicubic = resize(low, *luma.shape, dtype=np.float64)
    assert np.square(said - bicubic).mean() > 1e-5, "it says nothing of its own"
    assert seen < 0.3 * np.square(resize(bicubic, *low.shape, dtype=np.float64) - low).mean()


def test_enlarging_in_pieces_matches_enlarging_at_once(taught: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = TeacherLearner(small_teacher(taught))
    _shake(learner)
    low = lr_picture(smooth(6, 96, 132), 2)
    whole = learner.enlarge(low, 2)
    monkeypatch.setattr("vdsr_trainer.teacher.learner._PIECE_PX", 20)
    np.testing.assert_allclose(learner.enlarge(low, 2), whole, atol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_gradients_match_in_pieces_and_by_pytorch(
    taught: TrainConfig, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = _batch(7)
    config = replace(small_teacher(taught), precision=precision)

    by_kernels = TeacherLearner(config)._features is not None

    def gradients(micro: int) -> list[torch.Tensor]:
        learner = TeacherLearner(replace(config, micro_batch=micro))
        _shake(learner)
        learner._accumulate(batch)
        return [parameter.grad for parameter in learner.model.parameters() if parameter.grad is not None]

    whole, parts = gradients(0), gradients(9)
    monkeypatch.setattr("vdsr_trainer.teacher.learner.CpuFeatures.suits", lambda layers: False)
    by_pytorch = gradients(0)
    near = 0.002 if precision == "fp32" else 0.2
    # PyTorch rounds the gradients of each piece to bf16 before they are summed; the kernels' are fp32.
    same = 1e-4 if precision == "fp32" or by_kernels else 0.01
    assert len(whole) == 8
    for one, part, other in zip(whole, parts, by_pytorch, strict=True):
        assert (part - one).norm() < same * one.norm()
        assert (other - one).norm() < near * one.norm()


def test_teacher_learns_and_beats_bicubic(taught: TrainConfig, opened: Opener) -> None:
    config = replace(small_teacher(taught), steps=60, warmup_steps=5, average_decay=0.9, muon_rate=0.03, rate=0.03)
    learner = TeacherLearner(config)
    errors = [float(learner.step(_batch(step % 4), step).mean_square) for step in range(60)]
    assert np.mean(errors[-4:]) < 0.9 * np.mean(errors[:4])
    luma = smooth(99, 96, 96)
    teacher = Teacher(learner)
    for scale, answer in teacher(luma).items():
        small = resize(luma.astype(np.float64), 96 // int(scale), 96 // int(scale), dtype=np.float64)
        bicubic = resize(small, 96, 96, dtype=np.float64) - luma
        assert np.square(answer.astype(np.float64)).mean() < 0.98 * np.square(bicubic).mean(), scale


def test_teacher_config_replaces_recipe_and_keeps_seed() -> None:
    run = TrainConfig(teacher_steps=700, loss="mse", depth=3, width=8, start_from="vdsr", optimizer="sgd", seed=4)
    own = teacher_config(run)
    assert (own.steps, own.seed, own.start_from, own.optimizer) == (700, 4, "", "muon")
