"""JPEG, PNG, WebP, TIFF, AVIF and GIF, decoded by libvips."""

from __future__ import annotations

from typing import Any

import numpy as np

from vdsr_app.control import CancelToken
from vdsr_app.core.formats import SourceFormat
from vdsr_app.core.image_io import jpeg_segments, png_chunks, tiff_colours, vips
from vdsr_app.core.image_io.color_profiles import (
    HDR_TRANSFERS,
    can_be_opened,
    profile_for_code,
    profile_for_png,
    profile_space,
)
from vdsr_app.core.image_io.exif import ExifBlock, ExifError
from vdsr_app.core.image_io.heif_items import is_premultiplied, primary_colour_code
from vdsr_app.core.image_io.opened import HDR_NOTE, Header, RawPicture, frames_note, mode_text
from vdsr_app.core.image_io.picture_file import PictureFile
from vdsr_app.core.image_io.samples import scale_depth
from vdsr_app.core.image_io.tiff_colours import Stored
from vdsr_app.core.image_io.tiff_file import TiffInfo, extract_exif, read_info
from vdsr_app.core.image_io.xmp import orientation_of
from vdsr_app.core.picture import Pixels
from vdsr_app.core.scratch import Allocator, in_memory
from vdsr_app.errors import UnreadablePictureError, UnsupportedFormatError

_LOADERS = {
    SourceFormat.JPEG: "jpegload",
    SourceFormat.PNG: "pngload",
    SourceFormat.WEBP: "webpload",
    SourceFormat.TIFF: "tiffload",
    SourceFormat.AVIF: "heifload",
    SourceFormat.GIF: "gifload",
}
"""Loaders are named, never guessed: libvips must not try any other on a file."""
_IN_STRIPS = frozenset({SourceFormat.JPEG, SourceFormat.PNG, SourceFormat.TIFF})
_MAX_BLOCK_BYTES = 128 << 20
"""A TIFF with strips up to this size counts as read in strips; the largest is held in memory beside the rows."""
_UNLIMITED_SINCE = (8, 17)
_GRAY = frozenset({"b-w", "grey16"})
_RGB = frozenset({"srgb", "rgb16", "rgb"})
_LAB = frozenset({"lab", "labs", "labq", "lch"})
_CMYK = "cmyk"
_COLOUR_BANDS = {_CMYK: 4, "gray": 1, "RGB": 3, "Lab": 3}

_CMYK_BY_PROFILE = "CMYK was converted to sRGB by the picture's own profile."
_CMYK_BY_DEFAULT = "CMYK was converted to sRGB by a standard profile, because the picture has none of its own."
_CMYK_BY_DEFAULT_INSTEAD = "CMYK was converted to sRGB by a standard profile, because the picture's own cannot be used."
_LAB_CONVERTED = "Lab colours were converted to sRGB."
_DEPTH_REDUCED = "32-bit samples were reduced to 16 bits."
_EXTRA_DROPPED = "Extra channels, which are not transparency, were left out."


