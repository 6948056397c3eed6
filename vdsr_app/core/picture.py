"""A picture: everything a file holds that an upscaler must carry over."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vdsr_app.core.compression import Compression
from vdsr_app.errors import ShapeMismatchError

Pixels = npt.NDArray[Any]
"""(H, W, C) uint8 or uint16; C is 1 (gray) or 3 (RGB)."""


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """Facts about the source file, for the inspector, the report and the choice of model.

    Attributes:
        path: the file, or None for a pasted picture.
        format: lower-case name such as "jpeg", "png", "heic".
        mode: as stored, for display: "8-bit RGB", "16-bit gray", "palette", "CMYK".
        frames: pictures in the file; one of them is read, the main one of a HEIC file, else the first.
        compression: for a JPEG or a lossy WebP or AVIF, estimated from its quantisers; else None.
        notes: what was changed on reading ("CMYK was converted to sRGB"), one sentence each.
    """

    path: Path | None = None
    format: str = "memory"
    mode: str = "8-bit RGB"
    frames: int = 1
    compression: Compression | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    r"""Pixels, transparency and metadata of one picture, upright.

    Attributes:
        pixels: (H, W, 1 or 3) uint8 or uint16, C-contiguous; the orientation tag is already applied.
        alpha: (H, W) of the same dtype, straight (not premultiplied), or None.
        icc: ICC profile of `pixels`, or None (then sRGB or gray with gamma 2.2 is assumed).
        exif: Exif block as a TIFF stream (no "Exif\0\0" prefix) with Orientation 1, or None.
        xmp: XMP packet, or None.
        dpi: horizontal and vertical resolution in pixels per inch, or None.
        source: where it came from.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    source: SourceInfo = field(default_factory=SourceInfo)

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] not in (1, 3) or 0 in self.pixels.shape:
            raise ShapeMismatchError(f"A picture needs (H, W, 1 or 3) pixels, not {self.pixels.shape}.")
        if self.pixels.dtype not in (np.uint8, np.uint16):
            raise ShapeMismatchError(f"A picture needs uint8 or uint16 pixels, not {self.pixels.dtype}.")
        if self.alpha is not None and (
            self.alpha.shape != self.pixels.shape[:2] or self.alpha.dtype != self.pixels.dtype
        ):
            raise ShapeMismatchError("Transparency and pixels differ in size or depth.")

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def bits(self) -> int:
        """Bits per sample: 8 or 16."""
        return int(self.pixels.dtype.itemsize) * 8

    @property
    def is_gray(self) -> bool:
        """Whether there is one channel."""
        return int(self.pixels.shape[2]) == 1
