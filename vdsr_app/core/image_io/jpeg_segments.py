"""JPEG data that libvips leaves out (density, quantisation), and adding metadata segments (ITU-T T.81, JFIF)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from typing import BinaryIO

from vdsr_app.core.image_io.exif import PREFIX as EXIF_PREFIX
from vdsr_app.core.image_io.exif import plausible_dpi

MAX_EXIF_BYTES = 65_533 - len(EXIF_PREFIX)
"""A segment holds at most 65,533 bytes."""

_XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
MAX_XMP_BYTES = 65_533 - len(_XMP_PREFIX)

_APP0, _APP1, _DQT, _SOS, _EOI = 0xE0, 0xE1, 0xDB, 0xDA, 0xD9
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
_MAX_STRAY_BYTES = 1 << 16
"""Bytes outside segments after which a file counts as damaged, so that a large one is not searched to its end."""


@dataclass(slots=True)
class JpegInfo:
    """The segments before the pixels.

    Attributes:
        dpi: from the JFIF header, or None.
        luma_table: the 64 quantisation steps of luma in zigzag order, or None.
    """

    dpi: tuple[float, float] | None = None
    luma_table: tuple[int, ...] | None = None


def read_info(stream: BinaryIO) -> JpegInfo:
    """Read the segments before the pixels, skipping malformed ones."""
    info = JpegInfo()
    for marker, body in _segments(stream):
        if marker == _APP0 and body.startswith(b"JFIF\0") and len(body) >= 12:
            unit, horizontal, vertical = struct.unpack_from(">BHH", body, 7)
            factor = {1: 1.0, 2: 2.54}.get(unit)
            if factor is not None:
                info.dpi = plausible_dpi(horizontal * factor, vertical * factor)
        elif marker == _DQT and info.luma_table is None:
            info.luma_table = _table_zero(body)
    return info


def add_segments(
    data: bytes | mmap, *, dpi: tuple[float, float] | None, exif: bytes | None, xmp: bytes | None
) -> list[bytes | memoryview]:
    """Add density and metadata to an encoded JPEG.

    Args:
        data: a whole JPEG file; a JFIF header at its start is replaced.
        dpi: pixels per inch, or None to state none.
        exif: TIFF stream of at most `MAX_EXIF_BYTES`, or None.
        xmp: packet of at most `MAX_XMP_BYTES`, or None.

    Returns:
        Pieces of the new file, to be written one after the other.
    """
    start = 2
    if data[2:4] == b"\xff\xe0" and data[6:11] == b"JFIF\0":
        start += 2 + int.from_bytes(data[4:6], "big")
    unit, density = (0, (1, 1)) if dpi is None else (1, (_density(dpi[0]), _density(dpi[1])))
    pieces: list[bytes | memoryview] = [
        b"\xff\xd8",
        _segment(_APP0, b"JFIF\0" + struct.pack(">BBBHHBB", 1, 2, unit, *density, 0, 0)),
    ]
    if exif is not None:
        pieces.append(_segment(_APP1, EXIF_PREFIX + exif))
    if xmp is not None:
        pieces.append(_segment(_APP1, _XMP_PREFIX + xmp))
    pieces.append(memoryview(data)[start:])
    return pieces


def _segments(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Markers and bodies of APP0 and DQT segments up to the first scan."""
    stream.seek(2)
    stray = 0
    while (byte := stream.read(1)) and stray < _MAX_STRAY_BYTES:
        # Both stray bytes between segments and fill bytes before a marker occur, and decoders skip them.
        if byte != b"\xff":
            stray += 1
            continue
        while (code := stream.read(1)) == b"\xff" and stray < _MAX_STRAY_BYTES:
            stray += 1
        if not code or code[0] in (_SOS, _EOI):
            return
        marker = code[0]
        if marker in _WITHOUT_LENGTH or marker == 0:
            continue
        length = int.from_bytes(stream.read(2), "big")
        if length < 2:
            return
        if marker in (_APP0, _DQT):
            yield marker, stream.read(length - 2)
        else:
            stream.seek(length - 2, 1)


def _table_zero(body: bytes) -> tuple[int, ...] | None:
    """Table 0 of a DQT segment, which may define several, in zigzag order."""
    at = 0
    while at < len(body):
        precision, number = body[at] >> 4, body[at] & 15
        size = 64 * (2 if precision else 1)
        table = body[at + 1 : at + 1 + size]
        if len(table) < size:
            return None
        if number == 0:
            return struct.unpack(">64H" if precision else "64B", table)
        at += 1 + size
    return None


def _density(dpi: float) -> int:
    return min(max(round(dpi), 1), 65_535)


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
