"""The table of contents of AVIF and HEIC files: the colour of the main picture, and exchanging its EXIF block.

Source: ISO/IEC 23008-12 (HEIF) and 14496-12, boxes meta, pitm, iinf, iloc, iprp.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from vdsr_app.core.image_io.boxes import Box, boxes, boxes_in

_FULL_BOX = 4  # bytes of version and flags


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
    """The colour code of a file's main picture, or None where it has none or a profile instead."""
    meta = next((box for box in boxes(stream) if box.kind == b"meta"), None)
    if meta is None:
        return None
    try:
        return _colour_code_in(meta.body(stream))
    except (struct.error, IndexError, KeyError):
        return None


def replace_exif(data: bytes, exif: bytes) -> list[bytes | memoryview]:
    """Exchange the EXIF block of an encoded AVIF for another one, which is put behind everything else.

    Args:
        data: a whole AVIF file that has an EXIF item already.
        exif: the new block, a TIFF stream.

    Returns:
        Pieces of the new file, to be written one after the other; the old ones where there is no EXIF item.
    """
    view = memoryview(data)
    meta = next((box for box in boxes_in(data) if box.kind == b"meta"), None)
    parts = {} if meta is None else _parts(data, meta)
    if b"iinf" not in parts or b"iloc" not in parts:
        return [view]
    item = _exif_item(data, parts[b"iinf"])
    place = None if item is None else _location(data, parts[b"iloc"], item)
    if place is None:
        return [view]
    payload = bytes(4) + exif  # the first four bytes: how far behind them the TIFF header is
    # The item's base offset is set to the payload and its extent to all of it.
    changed = struct.pack(">IHII", len(data) + 8, 1, 0, len(payload))
    box = struct.pack(">I", len(payload) + 8) + b"mdat" + payload
    return [view[:place], changed, view[place + len(changed) :], box]


def _parts(data: bytes, meta: Box) -> dict[bytes, Box]:
    return {box.kind: box for box in boxes_in(data, meta.start + _FULL_BOX, meta.end)}


def _colour_code_in(meta: bytes) -> ColourCode | None:
    parts = {box.kind: box for box in boxes_in(meta, _FULL_BOX)}
    primary = parts[b"pitm"].start
    item = struct.unpack_from(">I" if meta[primary] else ">H", meta, primary + _FULL_BOX)[0]
    properties = {box.kind: box for box in boxes_in(meta, parts[b"iprp"].start, parts[b"iprp"].end)}
    listed = list(boxes_in(meta, properties[b"ipco"].start, properties[b"ipco"].end))
    for index in _property_numbers(meta, properties[b"ipma"].start, item):
        box = listed[index - 1] if 0 < index <= len(listed) else None
        if box is not None and box.kind == b"colr" and meta[box.start : box.start + 4] == b"nclx":
            return ColourCode(*struct.unpack_from(">HH", meta, box.start + 4))
    return None


def _property_numbers(data: bytes, at: int, wanted: int) -> list[int]:
    """Numbers, from 1, of the properties that the item `wanted` has by an ipma box."""
    long_ids, wide = data[at] >= 1, bool(data[at + 3] & 1)
    count = struct.unpack_from(">I", data, at + 4)[0]
    at += 8
    for _ in range(count):
        item = struct.unpack_from(">I" if long_ids else ">H", data, at)[0]
        at += 4 if long_ids else 2
        properties, width, at = data[at], 2 if wide else 1, at + 1
        if item == wanted:
            stored = (data[at + k * width : at + (k + 1) * width] for k in range(properties))
            return [int.from_bytes(number, "big") & (0x7FFF if wide else 0x7F) for number in stored]
        at += properties * width
    return []


def _exif_item(data: bytes, iinf: Box) -> int | None:
    """Number of the EXIF item, or None."""
    count_size = 4 if data[iinf.start] else 2
    for entry in boxes_in(data, iinf.start + _FULL_BOX + count_size, iinf.end):
        version = data[entry.start]
        at = entry.start + _FULL_BOX
        if version in (2, 3):
            code, type_at = (">H", at + 4) if version == 2 else (">I", at + 6)
            if data[type_at : type_at + 4] == b"Exif":
                return int(struct.unpack_from(code, data, at)[0])
    return None


def _location(data: bytes, iloc: Box, wanted: int) -> int | None:
    """Offset of an item's base offset in the layout that libheif writes: version 0, 4-byte numbers, one extent."""
    if data[iloc.start] != 0 or data[iloc.start + 4 : iloc.start + 6] != b"\x44\x40":
        return None
    at = iloc.start + 8
    for item, extents in _items(data, at, struct.unpack_from(">H", data, iloc.start + 6)[0]):
        if item == wanted:
            return at + 4 if extents == 1 else None
        at += 10 + 8 * extents
    return None


def _items(data: bytes, at: int, count: int) -> Iterator[tuple[int, int]]:
    for _ in range(count):
        item, extents = struct.unpack_from(">H6xH", data, at)
        yield item, extents
        at += 10 + 8 * extents
