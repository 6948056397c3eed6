"""Training pictures in memory, and patches of them that depend on nothing but (seed, step).

A patch of the degraded picture is computed from just the samples it depends on. That equals cutting it from the
whole degraded picture, edge rules included, at a small part of the cost; so every patch can have a scale factor of
its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vdsr_app.core import image_io
from vdsr_app.core.folders import list_pictures
from vdsr_app.core.protocol import protocol_luma
from vdsr_app.core.resize import axis_table, resize
from vdsr_app.errors import PictureError, TrainingError
from vdsr_trainer.config import TrainConfig

Luma8 = npt.NDArray[np.uint8]
"""(H, W) uint8 luma, studio range."""
_HARDNESS_SCALE = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class TrainingPicture:
    """One picture, or a shrunk copy of one.

    Attributes:
        name: file name, for messages.
        luma: (H, W) uint8.
        hardness: (H + 1, W + 1) float64, summed-area table of bicubic's squared error at x3.
    """

    name: str
    luma: Luma8
    hardness: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """One batch.

    Attributes:
        bicubic: (N, 1, P, P) float32, the network's input; 1 is full scale.
        target: (N, 1, P, P) float32, what it should give.
    """

    bicubic: npt.NDArray[np.float32]
    target: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Lumas by file name, for training and for validation."""

    training: dict[str, Luma8]
    validation: dict[str, Luma8]


