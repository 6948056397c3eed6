"""Boxes, the nested parts of AVIF, HEIC and JPEG XL files (ISO/IEC 14496-12 and 23008-12)."""

from __future__ import annotations

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


def boxes_in(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes of a part of a byte string, up to the first that is malformed."""
    at, stop = start, len(data) if end is None else end
    while at + 8 <= stop:
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8 or at + size > stop:
            return
        yield Box(data[at + 4 : at + 8], at + 8, at + size)
        at += size
