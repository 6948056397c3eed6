"""Encoding a picture as the bytes of a file, with libvips."""

from __future__ import annotations

from dataclasses import dataclass
from mmap import mmap
from typing import IO, Any

import numpy as np

from vdsr_app.control import CancelToken
from vdsr_app.core.formats import DEEP, WRITABLE_TITLES, is_lossless
from vdsr_app.core.image_io import heif_items, jpeg_segments, png_chunks, tiff_file, vips, webp_chunks
from vdsr_app.core.image_io.carried import CarriedMetadata
from vdsr_app.core.image_io.color_profiles import can_be_opened, in_stated_length, png_accepts, profile_space
from vdsr_app.core.image_io.samples import flatten_on_white, round_to_12_bits, to_8_bits, to_16_bits
from vdsr_app.core.job import FileFormat, SaveOptions
from vdsr_app.core.picture import Picture, Pixels
from vdsr_app.core.scratch import Allocator, in_memory, mapped_file

Encoded = bytes | mmap
"""A whole file, in memory or memory-mapped."""

Pieces = list[bytes | memoryview]
"""Parts of a file, to be written one after the other."""

_GRAY_FORMATS = frozenset({FileFormat.PNG, FileFormat.TIFF, FileFormat.JPEG})
_FULL_CHROMA_QUALITY = 90
"""At this quality and above, JPEG and AVIF keep chroma at full resolution (4:4:4)."""

# The settings below are the knees of the curves of size over time, measured on enlarged photographs of 1 to 16
# megapixels. "Up" suits enlarged pictures: within 5 % of the size of adaptive filtering, in a third of its time.
_PNG = {"compression": 6, "filter": "up"}
_TIFF = {"compression": "deflate", "predictor": "horizontal", "resunit": "inch"}
_WEBP_LOSSY = {"effort": 2}
_WEBP_LOSSLESS = {"lossless": True, "exact": True, "effort": 1}
_AVIF = {"compression": "av1", "effort": 0}

_BIGTIFF_FROM_BYTES = 3 << 30
_MAX_OPTIMISED_PX = 60_000_000
_MILLIMETRES_PER_INCH = 25.4

# The smallest possible EXIF block: it makes libheif create an EXIF item, which `replace_exif` points at the real block.
_PLACEHOLDER_EXIF = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x01\0\0\0\0\0\0\0"


@dataclass(slots=True)
class _Prepared:
    """Samples in a form that the format accepts."""

    pixels: Pixels
    alpha: Pixels | None
    icc: bytes | None
    notes: list[str]


def encode(
    picture: Picture,
    target: FileFormat,
    options: SaveOptions,
    carried: CarriedMetadata,
    token: CancelToken | None,
    allocate: Allocator = in_memory,
    through: IO[bytes] | None = None,
) -> tuple[Pieces, list[str]]:
    """Encode a picture as a file of format `target`.

    Args:
        picture: what to write.
        target: file format.
        options: quality and depth; its format is ignored.
        carried: metadata to embed.
        token: checked while libvips runs, though not within the AVIF encoder.
        allocate: where converted samples go.
        through: an empty file owned by the caller, into which a `STREAMED` format is encoded and from which it is
            mapped; None encodes in memory.

    Returns:
        The file in pieces, and notes on changes that the format required.
    """
    prepared = _prepare(picture, target, options, allocate)
    image = _image(prepared, picture.dpi)
    deep = prepared.pixels.dtype == np.uint16
    with vips.cancelling(image, token):
        match target:
            case FileFormat.PNG:
                data = _saved(image, "pngsave", through, keep="icc", **_PNG)
                return png_chunks.add_chunks(
                    data, dpi=picture.dpi, exif=carried.exif_bytes, xmp=carried.xmp
                ), prepared.notes
            case FileFormat.JPEG:
                data = _encode_jpeg(image, options.quality, through)
                return jpeg_segments.add_segments(
                    data, dpi=picture.dpi, exif=carried.exif_bytes, xmp=carried.xmp
                ), prepared.notes
            case FileFormat.WEBP:
                return _encode_webp(image, options.quality, prepared, carried), prepared.notes
            case FileFormat.TIFF:
                return _encode_tiff(image, prepared, picture, carried, through), prepared.notes
            case FileFormat.AVIF:
                return _encode_avif(image, options.quality, deep, carried), prepared.notes


def _prepare(picture: Picture, target: FileFormat, options: SaveOptions, allocate: Allocator) -> _Prepared:
    """Convert depth, transparency and colour space to what the format can hold."""
    notes: list[str] = []
    pixels, alpha = picture.pixels, picture.alpha
    bits = options.bits or picture.bits
    if bits == 16 and target not in DEEP and target is not FileFormat.AVIF:
        bits = 8
        notes.append(f"{WRITABLE_TITLES[target]} stores 8 bits per sample, so 16 bits were rounded to 8.")
    change = to_16_bits if bits == 16 else to_8_bits
    if picture.bits != bits:
        pixels, alpha = change(pixels, allocate), None if alpha is None else change(alpha, allocate)
    if target is FileFormat.JPEG and alpha is not None:
        if int(alpha.min()) < np.iinfo(alpha.dtype).max:
            pixels = flatten_on_white(pixels, alpha, allocate)
            notes.append("JPEG has no transparency, so the picture was placed on white.")
        alpha = None
    icc = _fitting_profile(picture, notes)
    if icc is not None and target is FileFormat.PNG and not png_accepts(icc):
        icc = None
        notes.append("PNG does not take this colour profile, so it was left out; TIFF does.")
    if pixels.shape[2] == 1 and target not in _GRAY_FORMATS:
        pixels, icc = _gray_to_rgb(pixels, icc, notes)
    if bits == 16 and target is FileFormat.AVIF:
        pixels, alpha = round_to_12_bits(pixels), None if alpha is None else round_to_12_bits(alpha)
        notes.append("AVIF stores at most 12 bits per sample, so 16 bits were rounded to 12.")
    return _Prepared(pixels, alpha, icc, notes)


