"""The quantiser of an AV1 picture, from the headers before its tiles.

Source: AV1 Bitstream & Decoding Process Specification (AOMedia, 2019), sections 5.3, 5.5 and 5.9, whose names are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_SEQUENCE_HEADER, _FRAME_HEADER, _FRAME = 1, 3, 6
_KEY_FRAME = 0
_SELECT = 2
"""SELECT_SCREEN_CONTENT_TOOLS and SELECT_INTEGER_MV: set per frame."""
_MAX_TILE_WIDTH, _MAX_TILE_AREA = 4096, 4096 * 2304
_MAX_TILES = 64  # MAX_TILE_COLS and MAX_TILE_ROWS


def base_q_idx(data: bytes) -> int | None:
    """The quantiser index of the first frame, from 0 for lossless to 255.

    Args:
        data: OBUs from the first on; they may be cut off after the frame header.

    Returns:
        None if the first frame is not a shown key frame, or if the data are damaged or use a feature that no still
        picture has.
    """
    try:
        sequence: _Sequence | None = None
        for kind, body in _obus(data):
            if kind == _SEQUENCE_HEADER:
                sequence = _Sequence.read(_Bits(body))
            elif kind in (_FRAME_HEADER, _FRAME) and sequence is not None:
                return _frame_quantiser(_Bits(body), sequence)
    except (EOFError, _UnknownError):
        pass
    return None


class _UnknownError(Exception):
    """The stream uses a feature that no still picture has."""


@dataclass(frozen=True, slots=True)
class _Sequence:
    """The fields that a frame header depends on; names as in the specification."""

    reduced_still_picture_header: bool
    frame_width_bits: int
    frame_height_bits: int
    max_frame_width: int
    max_frame_height: int
    frame_id_bits: int
    use_128x128_superblock: bool
    seq_force_screen_content_tools: int
    seq_force_integer_mv: int
    order_hint_bits: int
    enable_superres: bool

    @classmethod
    def read(cls, bits: _Bits) -> _Sequence:
        """Read a sequence header OBU, up to the last field needed."""
        bits.number(3 + 1)  # seq_profile, still_picture
        reduced = bits.flag()
        if reduced:
            bits.number(5)  # seq_level_idx
        else:
            _skip_operating_points(bits)
        width_bits, height_bits = bits.number(4) + 1, bits.number(4) + 1
        width, height = bits.number(width_bits) + 1, bits.number(height_bits) + 1
        id_bits = 0
        if not reduced and bits.flag():
            delta_bits = bits.number(4) + 2
            id_bits = bits.number(3) + delta_bits + 1
        large_blocks = bits.flag()
        bits.number(2)  # enable_filter_intra, enable_intra_edge_filter
        screen_content, integer_mv, order_hint_bits = _SELECT, _SELECT, 0
        if not reduced:
            bits.number(4)  # interintra, masked and warped motion, dual filter
            enable_order_hint = bits.flag()
            if enable_order_hint:
                bits.number(2)  # jnt_comp, ref_frame_mvs
            screen_content = _SELECT if bits.flag() else bits.number(1)
            if screen_content:
                integer_mv = _SELECT if bits.flag() else bits.number(1)
            if enable_order_hint:
                order_hint_bits = bits.number(3) + 1
        return cls(
            reduced,
            width_bits,
            height_bits,
            width,
            height,
            id_bits,
            large_blocks,
            screen_content,
            integer_mv,
            order_hint_bits,
            bits.flag(),
        )


def _skip_operating_points(bits: _Bits) -> None:
    if bits.flag():  # timing_info_present_flag
        bits.number(32 + 32)
        if bits.flag():  # equal_picture_interval
            bits.skip_uvlc()
        if bits.flag():  # decoder_model_info_present_flag
            raise _UnknownError
    has_delay = bits.flag()
    for _ in range(bits.number(5) + 1):
        bits.number(12)  # operating_point_idc
        if bits.number(5) > 7:  # seq_level_idx
            bits.number(1)  # seq_tier
        if has_delay and bits.flag():
            bits.number(4)  # initial_display_delay_minus_1


def _frame_quantiser(bits: _Bits, sequence: _Sequence) -> int | None:
    """`base_q_idx` of uncompressed_header(); None if the frame is not a key frame or not shown."""
    reduced = sequence.reduced_still_picture_header
    if not reduced and (bits.flag() or bits.number(2) != _KEY_FRAME or not bits.flag()):
        return None  # show_existing_frame, frame_type, show_frame
    keeps_statistics = bits.flag()  # disable_cdf_update
    has_screen_content = bool(sequence.seq_force_screen_content_tools)
    if sequence.seq_force_screen_content_tools == _SELECT:
        has_screen_content = bits.flag()
    if has_screen_content and sequence.seq_force_integer_mv == _SELECT:
        bits.number(1)  # force_integer_mv
    is_smaller = False
    if not reduced:
        bits.number(sequence.frame_id_bits)
        is_smaller = bits.flag()  # frame_size_override_flag
        bits.number(sequence.order_hint_bits)
    width, height = sequence.max_frame_width, sequence.max_frame_height
    if is_smaller:
        width, height = bits.number(sequence.frame_width_bits) + 1, bits.number(sequence.frame_height_bits) + 1
    upscaled_width = width
    if sequence.enable_superres and bits.flag():
        denominator = bits.number(3) + 9
        width = (8 * upscaled_width + denominator // 2) // denominator
    if bits.flag():  # render_and_frame_size_different
        bits.number(16 + 16)
    if has_screen_content and width == upscaled_width:
        bits.number(1)  # allow_intrabc
    if not (reduced or keeps_statistics):
        bits.number(1)  # disable_frame_end_update_cdf
    _skip_tile_info(bits, width, height, large_blocks=sequence.use_128x128_superblock)
    return bits.number(8)


def _skip_tile_info(bits: _Bits, width: int, height: int, *, large_blocks: bool) -> None:
    """tile_info()."""
    side = 128 if large_blocks else 64
    cols, rows = -(-width // side), -(-height // side)
    widest, largest = _MAX_TILE_WIDTH // side, _MAX_TILE_AREA // side**2
    least_cols_log2 = _tile_log2(widest, cols)
    most_cols_log2, most_rows_log2 = (_tile_log2(1, min(count, _MAX_TILES)) for count in (cols, rows))
    least_log2 = max(least_cols_log2, _tile_log2(largest, rows * cols))
    if bits.flag():  # uniform_tile_spacing_flag
        cols_log2 = bits.increments(least_cols_log2, most_cols_log2)
        rows_log2 = bits.increments(max(least_log2 - cols_log2, 0), most_rows_log2)
    else:
        widths = _tile_sizes(bits, cols, widest)
        cols_log2 = _tile_log2(1, len(widths))
        largest = rows * cols >> (least_log2 + 1 if least_log2 else 0)
        rows_log2 = _tile_log2(1, len(_tile_sizes(bits, rows, max(largest // max(widths), 1))))
    if cols_log2 or rows_log2:
        bits.number(cols_log2 + rows_log2 + 2)  # context_update_tile_id, tile_size_bytes_minus_1


def _tile_sizes(bits: _Bits, total: int, most: int) -> list[int]:
    sizes: list[int] = []
    left = total
    while left > 0:
        sizes.append(bits.below(min(left, most)) + 1)
        left -= sizes[-1]
    return sizes


def _tile_log2(size: int, target: int) -> int:
    exponent = 0
    while size << exponent < target:
        exponent += 1
    return exponent


def _obus(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and payload of each OBU; the last may be truncated."""
    at = 0
    while at < len(data):
        head = data[at]
        at += 2 if head & 4 else 1  # obu_extension_flag
        size = len(data) - at
        if head & 2:  # obu_has_size_field
            size, at = _leb128(data, at)
        yield head >> 3 & 15, data[at : at + size]
        at += size


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for number in range(8):
        if at >= len(data):
            raise EOFError
        byte = data[at]
        value |= (byte & 127) << 7 * number
        at += 1
        if not byte & 128:
            break
    return value, at


class _Bits:
    """Bit reader over a byte string, most significant bit first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, bits: int) -> int:
        """f(n), an unsigned number of `bits` bits.

        Raises:
            EOFError: the data end early.
        """
        last = self._at + bits
        if last > 8 * len(self._data):
            raise EOFError
        part = int.from_bytes(self._data[self._at // 8 : -(-last // 8)], "big")
        self._at = last
        return part >> -last % 8 & (1 << bits) - 1

    def flag(self) -> bool:
        """f(1)."""
        return bool(self.number(1))

    def below(self, count: int) -> int:
        """ns(n), a number below `count` in a code whose lengths differ by at most one bit."""
        width = count.bit_length()
        short = (1 << width) - count
        value = self.number(width - 1)
        return value if value < short else 2 * value - short + self.number(1)

    def increments(self, least: int, most: int) -> int:
        """A number starting at `least` and incremented by each set bit, up to `most`."""
        value = least
        while value < most and self.flag():
            value += 1
        return value

    def skip_uvlc(self) -> None:
        """uvlc()."""
        zeros = 0
        while not self.flag():
            zeros += 1
        if zeros < 32:
            self.number(zeros)
