"""Colours of TIFF files that libvips cannot read or gets wrong: they are read like RGB, as stored, and converted here.

Source: TIFF 6.0, sections 21 and 23; Adobe Photoshop TIFF Technical Notes, 2002 (ICC L*a*b*).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from vdsr_app.core.image_io import tiff_tags as tags
from vdsr_app.core.image_io import vips
from vdsr_app.core.image_io.tiff_directory import UNIT_BYTES, DirectoryReader, Entry

_WHITE_ZERO, _BLACK_ZERO, _CMYK, _YCBCR = 0, 1, 5, 6
_CIE_LAB, _ICC_LAB, _ITU_LAB = 8, 9, 10
_JPEG_COMPRESSIONS, _PREMULTIPLIED = (6, 7), 1
_BT601 = (0.299, 0.587, 0.114)

RGB_BYTE = b"\2"
"""The low byte of the photometric interpretation of RGB."""


class Stored(Enum):
    """What samples are that are returned as stored."""

    GRAY = "gray"
    WHITE_ZERO = "gray from white to black"
    YCBCR = "Y, Cb, Cr"
    CIE_LAB = "Lab, a* and b* signed"
    ICC_LAB = "Lab, a* and b* increased by half the range"


@dataclass(frozen=True, slots=True)
class TiffColours:
    """How to read the colours of a TIFF.

    Attributes:
        stored: what to convert by `converted`, or None if libvips does it all.
        rgb_at: offset of the byte that must be `RGB_BYTE` for libvips to return the samples as stored, or None.
        ycbcr: luma coefficients of red, green and blue, for `Stored.YCBCR`.
        unreadable: what cannot be read, as the end of the sentence "This TIFF picture has …"; empty if it can.
    """

    stored: Stored | None = None
    rgb_at: int | None = None
    ycbcr: tuple[float, float, float] = _BT601
    unreadable: str = ""


def colours_of(reader: DirectoryReader, entries: Mapping[int, Entry]) -> TiffColours:
    """How to read the colours of the picture with these fields."""
    photometric = reader.integer(entries.get(tags.PHOTOMETRIC))
    bits = reader.integer(entries.get(tags.BITS_PER_SAMPLE)) or 1
    if photometric is None:
        return TiffColours()
    rgb_at = _low_byte_at(reader, entries[tags.PHOTOMETRIC])
    samples = reader.integer(entries.get(tags.SAMPLES_PER_PIXEL)) or 1
    # libvips (8.18) mixes up the rows of separate planes wherever it converts samples while reading them.
    in_planes = samples > 1 and reader.integer(entries.get(tags.PLANES)) == 2
    extra = reader.integers(entries.get(tags.EXTRA_SAMPLES))
    is_gray = photometric in (_WHITE_ZERO, _BLACK_ZERO)
    if _PREMULTIPLIED in extra and (bits == 32 or (bits == 16 and (photometric == _CMYK or (in_planes and is_gray)))):
        # libvips divides by alpha as if it had 8 bits.
        return TiffColours(unreadable="colours that are multiplied by their transparency")
    if photometric == _CIE_LAB and bits in (8, 16):  # of which it cannot open the former at all
        return TiffColours(Stored.CIE_LAB, rgb_at)
    if photometric == _ICC_LAB:
        return TiffColours(Stored.ICC_LAB)
    if photometric == _ITU_LAB:
        return TiffColours(unreadable="the colours of a fax (ITU Lab)")
    if photometric == _YCBCR and _is_plain_ycbcr(reader, entries):
        stated = reader.fractions(entries.get(tags.YCBCR_COEFFICIENTS))
        shares = (stated[0], stated[1], stated[2]) if len(stated) == 3 and min(stated) > 0 else _BT601
        return TiffColours(Stored.YCBCR, rgb_at, shares)
    if in_planes and is_gray and bits >= 8:
        return TiffColours(Stored.WHITE_ZERO if photometric == _WHITE_ZERO else Stored.GRAY, rgb_at)
    if in_planes and (is_gray or photometric == tags.PALETTE):
        return TiffColours(unreadable="its transparency or other channels after the picture, not beside each pixel")
    return TiffColours()


def converted(samples: Any, colours: TiffColours) -> Any:
    """Colours as libvips knows them, of 8 or 16 bits or, for Lab, in floating point.

    Args:
        samples: the bands of colour as stored.
        colours: what they are; `samples` itself is returned if there is nothing to convert.
    """
    match colours.stored:
        case Stored.WHITE_ZERO:
            return samples.invert()
        case Stored.YCBCR:
            return _ycbcr_to_rgb(samples, colours.ycbcr)
        case Stored.CIE_LAB | Stored.ICC_LAB:
            return _lab(samples, signed=colours.stored is Stored.CIE_LAB)
        case _:
            return samples


def _is_plain_ycbcr(reader: DirectoryReader, entries: Mapping[int, Entry]) -> bool:
    """Whether YCbCr is neither JPEG nor subsampled, the only kind that libvips does not convert."""
    subsampling = reader.integers(entries.get(tags.YCBCR_SUBSAMPLING)) or (2, 2)
    return reader.integer(entries.get(tags.COMPRESSION)) not in _JPEG_COMPRESSIONS and subsampling == (1, 1)


def _low_byte_at(reader: DirectoryReader, entry: Entry) -> int:
    return entry.value_at + (0 if reader.order == "<" else UNIT_BYTES[entry.kind] - 1)


def _ycbcr_to_rgb(image: Any, shares: tuple[float, float, float]) -> Any:
    """Convert full-range Y, Cb, Cr, with the default ReferenceBlackWhite, to R, G, B; uchar or ushort."""
    red, green, blue = shares
    from_cr, from_cb = 2 - 2 * red, 2 - 2 * blue
    matrix = [
        [1, 0, from_cr],
        [1, -blue * from_cb / green, -red * from_cr / green],
        [1, from_cb, 0],
    ]
    middle, space = (128, "srgb") if image.format == "uchar" else (32_768, "rgb16")
    centred = image.linear([1, 1, 1], [0, -middle, -middle])
    return centred.recomb(vips.load().Image.new_from_array(matrix)).rint().cast(image.format).copy(interpretation=space)


def _lab(image: Any, *, signed: bool) -> Any:
    """Lab in floating point from uchar or ushort bands."""
    unit = 1 if image.format == "uchar" else 256
    white = 255 if unit == 1 else 65_535 if signed else 65_280
    light, chroma = image.extract_band(0), image.extract_band(1, n=2)
    if signed:
        chroma = chroma.copy(format="char" if unit == 1 else "short")
    chroma = chroma.linear(1 / unit, 0 if signed else -128)
    return light.linear(100 / white, 0).bandjoin(chroma).copy(interpretation="lab")
