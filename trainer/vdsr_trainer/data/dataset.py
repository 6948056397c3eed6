"""Training pictures, and batches of their patches that depend only on (seed, step)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vdsr_app.control import CancelToken, ProgressCallback
from vdsr_app.core.words import counted
from vdsr_app.errors import TrainingError
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.cache_size import cache_bytes
from vdsr_trainer.data.degrade import Degradation, Luma8, degraded_patches
from vdsr_trainer.data.items import Answers, Held, Item, make_items, read_recorded
from vdsr_trainer.data.lr_grid import lr_grid
from vdsr_trainer.data.pictures import in_parallel, is_unchanged, record_pictures, unique_names
from vdsr_trainer.data.preflight import Index, Plan, moved, named_folders, read_index, save_index
from vdsr_trainer.data.report import IssueKind, PictureIssue, PictureRecord
from vdsr_trainer.data.sampling import Pick, make_order
from vdsr_trainer.data.split import grid_patches, plan_split
from vdsr_trainer.data.working_set import WorkingSet
from vdsr_trainer.run_files import has_learned
from vdsr_trainer.trials import COMPARED_PX, MOST_PICTURES, middle, spread

__all__ = ["Luma8", "Patches", "TrainingData", "open_data"]

_JUDGES = 64
"""Held-out pictures, spread over all in file order, from which the judged ones are taken in name order. One order would
do, but a resumed run must be judged by the pictures it began with."""

_NAMED_ISSUES = 20
_DRAWS = 12
"""Uniform random numbers per patch, before those for its candidates."""


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """One batch.

    Attributes:
        bicubic: (N, 1, P, P) float32, the network's input; 1 is full scale.
        target: (N, 1, P, P) float32, what the network should output.
        grid: (N, 2, 2) float32, from `lr_grid`, 0 for patches that are not clean; None if the loss does not need it.
    """

    bicubic: npt.NDArray[np.float32]
    target: npt.NDArray[np.float32]
    grid: npt.NDArray[np.float32] | None = None


def open_data(
    config: TrainConfig,
    run: Path,
    *,
    on_progress: ProgressCallback,
    notice: Callable[[str], None],
    token: CancelToken,
) -> TrainingData:
    """Open the pictures of a run, ready to be cut.

    A run that has a checkpoint continues with the pictures named in `pictures.json` in its folder; any other searches
    its folders, decodes what that file does not know yet, and writes it. If all pictures fit into the memory set aside
    for them, they are decoded now, otherwise as the steps need them.

    Args:
        config: folders, sizes, sampling, degradations, seed.
        run: folder of the run.
        on_progress: called with (done, total) pictures, from this thread; starts over for each pass over them.
        notice: called with a sentence for each picture that is left out, up to 20.
        token: checked at each picture.

    Raises:
        TrainingError: a folder is missing or empty, too few pictures are usable, or a picture of a resumed run is
            missing, has changed, or is too small for patches that were not as large when the run began.
        SaveError: `pictures.json` cannot be written.
        Cancelled: by the token.
    """
    plan = _earlier_plan(config, run, notice)
    goes_on = plan is not None
    if plan is None:
        plan = _new_plan(config, run, on_progress, notice, token)
    items = make_items(plan.training, config, plan.cache_bytes)
    if not items:  # a new plan has no such pictures; those of an earlier one were chosen for its patches
        raise TrainingError(
            f"The pictures that this run began with are smaller than its patches are now, {config.patch_px} px.",
            path=run,
            hint="Set patch_px back in its config.toml, or begin a new run.",
        )
    pictures = WorkingSet(items, config, plan.cache_bytes)
    try:
        validation = _validation(plan.held_out, token)
        if sum(item.bytes for item in items) <= plan.cache_bytes:
            pictures.load_all(on_progress, token)
        elif goes_on:
            _check_again(plan.training, on_progress, token)
    except BaseException:
        pictures.close()
        raise
    return TrainingData(config, plan, pictures, validation)


class TrainingData:
    """Pictures to validate on, and batches of patches of those to train on.

    Attributes:
        pictures: number of training pictures, without shrunk copies.
        held_out: names of the pictures to validate on.
        validation: (H, W) uint8 luma by name of those that are judged, at most `MOST_PICTURES`: the centre, at most
            `COMPARED_PX` on each side.
        patches_per_epoch: see `split.grid_patches`; at least 1.
    """

    def __init__(self, config: TrainConfig, plan: Plan, pictures: WorkingSet, validation: dict[str, Luma8]) -> None:
        self.pictures = len(plan.training)
        self.held_out = tuple(unique_names(plan.held_out).values())
        self.validation = validation
        self.patches_per_epoch = max(1, grid_patches(plan.training, config))
        self._config = config
        self._pictures = pictures
        self._order = make_order(pictures.items, config, plan.cache_bytes)
        self._wanted: tuple[int, ...] | None = None

    @property
    def bytes_held(self) -> int:
        """Memory that training pictures take now, in bytes."""
        return self._pictures.bytes_held

    def batch(self, step: int) -> Patches:
        """The patches of one step, shape and range as in `Patches`; may be called from any thread, for any step.

        Raises:
            TrainingError: a picture is gone or has changed.
        """
        config, side = self._config, self._config.patch_px
        draws = draw_of_step(config, step)
        picks = self._order.picks(step, draws[:, :2])
        held = self._held(step, picks)
        places = [
            pick.place or _hardest(each, draw[_DRAWS:], side)
            for pick, each, draw in zip(picks, held, draws, strict=True)
        ]
        degradations = [
            _degradation(draw, config, pick.scale or scale)
            for draw, pick, scale in zip(draws, picks, drawn_scales(config, draws).tolist(), strict=True)
        ]
        low = degraded_patches([each.source for each in held], places, (side, side), degradations)
        turns = (draws[:, 4] * 8).astype(np.int64)
        bicubic = np.empty((config.batch, 1, side, side), np.float32)
        target = np.empty_like(bicubic)
        for i, (each, (top, left)) in enumerate(zip(held, places, strict=True)):
            turn = int(turns[i])
            row = top - each.source.first_row
            bicubic[i, 0] = turned(low[i], turn)
            target[i, 0] = turned(each.source.luma[row : row + side, left : left + side], turn)
            answer = each.answers.get(degradations[i].scale) if degradations[i].clean else None
            if answer is not None:
                target[i, 0] += turned(answer[row : row + side, left : left + side], turn)
        grid = _grid(held, places, degradations, turns, side) if config.consistency else None
        return Patches(bicubic / np.float32(255.0), target / np.float32(255.0), grid)

    def bands(self, step: int, uniforms: npt.NDArray[np.float64]) -> list[Held]:
        """Pictures or copies that a step may use, one for each row of `uniforms`, (N, 2) in [0, 1).

        Raises:
            TrainingError: a picture is gone or has changed.
        """
        return self._held(step, self._order.picks(step, uniforms))

    def set_teacher(
        self, teacher: Callable[[Luma8], Answers], on_progress: ProgressCallback, token: CancelToken
    ) -> None:
        """Use a teacher's answers for the targets of clean patches, where it has any.

        Args:
            teacher: called with (H, W) uint8 luma; from several threads.
            on_progress: called with (done, total) pictures, from this thread, if all fit into memory together.
            token: checked at each picture.

        Raises:
            TrainingError: a picture is gone or has changed.
            Cancelled: by the token.
        """
        all_fit = self.in_memory
        self._pictures.set_teacher(teacher)
        self._wanted = None  # what was fetched ahead is dropped
        if all_fit:
            self._pictures.load_all(on_progress, token)
            self._pictures.forget_teacher()

    @property
    def in_memory(self) -> bool:
        """Whether all pictures are held at once."""
        return self._pictures.holds_all

    @property
    def holds_all_whole(self) -> bool:
        """Whether all pictures are held at once, none of them in parts."""
        return self.in_memory and all(band.whole for item in self._pictures.items for band in item.bands)

    def everything(self) -> list[tuple[Item, tuple[Held, ...]]]:
        """All items with what is held of them, in order; call it only if `in_memory`."""
        return [(item, self._pictures.get(number)) for number, item in enumerate(self._pictures.items)]

    def close(self) -> None:
        """Release the pictures and the threads that fetch them."""
        self._pictures.close()

    def _held(self, step: int, picks: Sequence[Pick]) -> list[Held]:
        self._fetch_ahead(step)
        return [self._pictures.get(pick.item)[pick.band] for pick in picks]

    def _fetch_ahead(self, step: int) -> None:
        key, items = self._order.wanted(step)
        if key != self._wanted:
            self._wanted = key
            self._pictures.want(items())


def _earlier_plan(config: TrainConfig, run: Path, notice: Callable[[str], None]) -> Plan | None:
    """Plan of a run that is resumed; None if it is lost, or neither network nor teacher has a checkpoint."""
    if not has_learned(run):
        return None
    index = read_index(run)
    if index is None or index.plan is None:
        notice("The list of pictures that this run began with is missing or damaged, so a new one is made.")
        return None
    return moved(index, config).plan


def _new_plan(
    config: TrainConfig,
    run: Path,
    on_progress: ProgressCallback,
    notice: Callable[[str], None],
    token: CancelToken,
) -> Plan:
    known = read_index(run)
    records = record_pictures(config, known.records if known is not None else (), on_progress, token)
    report = plan_split(records, config)
    left_out = [issue for issue in report.issues if not (config.keep_duplicates and issue.kind.may_be_kept)]
    for issue in left_out[:_NAMED_ISSUES]:
        notice(_sentence(issue))
    if len(left_out) > _NAMED_ISSUES:
        notice(f"Left out: {counted(len(left_out) - _NAMED_ISSUES, 'more picture')}.")
    plan = Plan(report.training, report.held_out, cache_bytes(config))
    save_index(run, Index(report.records, plan, named_folders(config)))
    return plan


def _check_again(records: Sequence[PictureRecord], on_progress: ProgressCallback, token: CancelToken) -> None:
    """Check that pictures are unchanged; only files with another size or time are decoded."""
    touched = [record for record in records if not is_unchanged(record)]
    for done, _ in enumerate(in_parallel(lambda record: read_recorded(record, token).shape, touched, token)):
        on_progress(done + 1, len(touched))


def _sentence(issue: PictureIssue) -> str:
    if issue.kind is IssueKind.UNREADABLE:
        return f"Left out: {issue.picture.path}: {issue.reason}"
    return f"Left out: {issue.picture.name}: {issue.reason}"


def _validation(records: Sequence[PictureRecord], token: CancelToken) -> dict[str, Luma8]:
    names = {name: record for record, name in unique_names(spread(records, _JUDGES)).items()}
    judged = spread(sorted(names), MOST_PICTURES)
    middles = dict(in_parallel(lambda name: _middle(read_recorded(names[name], token)), judged, token))
    return {name: middles[name] for name in judged}


def _middle(luma: Luma8) -> Luma8:
    return middle(luma, COMPARED_PX).copy()  # not a view, which would keep the whole in memory


def drawn_scales(config: TrainConfig, draws: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Scale factors of patches, (N,), from their random numbers in `draw_of_step`."""
    fixed = np.array(config.scales)[(draws[:, 3] * len(config.scales)).astype(np.int64)]
    # Steps of 0.05, half of those of the upscaler's slider.
    free = np.rint((config.scale_min + draws[:, 3] * (config.scale_max - config.scale_min)) * 20) / 20
    return np.where(draws[:, 2] < config.fixed_share, fixed, free)


