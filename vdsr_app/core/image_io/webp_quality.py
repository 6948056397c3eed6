"""The quality setting at which a lossy WebP was saved, estimated from its first frame's header (RFC 9649, RFC 6386)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import BinaryIO

_HEADER_BYTES = 10
_READ_BYTES = 256
"""The quantisers are within the first hundred bytes of a frame, whatever precedes them."""
_MOST_CHUNKS = 1000
"""Chunks without a picture after which a file counts as damaged, so that a long one is not searched to its end."""
_ANIMATION_FRAME_BYTES = 16

# RFC 6386, section 14.1: quantisation step of the luma AC coefficients for each quantiser index.
_STEPS = (
    *range(4, 59),
    *range(60, 117, 2),
    *range(119, 174, 3),
    *range(177, 230, 4),
    *(234, 239, 245),
    *range(249, 285, 5),
)
_LAST_INDEX = len(_STEPS) - 1
_SEGMENTS = 4
_EVEN = 128


def read_quality(stream: BinaryIO) -> int | None:
    """Estimate the quality of a WebP file on libwebp's scale, 0 to 100, to within one for files from libwebp.

    Returns:
        None if the file is lossless or damaged.
    """
    frame = _first_frame(stream)
    if frame is None:
        return None
    try:
        return quality_of_step(_mean_step(_Bits(frame[_HEADER_BYTES:])))
    except EOFError:
        return None


def quality_of_step(step: float) -> int:
    """The setting, 0 to 100, at which libwebp quantises luma with `step`.

    Source: `QualityToCompression` and `SetupQuantIndices` of libwebp (quant_enc.c), inverted.
    """
    last = next((index for index in range(1, _LAST_INDEX) if _STEPS[index] >= step), _LAST_INDEX)
    low, high = _STEPS[last - 1], _STEPS[last]
    index = min(max(last - 1 + (step - low) / (high - low), 0.0), float(_LAST_INDEX))
    linear = float((1 - index / _LAST_INDEX) ** 3)
    return round(100 * (1.5 * linear if linear < 0.5 else (1 + linear) / 2))


def _first_frame(stream: BinaryIO) -> bytes | None:
    """The beginning of the first frame; None if it is lossless or damaged, or there is none."""
    stream.seek(12)
    for _ in range(_MOST_CHUNKS):
        head = stream.read(8)
        if len(head) < 8:
            return None
        name, size = struct.unpack("<4sI", head)
        if name == b"ANMF":  # the frame's picture follows in chunks of its own
            stream.seek(_ANIMATION_FRAME_BYTES, 1)
            continue
        if name == b"VP8 ":
            frame = stream.read(min(size, _READ_BYTES))
            is_key_frame = len(frame) > _HEADER_BYTES + 2 and not frame[0] & 1 and frame[3:6] == b"\x9d\x01\x2a"
            return frame if is_key_frame else None
        if name == b"VP8L":
            return None
        stream.seek(size + size % 2, 1)
    return None


def _mean_step(bits: _Bits) -> float:
    """Root mean square of the luma quantisation steps over the segments of a frame, weighted by their shares.

    Source: RFC 6386, section 19.2, up to `y_ac_qi`.
    """
    bits.number(2)  # colour space and clamping
    segmented = bool(bits.number(1))
    absolute, quantisers, tree = False, [0] * _SEGMENTS, [255] * (_SEGMENTS - 1)
    if segmented:
        has_map, has_values = bits.number(1), bits.number(1)
        if has_values:
            absolute = bool(bits.number(1))
            quantisers = [bits.optional_signed(7) for _ in range(_SEGMENTS)]
            for _ in range(_SEGMENTS):  # loop filter
                bits.optional_signed(6)
        if has_map:
            tree = [bits.number(8) if bits.number(1) else 255 for _ in range(_SEGMENTS - 1)]
    bits.number(1 + 6 + 3)  # loop filter
    if bits.number(1) and bits.number(1):
        for _ in range(8):
            bits.optional_signed(6)
    bits.number(2)  # partitions
    base = bits.number(7)
    if not segmented:
        return float(_STEPS[base])
    steps = [_STEPS[min(max(each if absolute else base + each, 0), _LAST_INDEX)] for each in quantisers]
    return float(sum(share * step**2 for share, step in zip(_shares(tree), steps, strict=True)) ** 0.5)


def _shares(tree: Sequence[int]) -> list[float]:
    """The share of the picture in each segment, by the probabilities that code the segment map."""
    first, low, high = (probability / 256 for probability in tree)
    return [first * low, first * (1 - low), (1 - first) * high, (1 - first) * (1 - high)]


class _Bits:
    """Decoder for bits of even probability in VP8's arithmetic code.

    Source: RFC 6386, section 7.3.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 2
        self._value = int.from_bytes(data[:2], "big")
        self._range = 255
        self._shifted = 0

    def number(self, bits: int) -> int:
        """An unsigned number of `bits` bits, most significant first.

        Raises:
            EOFError: the data end early.
        """
        value = 0
        for _ in range(bits):
            value = 2 * value + self._bit()
        return value

    def optional_signed(self, bits: int) -> int:
        """A number of `bits` bits followed by its sign, or 0 if there is none."""
        if not self.number(1):
            return 0
        size = self.number(bits)
        return -size if self.number(1) else size

    def _bit(self) -> int:
        split = 1 + ((self._range - 1) * _EVEN >> 8)
        bit = int(self._value >= split << 8)
        if bit:
            self._range -= split
            self._value -= split << 8
        else:
            self._range = split
        while self._range < 128:
            self._value <<= 1
            self._range <<= 1
            self._shifted += 1
            if self._shifted == 8:
                if self._at >= len(self._data):
                    raise EOFError
                self._value |= self._data[self._at]
                self._at += 1
                self._shifted = 0
        return bit
