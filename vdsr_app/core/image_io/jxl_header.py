"""The header of a JPEG XL codestream: size, depth, transparency, colour (ISO/IEC 18181-1, annex D)."""

from __future__ import annotations

from dataclasses import dataclass, field

from vdsr_app.core.image_io.heif_items import ColourCode
from vdsr_app.core.image_io.png_chunks import Chromaticities

ALPHA, BLACK = 0, 4
"""Types of extra channels."""

_ASPECTS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_GRAY, _XYB = 1, 2
_CUSTOM = 2


class JxlHeaderError(ValueError):
    """The header is truncated or not that of a JPEG XL codestream."""


@dataclass(frozen=True, slots=True)
class JxlColour:
    """The colour description in the header.

    Attributes:
        is_gray: there is one colour channel.
        has_icc: an ICC profile is packed into the codestream, where it is inaccessible.
        code: the colour by code points, or None if it is given by a profile or by numbers.
        chromaticities: custom primaries and white point, or None.
        gamma: decoding exponent, or None.
    """

    is_gray: bool = False
    has_icc: bool = False
    code: ColourCode | None = field(default_factory=lambda: ColourCode(1, 13))
    chromaticities: Chromaticities | None = None
    gamma: float | None = None


@dataclass(frozen=True, slots=True)
class JxlHeader:
    """The fields of the header.

    Attributes:
        width: columns as stored, before `orientation`.
        height: rows as stored.
        orientation: as in EXIF; decoders apply it.
        bits: bits per sample.
        is_float: samples are floating point.
        animated: there may be several frames.
        has_alpha: there is an alpha channel.
        premultiplied: colours are stored multiplied by alpha.
        extra_types: types of all extra channels.
        is_xyb: stored in XYB, the codec's own colour space, so that the decoder chooses that of the output.
        colour: the colour space.
    """

    width: int
    height: int
    orientation: int = 1
    bits: int = 8
    is_float: bool = False
    animated: bool = False
    has_alpha: bool = False
    premultiplied: bool = False
    extra_types: tuple[int, ...] = ()
    is_xyb: bool = True
    colour: JxlColour = field(default_factory=JxlColour)


