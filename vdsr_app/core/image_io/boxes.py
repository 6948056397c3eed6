"""Boxes, the nested parts of AVIF, HEIC and JPEG XL files (ISO/IEC 14496-12 and 23008-12)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_BODY_BYTES = 32 << 20
"""Larger boxes hold pixels, not metadata, and are not read."""


@dataclass(frozen=True, slots=True)
class Box:
    """The location of a box.

    Attributes:
        kind: four-character type.
        start: offset of its content.
        end: offset just past it.
    """

    kind: bytes
    start: int
    end: int

    def body(self, stream: BinaryIO) -> bytes:
        """The content; empty if it is too large to be metadata."""
        if self.end - self.start > MAX_BODY_BYTES:
            return b""
        stream.seek(self.start)
        return stream.read(self.end - self.start)


def boxes(stream: BinaryIO) -> Iterator[Box]:
    """The top-level boxes of a file, up to and including the first malformed one, which is taken to reach the end."""
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
            # The beginning of a truncated box is still useful, but nothing can follow it.
            stop = end
            size = 0
        yield Box(head[4:8], start, stop)
        if size == 0:
            return
        at = stop


def boxes_in(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes within part of a byte string, up to but not including the first malformed one."""
    at, stop = start, len(data) if end is None else end
    while at + 8 <= stop:
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8 or at + size > stop:
            return
        yield Box(data[at + 4 : at + 8], at + 8, at + size)
        at += size
