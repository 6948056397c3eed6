"""PNG data that libvips leaves out (resolution, gamma, frame count, late metadata), and adding metadata chunks.

Source: ISO/IEC 15948.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from typing import BinaryIO

from vdsr_app.core.image_io.exif import plausible_dpi

_SIGNATURE_BYTES = 8
_MAX_SMALL_CHUNK = 1024
_METRES_PER_INCH = 0.0254
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_TAIL_BYTES = 1 << 16
"""How much of the end of a file is searched for metadata; going from chunk to chunk would read a large file whole."""
_MAX_XMP_BYTES = 16 << 20

MAX_DEFLATE_RATIO = 1032
"""No deflate stream expands by more than this factor (zlib technical notes)."""

_SAMPLES_PER_PIXEL = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}

Chromaticities = tuple[float, float, float, float, float, float, float, float]
"""x and y of white, red, green and blue."""


@dataclass(slots=True)
class PngInfo:
    """The chunks before the pixels.

    Attributes:
        row_bytes: bytes of one row without its filter byte.
        height: rows.
        dpi: from pHYs, or None.
        frames: of an animated PNG, otherwise 1.
        is_srgb: there is an sRGB chunk.
        gamma: file gamma from gAMA, usually about 0.45, or None.
        chromaticities: from cHRM, or None.
        cicp: colour primaries, transfer, matrix and range from cICP, or None.
    """

    row_bytes: int = 0
    height: int = 0
    dpi: tuple[float, float] | None = None
    frames: int = 1
    is_srgb: bool = False
    gamma: float | None = None
    chromaticities: Chromaticities | None = None
    cicp: tuple[int, int, int, int] | None = None

    def claims_more_than(self, file_bytes: int) -> bool:
        """Whether a file of that many bytes is too short for the pixels, however well it is compressed."""
        return self.row_bytes * self.height > file_bytes * MAX_DEFLATE_RATIO


def read_info(stream: BinaryIO) -> PngInfo:
    """Read the chunks before the pixels, skipping malformed ones."""
    info = PngInfo()
    for kind, body in _small_chunks(stream):
        match kind, len(body):
            case b"IHDR", 13:
                width, info.height, bits, colour = struct.unpack(">IIBB", body[:10])
                info.row_bytes = (width * bits * _SAMPLES_PER_PIXEL.get(colour, 1) + 7) // 8
            case b"pHYs", 9:
                info.dpi = _dpi(body)
            case b"acTL", 8:
                stated = struct.unpack(">I", body[:4])[0]
                info.frames = stated if 1 <= stated < 1 << 31 else 1
            case b"sRGB", _:
                info.is_srgb = True
            case b"gAMA", 4:
                info.gamma = struct.unpack(">I", body)[0] / 100_000
            case b"cHRM", 32:
                info.chromaticities = _chromaticities(body)
            case b"cICP", 4:
                info.cicp = (body[0], body[1], body[2], body[3])
            case _:
                pass
    return info


def read_late_metadata(stream: BinaryIO) -> tuple[bytes | None, bytes | None]:
    """The EXIF block and the XMP packet that follow the pixels, each None if there is none there.

    The standard allows both, and ExifTool writes XMP there.
    """
    stream.seek(max(stream.seek(0, os.SEEK_END) - _TAIL_BYTES, _SIGNATURE_BYTES))
    tail = stream.read(_TAIL_BYTES)
    exif = next((body for body in _chunks_of_kind(tail, b"eXIf") if body), None)
    packets = (_xmp_in(body) for body in _chunks_of_kind(tail, b"iTXt"))
    return exif, next((packet for packet in packets if packet), None)


def add_chunks(
    data: bytes | mmap, *, dpi: tuple[float, float] | None, exif: bytes | None, xmp: bytes | None
) -> list[bytes | memoryview]:
    """Add resolution and metadata to an encoded PNG.

    Args:
        data: a whole PNG file.
        dpi: pixels per inch, or None to state none.
        exif: TIFF stream, or None.
        xmp: packet, or None.

    Returns:
        Pieces of the new file, to be written one after the other.
    """
    view = memoryview(data)
    extra = []
    if dpi is not None:
        metres = [round(value / _METRES_PER_INCH) for value in dpi]
        extra.append(_chunk(b"pHYs", struct.pack(">IIB", *metres, 1)))
    if exif is not None:
        extra.append(_chunk(b"eXIf", exif))
    if xmp is not None:
        extra.append(_chunk(b"iTXt", _XMP_KEYWORD + b"\0\0\0\0\0" + xmp))
    pieces: list[bytes | memoryview] = []
    at = _SIGNATURE_BYTES + 25  # just past IHDR
    pieces.append(view[:at])
    pieces.extend(extra)
    while at + 12 <= len(data):
        size = int.from_bytes(view[at : at + 4], "big") + 12
        kind = bytes(view[at + 4 : at + 8])
        if kind == b"IDAT":
            break
        if kind != b"pHYs":  # libvips always states a resolution, even if there is none
            pieces.append(view[at : at + size])
        at += size
    pieces.append(view[at:])
    return pieces


def _small_chunks(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """The chunks before the pixels, except large ones and those with a wrong checksum."""
    stream.seek(_SIGNATURE_BYTES)
    while len(head := stream.read(8)) == 8:
        size, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind in (b"IDAT", b"IEND") or size > 0x7FFFFFFF:
            return
        if size > _MAX_SMALL_CHUNK:
            stream.seek(size + 4, 1)
            continue
        body, checksum = stream.read(size), stream.read(4)
        if zlib.crc32(body, zlib.crc32(kind)) == int.from_bytes(checksum, "big"):
            yield kind, body


def _chunks_of_kind(part: bytes, kind: bytes) -> Iterator[bytes]:
    """Bodies of the chunks of a kind in part of a file, which may begin anywhere: checksums tell them from pixels."""
    at = part.find(kind, 4)
    while at >= 0:
        end = at + 4 + int.from_bytes(part[at - 4 : at], "big")
        if end + 4 <= len(part) and zlib.crc32(part[at:end]) == int.from_bytes(part[end : end + 4], "big"):
            yield part[at + 4 : end]
        at = part.find(kind, at + 4)


def _xmp_in(body: bytes) -> bytes | None:
    """The XMP packet in the body of an iTXt chunk, unpacked where necessary, or None."""
    keyword, _, rest = body.partition(b"\0")
    if keyword != _XMP_KEYWORD or rest.count(b"\0", 2) < 2:
        return None
    text = rest[2:].split(b"\0", 2)[2]  # after the language and the translated keyword
    if not rest[0]:
        return text
    try:
        return zlib.decompressobj().decompress(text, _MAX_XMP_BYTES)
    except zlib.error:
        return None


def _dpi(body: bytes) -> tuple[float, float] | None:
    horizontal, vertical, unit = struct.unpack(">IIB", body)
    return plausible_dpi(horizontal * _METRES_PER_INCH, vertical * _METRES_PER_INCH) if unit == 1 else None


def _chromaticities(body: bytes) -> Chromaticities:
    white_x, white_y, red_x, red_y, green_x, green_y, blue_x, blue_y = (
        value / 100_000 for value in struct.unpack(">8I", body)
    )
    return white_x, white_y, red_x, red_y, green_x, green_y, blue_x, blue_y


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))