def _degradation(draw: npt.NDArray[np.float64], config: TrainConfig, scale: float) -> Degradation:
    """The degradation of one patch, from uniform random numbers in [0, 1)."""
    qualities = config.jpeg_quality_max - config.jpeg_quality_min + 1
    return Degradation(
        scale,
        blur_sigma=draw[7] * config.blur_sigma_max if draw[6] < config.blur_share else 0.0,
        noise_sigma=draw[9] * config.noise_sigma_max if draw[8] < config.noise_share else 0.0,
        jpeg_quality=config.jpeg_quality_min + int(draw[10] * qualities) if draw[5] < config.jpeg_share else 0,
        noise_seed=int(draw[11] * 2**53),
    )


def _grid(
    held: Sequence[Held],
    places: Sequence[tuple[int, int]],
    degradations: Sequence[Degradation],
    turns: npt.NDArray[np.int64],
    side: int,
) -> npt.NDArray[np.float32]:
    """LR samples of the patches of a step: see `Patches.grid`."""
    sizes = [(each.source.height, each.source.luma.shape[1]) for each in held]
    scales = [degradation.scale for degradation in degradations]
    grid = lr_grid(
        torch.tensor(sizes),
        torch.tensor(places),
        torch.tensor(scales, dtype=torch.float64),
        torch.from_numpy(turns),
        side,
    ).numpy()
    grid[[not degradation.clean for degradation in degradations]] = 0.0
    return grid


