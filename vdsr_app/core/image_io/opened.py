"""What every decoder provides: a header at once, the samples on demand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from vdsr_app.control import CancelToken
from vdsr_app.core.formats import SourceFormat
from vdsr_app.core.picture import Pixels
from vdsr_app.core.scratch import Allocator


@dataclass(frozen=True, slots=True)
class Header:
    """A picture before it is decoded.

    Attributes:
        width: columns as the decoder will return them.
        height: rows as the decoder will return them.
        channels: 1 for gray or 3 for RGB, after conversion.
        has_alpha: there is transparency.
        bits: 8 or 16, as the decoder will return them.
        mode: storage format, for display: "1-bit gray", "8-bit palette".
        frames: pictures in the file.
        orientation: EXIF orientation that the decoder does *not* apply, 1 to 8.
        in_strips: the decoder reads the file once from top to bottom and holds only a few rows.
    """

    width: int
    height: int
    channels: int
    has_alpha: bool
    bits: int
    mode: str
    frames: int = 1
    orientation: int = 1
    in_strips: bool = False

    @property
    def bytes_per_pixel(self) -> int:
        """Bytes per pixel of the decoded samples."""
        return (self.channels + int(self.has_alpha)) * self.bits // 8


@dataclass(slots=True)
class RawPicture:
    """A decoded picture, before its orientation is applied and its metadata corrected.

    Attributes:
        samples: (H, W, channels + alpha) uint8 or uint16 at full range.
        has_alpha: the last channel is transparency.
        premultiplied: the colours are stored multiplied by alpha.
        icc: ICC profile of the samples, or None.
        exif: EXIF block, or None.
        xmp: XMP packet, or None.
        dpi: resolution stated outside EXIF, or None.
        notes: what was changed, one sentence per change.
    """

    samples: Pixels
    has_alpha: bool
    premultiplied: bool = False
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    notes: list[str] = field(default_factory=list)


class OpenedPicture(Protocol):
    """A picture whose header has been read."""

    @property
    def header(self) -> Header:
        """What is known without decoding."""

    def decode(self, token: CancelToken | None, allocate: Allocator) -> RawPicture:
        """Decode the first frame, or the main picture of a HEIC file.

        Args:
            token: checked where the decoder allows it.
            allocate: where the samples go if the header says that they come in strips; otherwise unused.

        Raises:
            Cancelled: by the token.
            Exception: whatever the decoder raises for a damaged file.
        """


def mode_text(bits: int, kind: str, *, has_alpha: bool = False) -> str:
    """How a picture is stored, for display: "8-bit RGB with transparency"."""
    return f"{bits}-bit {kind}" + (" with transparency" if has_alpha else "")


def frames_note(source_format: SourceFormat, frames: int) -> list[str]:
    """What to say about a file that holds more than the one picture that is read from it; nothing if it does not."""
    if frames <= 1:
        return []
    if source_format is SourceFormat.HEIC:
        return [f"Only the main one of its {frames} pictures was read."]
    return [f"Only the first of its {frames} {'pages' if source_format is SourceFormat.TIFF else 'frames'} was read."]


def kind_of(channels: int) -> str:
    """The kind of colour that a number of channels holds."""
    return "gray" if channels == 1 else "RGB"


HDR_NOTE = "This is an HDR picture ({}); its values are kept as they are and may look flat on an ordinary screen."
LOST_PROFILE_NOTE = "Its colour profile could not be read; the colours are treated as sRGB."
