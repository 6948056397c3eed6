"""Editing an EXIF block in place.

Maker notes contain offsets relative to the start of the block, in formats known only to the maker, so nothing in the
block may move. Every edit here overwrites bytes in place; removed values are zeroed, not cut out. A block stripped of
private data has no maker note either, so it is rewritten from scratch.
"""

from __future__ import annotations

import struct
from enum import Enum
from fractions import Fraction

from vdsr_app.core.image_io.private import KEPT_EXIF_TAGS, KEPT_IMAGE_TAGS, KEPT_INTEROP_TAGS
from vdsr_app.core.image_io.tiff_directory import (
    Branch,
    Directory,
    DirectoryError,
    DirectoryReader,
    Value,
    detach,
    reader_of_bytes,
    serialise,
    store,
)

PREFIX = b"Exif\0\0"
"""Precedes the block in JPEG, and by mistake in some other files."""

ORIENTATION = 0x0112
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
EXIF_POINTER, GPS_POINTER, INTEROP_POINTER = 0x8769, 0x8825, 0xA005
_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 0x0201, 0x0202


class Section(Enum):
    """The directories of an EXIF block."""

    IMAGE = "image"
    EXIF = "exif"
    GPS = "gps"
    INTEROP = "interop"


_SIZE_TAGS = (
    (Section.IMAGE, 0x0100, 0x0101),  # ImageWidth, ImageLength
    (Section.EXIF, 0xA002, 0xA003),  # PixelXDimension, PixelYDimension
    (Section.INTEROP, 0x1001, 0x1002),  # RelatedImageWidth, RelatedImageLength
)

_KEPT_TAGS = (
    (Section.IMAGE, KEPT_IMAGE_TAGS),
    (Section.EXIF, KEPT_EXIF_TAGS),
    (Section.INTEROP, KEPT_INTEROP_TAGS),
)
_MAX_KEPT_BYTES = 1 << 16
"""Longer values do not describe a picture, and copying overlapping ones could make a small block large."""


class ExifError(ValueError):
    """The block is damaged."""