def _fitting_profile(picture: Picture, notes: list[str]) -> bytes | None:
    if picture.icc is None:
        return None
    if profile_space(picture.icc) == ("GRAY" if picture.is_gray else "RGB"):
        icc = in_stated_length(picture.icc)
        if can_be_opened(icc):
            return icc
        notes.append("The colour profile is damaged and was left out.")
        return None
    notes.append("The colour profile does not fit the pixels and was left out.")
    return None


def _gray_to_rgb(pixels: Pixels, icc: bytes | None, notes: list[str]) -> tuple[Pixels, bytes | None]:
    """Convert gray to RGB for formats without gray; a gray profile does not fit RGB, so it is applied."""
    if icc is None:
        return np.repeat(pixels, 3, axis=2), None
    image = _with_profile(vips.from_array(pixels), icc)
    depth = pixels.dtype.itemsize * 8
    try:
        converted = image.icc_transform("srgb", embedded=True, intent="relative", depth=depth)
    except vips.load().Error:
        notes.append("The profile for gray could not be applied and was left out.")
        return np.repeat(pixels, 3, axis=2), None
    notes.append("The profile for gray was applied, because the format supports RGB only.")
    return vips.to_array(converted, None), None


def _image(prepared: _Prepared, dpi: tuple[float, float] | None) -> Any:
    image = vips.from_array(np.ascontiguousarray(prepared.pixels))
    if prepared.alpha is not None:
        alpha = vips.from_array(np.ascontiguousarray(prepared.alpha[..., None]))
        image = image.bandjoin(alpha).copy(interpretation=image.interpretation)
    if dpi is not None:
        image = image.copy(xres=dpi[0] / _MILLIMETRES_PER_INCH, yres=dpi[1] / _MILLIMETRES_PER_INCH)
    return image if prepared.icc is None else _with_profile(image, prepared.icc)


def _with_profile(image: Any, icc: bytes) -> Any:
    image = image.copy()
    image.set_type(vips.load().GValue.blob_type, "icc-profile-data", icc)
    return image


def _saved(image: Any, name: str, through: IO[bytes] | None, **settings: object) -> Encoded:
    """Encode `image` with the libvips saver `name`."""
    if through is None:
        return bytes(getattr(image, f"{name}_buffer")(**settings))
    with vips.target_on(through) as target:
        getattr(image, f"{name}_target")(target, **settings)
    return mapped_file(through)


def _encode_jpeg(image: Any, quality: int, through: IO[bytes] | None) -> Encoded:
    chroma = "off" if quality >= _FULL_CHROMA_QUALITY else "on"
    # Optimised Huffman tables save a few percent, but all coefficients must be held at once to make them.
    optimised = image.width * image.height <= _MAX_OPTIMISED_PX
    return _saved(image, "jpegsave", through, Q=quality, subsample_mode=chroma, optimize_coding=optimised, keep="icc")


def _encode_webp(image: Any, quality: int, prepared: _Prepared, carried: CarriedMetadata) -> Pieces:
    settings = _WEBP_LOSSLESS if is_lossless(FileFormat.WEBP, quality) else {"Q": quality, **_WEBP_LOSSY}
    return webp_chunks.add_chunks(
        image.webpsave_buffer(keep="icc", **settings),
        width=image.width,
        height=image.height,
        has_alpha=prepared.alpha is not None,
        exif=carried.exif_bytes,
        xmp=carried.xmp,
    )


def _encode_tiff(
    image: Any, prepared: _Prepared, picture: Picture, carried: CarriedMetadata, through: IO[bytes] | None
) -> Pieces:
    sample_bytes = prepared.pixels.nbytes + (0 if prepared.alpha is None else prepared.alpha.nbytes)
    data = _saved(image, "tiffsave", through, keep="icc", bigtiff=sample_bytes > _BIGTIFF_FROM_BYTES, **_TIFF)
    return tiff_file.add_metadata(data, exif=carried.exif, xmp=carried.xmp, has_resolution=picture.dpi is not None)


def _encode_avif(image: Any, quality: int, deep: bool, carried: CarriedMetadata) -> Pieces:
    keep = vips.load().ForeignKeep
    image, kept = image.copy(), keep.ICC
    blob = vips.load().GValue.blob_type
    if carried.xmp is not None:
        image.set_type(blob, "xmp-data", carried.xmp)
        kept |= keep.XMP
    if carried.exif is not None:
        image.set_type(blob, "exif-data", _PLACEHOLDER_EXIF)
        kept |= keep.EXIF
    data = image.heifsave_buffer(
        Q=quality,
        lossless=is_lossless(FileFormat.AVIF, quality),
        bitdepth=12 if deep else 8,
        subsample_mode="off" if quality >= _FULL_CHROMA_QUALITY else "on",
        keep=kept,
        **_AVIF,
    )
    exif = carried.exif_bytes
    return [data] if exif is None else heif_items.replace_exif(data, exif)
