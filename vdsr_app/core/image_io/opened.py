"""What every decoder hands over: a header at once, the samples on demand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from vdsr_app.control import CancelToken
from vdsr_app.core.picture import Pixels
from vdsr_app.core.scratch import Allocator


@dataclass(frozen=True, slots=True)
class Header:
    """A picture before it is decoded.

    Attributes:
        width: columns as the decoder will give them.
        height: rows as the decoder will give them.
        channels: 1 gray or 3 RGB, after conversion.
        has_alpha: transparency comes with it.
        bits: 8 or 16, as the decoder will give them.
        mode: as stored, for people: "1-bit gray", "8-bit palette".
        frames: pictures in the file.
        orientation: EXIF orientation that the decoder does *not* apply, 1 to 8.
        in_strips: the decoder goes through the file once from top to bottom and holds but a few rows.
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
    def bytes_a_pixel(self) -> int:
        """Of the decoded samples."""
        return (self.channels + int(self.has_alpha)) * self.bits // 8


@dataclass(slots=True)
class RawPicture:
    """A decoded picture before orientation and metadata are put right.

    Attributes:
        samples: (H, W, channels + alpha) uint8 or uint16 at full range.
        has_alpha: the last channel is transparency.
        premultiplied: the colours are stored multiplied by it.
        icc: ICC profile of the samples, or None.
        exif: EXIF block, or None.
        xmp: XMP packet, or None.
        dpi: resolution outside of EXIF, or None.
        notes: what was changed, one sentence each.
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
        """Decode the first frame.

        Args:
            token: tested where the decoder allows it.
            allocate: where the samples go, if the header says that they come in strips; else it is not used.

        Raises:
            Cancelled: by the token.
            Exception: whatever the decoder raises for a damaged file.
        """


def mode_text(bits: int, kind: str, *, has_alpha: bool = False) -> str:
    """How a picture is stored, for people: "8-bit RGB with transparency"."""
    return f"{bits}-bit {kind}" + (" with transparency" if has_alpha else "")


def kind_of(channels: int) -> str:
    """The colours that so many channels hold."""
    return "gray" if channels == 1 else "RGB"


HDR_NOTE = "This is an HDR picture ({}); its values are kept as they are and may look flat on an ordinary screen."
FIRST_FRAME_NOTE = "Only the first of its {} frames was read."
LOST_PROFILE_NOTE = "Its colour profile could not be read; the colours are treated as sRGB."
