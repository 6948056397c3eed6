"""Immutable values passed between the window and its worker threads. No Qt, no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from vdsr_app.core.job import SaveOptions, Target, UpscaleSettings
from vdsr_app.core.picture import Picture, Pixels
from vdsr_app.errors import PictureTooLargeError, VdsrError

if TYPE_CHECKING:
    from vdsr_app.core.pyramid import MipPyramid

Rect = tuple[int, int, int, int]
"""x, y, width, height in output pixels."""


class LayerKind(StrEnum):
    """What one half of the comparison shows."""

    ORIGINAL = "original"
    """The source enlarged by nearest neighbour."""
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"
    MODEL = "model"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """One layer of the comparison.

    Attributes:
        kind: interpolation, model or reference file.
        model: name of an installed model or path of a weight file; only with MODEL.
        reference: picture file; only with REFERENCE.
    """

    kind: LayerKind
    model: str = ""
    reference: Path | None = None


@dataclass(frozen=True, slots=True)
class OpenJob:
    """Read a picture file."""

    path: Path


@dataclass(frozen=True, slots=True, eq=False)
class PasteJob:
    """Take a picture that comes from another program, not as a file.

    Attributes:
        take: makes the picture; called in the worker's thread.
    """

    take: Callable[[], Picture]


@dataclass(frozen=True, slots=True, eq=False)
class CopyJob:
    """Convert a finished picture for another program, not as a file; what `convert` returns is the job's result.

    Attributes:
        picture: the finished picture.
        convert: called in the worker's thread.
    """

    picture: Picture
    convert: Callable[[Picture], object]


@dataclass(frozen=True, slots=True)
class InstallJob:
    """Copy a weight file to the user's own models; the result is a `core.models.ModelInfo`."""

    path: Path


@dataclass(frozen=True, slots=True, eq=False)
class LayerJob:
    """Make one layer of `picture` at the target size.

    Attributes:
        picture: the open picture.
        layer: what to make.
        settings: target, device and precision; `settings.model` is not used, `layer.model` is.
        visible: region on the screen, computed first; None if unknown.
        reference: the picture already read from `layer.reference`; None reads it.
    """

    picture: Picture
    layer: LayerSpec
    settings: UpscaleSettings
    visible: Rect | None = None
    reference: Picture | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SaveJob:
    """Write a finished picture atomically."""

    picture: Picture
    path: Path
    options: SaveOptions


@dataclass(frozen=True, slots=True, eq=False)
class MetricsJob:
    """Luma PSNR and SSIM of two pictures of equal size with `border_px` shaved off, as a `core.protocol.Score`."""

    reference: Picture
    estimate: Picture
    border_px: int


@dataclass(frozen=True, slots=True, eq=False)
class OpenedPicture:
    """Result of OpenJob and PasteJob.

    Attributes:
        picture: what was read.
        pyramid: the picture at its own size, ready for display (sRGB, 8 bits).
    """

    picture: Picture
    pyramid: MipPyramid


@dataclass(frozen=True, slots=True, eq=False)
class LayerResult:
    """Result of LayerJob.

    Attributes:
        layer: what was requested.
        target: target it was made for.
        picture: the layer with the source's metadata; what "save as" writes.
        pyramid: the same, ready for display.
        seconds: duration of the work.
        device: what the network ran on ("AMD EPYC, bf16"), empty for interpolations.
    """

    layer: LayerSpec
    target: Target
    picture: Picture
    pyramid: MipPyramid
    seconds: float
    device: str = ""


@dataclass(frozen=True, slots=True)
class SavedFile:
    """Result of SaveJob."""

    path: Path
    size_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class TileBlock:
    """A finished tile of a running LayerJob, ready for display.

    Attributes:
        x: left edge in output pixels.
        y: top edge in output pixels.
        rgba: (h, w, 4) uint8, straight alpha, sRGB.
    """

    x: int
    y: int
    rgba: Pixels


@dataclass(frozen=True, slots=True)
class JobProgress:
    """Progress of a job.

    Attributes:
        done: units done (output pixels for a layer).
        total: units in total.
        seconds_left: estimate from the recent rate, None until there is one.
    """

    done: int
    total: int
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """A failure in words for the user.

    Attributes:
        what: one sentence, what failed.
        path: the file, or an empty string.
        hint: one sentence, what to do next, or an empty string.
        details: traceback for "copy details".
        through_disk: the picture is too large for memory alone, but a batch, which works through the disk, can make it.
    """

    what: str
    path: str = ""
    hint: str = ""
    details: str = ""
    through_disk: bool = False

    @classmethod
    def of(cls, error: VdsrError, details: str) -> ErrorReport:
        """Report on one of the program's own errors, including what its type adds."""
        through_disk = isinstance(error, PictureTooLargeError) and error.through_disk
        return cls(error.what, error.path or "", error.hint, details, through_disk)
