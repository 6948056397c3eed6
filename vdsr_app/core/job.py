"""What to do with a picture: one settings object for the window, the batch and the command line."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

from vdsr_app.core.models import AUTO_MODEL
from vdsr_app.errors import UsageError

MIN_SCALE = 1.0
MAX_SCALE = 8.0
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
"""Values of the setting; apart from "auto" they are those of `core.device.Precision`, which needs torch."""


class TargetKind(StrEnum):
    """How the target size is given."""

    SCALE = "scale"
    WIDTH = "width"
    HEIGHT = "height"
    LONG_SIDE = "long_side"
    SHORT_SIDE = "short_side"
    MEGAPIXELS = "megapixels"


@dataclass(frozen=True, slots=True)
class TargetSize:
    """Size of the result.

    Attributes:
        width: columns, at least 1.
        height: rows, at least 1.
        scale: scale factor from the source, 1.0 to 8.0.
    """

    width: int
    height: int
    scale: float


@dataclass(frozen=True, slots=True)
class Target:
    """A requested size: a scale factor, or one measure in pixels that determines it.

    Attributes:
        kind: which measure `value` is.
        value: a scale factor, pixels or megapixels.
    """

    kind: TargetKind = TargetKind.SCALE
    value: float = 2.0

    def size_for(self, width: int, height: int) -> TargetSize:
        """Size of the result for a source of `width` x `height` pixels; the aspect ratio is kept.

        Raises:
            UsageError: the scale factor would be outside 1.0-8.0.
        """
        scale = self._scale_for(width, height)
        # One part in a million tolerates factors like 1000/333 at the ends of the range.
        if not MIN_SCALE * (1 - 1e-6) <= scale <= MAX_SCALE * (1 + 1e-6):
            # A requested factor is wrong for every picture; one just outside the range needs more digits to show it.
            picture = "A picture" if self.kind is TargetKind.SCALE else f"A {width} x {height} picture"
            digits = 7 if MIN_SCALE <= float(f"{scale:.3g}") <= MAX_SCALE else 3
            raise UsageError(
                f"{picture} cannot be scaled by {scale:.{digits}g}.",
                hint=f"The scale factor must lie between {MIN_SCALE:g} and {MAX_SCALE:g}.",
            )
        out_width, out_height = _round_half_up(width * scale), _round_half_up(height * scale)
        match self.kind:
            case TargetKind.WIDTH:
                out_width = int(self.value)
            case TargetKind.HEIGHT:
                out_height = int(self.value)
            case _:
                pass
        return TargetSize(max(1, out_width), max(1, out_height), min(max(scale, MIN_SCALE), MAX_SCALE))

    def _scale_for(self, width: int, height: int) -> float:
        if not math.isfinite(self.value) or self.value <= 0:
            raise UsageError(f"{self.value:g} is not a usable {self.kind.value.replace('_', ' ')}.")
        match self.kind:
            case TargetKind.SCALE:
                return self.value
            case TargetKind.WIDTH:
                return self.value / width
            case TargetKind.HEIGHT:
                return self.value / height
            case TargetKind.LONG_SIDE:
                return self.value / max(width, height)
            case TargetKind.SHORT_SIDE:
                return self.value / min(width, height)
            case TargetKind.MEGAPIXELS:
                return math.sqrt(self.value * 1e6 / (width * height))


def _round_half_up(value: float) -> int:
    return math.floor(value + 0.5)


class FileFormat(StrEnum):
    """Formats that can be written."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    TIFF = "tiff"
    AVIF = "avif"


class Metadata(StrEnum):
    """How much of EXIF and XMP goes into the result; colour profile and resolution always do."""

    KEEP = "keep"
    PRIVATE = "private"
    """Without location, serial numbers, owner's name and thumbnail."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class SaveOptions:
    """How a result is written.

    Attributes:
        format: file format; None takes it from the file name.
        quality: 1-100 for JPEG, WebP and AVIF; 100 is lossless in WebP and AVIF.
        bits: 8, 16, or None to keep the source's depth if the format can.
        metadata: what is carried over.
    """

    format: FileFormat | None = None
    quality: int = 92
    bits: int | None = None
    metadata: Metadata = Metadata.KEEP

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise UsageError(f"Quality {self.quality} is outside 1-100.")
        if self.bits not in (None, 8, 16):
            raise UsageError(f"{self.bits} bits per sample are not offered; choose 8 or 16.")

    @property
    def format_or_default(self) -> FileFormat:
        """The file format when no file name determines it: PNG unless another is chosen."""
        return self.format or FileFormat.PNG


@dataclass(frozen=True, slots=True)
class UpscaleSettings:
    """Everything that determines the bytes of a result.

    Attributes:
        target: requested size.
        model: name of an installed model, the path of a .safetensors file, or "auto": the one that suits the picture
            (`core.model_choice`).
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        precision: one of `PRECISIONS`.
        tile_px: side of a tile in output pixels without halo; None for the default.
        save: how the result is written.
        self_ensemble: whether the network runs on all eight flips and rotations and the results are averaged
            (`core.ensemble`): a little better, and twice to eight times as slow.
    """

    target: Target = Target()
    model: str = AUTO_MODEL
    device: str = "auto"
    precision: str = "auto"
    tile_px: int | None = None
    save: SaveOptions = field(default_factory=SaveOptions)
    self_ensemble: bool = False
