"""The tests a run is judged by: held-out pictures, shrunk by each scale factor, clean and as JPEGs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from vdsr_app.core.protocol import Plane, Score, Trial, make_trial
from vdsr_app.errors import UsageError
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.degrade import Degradation, Luma8, degrade_whole

JPEG_QUALITY = 40
"""JPEG quality of the pictures that show what a run for photographs achieves."""

MOST_PICTURES = 16
"""Most held-out pictures that are measured."""
JUDGED_PX = 180
"""Side of the centre of each picture that a validation uses: enough to choose by, cheap enough to do often."""
COMPARED_PX = 320
"""Side of the centre used for the table at the end."""

_EQUAL_PSNR_DB = 100.0

_Thing = TypeVar("_Thing")


def capped_psnr_db(found: Score) -> float:
    """PSNR, with 100 dB instead of infinity for equal pictures, such as flat ones.

    A mean with an infinity is meaningless, and JSON has no infinity.
    """
    return min(found.psnr_db, _EQUAL_PSNR_DB)


def trial_keys(config: TrainConfig) -> list[tuple[str, float, int]]:
    """Key of a column, its scale factor, and the JPEG quality of its pictures or 0: ("2 jpeg 40", 2.0, 40)."""
    qualities = (0, JPEG_QUALITY) if config.jpeg_share else (0,)
    scales = sorted({scale for scale in config.scales if scale > 1.0})
    return [
        (f"{scale:g} jpeg {quality}" if quality else f"{scale:g}", scale, quality)
        for quality in qualities
        for scale in scales
    ]


def degraded_trial(plane: Plane, scale: float, quality: int) -> Trial | None:
    """One picture by the papers' protocol; with `quality`, its LR version is compressed as JPEG.

    Args:
        plane: (H, W) float64 whole numbers in [0, 255].
        scale: factor above 1.
        quality: of the JPEG, or 0 for none.

    Returns:
        None if the picture is too small for the factor.
    """
    try:
        trial = make_trial(plane, scale)
    except UsageError:
        return None
    if not quality:
        return trial
    degraded = degrade_whole(trial.reference.astype(np.uint8), Degradation(scale, jpeg_quality=quality))
    return Trial(trial.reference, degraded.astype(np.float64), trial.border_px)


def middle(luma: Luma8, side_px: int) -> Luma8:
    """The centre of a picture, at most `side_px` high and wide."""
    top, left = (max(0, (size - side_px) // 2) for size in luma.shape)
    return luma[top : top + side_px, left : left + side_px]


def spread(things: Sequence[_Thing], most: int) -> list[_Thing]:
    """At most `most` of some things, evenly spread, in their order."""
    count = min(len(things), most)
    return [things[i * len(things) // count] for i in range(count)]
