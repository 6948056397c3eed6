"""What is known of a run's pictures before its first step: one record a file, and what is wrong with some. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class IssueKind(StrEnum):
    """Why a picture is not trained on."""

    UNREADABLE = "unreadable"
    TOO_SMALL = "too small"
    DUPLICATE = "duplicate"
    """It equals another picture, pixel by pixel."""
    NEAR_DUPLICATE = "near duplicate"
    """A training picture that resembles a held-out one: the network would be judged by what it has learned."""

    @property
    def may_be_kept(self) -> bool:
        """Whether `TrainConfig.keep_duplicates` trains on it all the same."""
        return self in (IssueKind.DUPLICATE, IssueKind.NEAR_DUPLICATE)


@dataclass(frozen=True, slots=True)
class PictureRecord:
    """One file, as it was when it was decoded.

    Attributes:
        folder: the entry of `TrainConfig.data`, or `TrainConfig.validation`, below which it was found.
        file: its path below `folder`, with slashes.
        size_bytes: of the file.
        modified_ns: when the file was last changed.
        height: of the picture in pixels, after its orientation was applied; 0 where it cannot be read.
        width: the same.
        digest: SHA-256 of its luma and size, hexadecimal; "" where it cannot be read.
        thumbnail: a few bytes, hexadecimal, by which resembling pictures are found.
        reason: why it cannot be read, one text for people; "" where it can.
    """

    folder: str
    file: str
    size_bytes: int
    modified_ns: int
    height: int = 0
    width: int = 0
    digest: str = ""
    thumbnail: str = ""
    reason: str = ""

    @property
    def path(self) -> Path:
        """The file."""
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
        reason: one sentence for people.
        other: the picture that it equals or resembles, None where that is not the matter.
        held_out: whether it was to be validated on rather than trained on.
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
        records: every file that was looked at, in the order in which they are found.
        training: pictures that are trained on.
        held_out: pictures that are validated on.
        issues: what is wrong; pictures that are left out are in neither of the two.
        patches_per_epoch: patches of the grid without overlap, in `training` and its shrunk copies, at each scale.
    """

    records: tuple[PictureRecord, ...]
    training: tuple[PictureRecord, ...]
    held_out: tuple[PictureRecord, ...]
    issues: tuple[PictureIssue, ...]
    patches_per_epoch: int

    @property
    def training_pixels(self) -> int:
        """Pixels of all training pictures together."""
        return sum(record.height * record.width for record in self.training)