class ExifBlock:
    """An EXIF block, with edits that leave everything else in place."""

    def __init__(self, data: bytes) -> None:
        self._data = bytearray(data.removeprefix(PREFIX))
        try:
            self._reader: DirectoryReader = reader_of_bytes(self._data)
            if self._reader.big:
                raise ExifError("BigTIFF is no EXIF")
            self._image = self._reader.directory(self._reader.first)
        except (DirectoryError, struct.error) as exc:
            raise ExifError(str(exc)) from exc

    @classmethod
    def of_resolution(cls, dpi: tuple[float, float]) -> ExifBlock:
        """A block that states a resolution and nothing else."""
        horizontal, vertical = (struct.pack("<2I", *_ratio(value)) for value in dpi)
        values = [Value(X_RESOLUTION, 5, 1, horizontal), Value(Y_RESOLUTION, 5, 1, vertical)]
        values.append(Value(RESOLUTION_UNIT, 3, 1, b"\2\0"))
        header = b"II*\0\x08\0\0\0"
        return cls(header + serialise(values, len(header)))

    def to_bytes(self) -> bytes:
        """The block as a TIFF stream, without the prefix that JPEG requires."""
        return bytes(self._data)

    def section(self, section: Section) -> Directory | None:
        """The directory of that name, or None if it is absent or damaged."""
        # Read again each time: an edit may have moved entries.
        try:
            image = self._reader.directory(self._reader.first)
            match section:
                case Section.IMAGE:
                    return image
                case Section.EXIF:
                    return self._follow(image, EXIF_POINTER)
                case Section.GPS:
                    return self._follow(image, GPS_POINTER)
                case Section.INTEROP:
                    exif = self._follow(image, EXIF_POINTER)
                    return None if exif is None else self._follow(exif, INTEROP_POINTER)
        except DirectoryError:
            return None

    @property
    def reader(self) -> DirectoryReader:
        """The reader for the values of this block."""
        return self._reader

    @property
    def orientation(self) -> int:
        """The orientation tag, 1 to 8; 1 if it is absent or invalid. See also `has_orientation`."""
        stored = self._reader.integer(self._image.entries.get(ORIENTATION))
        return stored if stored is not None and 1 <= stored <= 8 else 1

    @property
    def has_orientation(self) -> bool:
        """Whether there is an orientation tag at all."""
        return ORIENTATION in self._image.entries

    @property
    def dpi(self) -> tuple[float, float] | None:
        """Resolution in pixels per inch, or None."""
        entries = self._image.entries
        unit = self._reader.integer(entries.get(RESOLUTION_UNIT))
        return dpi_from(
            self._reader.fraction(entries.get(X_RESOLUTION)),
            self._reader.fraction(entries.get(Y_RESOLUTION)),
            2 if unit is None else unit,
        )

    def set_upright(self) -> None:
        """Set the orientation tag to 1 if there is one."""
        self._set_number(Section.IMAGE, ORIENTATION, 1)

    def turn_resolution(self) -> None:
        """Swap the horizontal and vertical resolutions, as for a picture rotated by 90 degrees."""
        entries = self._reader.directory(self._reader.first).entries
        if X_RESOLUTION not in entries or Y_RESOLUTION not in entries:
            return
        # Swap type, count and value or its offset; only the tags stay.
        across, down = (
            slice(entries[tag].position + 2, entries[tag].position + 12) for tag in (X_RESOLUTION, Y_RESOLUTION)
        )
        self._data[across], self._data[down] = self._data[down], self._data[across]
        self._image = self._reader.directory(self._reader.first)

    def set_size(self, width: int, height: int) -> None:
        """Update every tag that states the picture's size; none is added."""
        for section, width_tag, height_tag in _SIZE_TAGS:
            self._set_number(section, width_tag, width)
            self._set_number(section, height_tag, height)

    def state_resolution(self, dpi: tuple[float, float]) -> None:
        """Set or add the resolution: the first directory moves to the end of the block, its values stay in place."""
        image, order = self._reader.directory(self._reader.first), self._reader.order
        table = {tag: bytes(self._data[entry.position : entry.position + 12]) for tag, entry in image.entries.items()}
        at = len(self._data) + len(self._data) % 2
        count = len(table.keys() | {X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT})
        if count > 0xFFFF:
            return  # more than a directory can hold
        values_at = at + 2 + 12 * count + 4
        table[X_RESOLUTION] = struct.pack(f"{order}HHII", X_RESOLUTION, 5, 1, values_at)
        table[Y_RESOLUTION] = struct.pack(f"{order}HHII", Y_RESOLUTION, 5, 1, values_at + 8)
        table[RESOLUTION_UNIT] = struct.pack(f"{order}HHIHH", RESOLUTION_UNIT, 3, 1, 2, 0)
        self._data += bytes(at - len(self._data)) + struct.pack(f"{order}H", count)
        self._data += b"".join(table[tag] for tag in sorted(table)) + struct.pack(f"{order}I", image.next_offset)
        self._data += b"".join(struct.pack(f"{order}2I", *_ratio(value)) for value in dpi)
        self._data[4:8] = struct.pack(f"{order}I", at)
        self._reader = reader_of_bytes(self._data)
        self._image = self._reader.directory(self._reader.first)

    def drop_thumbnail(self) -> None:
        """Remove the thumbnail and the directory that describes it."""
        image = self._reader.directory(self._reader.first)
        if image.next_offset == 0:
            return
        thumbnail = self._directory_or_none(image.next_offset)
        self._data[image.next_at : image.next_at + 4] = bytes(4)
        if thumbnail is None or thumbnail.offset == image.offset:
            return
        start = self._reader.integer(thumbnail.entries.get(_THUMBNAIL_OFFSET))
        length = self._reader.integer(thumbnail.entries.get(_THUMBNAIL_LENGTH))
        self._zero(thumbnail.offset, thumbnail.next_at + 4)
        if start is not None and length is not None and start > 8:
            self._zero(start, start + length)
            if start + length >= len(self._data) and start >= self._end_of_content():
                del self._data[start:]

    def without_private(self) -> ExifBlock:
        """A new block with only what `private.py` lists: no location, serial number, name, maker note or thumbnail.

        It is rewritten from scratch, so no unreferenced bytes are left behind.
        """
        image, exif, interop = (Branch(self._kept(section, tags)) for section, tags in _KEPT_TAGS)
        if interop.values:
            exif.children.append((INTEROP_POINTER, interop))
        if exif.values or exif.children:
            image.children.append((EXIF_POINTER, exif))
        if not (image.values or image.children):
            image.values.append(Value(ORIENTATION, 3, 1, b"\1\0"))  # an empty directory is invalid
        header = bytes(self._data[:4]) + struct.pack(f"{self._reader.order}I", 8)
        return ExifBlock(header + store(image, len(header), self._reader.order, big=False))

    def _kept(self, section: Section, tags: frozenset[int]) -> list[Value]:
        directory = self.section(section)
        entries = {} if directory is None else directory.entries
        kept = (entry for tag, entry in entries.items() if tag in tags and entry.size <= _MAX_KEPT_BYTES)
        return detach(self._reader, kept)

    def _follow(self, parent: Directory, pointer: int) -> Directory | None:
        offset = self._reader.integer(parent.entries.get(pointer))
        return None if offset is None else self._directory_or_none(offset)

    def _directory_or_none(self, offset: int) -> Directory | None:
        try:
            return self._reader.directory(offset)
        except DirectoryError:
            return None

    def _set_number(self, section: Section, tag: int, number: int) -> None:
        directory = self.section(section)
        entry = None if directory is None else directory.entries.get(tag)
        if entry is None:
            return
        # A single SHORT or LONG is stored inside the entry, so it can become a LONG where necessary.
        kind = 3 if entry.kind == 3 and number <= 0xFFFF else 4
        packed = struct.pack(f"{self._reader.order}{'H' if kind == 3 else 'I'}", number).ljust(4, b"\0")
        self._data[entry.position + 2 : entry.position + 12] = struct.pack(f"{self._reader.order}HI", kind, 1) + packed

    def _zero(self, start: int, end: int) -> None:
        end = min(end, len(self._data))
        if 8 <= start < end:
            self._data[start:end] = bytes(end - start)

    def _end_of_content(self) -> int:
        """Offset just past the last byte used by a directory or one of its values."""
        end = 8
        for section in Section:
            directory = self.section(section)
            if directory is not None:
                ends = [entry.value_at + entry.size for entry in directory.entries.values()]
                end = max(end, directory.next_at + 4, *ends)
        return end


def _ratio(value: float) -> tuple[int, int]:
    """Numerator and denominator of the value, rounded to hundredths."""
    return Fraction(round(value * 100), 100).as_integer_ratio()


def dpi_from(horizontal: float | None, vertical: float | None, unit: int) -> tuple[float, float] | None:
    """Pixels per inch from the resolution fields of TIFF and EXIF.

    Args:
        horizontal: XResolution, or None.
        vertical: YResolution; if None or 0, `horizontal` is used.
        unit: ResolutionUnit: 2 for inch, 3 for centimetre, anything else for none.
    """
    factor = {2: 1.0, 3: 2.54}.get(unit)
    if factor is None or horizontal is None:
        return None
    return plausible_dpi(horizontal * factor, (vertical or horizontal) * factor)


def plausible_dpi(horizontal: float, vertical: float) -> tuple[float, float] | None:
    """The pair rounded to hundredths, or None if it is not a plausible resolution."""
    if not (0.01 <= horizontal <= 1e6 and 0.01 <= vertical <= 1e6):
        return None
    return round(horizontal, 2), round(vertical, 2)