def _hardest(held: Held, draw: npt.NDArray[np.float64], side: int) -> tuple[int, int]:
    """The hardest of some random positions."""
    band = held.band
    tops, lefts = draw.reshape(2, -1)
    rows = band.first + (tops * (band.last - band.first - side + 1)).astype(np.int64)
    cols = (lefts * (band.width - side + 1)).astype(np.int64)
    best = int(np.argmax(held.hardness_of(rows, cols, side))) if len(rows) > 1 else 0
    return int(rows[best]), int(cols[best])


def draw_of_step(config: TrainConfig, step: int) -> npt.NDArray[np.float64]:
    """The random numbers of a step's patches.

    Returns:
        (batch, 12 + 2 * candidates) float64 in [0, 1): 0 and 1 choose the picture, 2 and 3 the scale factor, 4 the
        turn, 5 to 11 the degradation; then the tops of the candidates, then their lefts.
    """
    rng = np.random.default_rng([config.seed, step])
    return rng.random((config.batch, _DRAWS + 2 * config.hard_candidates))


def turned(patch: npt.NDArray[Any], turn: int) -> npt.NDArray[Any]:
    """One of the eight turns and reflections of a square."""
    square = np.rot90(patch, turn % 4)
    return square[:, ::-1] if turn >= 4 else square
