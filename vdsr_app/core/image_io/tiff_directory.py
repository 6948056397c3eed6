"""Image file directories, the key-value tables of TIFF files and EXIF blocks (TIFF 6.0, BigTIFF, EXIF 3.0)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from mmap import mmap
from types import MappingProxyType
from typing import BinaryIO, Literal

ByteOrder = Literal["<", ">"]

UNIT_BYTES: Mapping[int, int] = MappingProxyType(
    {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 1, 7: 1, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
)
"""Size of the units whose bytes are reversed when the byte order changes, by field type."""

_UNITS_PER_VALUE = {5: 2, 10: 2}
_INTEGER_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_RATIONAL_CODES = {5: "I", 10: "i"}
MAX_VALUE_BYTES = 16 << 20
"""Longer values are not metadata; they are left alone."""

ReadAt = Callable[[int, int], bytes]
"""`read_at(offset, size)` returns `size` bytes, or fewer at the end of the file."""


class DirectoryError(ValueError):
    """The directories are invalid or cannot be stored."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One field of a directory.

    Attributes:
        tag: what the field means.
        kind: its TIFF field type.
        count: number of values.
        position: offset of the entry itself.
        value_at: offset of its value, which is inside the entry if it fits there.
        size: bytes of the value.
    """

    tag: int
    kind: int
    count: int
    position: int
    value_at: int
    size: int


@dataclass(frozen=True, slots=True)
class Directory:
    """One directory.

    Attributes:
        offset: where it begins.
        entries: its fields by tag; of a repeated tag, the first.
        next_at: where the offset of the next directory is stored.
        next_offset: that offset, 0 for none.
    """

    offset: int
    entries: Mapping[int, Entry]
    next_at: int
    next_offset: int


class DirectoryReader:
    """Reads the directories of one file or block; keeps only its header.

    Attributes:
        order: byte order, in the notation of `struct`.
        big: whether it is BigTIFF, with 64-bit offsets.
        first: offset of the first directory.
    """

    def __init__(self, read_at: ReadAt) -> None:
        self._read_at = read_at
        head = read_at(0, 16)
        if head[:2] not in (b"II", b"MM") or len(head) < 8:
            raise DirectoryError("no TIFF header")
        self.order: ByteOrder = "<" if head[:2] == b"II" else ">"
        version = struct.unpack_from(f"{self.order}H", head, 2)[0]
        self.big = version == 43
        if version not in (42, 43) or (self.big and len(head) < 16):
            raise DirectoryError("no TIFF header")
        self.first: int = struct.unpack_from(f"{self.order}{'Q' if self.big else 'I'}", head, 8 if self.big else 4)[0]

    def directory(self, offset: int) -> Directory:
        """Read the directory at `offset`.

        Raises:
            DirectoryError: its fields are not all inside the file, or there are not 1 to 65,535 of them.
        """
        count_size, entry_size, offset_size = (8, 20, 8) if self.big else (2, 12, 4)
        head = self._read_at(offset, count_size)
        if offset < 8 or len(head) < count_size:
            raise DirectoryError("directory outside the file")
        count = int.from_bytes(head, "little" if self.order == "<" else "big")
        if not 1 <= count <= 65_535:
            raise DirectoryError("directory without fields")
        body = self._read_at(offset + count_size, count * entry_size + offset_size)
        if len(body) < count * entry_size:
            raise DirectoryError("directory cut off")
        entries: dict[int, Entry] = {}
        for index in range(count):
            entry = self._entry(body, index * entry_size, offset + count_size + index * entry_size)
            entries.setdefault(entry.tag, entry)
        tail = body[count * entry_size :]
        following = int.from_bytes(tail, "little" if self.order == "<" else "big") if len(tail) == offset_size else 0
        return Directory(offset, entries, offset + count_size + count * entry_size, following)

    def _entry(self, body: bytes, at: int, position: int) -> Entry:
        if self.big:
            tag, kind, count, pointer = struct.unpack_from(f"{self.order}HHQQ", body, at)
            inline_at, inline_size = position + 12, 8
        else:
            tag, kind, count, pointer = struct.unpack_from(f"{self.order}HHII", body, at)
            inline_at, inline_size = position + 8, 4
        size = count * UNIT_BYTES.get(kind, 1) * _UNITS_PER_VALUE.get(kind, 1)
        return Entry(tag, kind, count, position, inline_at if size <= inline_size else pointer, size)

    def raw(self, entry: Entry) -> bytes | None:
        """The bytes of a value as stored, or None if its type is unknown, or they are missing or unreasonably many."""
        if entry.kind not in UNIT_BYTES or entry.size > MAX_VALUE_BYTES:
            return None
        value = self._read_at(entry.value_at, entry.size)
        return value if len(value) == entry.size else None

    def integers(self, entry: Entry | None) -> tuple[int, ...]:
        """The values of an integer field; empty if the field is missing, of another type or too long."""
        if entry is None or entry.kind not in _INTEGER_CODES or entry.count > 4096:
            return ()
        raw = self.raw(entry)
        return () if raw is None else struct.unpack(f"{self.order}{entry.count}{_INTEGER_CODES[entry.kind]}", raw)

    def integer(self, entry: Entry | None) -> int | None:
        """The first value of an integer field, or None."""
        return next(iter(self.integers(entry)), None)

    def fractions(self, entry: Entry | None) -> tuple[float, ...]:
        """The values of a rational field; empty as for `integers`, and if a denominator is zero."""
        if entry is None or entry.kind not in _RATIONAL_CODES or entry.count > 4096:
            return ()
        raw = self.raw(entry)
        if raw is None:
            return ()
        numbers = struct.unpack(f"{self.order}{2 * entry.count}{_RATIONAL_CODES[entry.kind]}", raw)
        pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
        return tuple(top / bottom for top, bottom in pairs) if all(bottom for _, bottom in pairs) else ()

    def fraction(self, entry: Entry | None) -> float | None:
        """The first value of a rational field, or None."""
        return next(iter(self.fractions(entry)), None)


@dataclass(frozen=True, slots=True)
class Value:
    """One field detached from its file, with its value in little-endian order."""

    tag: int
    kind: int
    count: int
    data: bytes


def integer_value(tag: int, number: int) -> Value:
    """A field with one 32-bit number, or a 64-bit one if necessary, which only BigTIFF supports."""
    return (
        Value(tag, 4, 1, struct.pack("<I", number))
        if number < 1 << 32
        else Value(tag, 16, 1, struct.pack("<Q", number))
    )


@dataclass(slots=True)
class Allowance:
    """Bytes of values that may still be copied out of one file; overlapping values could make a small file large."""

    left: int

    @classmethod
    def of(cls, size: int) -> Allowance:
        """The allowance for a file or block of that size, at most `MAX_VALUE_BYTES`."""
        return cls(min(size, MAX_VALUE_BYTES))


def detach(reader: DirectoryReader, entries: Iterable[Entry], allowance: Allowance | None = None) -> list[Value]:
    """Copy fields out of a file, except those whose value is missing, of an unknown type or beyond the allowance."""
    values = []
    for entry in entries:
        if allowance is not None and entry.size > allowance.left:
            continue
        raw = reader.raw(entry)
        if raw is not None and entry.count:
            if allowance is not None:
                allowance.left -= len(raw)
            little = raw if reader.order == "<" else reverse_units(raw, UNIT_BYTES[entry.kind])
            values.append(Value(entry.tag, entry.kind, entry.count, little))
    return values


def reverse_units(data: bytes, unit: int) -> bytes:
    """Reverse every group of `unit` bytes, which converts between the two byte orders."""
    if unit == 1:
        return data
    swapped = bytearray(len(data))
    for index in range(unit):
        swapped[index::unit] = data[unit - 1 - index :: unit]
    return bytes(swapped)


def serialise(
    values: Iterable[Value], at: int, order: ByteOrder = "<", *, big: bool = False, following: int = 0
) -> bytes:
    """Serialise one directory, followed by its values, for storage at offset `at`.

    Args:
        values: the fields, in any order; they are sorted, as TIFF requires.
        at: offset that the first byte will have; even.
        order: byte order.
        big: BigTIFF.
        following: offset of the next directory, 0 for none.

    Raises:
        DirectoryError: an offset is too large for classic TIFF.
    """
    fields = sorted(values, key=lambda value: value.tag)
    entry_size, inline, code = (20, 8, "Q") if big else (12, 4, "I")
    table = bytearray(struct.pack(f"{order}{'Q' if big else 'H'}", len(fields)))
    payload = bytearray()
    payload_at = at + len(table) + len(fields) * entry_size + inline
    for value in fields:
        data = value.data if order == "<" else reverse_units(value.data, UNIT_BYTES[value.kind])
        if len(data) > inline:
            payload += b"\0" * (len(payload) % 2)
            stored = _pack_offset(f"{order}{code}", payload_at + len(payload))
            payload += data
        else:
            stored = data.ljust(inline, b"\0")
        table += struct.pack(f"{order}HH{code}", value.tag, value.kind, value.count) + stored
    table += _pack_offset(f"{order}{code}", following)
    return bytes(table + payload + b"\0" * (len(payload) % 2))


@dataclass(slots=True)
class Branch:
    """A directory and those that it points to, each with the tag of its pointer."""

    values: list[Value]
    children: list[tuple[int, Branch]] = field(default_factory=list)


def store(branch: Branch, at: int, order: ByteOrder, *, big: bool) -> bytes:
    """Serialise a branch for storage at the even offset `at`, its own directory first.

    Raises:
        DirectoryError: an offset is too large for classic TIFF.
    """
    dummies = [integer_value(pointer, 0) for pointer, _ in branch.children]
    place = at + len(serialise(branch.values + dummies, at, order, big=big))
    pointers, stored = [], []
    for pointer, child in branch.children:
        pointers.append(integer_value(pointer, place))
        stored.append(store(child, place, order, big=big))
        place += len(stored[-1])
    return serialise(branch.values + pointers, at, order, big=big) + b"".join(stored)


def _pack_offset(code: str, offset: int) -> bytes:
    try:
        return struct.pack(code, offset)
    except struct.error as exc:
        raise DirectoryError("file too long for its directory") from exc


def reader_of_bytes(data: bytes | bytearray | mmap) -> DirectoryReader:
    """A reader for a block in memory or memory-mapped."""
    return DirectoryReader(lambda offset, size: bytes(data[offset : offset + size]))


def reader_of_stream(stream: BinaryIO) -> DirectoryReader:
    """A reader for an open file."""

    def read_at(offset: int, size: int) -> bytes:
        # A wild offset would overflow the system's file position.
        if offset > 1 << 62 or size > MAX_VALUE_BYTES:
            return b""
        stream.seek(offset)
        return stream.read(size)

    return DirectoryReader(read_at)
