"""Adding metadata to an encoded WebP file (RFC 9649)."""

from __future__ import annotations

import struct

_ALPHA, _EXIF, _XMP = 0x10, 0x08, 0x04


def add_chunks(
    data: bytes, *, width: int, height: int, has_alpha: bool, exif: bytes | None, xmp: bytes | None
) -> list[bytes | memoryview]:
    """Add metadata after the pixels, and the extended header that announces it before them.

    Args:
        data: a whole WebP file, in the simple or the extended layout.
        width: columns of the canvas.
        height: rows of the canvas.
        has_alpha: whether there is transparency.
        exif: TIFF stream, or None.
        xmp: packet, or None.

    Returns:
        Pieces of the new file, to be written one after the other.
    """
    if exif is None and xmp is None:
        return [data]
    added = (_EXIF if exif is not None else 0) | (_XMP if xmp is not None else 0)
    if data[12:16] == b"VP8X":
        flags, canvas, rest_at = data[20] | added, data[24:30], 30
    else:
        flags = added | (_ALPHA if has_alpha else 0)
        canvas = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
        rest_at = 12
    tail = b"".join(_chunk(kind, body) for kind, body in ((b"EXIF", exif), (b"XMP ", xmp)) if body is not None)
    rest = memoryview(data)[rest_at:]
    header = _chunk(b"VP8X", bytes([flags, 0, 0, 0]) + canvas)
    riff = b"RIFF" + struct.pack("<I", 4 + len(header) + len(rest) + len(tail)) + b"WEBP"
    return [riff, header, rest, tail]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
