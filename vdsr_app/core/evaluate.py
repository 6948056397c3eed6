"""PSNR and SSIM of bicubic and a model over a folder, by the papers' protocol."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vdsr_app.control import CancelToken, ProgressCallback
from vdsr_app.core import image_io
from vdsr_app.core.color import gray_to_luma, luma_to_gray
from vdsr_app.core.protocol import Plane, Score, Trial, make_trial, protocol_luma, score
from vdsr_app.errors import PictureError, UsageError, VdsrError

Estimate = Callable[[Plane], Plane]
"""Adds detail to bicubic luma: (H, W) in [0, 255] to the same, not rounded."""


class LumaUpscaler(Protocol):
    """What evaluation needs of an engine."""

    def upscale_luma(
        self, luma: npt.NDArray[np.float32], *, token: CancelToken | None = None, self_ensemble: bool = False
    ) -> npt.NDArray[np.float32]:
        """Turn (H, W) bicubic luma, with 1 as full scale, into (H, W) luma with detail."""
        ...


@dataclass(frozen=True, slots=True)
class PictureScore:
    """Both results on one picture at one scale factor."""

    name: str
    bicubic: Score
    model: Score


@dataclass(frozen=True, slots=True)
class ScaleScores:
    """All pictures at one scale factor.

    Attributes:
        scale: the factor.
        pictures: one entry per picture, in the order of the files.
    """

    scale: float
    pictures: tuple[PictureScore, ...]

    @property
    def bicubic(self) -> Score:
        """Mean of bicubic."""
        return _mean([picture.bicubic for picture in self.pictures])

    @property
    def model(self) -> Score:
        """Mean of the model."""
        return _mean([picture.model for picture in self.pictures])


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores, and the pictures that could not be measured.

    Attributes:
        scales: one entry per scale factor.
        failures: the error of each picture that was left out, at all factors or some.
    """

    scales: tuple[ScaleScores, ...]
    failures: tuple[VdsrError, ...]


def evaluate(
    files: Sequence[Path],
    scales: Sequence[float],
    engine: LumaUpscaler,
    *,
    self_ensemble: bool = False,
    token: CancelToken | None = None,
    on_progress: ProgressCallback | None = None,
) -> Evaluation:
    """Measure `engine` against bicubic.

    Args:
        files: picture files. One that cannot be read is left out; one that is too small at a factor, or that bicubic
            restores exactly, is left out at that factor. Either is in `failures` once, with its first error.
        scales: factors above 1.
        engine: upscales luma planes.
        self_ensemble: average the residual over all positions of a picture; see `core.ensemble`.
        token: tested before each picture and within the engine.
        on_progress: called with (done, total) pictures.

    Returns:
        The scores at each factor at which some picture could be measured, and what was left out.

    Raises:
        UsageError: a factor is not above 1, or is above 8.
        PictureError, UsageError: no picture could be measured; this is the error of the first.
        Cancelled: `token` was cancelled.
    """
    for scale in scales:
        if not 1.0 < scale <= 8.0:
            raise UsageError(f"Cannot evaluate at x{scale:g}.", hint="Give scale factors above 1, up to 8.")
    rows: dict[float, list[PictureScore]] = {scale: [] for scale in scales}
    failures: list[VdsrError] = []
    for number, path in enumerate(files):
        problem: VdsrError | None = None
        try:
            picture = image_io.read(path)
        except (PictureError, UsageError) as error:
            problem = error
        else:
            luma = protocol_luma(picture.pixels)
            estimate = estimator(engine, is_gray=picture.is_gray, token=token, self_ensemble=self_ensemble)
            for scale in scales:
                try:
                    rows[scale].append(_one(path.stem, make_trial(luma, scale), estimate, token))
                except (PictureError, UsageError) as error:
                    problem = problem or error
        if problem is not None:
            problem.path = problem.path or str(path)
            failures.append(problem)
        if on_progress is not None:
            on_progress(number + 1, len(files))
    if failures and not any(rows.values()):
        raise failures[0]
    return Evaluation(
        tuple(ScaleScores(scale, tuple(those)) for scale, those in rows.items() if those), tuple(failures)
    )


def estimator(
    engine: LumaUpscaler, *, is_gray: bool = False, token: CancelToken | None = None, self_ensemble: bool = False
) -> Estimate:
    """Make an `Estimate` that runs planes of the protocol through an engine.

    Args:
        engine: upscales luma planes.
        is_gray: whether the planes are a gray file's values, in full range; the network then gets, as everywhere, the
            luma of the RGB copy.
        token: tested within the engine.
        self_ensemble: as in `evaluate`.
    """

    def estimate(bicubic: Plane) -> Plane:
        luma = gray_to_luma(bicubic) if is_gray else bicubic
        seen = (luma / 255.0).astype(np.float32)
        detailed = engine.upscale_luma(seen, token=token, self_ensemble=self_ensemble).astype(np.float64) * 255.0
        return luma_to_gray(detailed) if is_gray else detailed

    return estimate


def _one(name: str, trial: Trial, estimate: Estimate, token: CancelToken | None) -> PictureScore:
    if token is not None:
        token.raise_if_cancelled()
    before = score(trial, trial.bicubic)
    if math.isinf(before.psnr_db):
        raise UsageError("Bicubic gives all of it back, so there is nothing to compare.")
    return PictureScore(name, before, score(trial, estimate(trial.bicubic)))


def _mean(scores: Sequence[Score]) -> Score:
    count = max(1, len(scores))
    return Score(math.fsum(each.psnr_db for each in scores) / count, math.fsum(each.ssim for each in scores) / count)