def load_split(config: TrainConfig, notice: Callable[[str], None]) -> Split:
    """Read every picture and hold some out.

    Held out are `config.holdout` pictures spread evenly over the list sorted by name, or the pictures of
    `config.validation`. Pictures that cannot be read, or are smaller than a patch, are left out with a notice.

    Raises:
        TrainingError: a folder is missing or nothing usable is left.
    """
    lumas = _read_folders([Path(folder) for folder in config.data], config.patch_px, notice)
    if config.validation:
        return Split(lumas, _read_folders([Path(config.validation)], 64, notice))
    if len(lumas) <= config.holdout:
        raise TrainingError(
            f"{len(lumas)} pictures are too few to hold {config.holdout} of them out.",
            hint="Add pictures, or lower holdout.",
        )
    # Small pictures make poor judges: the larger half of the list is what is held out from.
    by_area = sorted(lumas, key=lambda name: (-lumas[name].size, name))
    judges = sorted(by_area[: max(config.holdout, len(lumas) // 2)])
    stride = len(judges) / config.holdout
    held_out = {judges[int(i * stride)] for i in range(config.holdout)}
    return Split(
        {name: luma for name, luma in lumas.items() if name not in held_out},
        {name: lumas[name] for name in sorted(held_out)},
    )


def _read_folders(folders: Sequence[Path], smallest_px: int, notice: Callable[[str], None]) -> dict[str, Luma8]:
    lumas: dict[str, Luma8] = {}
    for folder in folders:
        if not folder.is_dir():
            raise TrainingError("There is no such folder of pictures.", path=folder, hint="Choose another folder.")
        for path in list_pictures(folder):
            try:
                luma = protocol_luma(image_io.read(path).pixels).astype(np.uint8)
            except PictureError as error:
                notice(f"Left out: {error}")
                continue
            if min(luma.shape) < smallest_px:
                notice(f"Left out: {path} is smaller than {smallest_px} px.")
                continue
            lumas[f"{folder.name}/{path.relative_to(folder).as_posix()}"] = luma
    if not lumas:
        raise TrainingError(
            f"No usable picture in {', '.join(map(str, folders)) or 'an empty list of folders'}.",
            hint="Choose a folder with pictures of at least the patch size.",
        )
    return lumas


def prepare(lumas: dict[str, Luma8], config: TrainConfig) -> list[TrainingPicture]:
    """Pictures and their shrunk copies, in the order of their names, with their tables of hardness."""
    pictures = []
    for name in sorted(lumas):
        full = lumas[name]
        copies = [full]
        for factor in config.shrunk_copies:
            height, width = (round(size * factor) for size in full.shape)
            if min(height, width) >= config.patch_px:
                copies.append(np.clip(np.rint(resize(full, height, width)), 0, 255).astype(np.uint8))
        pictures += [TrainingPicture(name, luma, _hardness(luma)) for luma in copies]
    return pictures


def _hardness(luma: Luma8) -> npt.NDArray[np.float64]:
    height, width = luma.shape
    small = resize(luma, max(1, round(height / _HARDNESS_SCALE)), max(1, round(width / _HARDNESS_SCALE)))
    error = (resize(small, height, width).astype(np.float64) - luma) ** 2
    return np.pad(error.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))


class PatchSampler:
    """Batches as a pure function of the step: workers carry no state, and a resumed run sees the same patches."""

    def __init__(self, pictures: Sequence[TrainingPicture], config: TrainConfig) -> None:
        if not pictures:
            raise TrainingError("There is no picture to cut patches from.")
        self._pictures = pictures
        self._config = config
        areas = np.array([picture.luma.size for picture in pictures], dtype=np.float64)
        self._cumulative = np.cumsum(areas / areas.sum())

    def batch(self, step: int) -> Patches:
        """The patches of one step, shape and range as in `Patches`."""
        config = self._config
        rng = np.random.default_rng([config.seed, step])
        shape = (config.batch, 1, config.patch_px, config.patch_px)
        bicubic, target = np.empty(shape, np.float32), np.empty(shape, np.float32)
        for i in range(config.batch):
            pick = min(int(np.searchsorted(self._cumulative, rng.random(), side="right")), len(self._pictures) - 1)
            picture = self._pictures[pick]
            top, left = self._position(picture, rng)
            rows, cols = slice(top, top + config.patch_px), slice(left, left + config.patch_px)
            low = degraded_patch(picture.luma, self._scale(rng), rows, cols)
            turns, flip = int(rng.integers(4)), bool(rng.integers(2))
            bicubic[i, 0] = _turned(low, turns, flip) / 255.0
            target[i, 0] = _turned(picture.luma[rows, cols], turns, flip) / np.float32(255.0)
        return Patches(bicubic, target)

    def _scale(self, rng: np.random.Generator) -> float:
        config = self._config
        if rng.random() < config.fixed_share:
            return config.scales[int(rng.integers(len(config.scales)))]
        # Steps of 0.05 keep the tables of weights in the cache.
        return round(rng.uniform(config.scale_min, config.scale_max) * 20) / 20

    def _position(self, picture: TrainingPicture, rng: np.random.Generator) -> tuple[int, int]:
        side, table = self._config.patch_px, picture.hardness
        count = self._config.hard_candidates
        tops = rng.integers(picture.luma.shape[0] - side + 1, size=count)
        lefts = rng.integers(picture.luma.shape[1] - side + 1, size=count)
        errors = (
            table[tops + side, lefts + side]
            - table[tops, lefts + side]
            - table[tops + side, lefts]
            + table[tops, lefts]
        )
        best = int(np.argmax(errors))
        return int(tops[best]), int(lefts[best])


def degraded_patch(luma: Luma8, scale: float, rows: slice, cols: slice) -> npt.NDArray[np.float32]:
    """The window (rows, cols) of `luma` shrunk by `scale` and enlarged again, both bicubic and unrounded.

    Args:
        luma: (H, W) uint8.
        scale: factor, at least 1.
        rows: window within the picture.
        cols: window within the picture.

    Returns:
        (rows, cols) float32 on the scale [0, 255].
    """
    matrices = []
    for size, window in zip(luma.shape, (rows, cols), strict=True):
        small = max(1, round(size / scale))
        first, last, up = axis_table(small, size).window(window.start, window.stop)
        source_first, source_last, down = axis_table(size, small).window(first, last)
        # Shrinking and enlarging one axis are linear, so they fuse into one matrix.
        matrices.append((slice(source_first, source_last), (up @ down).astype(np.float32)))
    (source_rows, vertical), (source_cols, horizontal) = matrices
    return np.asarray(vertical @ luma[source_rows, source_cols].astype(np.float32) @ horizontal.T)


def _turned(patch: npt.NDArray[Any], turns: int, flip: bool) -> npt.NDArray[Any]:
    turned = np.rot90(patch, turns)
    return turned[:, ::-1] if flip else turned
