"""What is known about a run's pictures before its first step: a record for each file, and any issues. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class IssueKind(StrEnum):
    """Why a picture is not trained on."""

    UNREADABLE = "unreadable"
    TOO_SMALL = "too small"
    DUPLICATE = "duplicate"
    """It is equal to another picture, pixel by pixel."""
    NEAR_DUPLICATE = "near duplicate"
    """A training picture that resembles a held-out one: the network would be judged on what it has learned."""

    @property
    def may_be_kept(self) -> bool:
        """Whether `TrainConfig.keep_duplicates` trains on it nevertheless."""
        return self in (IssueKind.DUPLICATE, IssueKind.NEAR_DUPLICATE)


@dataclass(frozen=True, slots=True)
class PictureRecord:
    """One file, as it was when decoded.

    Attributes:
        folder: the entry of `TrainConfig.data`, or `TrainConfig.validation`, under which it was found.
        file: its path below `folder`, with slashes.
        size_bytes: of the file.
        modified_ns: when the file was last changed.
        height: of the picture in pixels, after applying its orientation; 0 if it cannot be read.
        width: the same.
        digest: SHA-256 of its luma and size, hexadecimal; "" if it cannot be read.
        fingerprint: from `data.fingerprint`, hexadecimal, by which similar pictures are found.
        reason: why it cannot be read, as one text for the user; "" if it can.
    """

    folder: str
    file: str
    size_bytes: int
    modified_ns: int
    height: int = 0
    width: int = 0
    digest: str = ""
    fingerprint: str = ""
    reason: str = ""

    @property
    def path(self) -> Path:
        """Path of the file."""
        return Path(self.folder, self.file)

    @property
    def name(self) -> str:
        """Name for messages and logs: last part of the folder, then the file."""
        return f"{Path(self.folder).name}/{self.file}"


@dataclass(frozen=True, slots=True)
class PictureIssue:
    """A picture that is left out, or should be.

    Attributes:
        kind: why.
        picture: which.
        reason: one sentence for the user.
        other: the picture that it equals or resembles, None for other issues.
        held_out: whether it was meant for validation rather than training.
    """

    kind: IssueKind
    picture: PictureRecord
    reason: str
    other: PictureRecord | None = None
    held_out: bool = False


@dataclass(frozen=True, slots=True)
class PreflightReport:
    """All files of a configuration, and what a run would do with each.

    Attributes:
        records: every file that was examined, in the order in which they were found.
        training: pictures that are trained on.
        held_out: pictures that are validated on.
        issues: what is wrong; pictures that are left out are in neither of the two.
        patches_per_epoch: patches of the non-overlapping grid, in `training` and its shrunk copies, at each scale.
    """

    records: tuple[PictureRecord, ...]
    training: tuple[PictureRecord, ...]
    held_out: tuple[PictureRecord, ...]
    issues: tuple[PictureIssue, ...]
    patches_per_epoch: int

    @property
    def training_pixels(self) -> int:
        """Total pixels of all training pictures."""
        return sum(record.height * record.width for record in self.training)
