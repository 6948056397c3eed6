"""The item tables of AVIF and HEIC files: colour, alpha and data of the main picture, and replacing its EXIF block.

Source: ISO/IEC 23008-12 (HEIF) and 14496-12, boxes meta, pitm, iinf, iloc, iprp, iref, idat.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from vdsr_app.core.image_io.boxes import Box, boxes, boxes_in

_FULL_BOX = 4  # bytes of version and flags
_MOST_ITEMS = 65_535
"""Limit on the entries searched for an item: more than any picture has, yet quickly searched."""


@dataclass(frozen=True, slots=True)
class ColourCode:
    """Colour by code points instead of a profile (ITU-T H.273).

    Attributes:
        primaries: 1 sRGB, 9 BT.2020, 12 Display P3, 2 unspecified.
        transfer: 13 sRGB, 16 PQ, 18 HLG, 2 unspecified.
    """

    primaries: int
    transfer: int


def primary_colour_code(stream: BinaryIO) -> ColourCode | None:
    """The colour code of a file's main picture, or None if it has none or a profile instead."""
    try:
        return _colour_code_in(_meta(stream))
    except (struct.error, IndexError, KeyError):
        return None


def is_premultiplied(stream: BinaryIO) -> bool:
    """Whether the colours of a file's main picture are stored multiplied by its alpha."""
    meta = _meta(stream)
    try:
        parts = {box.kind: box for box in boxes_in(meta, _FULL_BOX)}
        return _referred(meta, parts.get(b"iref"), b"prem", _primary_item(meta, parts)) is not None
    except (struct.error, IndexError, KeyError):
        return False


def primary_data(stream: BinaryIO, most_bytes: int) -> bytes:
    """The beginning of the coded data of a file's main picture, or of the first picture that it is composed of.

    Empty if there is none or the tables are damaged.
    """
    meta = _meta(stream)
    try:
        parts = {box.kind: box for box in boxes_in(meta, _FULL_BOX)}
        item = _primary_item(meta, parts)
        tile = _referred(meta, parts.get(b"iref"), b"dimg", item)
        item = item if tile is None else tile
        stored_within, offset, size = _place(meta, parts[b"iloc"], item)
        if stored_within:
            idat = parts[b"idat"]
            return meta[idat.start + offset : min(idat.end, idat.start + offset + min(size, most_bytes))]
    except (struct.error, IndexError, KeyError):
        return b""
    if offset > stream.seek(0, 2):  # includes offsets too large for any file
        return b""
    stream.seek(offset)
    return stream.read(min(size, most_bytes))


def replace_exif(data: bytes, exif: bytes) -> list[bytes | memoryview]:
    """Replace the EXIF block of an encoded AVIF with another one, appended at the end of the file.

    Args:
        data: a whole AVIF file that already has an EXIF item.
        exif: the new block, a TIFF stream.

    Returns:
        Pieces of the new file, to be written one after the other; the old file if its EXIF item is missing or not laid
        out as libheif does it.
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
    payload = bytes(4) + exif  # the first four bytes: distance from their end to the TIFF header
    # The item's base offset is set to the payload, its only extent to the whole of it.
    changed = struct.pack(">IHII", len(data) + 8, 1, 0, len(payload))
    box = struct.pack(">I", len(payload) + 8) + b"mdat" + payload
    return [view[:place], changed, view[place + len(changed) :], box]


def _parts(data: bytes, meta: Box) -> dict[bytes, Box]:
    return {box.kind: box for box in boxes_in(data, meta.start + _FULL_BOX, meta.end)}


def _meta(stream: BinaryIO) -> bytes:
    """The content of the meta box; empty if there is none."""
    meta = next((box for box in boxes(stream) if box.kind == b"meta"), None)
    return b"" if meta is None else meta.body(stream)


def _colour_code_in(meta: bytes) -> ColourCode | None:
    parts = {box.kind: box for box in boxes_in(meta, _FULL_BOX)}
    item = _primary_item(meta, parts)
    properties = {box.kind: box for box in boxes_in(meta, parts[b"iprp"].start, parts[b"iprp"].end)}
    listed = list(boxes_in(meta, properties[b"ipco"].start, properties[b"ipco"].end))
    for index in _property_numbers(meta, properties[b"ipma"].start, item):
        box = listed[index - 1] if 0 < index <= len(listed) else None
        if box is not None and box.kind == b"colr" and meta[box.start : box.start + 4] == b"nclx":
            return ColourCode(*struct.unpack_from(">HH", meta, box.start + 4))
    return None


def _primary_item(meta: bytes, parts: Mapping[bytes, Box]) -> int:
    primary = parts[b"pitm"].start
    return int(struct.unpack_from(">I" if meta[primary] else ">H", meta, primary + _FULL_BOX)[0])


def _referred(meta: bytes, iref: Box | None, kind: bytes, item: int) -> int | None:
    """The first item that `item` refers to by references of a kind, or None."""
    if iref is None:
        return None
    code = ">I" if meta[iref.start] else ">H"
    width = struct.calcsize(code)
    for reference in boxes_in(meta, iref.start + _FULL_BOX, iref.end):
        if reference.kind == kind and struct.unpack_from(code, meta, reference.start)[0] == item:
            return int(struct.unpack_from(code, meta, reference.start + width + 2)[0])
    return None


def _place(data: bytes, iloc: Box, wanted: int) -> tuple[bool, int, int]:
    """Whether an item is in the idat box rather than in the file, its offset there, and its size.

    For an item in several extents, these describe the first.
    """
    for entry in _entries(data, iloc):
        if entry.item == wanted and entry.extents and entry.method < 2:
            return entry.method == 1, entry.offset, entry.size or len(data)
    raise KeyError(wanted)


def _property_numbers(data: bytes, at: int, wanted: int) -> list[int]:
    """Numbers, from 1, of the properties that an ipma box associates with the item `wanted`."""
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
    return next((entry.at + 4 for entry in _entries(data, iloc) if entry.item == wanted and entry.extents == 1), None)


@dataclass(frozen=True, slots=True)
class _Entry:
    """The location of an item according to an iloc box.

    Attributes:
        at: offset of the entry itself.
        item: number of the item.
        method: 0 in the file, 1 in the idat box, 2 in another item.
        extents: number of extents that it is stored in.
        offset: of the first extent.
        size: of the first extent; 0 for everything up to the end.
    """

    at: int
    item: int
    method: int
    extents: int
    offset: int
    size: int


def _entries(data: bytes, iloc: Box) -> Iterator[_Entry]:
    """The entries of an iloc box; raises IndexError if the data end before they do."""
    version, at = data[iloc.start], iloc.start + _FULL_BOX

    def number(width: int) -> int:
        nonlocal at
        at += width
        if at > len(data):
            raise IndexError
        return int.from_bytes(data[at - width : at], "big")

    sizes = number(2)
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    index_size = index_size if version else 0
    for _ in range(min(number(4 if version == 2 else 2), _MOST_ITEMS)):
        first = at
        item = number(4 if version == 2 else 2)
        method = number(2) & 15 if version else 0
        number(2)  # data_reference_index
        base, extents = number(base_size), number(2)
        after = at + extents * (index_size + offset_size + length_size)
        offset = size = 0
        if extents:
            number(index_size)
            offset, size = base + number(offset_size), number(length_size)
        at = after  # not extent by extent: a damaged file can claim billions of zero-size ones
        yield _Entry(first, item, method, extents, offset, size)
