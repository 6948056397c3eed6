"""JPEG XL, decoded by libjxl through imagecodecs; metadata is parsed here, as imagecodecs returns only pixels."""

from __future__ import annotations

import logging
from typing import BinaryIO

import numpy as np

from vdsr_app.control import CancelToken
from vdsr_app.core.image_io.boxes import MAX_BODY_BYTES, boxes
from vdsr_app.core.image_io.color_profiles import HDR_TRANSFERS, profile_for_chromaticities, profile_for_code
from vdsr_app.core.image_io.jxl_header import BLACK, JxlHeader, parse_header
from vdsr_app.core.image_io.opened import HDR_NOTE, LOST_PROFILE_NOTE, Header, RawPicture, kind_of, mode_text
from vdsr_app.core.image_io.picture_file import PictureFile
from vdsr_app.core.image_io.samples import scale_depth, turns_sideways
from vdsr_app.core.scratch import Allocator
from vdsr_app.errors import UnreadablePictureError, UnsupportedFormatError

logger = logging.getLogger(__name__)

_HEADER_BYTES = 4096


class JxlPicture:
    """A JPEG XL file, bare codestream or container; libjxl applies the orientation in its header."""

    def __init__(self, file: PictureFile) -> None:
        self._file = file
        self._stored: JxlHeader = parse_header(_codestream_start(file.stream))
        stored = self._stored
        if stored.is_float or stored.bits > 16 or BLACK in stored.extra_types:
            kind = "floating-point samples" if stored.is_float else "CMYK colours or more than 16 bits per sample"
            raise UnsupportedFormatError(
                f"This JPEG XL picture holds {kind}, which cannot be read.",
                path=file.path,
                hint="Convert it to 16-bit RGB first.",
            )
        channels = 1 if stored.colour.is_gray else 3
        sideways = turns_sideways(stored.orientation)
        self.header = Header(
            stored.height if sideways else stored.width,
            stored.width if sideways else stored.height,
            channels,
            stored.has_alpha,
            16 if stored.bits > 8 else 8,
            mode_text(stored.bits, kind_of(channels), has_alpha=stored.has_alpha),
        )

    def decode(self, token: CancelToken | None, allocate: Allocator) -> RawPicture:
        """See `OpenedPicture.decode`."""
        import imagecodecs

        stored, header = self._stored, self.header
        samples = np.asarray(imagecodecs.jpegxl_decode(self._file.load(token), index=0))
        if samples.ndim == 2:
            samples = samples[..., None]
        wanted = (header.height, header.width, header.channels + int(header.has_alpha))
        if samples.shape != wanted or samples.dtype not in (np.uint8, np.uint16):
            raise UnreadablePictureError("The JPEG XL picture contradicts its own header.", path=self._file.path)
        samples = scale_depth(samples, (1 << stored.bits) - 1, header.bits)
        raw = RawPicture(samples, header.has_alpha, stored.premultiplied)
        self._add_colour(raw)
        if stored.animated:
            raw.notes.append("Only its first frame was read.")
        self._add_metadata(raw)
        return raw

    def _add_colour(self, raw: RawPicture) -> None:
        colour, channels = self._stored.colour, self.header.channels
        if colour.has_icc:
            # XYB pictures are decoded to sRGB, others to their own profile, which is inaccessible here.
            if not self._stored.is_xyb:
                raw.notes.append(LOST_PROFILE_NOTE)
        elif colour.code is not None:
            raw.icc = profile_for_code(colour.code, channels)
            if colour.code.transfer in HDR_TRANSFERS:
                raw.notes.append(HDR_NOTE.format(HDR_TRANSFERS[colour.code.transfer]))
        elif colour.chromaticities is not None:
            raw.icc = profile_for_chromaticities(colour.chromaticities, colour.gamma, channels)

    def _add_metadata(self, raw: RawPicture) -> None:
        for kind, body in _metadata_boxes(self._file.stream):
            if kind == b"Exif" and raw.exif is None:
                start = 4 + int.from_bytes(body[:4], "big")
                raw.exif = body[start:] or None
            elif kind == b"xml " and raw.xmp is None:
                raw.xmp = body or None


def _codestream_start(stream: BinaryIO) -> bytes:
    """The first bytes of the codestream, wherever it is in the container."""
    head = stream.read(_HEADER_BYTES)
    if head.startswith(b"\xff\x0a"):
        return head
    parts = b""
    for box in boxes(stream):
        if box.kind in (b"jxlc", b"jxlp"):
            numbering = 4 if box.kind == b"jxlp" else 0
            stream.seek(box.start + numbering)
            parts += stream.read(min(box.end - box.start - numbering, _HEADER_BYTES))
            if box.kind == b"jxlc" or len(parts) >= _HEADER_BYTES:
                break
    return parts


def _metadata_boxes(stream: BinaryIO) -> list[tuple[bytes, bytes]]:
    """The Exif and XMP boxes, decompressed where necessary."""
    if stream.read(2) == b"\xff\x0a":
        return []
    found = []
    for box in boxes(stream):
        if box.kind in (b"Exif", b"xml "):
            found.append((box.kind, box.body(stream)))
        elif box.kind == b"brob":
            body = box.body(stream)
            if body[:4] in (b"Exif", b"xml "):
                unpacked = _unpack(body[4:])
                if unpacked is not None:
                    found.append((body[:4], unpacked))
    return found


def _unpack(packed: bytes) -> bytes | None:
    import imagecodecs

    try:
        # The limit keeps a few hostile bytes from filling memory.
        return bytes(imagecodecs.brotli_decode(packed, out=MAX_BODY_BYTES))
    except imagecodecs.BrotliError:
        logger.info("A compressed metadata box could not be unpacked.", exc_info=True)
        return None