class VipsPicture:
    """A picture read by libvips, opened with the loader of its format."""

    def __init__(self, file: PictureFile, source_format: SourceFormat) -> None:
        self._file = file
        self._format = source_format
        self._tiff = read_info(file.stream) if source_format is SourceFormat.TIFF else TiffInfo()
        if self._tiff.is_camera_raw:
            raise UnsupportedFormatError(
                "This is a camera raw file.", path=file.path, hint="Develop it to TIFF or JPEG first."
            )
        if self._tiff.colours.unreadable:
            raise UnsupportedFormatError(
                f"This TIFF picture has {self._tiff.colours.unreadable}, which cannot be read.",
                path=file.path,
                hint="Save it as ordinary RGB first.",
            )
        self._image, self._kept = _open(file, source_format, self._tiff.colours.rgb_at)
        self._kind = self._kind_of_colour()
        self._exif = self._exif_block()
        self._xmp = self._tiff.xmp or self._blob("xmp-data") or self._raw_profile("xmp")
        if source_format is SourceFormat.PNG and None in (self._exif, self._xmp):
            late_exif, late_xmp = png_chunks.read_late_metadata(file.stream)
            self._exif, self._xmp = self._exif or late_exif, self._xmp or late_xmp
        self.header = self._make_header()
        self._check_plausible()

    def decode(self, token: CancelToken | None, allocate: Allocator) -> RawPicture:
        """See `OpenedPicture.decode`."""
        raw = RawPicture(np.empty(0, np.uint8), self.header.has_alpha, exif=self._exif, xmp=self._xmp)
        raw.icc = self._blob("icc-profile-data")
        plain = self._plain(raw)
        raw.samples = self._at_full_range(vips.to_array(plain, token, allocate if self.header.in_strips else in_memory))
        self._add_missing_metadata(raw)
        raw.notes += frames_note(self._format, self.header.frames)
        return raw

    def _field(self, name: str) -> Any:
        return self._image.get(name) if self._image.get_typeof(name) else None

    def _blob(self, name: str) -> bytes | None:
        value = self._field(name)
        return bytes(value) if value else None

    def _kind_of_colour(self) -> str:
        """One of the keys of `_COLOUR_BANDS`."""
        interpretation, bands = self._image.interpretation, self._image.bands
        if bands >= 3 and (interpretation in _LAB or self._tiff.colours.stored in (Stored.CIE_LAB, Stored.ICC_LAB)):
            return "Lab"
        if self._image.format not in ("uchar", "ushort", "uint"):
            raise UnsupportedFormatError(
                "This picture holds floating-point or signed samples, which cannot be read.",
                path=self._file.path,
                hint="Convert it to 16-bit integers first.",
            )
        if self._tiff.colours.stored in (Stored.GRAY, Stored.WHITE_ZERO):
            return "gray"
        if interpretation == _CMYK and bands >= 4:
            return _CMYK
        if interpretation in _RGB | {"multiband"} and bands >= 3:
            return "RGB"
        if interpretation in _GRAY | {"multiband"}:
            return "gray"
        raise UnsupportedFormatError(
            f"This picture's colour space ({interpretation}) cannot be read.",
            path=self._file.path,
            hint="Convert it to RGB first.",
        )

    def _make_header(self) -> Header:
        image, tiff = self._image, self._tiff
        extra = image.bands - _COLOUR_BANDS[self._kind]
        has_alpha = extra > 0 and (tiff.has_alpha or self._format is not SourceFormat.TIFF)
        deep = image.format in ("ushort", "uint", "float")
        stored = self._field("bits-per-sample") or {"uint": 32}.get(image.format, 16 if deep else 8)
        kind = "CMYK" if self._kind == _CMYK else self._kind
        if self._field("palette") or tiff.is_palette:
            kind = "palette"
        return Header(
            image.width,
            image.height,
            1 if self._kind == "gray" else 3,
            has_alpha,
            16 if deep else 8,
            mode_text(stored, kind, has_alpha=has_alpha),
            self._frames(),
            self._orientation(),
            # A file stored as several passes over the whole picture forces libvips to hold all of it.
            self._format in _IN_STRIPS
            and not self._field("interlaced")
            and not self._field("jpeg-multiscan")
            and tiff.block_bytes <= _MAX_BLOCK_BYTES,
        )

    def _frames(self) -> int:
        if self._format is SourceFormat.PNG:
            return png_chunks.read_info(self._file.stream).frames
        return int(self._field("n-pages") or 1)

    def _orientation(self) -> int:
        """The EXIF orientation still to apply: none for AVIF, which libheif turns upright by its properties, or GIF."""
        if self._format in (SourceFormat.AVIF, SourceFormat.GIF):
            return 1
        if self._format is SourceFormat.TIFF:
            return self._tiff.orientation or 1
        try:
            block = ExifBlock(self._exif) if self._exif is not None else None
            if block is not None and block.has_orientation:
                return block.orientation
        except ExifError:
            pass
        # Like Adobe's programs, fall back on XMP where EXIF says nothing.
        return (orientation_of(self._xmp) if self._xmp is not None else None) or 1

    def _exif_block(self) -> bytes | None:
        if self._format is SourceFormat.TIFF:
            return extract_exif(self._file.stream)
        return self._blob("exif-data") or self._raw_profile("exif")

    def _raw_profile(self, name: str) -> bytes | None:
        """A metadata block that ImageMagick wrote into a PNG's text chunks as hexadecimal digits."""
        for field in self._image.get_fields():
            if field.startswith("png-comment-") and field.endswith(f"-Raw profile type {name}"):
                lines = str(self._image.get(field)).strip().splitlines()
                try:
                    return bytes.fromhex("".join(lines[2:])) or None
                except ValueError:
                    return None
        return None

    def _check_plausible(self) -> None:
        if self._format is not SourceFormat.PNG:
            return
        if png_chunks.read_info(self._file.stream).claims_more_than(self._file.size):
            raise UnreadablePictureError(
                f"The header claims {self.header.width} x {self.header.height} pixels, "
                "but the file is far too short for them.",
                path=self._file.path,
                hint="Get a fresh copy of the file.",
            )

    def _cmyk_as_srgb(self, cmyk: Any, raw: RawPicture) -> Any:
        """Convert CMYK with the picture's own profile, or a standard one if that is unusable; notes which."""
        settings = {"intent": "relative", "black_point_compensation": True, "depth": self.header.bits}
        icc, raw.icc = raw.icc or b"", None
        if profile_space(icc) == "CMYK":
            try:
                if not can_be_opened(icc):  # libvips would silently use a standard one
                    raise vips.load().Error("damaged profile")
                converted = cmyk.icc_transform("srgb", embedded=True, **settings)
            except vips.load().Error:
                raw.notes.append(_CMYK_BY_DEFAULT_INSTEAD)
            else:
                raw.notes.append(_CMYK_BY_PROFILE)
                return converted
        else:
            raw.notes.append(_CMYK_BY_DEFAULT)
        return cmyk.icc_transform("srgb", input_profile="cmyk", **settings)

    def _apart(self) -> tuple[Any, Any]:
        """The colours as libvips knows them, and the other bands, which it would scale from 8 to 16 bits, or None."""
        image, count = self._image, _COLOUR_BANDS[self._kind]
        if image.bands == count:
            return tiff_colours.converted(image, self._tiff.colours), None
        colours = image.extract_band(0, n=count).copy(interpretation=image.interpretation)
        return tiff_colours.converted(colours, self._tiff.colours), image.extract_band(count, n=image.bands - count)

    def _plain(self, raw: RawPicture) -> Any:
        """The image as gray or RGB, with or without alpha, at 8 or 16 bits; notes what was changed."""
        image, deep = self._image, self.header.bits == 16
        colours, others = image, None
        # Lab in floating point, which only libvips writes, is scaled as a whole.
        if self._kind == _CMYK or self._tiff.colours.stored is not None:
            colours, others = self._apart()
        if self._kind == _CMYK:
            colours = self._cmyk_as_srgb(colours, raw)
        elif self._kind == "Lab":
            raw.notes.append(_LAB_CONVERTED)
            colours = colours.colourspace("rgb16" if deep else "srgb")
            raw.icc = None
        image = colours if others is None else colours.bandjoin(others)
        if image.format == "uint":
            raw.notes.append(_DEPTH_REDUCED)
            image = (image >> 16).cast("ushort")
        wanted = self.header.channels + int(self.header.has_alpha)
        if image.bands > wanted:
            if self._format is not SourceFormat.TIFF or self._tiff.extra_channels:
                raw.notes.append(_EXTRA_DROPPED)
            image = image.extract_band(0, n=wanted)
        return image

    def _at_full_range(self, samples: Pixels) -> Pixels:
        """Stretch 10- and 12-bit AVIF to full range: libvips puts it in the upper bits of 16, leaving white too low."""
        stored = self._field("bits-per-sample")
        if self._format is not SourceFormat.AVIF or stored not in range(9, 16):
            return samples
        return scale_depth(samples >> (16 - stored), (1 << stored) - 1, 16)

    def _add_missing_metadata(self, raw: RawPicture) -> None:
        stream, channels = self._file.stream, self.header.channels
        match self._format:
            case SourceFormat.JPEG:
                raw.dpi = jpeg_segments.read_info(stream).dpi
            case SourceFormat.PNG:
                png = png_chunks.read_info(stream)
                raw.dpi = png.dpi
                if raw.icc is None and png.cicp is not None and png.cicp[1] in HDR_TRANSFERS:
                    raw.notes.append(HDR_NOTE.format(HDR_TRANSFERS[png.cicp[1]]))
                raw.icc = raw.icc or profile_for_png(png, channels)
            case SourceFormat.TIFF:
                raw.dpi = self._tiff.dpi
            case SourceFormat.AVIF:
                raw.premultiplied = raw.has_alpha and is_premultiplied(stream)
                code = primary_colour_code(stream)
                if raw.icc is None and code is not None:
                    raw.icc = profile_for_code(code, channels)
                    if code.transfer in HDR_TRANSFERS:
                        raw.notes.append(HDR_NOTE.format(HDR_TRANSFERS[code.transfer]))
            case _:
                pass