class _Bits:
    """Bit reader over a byte string, least significant bit first."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "little")
        self._left = len(data) * 8

    def take(self, width: int) -> int:
        if width > self._left:
            raise JxlHeaderError("header cut off")
        value = self._number & ((1 << width) - 1)
        self._number >>= width
        self._left -= width
        return value

    def flag(self) -> bool:
        return bool(self.take(1))

    def choice(self, *options: tuple[int, int]) -> int:
        """A number in one of four (base, width) forms, chosen by two bits: base plus `width` bits."""
        base, width = options[self.take(2)]
        return base + self.take(width)

    def enum(self) -> int:
        return self.choice((0, 0), (1, 0), (2, 4), (18, 6))


def parse_header(codestream: bytes) -> JxlHeader:
    """Read the header of a codestream, for which the first few hundred bytes are enough.

    Raises:
        JxlHeaderError: it is truncated or not a JPEG XL codestream.
    """
    if codestream[:2] != b"\xff\x0a":
        raise JxlHeaderError("no JPEG XL codestream")
    bits = _Bits(codestream[2:4096])
    width, height = _size(bits)
    if bits.flag():  # all default
        return JxlHeader(width, height)
    orientation, animated = 1, False
    if bits.flag():  # extra fields
        orientation = 1 + bits.take(3)
        if bits.flag():
            _size(bits)  # intrinsic size
        if bits.flag():
            _skip_preview_size(bits)
        animated = bits.flag()
        if animated:
            _skip_animation(bits)
    is_float, depth = _bit_depth(bits)
    bits.flag()  # whether 16-bit buffers suffice
    extra = [_extra_channel(bits) for _ in range(bits.choice((0, 0), (1, 0), (2, 4), (1, 12)))]
    is_xyb = bits.flag()
    alpha = next((associated for kind, associated in extra if kind == ALPHA), None)
    return JxlHeader(
        width,
        height,
        orientation,
        depth,
        is_float,
        animated,
        alpha is not None,
        bool(alpha),
        tuple(kind for kind, _ in extra),
        is_xyb,
        _colour(bits),
    )


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.flag()
    long_forms = ((1, 9), (1, 13), (1, 18), (1, 30))
    height = 8 * (1 + bits.take(5)) if small else bits.choice(*long_forms)
    aspect = bits.take(3)
    if aspect:
        across, down = _ASPECTS[aspect]
        return height * across // down, height
    return (8 * (1 + bits.take(5)) if small else bits.choice(*long_forms)), height


def _skip_preview_size(bits: _Bits) -> None:
    forms = ((16, 0), (32, 0), (1, 5), (33, 9)) if bits.flag() else ((1, 6), (65, 8), (321, 10), (1345, 12))
    bits.choice(*forms)
    if bits.take(3) == 0:
        bits.choice(*forms)


def _skip_animation(bits: _Bits) -> None:
    bits.choice((100, 0), (1000, 0), (1, 10), (1, 30))  # ticks per second, numerator
    bits.choice((1, 0), (1001, 0), (1, 8), (1, 10))  # and denominator
    bits.choice((0, 0), (0, 3), (0, 16), (0, 32))  # loops
    bits.flag()  # time codes


def _bit_depth(bits: _Bits) -> tuple[bool, int]:
    if bits.flag():
        depth = bits.choice((32, 0), (16, 0), (24, 0), (1, 6))
        bits.take(4)  # exponent
        return True, depth
    return False, bits.choice((8, 0), (10, 0), (12, 0), (1, 6))


def _extra_channel(bits: _Bits) -> tuple[int, bool]:
    """Type of an extra channel, and whether colours are multiplied by it."""
    if bits.flag():
        return ALPHA, False
    kind, associated = bits.enum(), False
    _bit_depth(bits)
    bits.choice((0, 0), (3, 0), (4, 0), (1, 3))  # subsampling
    for _ in range(bits.choice((0, 0), (0, 4), (16, 5), (48, 10))):
        bits.take(8)  # a byte of its name
    if kind == ALPHA:
        associated = bits.flag()
    elif kind == 2:
        bits.take(64)  # spot colour
    elif kind == 5:
        bits.choice((1, 0), (0, 2), (3, 4), (19, 8))  # position in a colour filter array
    return kind, associated


def _colour(bits: _Bits) -> JxlColour:
    if bits.flag():  # all default
        return JxlColour()
    has_icc = bits.flag()
    space = bits.enum()
    is_gray = space == _GRAY
    if has_icc:
        return JxlColour(is_gray, True, None)
    white = red = green = blue = None
    white_code, primaries = 1, 1
    if space != _XYB:
        white_code = bits.enum()
        white = _point(bits) if white_code == _CUSTOM else None
        if not is_gray:
            primaries = bits.enum()
            if primaries == _CUSTOM:
                red, green, blue = _point(bits), _point(bits), _point(bits)
    gamma, transfer = None, 13
    if bits.flag():
        encoding = bits.take(24) / 1e7
        gamma = 1 / encoding if encoding > 0 else None
    else:
        transfer = bits.enum()
    if white is None and red is None and gamma is None:
        return JxlColour(is_gray, False, ColourCode(primaries, transfer))
    if red is None or green is None or blue is None:
        red, green, blue = (0.640, 0.330), (0.300, 0.600), (0.150, 0.060)
    chromaticities: Chromaticities = (*(white or (0.3127, 0.3290)), *red, *green, *blue)
    return JxlColour(is_gray, False, None, chromaticities, gamma)


def _point(bits: _Bits) -> tuple[float, float]:
    """A chromaticity, stored as zigzag-encoded millionths."""
    forms = ((0, 19), (524_288, 19), (1_048_576, 20), (2_097_152, 21))
    x, y = (bits.choice(*forms) for _ in range(2))
    return _signed(x) / 1e6, _signed(y) / 1e6


def _signed(number: int) -> int:
    return -(number + 1) // 2 if number & 1 else number // 2
