"""Which pictures are trained on, which are validated on, and why the others are neither. Pure functions, no torch."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

from vdsr_app.errors import TrainingError
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.fingerprint import resembling
from vdsr_trainer.data.report import IssueKind, PictureIssue, PictureRecord, PreflightReport

_SMALLEST_JUDGE_PX = 64


def plan_split(records: Sequence[PictureRecord], config: TrainConfig) -> PreflightReport:
    """Decide what each picture is used for; deterministic for given records and configuration.

    Left out are, in this order: those in `config.exclude`, silently; those that cannot be read or are too small; all
    but the first of equal pictures; training pictures that equal or resemble a held-out one. With
    `config.keep_duplicates`, the last two kinds are trained on nevertheless, but still reported.

    Held out are the pictures of `config.validation`, or `config.holdout` of `config.data`, but at most a fifth: spread
    evenly, in the order of their names, over the larger half, because small pictures make poor judges.

    Raises:
        TrainingError: nothing is left to train or to validate on.
    """
    excluded = _Excluded(config.exclude)
    considered = [record for record in records if not excluded.holds(record)]
    issues: list[PictureIssue] = []
    if config.validation:
        mine = [record for record in considered if record.folder == config.validation]
        held_out = _without_repeats(_usable(mine, judge_px(config), issues, held_out=True), issues, held_out=True)
        if not held_out:
            raise _nothing("validate", config.validation, judge_px(config), issues)
    others = [record for record in considered if record.folder in config.data]
    if config.validation and not config.keep_duplicates:
        # A folder for validation below one for training is not a leak to be reported.
        places = {os.path.abspath(record.path) for record in mine}
        others = [r for r in others if r.folder == config.validation or os.path.abspath(r.path) not in places]
    of = config.size_multiple
    training = _usable(others, -(-config.patch_px // of) * of, issues, held_out=False)
    unique = _without_repeats(training, issues, held_out=False)
    if not config.validation:
        held_out = _held_out(unique, config, issues)
    judges = set() if config.validation else set(held_out)
    unseen = set(unique) - judges
    unseen -= _leaked([record for record in unique if record in unseen], held_out, issues)
    if config.keep_duplicates:
        unseen = set(training) - judges
    kept = tuple(record for record in training if record in unseen)
    if not kept:
        raise _nothing("train", ", ".join(config.data), config.patch_px, issues)
    return PreflightReport(tuple(records), kept, tuple(held_out), tuple(issues), grid_patches(kept, config))


def judge_px(config: TrainConfig) -> int:
    """Smallest side of a picture that is validated on, in pixels: what the metrics need at every scale factor."""
    sides = [_SMALLEST_JUDGE_PX]
    for scale in config.scales:
        step = Fraction(scale).limit_denominator(20).numerator  # see core.protocol.make_trial
        sides.append(math.ceil((2 * math.ceil(scale) + 11) / step) * step)
    return max(sides)


def copy_sizes(height: int, width: int, config: TrainConfig) -> list[tuple[int, int]]:
    """(height, width) of a picture and of those of its shrunk copies that hold a patch; the picture may be cropped."""
    of = config.size_multiple
    sizes = [(round(height * factor / of) * of, round(width * factor / of) * of) for factor in config.shrunk_copies]
    return [(height // of * of, width // of * of), *(size for size in sizes if min(size) >= config.patch_px)]


def grid_patches(records: Iterable[PictureRecord], config: TrainConfig) -> int:
    """Patches per epoch: those of the non-overlapping grid in pictures and shrunk copies, at each scale factor.

    For the paper's 91 pictures at x2, x3 and x4, that is 7,992 patches of 41 px, and 80 epochs in batches of 64 are
    9,990 steps, which agrees with the 9,960 iterations stated in the paper.
    """
    side = config.patch_px
    sizes = (size for record in records for size in copy_sizes(record.height, record.width, config))
    places = sum((height // side) * (width // side) for height, width in sizes)
    return places * len(epoch_scales(config))


def epoch_scales(config: TrainConfig) -> tuple[float | None, ...]:
    """Scale factors at which an epoch shows each position; (None,) if some are drawn at random."""
    return config.scales if config.fixed_share == 1 else (None,)


class _Excluded:
    """The files of `TrainConfig.exclude`."""

    def __init__(self, exclude: Sequence[str]) -> None:
        self._relative = {Path(entry).as_posix() for entry in exclude if not Path(entry).is_absolute()}
        self._absolute = {os.path.normpath(entry) for entry in exclude if Path(entry).is_absolute()}

    def holds(self, record: PictureRecord) -> bool:
        if record.file in self._relative:
            return True
        return bool(self._absolute) and os.path.normpath(Path(record.folder, record.file).absolute()) in self._absolute


def _usable(
    records: Iterable[PictureRecord], smallest_px: int, issues: list[PictureIssue], *, held_out: bool
) -> list[PictureRecord]:
    usable = []
    for record in records:
        if record.reason:
            issues.append(PictureIssue(IssueKind.UNREADABLE, record, record.reason, held_out=held_out))
        elif min(record.height, record.width) < smallest_px:
            reason = (
                f"It is {record.width} x {record.height} px; to be {'validated' if held_out else 'trained'} on,"
                f" {smallest_px} px are needed on each side."
            )
            issues.append(PictureIssue(IssueKind.TOO_SMALL, record, reason, held_out=held_out))
        else:
            usable.append(record)
    return usable


def _without_repeats(
    records: Iterable[PictureRecord], issues: list[PictureIssue], *, held_out: bool
) -> list[PictureRecord]:
    first: dict[str, PictureRecord] = {}
    for record in records:
        other = first.setdefault(record.digest, record)
        if other is not record:
            reason = f"It equals {other.name}."
            issues.append(PictureIssue(IssueKind.DUPLICATE, record, reason, other, held_out))
    return list(first.values())


def _held_out(
    unique: Sequence[PictureRecord], config: TrainConfig, issues: Sequence[PictureIssue]
) -> list[PictureRecord]:
    if not unique:
        raise _nothing("train", ", ".join(config.data), config.patch_px, issues)
    if len(unique) < 2:
        raise TrainingError(
            "One usable picture is too few: one is needed to train on and another to validate on.",
            path=unique[0].folder,
            hint="Add pictures, or choose a folder for validation.",
        )
    smallest_px = judge_px(config)
    judges = [record for record in unique if min(record.height, record.width) >= smallest_px]
    if not judges:
        raise TrainingError(
            f"No picture is large enough to validate on: {smallest_px} px are needed on each side.",
            path=unique[0].folder,
            hint="Add a larger picture, or choose a folder for validation.",
        )
    count = min(config.holdout, max(1, len(unique) // 5), len(judges))
    by_area = sorted(judges, key=lambda record: (-record.height * record.width, record.name))
    larger = sorted(by_area[: max(count, len(judges) // 2)], key=lambda record: (record.name, record.folder))
    stride = len(larger) / count
    return [larger[int(i * stride)] for i in range(count)]


def _leaked(
    unique: Sequence[PictureRecord], held_out: Sequence[PictureRecord], issues: list[PictureIssue]
) -> set[PictureRecord]:
    """Training pictures that equal or resemble a held-out one."""
    leaked = set()
    equal = {record.digest: record for record in held_out}
    alike = resembling([record.fingerprint for record in unique], [record.fingerprint for record in held_out])
    for i, record in enumerate(unique):
        if record.digest in equal:
            kind, other = IssueKind.DUPLICATE, equal[record.digest]
            reason = f"It equals {other.name}, which is validated on."
        elif i in alike:
            kind, other = IssueKind.NEAR_DUPLICATE, held_out[alike[i]]
            reason = f"It resembles {other.name}, which is validated on."
        else:
            continue
        issues.append(PictureIssue(kind, record, reason, other))
        leaked.add(record)
    return leaked


def _nothing(to_do: str, places: str, smallest_px: int, issues: Sequence[PictureIssue]) -> TrainingError:
    counts = {kind: sum(issue.kind is kind for issue in issues) for kind in IssueKind}
    parts = [f"{count} {_WORDS[kind]}" for kind, count in counts.items() if count]
    found = f" ({', '.join(parts)})" if parts else ""
    return TrainingError(
        f"There is no picture to {to_do} on{found}.",
        path=places or None,
        hint=f"Add pictures of at least {smallest_px} px on each side.",
    )


_WORDS = {
    IssueKind.UNREADABLE: "unreadable",
    IssueKind.TOO_SMALL: "too small",
    IssueKind.DUPLICATE: "equal to another",
    IssueKind.NEAR_DUPLICATE: "like one that is validated on",
}
