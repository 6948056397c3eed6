"""What the teacher learns from: squares of LR pictures, and the squares of the pictures they stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vdsr_app.core.resize import resize
from vdsr_trainer.data.dataset import turned
from vdsr_trainer.data.degrade import Luma8
from vdsr_trainer.data.items import Held
from vdsr_trainer.data.taps import Taps, matmul, mirrored
from vdsr_trainer.teacher.network import MARGIN_PX

PATCH_PX = 40
"""Side of a square, in LR pixels."""

BATCH = 22

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class TeacherPatches:
    """One batch, ordered by scale factor.

    Attributes:
        low: (N, 1, 44, 44) float32, LR squares with a margin of `MARGIN_PX`; 1 is full scale.
        high: scale factor -> (n, 1, 40 * scale, 40 * scale) float32, what they stand for; in the order of `low`.
    """

    low: Floats
    high: Mapping[int, Floats]


def scales_of_batch(scales: Sequence[int]) -> list[int]:
    """The scale factor of each patch of a batch: equally many of each, if that divides, and smaller ones first."""
    return sorted(scales[i % len(scales)] for i in range(BATCH))


def cut(held: Sequence[Held], draws: npt.NDArray[np.float64], scales: Sequence[int]) -> TeacherPatches:
    """Cut the patches of a batch.

    Args:
        held: what each is cut from, cropped to a multiple of its scale factor. Smaller ones are mirrored at their ends.
        draws: (N, 3) in [0, 1): top, left, turn.
        scales: from `scales_of_batch`.
    """
    side = PATCH_PX + 2 * MARGIN_PX
    low = np.empty((len(held), 1, side, side), np.float32)
    high: dict[int, list[Floats]] = {}
    for i, (each, draw, scale) in enumerate(zip(held, draws, scales, strict=True)):
        rows, columns = (size // scale * scale for size in each.source.luma.shape)
        luma = each.source.luma[:rows, :columns]  # of a band of rows this may be less
        top, left = (int(at * max(1, size // scale - PATCH_PX + 1)) for at, size in zip(draw, luma.shape, strict=False))
        turn = int(draw[2] * 8)
        low[i, 0] = turned(_window(luma, top - MARGIN_PX, left - MARGIN_PX, side, side, scale), turn)
        read = [
            mirrored(at * scale, (at + PATCH_PX) * scale, size)
            for at, size in zip((top, left), luma.shape, strict=True)
        ]
        high.setdefault(scale, []).append(turned(luma[np.ix_(*read)], turn).astype(np.float32))
    whole = np.float32(255.0)
    return TeacherPatches(low / whole, {scale: np.stack(those)[:, None] / whole for scale, those in high.items()})


def made_up(rng: np.random.Generator, scales: Sequence[int]) -> TeacherPatches:
    """A batch of noise, to measure what a step costs."""
    side, these = PATCH_PX + 2 * MARGIN_PX, scales_of_batch(scales)
    shapes = {scale: (these.count(scale), 1, PATCH_PX * scale, PATCH_PX * scale) for scale in scales}
    high = {scale: rng.random(shape, np.float32) for scale, shape in shapes.items()}
    return TeacherPatches(rng.random((BATCH, 1, side, side), np.float32), high)


def lr_picture(luma: Luma8, scale: float) -> Floats:
    """The whole LR picture with a margin of `MARGIN_PX`; 1 is full scale. Sizes are rounded as in `degrade`."""
    height, width = (max(1, round(size / scale)) for size in luma.shape)
    low = resize(luma.astype(np.float64), height, width, dtype=np.float64)
    return np.pad(np.asarray(low / 255.0, np.float32), MARGIN_PX, mode="symmetric")


def _window(luma: Luma8, top: int, left: int, rows: int, columns: int, scale: int) -> npt.NDArray[np.float64]:
    """A window of the LR picture, mirrored at its ends as the picture is; on the scale of the picture."""
    sizes = np.array(luma.shape)
    down = Taps.of(sizes, sizes // scale, np.array([top, left]), np.array([rows, columns]))
    vertical, horizontal = down.matrices()
    read = [
        mirrored(int(first), int(first) + matrix.shape[1], int(size))
        for first, matrix, size in zip(down.first, (vertical, horizontal), sizes, strict=True)
    ]
    return matmul(matmul(vertical, luma[np.ix_(*read)].astype(np.float64)), horizontal.T)
