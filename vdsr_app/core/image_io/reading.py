"""Reading a picture file, or only its header."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path

from vdsr_app.control import CancelToken
from vdsr_app.core.formats import TITLES, SourceFormat, format_of_suffix
from vdsr_app.core.image_io.color_profiles import profile_space
from vdsr_app.core.image_io.compression import read_compression
from vdsr_app.core.image_io.decode_avif_sequence import AvifSequence, is_sequence
from vdsr_app.core.image_io.decode_bmp import BmpPicture
from vdsr_app.core.image_io.decode_heic import HeicPicture
from vdsr_app.core.image_io.decode_jxl import JxlPicture
from vdsr_app.core.image_io.decode_vips import VipsPicture
from vdsr_app.core.image_io.exif import ExifBlock, ExifError
from vdsr_app.core.image_io.limits import DEFAULT_MAX_PIXELS, MAX_PIXELS_THROUGH_DISK, check_size, out_of_memory
from vdsr_app.core.image_io.opened import Header, OpenedPicture, RawPicture
from vdsr_app.core.image_io.picture_file import PictureBytes, PictureFile
from vdsr_app.core.image_io.samples import turn_upright, turns_sideways, unpremultiply
from vdsr_app.core.image_io.sniff import expect_readable
from vdsr_app.core.image_io.xmp import XmpError, XmpPacket
from vdsr_app.core.picture import Picture, SourceInfo
from vdsr_app.core.scratch import Allocator, in_memory
from vdsr_app.errors import Cancelled, UnreadablePictureError, VdsrError

logger = logging.getLogger(__name__)

_UNREADABLE = "This {} picture is damaged, or of a kind that cannot be read."
_DAMAGED = "This {} picture is damaged or truncated."
_PROFILE_CHANNELS = {"RGB": 3, "GRAY": 1}


@dataclass(frozen=True, slots=True)
class PictureInfo:
    """What the header of a picture file says.

    Attributes:
        format: lower-case name such as "jpeg" or "heic", by content, not by file name.
        width: columns of the upright picture.
        height: rows of the upright picture.
        mode: storage format, for display: "8-bit RGB", "1-bit gray", "8-bit CMYK".
        bits: 8 or 16, as `read` will return the samples.
        has_alpha: there is transparency.
        frames: pictures in the file, of which `read` takes the first.
    """

    format: str
    width: int
    height: int
    mode: str
    bits: int
    has_alpha: bool
    frames: int

    @property
    def megapixels(self) -> float:
        """Millions of pixels."""
        return self.width * self.height / 1e6


def probe(path: str | PathLike[str]) -> PictureInfo:
    """Read the header of a picture file; this is quick whatever the size of the picture.

    Raises:
        UnreadablePictureError: the file is missing, damaged, or not a picture.
        UnsupportedFormatError: its format or kind is not supported.
    """
    with PictureFile(path) as file:
        source_format = expect_readable(file.head, path)
        header = _header(file, source_format)
        width, height = _upright_size(header)
        return PictureInfo(
            source_format.value, width, height, header.mode, header.bits, header.has_alpha, header.frames
        )


def read(
    path: str | PathLike[str],
    *,
    max_pixels: int | None = None,
    token: CancelToken | None = None,
    allocate: Allocator = in_memory,
) -> Picture:
    """Read the first picture of a file: upright, 8 or 16 bits, gray or RGB, with straight alpha.

    The format is identified by content. An alpha channel is kept even if it is fully opaque. The orientation is applied
    and its tags are set to 1. `Picture.source.notes` lists what had to be changed.

    Args:
        path: the file.
        max_pixels: most pixels to accept; None for `DEFAULT_MAX_PIXELS`, or `MAX_PIXELS_THROUGH_DISK` if the picture
            goes to disk. A picture that memory cannot hold is refused as well.
        token: checked while the file is read and decoded, though WebP, AVIF, HEIC and JPEG XL are each decoded in one
            go.
        allocate: where the samples go. If that is not in memory, JPEG, PNG and TIFF are read in strips, unless stored
            in several passes or, for TIFF, in huge strips; all others are decoded in memory first.

    Raises:
        SaveError: `allocate` is on a disk that is full.
        UnreadablePictureError: the file is missing, damaged, or not a picture.
        UnsupportedFormatError: its format or kind is not supported.
        PictureTooLargeError: its header claims more than is accepted; nothing was decoded.
        Cancelled: by the token.
    """
    with PictureFile(path) as file:
        return _read(file, max_pixels, token, allocate)


def read_bytes(content: bytes) -> Picture:
    """Read the first picture from the content of a file, as `read` does; the result has no path.

    Args:
        content: a file in any format that `read` accepts.

    Raises:
        UnreadablePictureError: it is damaged, or not a picture.
        UnsupportedFormatError: its format or kind is not supported.
        PictureTooLargeError: its header claims more than is accepted; nothing was decoded.
    """
    with PictureBytes(content) as file:
        return _read(file, None, None, in_memory)


def _read(file: PictureFile, max_pixels: int | None, token: CancelToken | None, allocate: Allocator) -> Picture:
    path = file.path
    source_format = expect_readable(file.head, path)
    header = _header(file, source_format)
    through_disk = allocate is not in_memory and header.in_strips
    if max_pixels is None:
        max_pixels = MAX_PIXELS_THROUGH_DISK if through_disk else DEFAULT_MAX_PIXELS
    check_size(
        header.width,
        header.height,
        header.bytes_per_pixel,
        path,
        source_format=source_format,
        max_pixels=max_pixels,
        file_bytes=file.size,
        in_strips=header.in_strips,
        through_disk=through_disk,
    )
    if not through_disk:
        file.load(token)
    # TIFF is a broad format: the cause may as well be an unsupported compression.
    failure = _UNREADABLE if source_format is SourceFormat.TIFF else _DAMAGED
    with _decode_boundary(path, failure.format(TITLES[source_format])):
        compression = read_compression(file.stream, source_format)
        opened = _open(file, source_format)
        if opened.header != header:
            raise UnreadablePictureError("The file was changed while it was read.", path=path, hint="Try again.")
        raw = opened.decode(token, allocate)
        place = None if path is None else Path(fspath(path))
        source = SourceInfo(place, source_format.value, header.mode, header.frames, compression)
        return _assemble(raw, header, source, token, allocate)


def _header(file: PictureFile, source_format: SourceFormat) -> Header:
    with _decode_boundary(file.path, _UNREADABLE.format(TITLES[source_format])):
        return _open(file, source_format).header


def _open(file: PictureFile, source_format: SourceFormat) -> OpenedPicture:
    match source_format:
        case SourceFormat.BMP:
            return BmpPicture(file)
        case SourceFormat.HEIC:
            return HeicPicture(file)
        case SourceFormat.JXL:
            return JxlPicture(file)
        case SourceFormat.AVIF if is_sequence(file.head):
            return AvifSequence(file)
        case _:
            return VipsPicture(file, source_format)


@contextmanager
def _decode_boundary(path: str | PathLike[str] | None, failure: str) -> Iterator[None]:
    """Turn whatever a decoder raises into one clear error."""
    try:
        yield
    except (VdsrError, Cancelled):
        raise
    except MemoryError as exc:
        raise out_of_memory(path) from exc
    except Exception as exc:
        # Decoders raise a dozen types of exception for damaged files, and a new release may add another.
        logger.info("Decoding %s failed", path, exc_info=True)
        raise UnreadablePictureError(
            failure, path=path, hint="Get a fresh copy, or save it again with another program."
        ) from exc


def _upright_size(header: Header) -> tuple[int, int]:
    return (header.height, header.width) if turns_sideways(header.orientation) else (header.width, header.height)


def _assemble(
    raw: RawPicture, header: Header, source: SourceInfo, token: CancelToken | None, allocate: Allocator
) -> Picture:
    """Apply orientation, unpremultiply and correct the metadata; notes on what was changed are added to `source`."""
    colours = raw.samples[..., : header.channels]
    alpha = raw.samples[..., header.channels] if raw.has_alpha else None
    if raw.premultiplied and alpha is not None:
        colours = unpremultiply(colours, alpha, allocate)
    if token is not None:
        token.raise_if_cancelled()
    pixels = turn_upright(colours, header.orientation, allocate)
    alpha = None if alpha is None else turn_upright(alpha, header.orientation, allocate)
    turned = turns_sideways(header.orientation)
    exif, dpi = _upright_exif(raw, turned=turned)
    xmp = _upright_xmp(raw, turned=turned)
    icc = _fitting_profile(raw, header.channels)
    if source.path is not None and format_of_suffix(source.path) != source.format:
        raw.notes.append(f"The file is actually {TITLES[SourceFormat(source.format)]}, whatever its name says.")
    if raw.dpi is not None:
        dpi = raw.dpi[::-1] if turned else raw.dpi
    return Picture(pixels, alpha, icc, exif, xmp, dpi, replace(source, notes=tuple(raw.notes)))


def _upright_exif(raw: RawPicture, *, turned: bool) -> tuple[bytes | None, tuple[float, float] | None]:
    if not raw.exif:
        return None, None
    try:
        block = ExifBlock(raw.exif)
        block.set_upright()
        if turned:
            block.turn_resolution()
        return block.to_bytes(), block.dpi
    except ExifError:
        raw.notes.append("Its EXIF data is damaged and was left out.")
        return None, None


def _upright_xmp(raw: RawPicture, *, turned: bool) -> bytes | None:
    if not raw.xmp:
        return None
    try:
        packet = XmpPacket(raw.xmp)
        packet.set_upright()
        if turned:
            packet.turn_resolution()
        return packet.to_bytes()
    except XmpError as error:
        raw.notes.append(f"Its XMP data is {error} and was left out.")
        return None


def _fitting_profile(raw: RawPicture, channels: int) -> bytes | None:
    if not raw.icc:
        return None
    space = profile_space(raw.icc)
    if space is not None and _PROFILE_CHANNELS.get(space) == channels:
        return raw.icc
    kind = "damaged" if space is None else f"a profile for {space.title() if space == 'GRAY' else space}"
    raw.notes.append(f"Its colour profile is {kind} and does not fit the pixels; it was left out.")
    return None
