"""Boxes, the nested parts of AVIF, HEIC and JPEG XL files (ISO/IEC 14496-12 and 23008-12)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_BODY_BYTES = 32 << 20
"""Larger boxes hold pixels, not metadata, and are not read."""


@dataclass(frozen=True, slots=True)
class Box:
    """Where a box lies.

    Attributes:
        kind: its four characters.
        start: offset of its content.
        end: offset behind it.
    """

    kind: bytes
    start: int
    end: int

    def body(self, stream: BinaryIO) -> bytes:
        """Its content; empty where it is too large for metadata."""
        if self.end - self.start > MAX_BODY_BYTES:
            return b""
        stream.seek(self.start)
        return stream.read(self.end - self.start)


def boxes(stream: BinaryIO) -> Iterator[Box]:
    """The outermost boxes of a file, up to the first that is malformed."""
    end = stream.seek(0, 2)
    at = 0
    while at + 8 <= end:
        stream.seek(at)
        head = stream.read(16)
        size, start = int.from_bytes(head[:4], "big"), at + 8
        if size == 1 and len(head) == 16:
            size, start = int.from_bytes(head[8:], "big"), at + 16
        stop = end if size == 0 else at + size
        if stop < start or stop > end:
            # A box that is cut off is still worth its beginning, but nothing can follow it.
            stop = end
            size = 0
        yield Box(head[4:8], start, stop)
        if size == 0:
            return
        at = stop


@dataclass(frozen=True, slots=True)
class ColourCode:
    """Colour by code points instead of a profile (ITU-T H.273).

    Attributes:
        primaries: 1 sRGB, 9 BT.2020, 12 Display P3, 2 not stated.
        transfer: 13 sRGB, 16 PQ, 18 HLG, 2 not stated.
    """

    primaries: int
    transfer: int


def primary_colour_code(stream: BinaryIO) -> ColourCode | None:
    """The colour code of a HEIF file's main picture, or None where it has none or a profile instead."""
    meta = next((box for box in boxes(stream) if box.kind == b"meta"), None)
    if meta is None:
        return None
    try:
        return _colour_code_in(meta.body(stream)[4:])
    except (struct.error, IndexError):
        return None


def _colour_code_in(meta: bytes) -> ColourCode | None:
    parts = dict(_children(meta))
    primary = parts.get(b"pitm", b"")
    properties = dict(_children(parts.get(b"iprp", b"")))
    item = struct.unpack_from(">H" if primary[:1] == b"\0" else ">I", primary, 4)[0]
    listed = list(_children(properties.get(b"ipco", b"")))
    for index in _property_indices(properties.get(b"ipma", b""), item):
        if 0 < index <= len(listed):
            kind, body = listed[index - 1]
            if kind == b"colr" and body[:4] == b"nclx":
                primaries, transfer = struct.unpack_from(">HH", body, 4)
                return ColourCode(primaries, transfer)
    return None


def _children(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(body):
        size = int.from_bytes(body[at : at + 4], "big")
        if size < 8:
            return
        yield body[at + 4 : at + 8], body[at + 8 : at + size]
        at += size


def _property_indices(association: bytes, wanted: int) -> list[int]:
    """Numbers, from 1, of the properties that the item `wanted` has."""
    version, flags = association[0], association[3]
    count = struct.unpack_from(">I", association, 4)[0]
    at = 8
    for _ in range(count):
        item = struct.unpack_from(">H" if version < 1 else ">I", association, at)[0]
        at += 2 if version < 1 else 4
        properties, at = association[at], at + 1
        width = 2 if flags & 1 else 1
        if item == wanted:
            stored = (association[at + k * width : at + (k + 1) * width] for k in range(properties))
            return [int.from_bytes(number, "big") & (0x7FFF if width == 2 else 0x7F) for number in stored]
        at += properties * width
    return []