def _open(file: PictureFile, source_format: SourceFormat, rgb_at: int | None) -> tuple[Any, Any]:
    """Open an image lazily; the second value returned must outlive every access to its pixels.

    Args:
        file: the picture's content.
        source_format: its format.
        rgb_at: as in `TiffColours`.
    """
    pyvips = vips.load()
    name = _LOADERS[source_format]
    # "error" rejects truncated and inconsistent files but tolerates stray bytes that every viewer tolerates.
    options: dict[str, object] = {"access": "sequential", "fail_on": "error"}
    if source_format is SourceFormat.TIFF and pyvips.at_least_libvips(*_UNLIMITED_SINCE):
        # Otherwise a strip of 50 MiB fails, and many programs write a picture as one strip. libtiff's allocations are
        # bounded by the file length, tiles by libvips, and `TiffInfo.block_bytes` reports strip sizes beforehand.
        options["unlimited"] = True
    if file.data is not None and rgb_at is None:
        return pyvips.Operation.call(f"{name}_buffer", file.data, **options), None
    stream = file.stream

    def on_read(size: int) -> bytes:
        try:
            at = stream.tell()
            part = stream.read(size)
        except (OSError, ValueError):
            return b""
        if rgb_at is None or not at <= rgb_at < at + len(part):
            return part
        return part[: rgb_at - at] + tiff_colours.RGB_BYTE + part[rgb_at - at + 1 :]

    def on_seek(offset: int, whence: int) -> int:
        # Damaged files make libvips seek to impossible offsets; an exception cannot leave a callback.
        try:
            return stream.seek(offset, whence)
        except (OSError, ValueError):
            return -1

    source = pyvips.SourceCustom()
    source.on_read(on_read)
    source.on_seek(on_seek)
    return pyvips.Operation.call(f"{name}_source", source, **options), source
