"""TIFF data that libvips leaves out: reading and writing EXIF, the meaning of extra channels, camera raw."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from mmap import mmap
from typing import BinaryIO

import numpy as np

from vdsr_app.core.image_io import tiff_tags as tags
from vdsr_app.core.image_io.exif import (
    EXIF_POINTER,
    GPS_POINTER,
    INTEROP_POINTER,
    ORIENTATION,
    RESOLUTION_UNIT,
    X_RESOLUTION,
    Y_RESOLUTION,
    ExifBlock,
    Section,
    dpi_from,
)
from vdsr_app.core.image_io.tiff_colours import TiffColours, colours_of
from vdsr_app.core.image_io.tiff_directory import (
    Allowance,
    Branch,
    Directory,
    DirectoryError,
    DirectoryReader,
    Entry,
    Value,
    detach,
    reader_of_bytes,
    reader_of_stream,
    store,
)

_SUBFILE_TYPE, _SUB_IFDS, _DNG_VERSION = 0xFE, 0x14A, 0xC612
_XMP = 0x2BC
_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 4: 1, 5: 4, 6: 3, 8: 3, 9: 3, 10: 3}  # samples by photometric interpretation
_UNCOMPRESSED = 1
_WHOLE_STRIP_COMPRESSIONS = (34887, 50001)  # LERC and WebP, whose strips are decoded in one go
_COUNT_DTYPES = {3: "u2", 4: "u4", 16: "u8"}
_UNSPECIFIED = 0

_DESCRIPTIVE_TAGS = frozenset(
    {
        0x010E,  # ImageDescription
        0x010F,  # Make
        0x0110,  # Model
        0x0131,  # Software
        0x0132,  # DateTime
        0x013B,  # Artist
        0x013C,  # HostComputer
        0x4746,  # Rating
        0x4749,  # RatingPercent
        0x8298,  # Copyright
        *range(0x9C9B, 0x9CA0),  # XPTitle to XPSubject
        0xC62F,  # CameraSerialNumber
    }
)
"""Fields of the first directory that describe the picture, not how its pixels are stored."""

_RESOLUTION_TAGS = frozenset({X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT})


@dataclass(frozen=True, slots=True)
class TiffInfo:
    """Fields of the first directory.

    Attributes:
        orientation: 1 to 8, or None if the field is absent or invalid.
        dpi: resolution, or None.
        has_alpha: the first extra channel is transparency, which it is unless declared as unspecified data.
        extra_channels: samples per pixel beyond the colours.
        is_palette: colours come from a table.
        colours: how to read the colours.
        is_camera_raw: the pixels are a preview; the picture itself is raw sensor data.
        xmp: XMP packet, or None.
        block_bytes: bytes of the largest strip or tile that libtiff must hold to decode a row, apart from those that
            libvips bounds itself.
    """

    orientation: int | None = None
    dpi: tuple[float, float] | None = None
    has_alpha: bool = False
    extra_channels: int = 0
    is_palette: bool = False
    colours: TiffColours = field(default_factory=TiffColours)
    is_camera_raw: bool = False
    xmp: bytes | None = None
    block_bytes: int = 0


def read_info(stream: BinaryIO) -> TiffInfo:
    """Read the first directory; the default `TiffInfo` if it is damaged."""
    try:
        reader = reader_of_stream(stream)
        entries = reader.directory(reader.first).entries
    except (DirectoryError, OSError, struct.error):
        return TiffInfo()
    orientation = reader.integer(entries.get(ORIENTATION))
    unit = reader.integer(entries.get(RESOLUTION_UNIT))
    photometric = reader.integer(entries.get(tags.PHOTOMETRIC))
    extra = (reader.integer(entries.get(tags.SAMPLES_PER_PIXEL)) or 1) - _COLOURS.get(photometric or 0, 1)
    kinds = reader.integers(entries.get(tags.EXTRA_SAMPLES))
    reduced = bool((reader.integer(entries.get(_SUBFILE_TYPE)) or 0) & 1)
    xmp = entries.get(_XMP)
    return TiffInfo(
        orientation if orientation is not None and 1 <= orientation <= 8 else None,
        dpi_from(
            reader.fraction(entries.get(X_RESOLUTION)),
            reader.fraction(entries.get(Y_RESOLUTION)),
            2 if unit is None else unit,
        ),
        extra > 0 and (not kinds or kinds[0] != _UNSPECIFIED),
        max(extra, 0),
        photometric == tags.PALETTE,
        colours_of(reader, entries),
        _DNG_VERSION in entries or (reduced and _SUB_IFDS in entries),
        None if xmp is None else reader.raw(xmp),
        _block_bytes(stream, reader, entries),
    )


def _block_bytes(stream: BinaryIO, reader: DirectoryReader, entries: Mapping[int, Entry]) -> int:
    """See `TiffInfo`."""
    compression = reader.integer(entries.get(tags.COMPRESSION)) or _UNCOMPRESSED
    tiled, planes = tags.TILE_BYTES in entries, reader.integer(entries.get(tags.PLANES)) == 2
    counts = entries.get(tags.TILE_BYTES if tiled else tags.STRIP_BYTES)
    if compression == _UNCOMPRESSED and counts is not None and counts.count == 1 and not (tiled or planes):
        return 0  # libtiff splits such a strip into rows
    stored = stream.seek(0, os.SEEK_END)
    raw = None if counts is None or counts.kind not in _COUNT_DTYPES else reader.raw(counts)
    if counts is not None and raw:
        stored = min(stored, int(np.frombuffer(raw, reader.order + _COUNT_DTYPES[counts.kind]).max()))
    if compression not in _WHOLE_STRIP_COMPRESSIONS or tiled:
        return stored
    width, height, samples, bits = (
        reader.integer(entries.get(tag)) or 1
        for tag in (tags.WIDTH, tags.HEIGHT, tags.SAMPLES_PER_PIXEL, tags.BITS_PER_SAMPLE)
    )
    rows = min(height, reader.integer(entries.get(tags.ROWS_PER_STRIP)) or height)
    return max(stored, width * rows * samples * bits // 8)


def extract_exif(stream: BinaryIO) -> bytes | None:
    """An EXIF block made of the descriptive, EXIF and GPS fields of a TIFF file; None if it has none or is damaged."""
    try:
        reader = reader_of_stream(stream)
        allowance = Allowance.of(stream.seek(0, os.SEEK_END))
        image = reader.directory(reader.first)
        tree = Branch(_values(reader, image, allowance, only=_DESCRIPTIVE_TAGS))
        tree.children = _exif_and_gps(
            reader,
            _sub_directory(reader, image, EXIF_POINTER),
            _sub_directory(reader, image, GPS_POINTER),
            allowance,
        )
        if not tree.values and not tree.children:
            return None
        tree.values += _values(reader, image, allowance, only=_RESOLUTION_TAGS)
        tree.values.append(Value(ORIENTATION, 3, 1, b"\1\0"))
        header = b"II*\0\x08\0\0\0" if reader.order == "<" else b"MM\0*\0\0\0\x08"
        return header + store(tree, len(header), reader.order, big=False)
    except (DirectoryError, OSError, struct.error):
        return None


def add_metadata(
    data: bytes | mmap, *, exif: ExifBlock | None, xmp: bytes | None, has_resolution: bool
) -> list[bytes | memoryview]:
    """Add metadata to an encoded TIFF.

    The first directory is rewritten at the end of the file with the descriptive fields added, followed by the EXIF and
    GPS directories.

    Args:
        data: a whole TIFF file with one picture, classic or BigTIFF.
        exif: what to add, or None; its resolution and orientation are left out, as the file states its own.
        xmp: packet to add, or None.
        has_resolution: whether the resolution in the file is meaningful; otherwise it is removed.

    Returns:
        Pieces of the new file, to be written one after the other.

    Raises:
        DirectoryError: the file is damaged, or too long for its offsets.
    """
    target = reader_of_bytes(data)
    own = _values(target, target.directory(target.first))
    if not has_resolution:
        own = [value for value in own if value.tag not in _RESOLUTION_TAGS]
    if xmp is not None:
        own.append(Value(_XMP, 1, len(xmp), xmp))
    tree = Branch(own)
    if exif is not None:
        allowance = Allowance.of(len(exif.to_bytes()))
        wanted = _DESCRIPTIVE_TAGS - {value.tag for value in own}
        described = exif.section(Section.IMAGE)
        tree.values += [] if described is None else _values(exif.reader, described, allowance, only=wanted)
        tree.children = _exif_and_gps(exif.reader, exif.section(Section.EXIF), exif.section(Section.GPS), allowance)
    end = len(data) + len(data) % 2
    tail = store(tree, end, target.order, big=target.big)
    first = struct.pack(f"{target.order}{'Q' if target.big else 'I'}", end)
    start = 8 if target.big else 4
    view = memoryview(data)
    return [view[:start], first, view[start + len(first) :], b"\0" * (len(data) % 2), tail]


def _exif_and_gps(
    reader: DirectoryReader, exif: Directory | None, gps: Directory | None, allowance: Allowance
) -> list[tuple[int, Branch]]:
    children = []
    if exif is not None:
        branch = Branch([value for value in _values(reader, exif, allowance) if value.tag != INTEROP_POINTER])
        interop = _sub_directory(reader, exif, INTEROP_POINTER)
        if interop is not None:
            branch.children.append((INTEROP_POINTER, Branch(_values(reader, interop, allowance))))
        children.append((EXIF_POINTER, branch))
    if gps is not None:
        children.append((GPS_POINTER, Branch(_values(reader, gps, allowance))))
    return [(pointer, branch) for pointer, branch in children if branch.values]


def _values(
    reader: DirectoryReader,
    directory: Directory,
    allowance: Allowance | None = None,
    *,
    only: frozenset[int] | None = None,
) -> list[Value]:
    wanted = (entry for tag, entry in directory.entries.items() if only is None or tag in only)
    return detach(reader, wanted, allowance)


def _sub_directory(reader: DirectoryReader, parent: Directory, pointer: int) -> Directory | None:
    offset = reader.integer(parent.entries.get(pointer))
    try:
        return None if offset is None else reader.directory(offset)
    except DirectoryError:
        return None
