"""Reading pictures: depths, colour types and orientations, and one clear error for what cannot be read."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pillow_heif
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from vdsr_app.control import CancelToken
from vdsr_app.core import image_io, scratch
from vdsr_app.core.compression import Compression
from vdsr_app.core.formats import SourceFormat
from vdsr_app.core.image_io import vips
from vdsr_app.core.image_io.exif import ExifBlock
from vdsr_app.core.image_io.heif_items import replace_exif
from vdsr_app.core.image_io.samples import scale_depth, to_8_bits, turn_upright, unpremultiply
from vdsr_app.core.image_io.tiff_file import read_info
from vdsr_app.errors import (
    Cancelled,
    PictureError,
    PictureTooLargeError,
    UnreadablePictureError,
    UnsupportedFormatError,
)

Samples = npt.NDArray[Any]

posix_only = pytest.mark.skipif(os.name == "nt", reason="POSIX files")

RNG = np.random.default_rng(5)
RGB8 = RNG.integers(0, 256, (11, 17, 3), dtype=np.uint8)
RGBA8 = RNG.integers(0, 256, (11, 17, 4), dtype=np.uint8)
GRAY8 = RNG.integers(0, 256, (11, 17, 1), dtype=np.uint8)
RGB16 = RNG.integers(0, 65536, (11, 17, 3), dtype=np.uint16)


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(width: int, height: int, bits: int, colour: int, rows: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG with the given unfiltered rows, and with extra chunks before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    stride = len(rows) // height
    filtered = b"".join(b"\0" + rows[at : at + stride] for at in range(0, len(rows), stride))
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(filtered)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(kind, body) for kind, body in chunks)


def _vips(samples: Samples) -> Any:
    return vips.from_array(np.ascontiguousarray(samples)).copy_memory()


def _written(path: Path, data: bytes | bytearray) -> Path:
    path.write_bytes(data)
    return path


def _pillow(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


# Samples


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_gray_of_up_to_8_bits_is_scaled_to_8_bits(tmp_path: Path, bits: int) -> None:
    rows = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)))
    levels = 1 << bits
    file = _written(tmp_path / "g.png", _png(8 * 256 // bits // 16, 16, bits, 0, rows.tobytes()))
    picture = image_io.read(file)
    assert picture.pixels.dtype == np.uint8
    assert picture.is_gray
    assert sorted(np.unique(picture.pixels)) == [round(255 * k / (levels - 1)) for k in range(levels)]
    assert picture.source.mode == f"{bits}-bit gray"


def test_palette_with_transparency_is_expanded(tmp_path: Path) -> None:
    palette, alpha = bytes([255, 0, 0, 0, 255, 0, 0, 0, 255]), bytes([255, 128])
    file = _written(tmp_path / "p.png", _png(3, 1, 8, 3, bytes([0, 1, 2]), (b"PLTE", palette), (b"tRNS", alpha)))
    picture = image_io.read(file)
    assert picture.pixels.tolist() == [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[255, 128, 255]]
    assert picture.source.mode == "8-bit palette with transparency"


def test_transparent_colour_of_png_becomes_alpha(tmp_path: Path) -> None:
    file = _written(tmp_path / "t.png", _png(2, 1, 8, 2, bytes([1, 2, 3, 4, 5, 6]), (b"tRNS", b"\0\4\0\5\0\6")))
    picture = image_io.read(file)
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[255, 0]]


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (4, 2), (2, 3), (6, 4)])
def test_png_of_16_bits_is_read_exactly(tmp_path: Path, colour: int, channels: int) -> None:
    samples = RNG.integers(0, 65536, (5, 6, channels), dtype=np.uint16)
    file = _written(tmp_path / "d.png", _png(6, 5, 16, colour, samples.astype(">u2").tobytes()))
    picture = image_io.read(file)
    assert picture.bits == 16
    colours = channels - (channels + 1) % 2
    np.testing.assert_array_equal(picture.pixels, samples[..., :colours])
    if picture.alpha is not None:
        np.testing.assert_array_equal(picture.alpha, samples[..., -1])
    assert (picture.alpha is None) == (channels in (1, 3))


def _lossless_files(folder: Path) -> dict[str, tuple[Path, Samples]]:
    gray, rgb, rgba = GRAY8, RGB8, RGBA8
    jxl = imagecodecs.jpegxl_encode
    heic = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(rgb)).save(heic, quality=-1, chroma=444, matrix_coefficients=0)
    files: dict[str, tuple[bytes | bytearray, Samples]] = {
        "rgb.webp": (_vips(rgb).webpsave_buffer(lossless=True), rgb),
        "rgba.webp": (_vips(rgba).webpsave_buffer(lossless=True, exact=True), rgba),
        "rgb.avif": (_vips(rgb).heifsave_buffer(compression="av1", lossless=True), rgb),
        "rgba.avif": (_vips(rgba).heifsave_buffer(compression="av1", lossless=True), rgba),
        "gray.jxl": (jxl(gray[..., 0], lossless=True), gray),
        "rgb.jxl": (jxl(rgb, lossless=True), rgb),
        "rgba.jxl": (jxl(rgba, lossless=True, usecontainer=True), rgba),
        "rgb16.jxl": (jxl(RGB16, lossless=True), RGB16),
        "rgb.heic": (heic.getvalue(), rgb),
        "rgb16.tif": (_vips(RGB16).tiffsave_buffer(compression="lzw"), RGB16),
        "rgba.tif": (_vips(rgba).tiffsave_buffer(), rgba),
        "gray.tif": (_vips(gray).tiffsave_buffer(tile=True), gray),
        "big.tif": (_vips(rgb).tiffsave_buffer(bigtiff=True), rgb),
    }
    for name, image in (("rgb.bmp", Image.fromarray(rgb)), ("gray.bmp", Image.fromarray(gray[..., 0]))):
        buffer = io.BytesIO()
        image.save(buffer, "BMP")
        files[name] = (buffer.getvalue(), np.asarray(image).reshape(11, 17, -1))
    return {name: (_written(folder / name, data), samples) for name, (data, samples) in files.items()}


def test_lossless_files_of_every_format_are_read_exactly(tmp_path: Path) -> None:
    for name, (file, samples) in _lossless_files(tmp_path).items():
        picture = image_io.read(file)
        colours = 3 if samples.shape[2] >= 3 else 1
        np.testing.assert_array_equal(picture.pixels, samples[..., :colours], err_msg=name)
        assert picture.pixels.flags.c_contiguous, name
        if samples.shape[2] in (2, 4):
            assert picture.alpha is not None, name
            np.testing.assert_array_equal(picture.alpha, samples[..., -1], err_msg=name)
        else:
            assert picture.alpha is None, name
        info = image_io.probe(file)
        assert (info.width, info.height, info.bits, info.mode, info.has_alpha, info.frames) == (
            picture.width,
            picture.height,
            picture.bits,
            picture.source.mode,
            picture.alpha is not None,
            1,
        ), name
        assert info.format == picture.source.format, name
        assert picture.source.notes == (), name


@pytest.mark.parametrize("bits", [10, 12])
def test_avif_of_10_and_12_bits_reaches_full_white(tmp_path: Path, bits: int) -> None:
    steps = np.linspace(0, (1 << bits) - 1, 40).astype(np.uint16)
    stored = np.repeat(np.tile(steps, (8, 1))[..., None], 3, axis=2) << (16 - bits)
    data = _vips(stored).heifsave_buffer(compression="av1", lossless=True, bitdepth=bits)
    picture = image_io.read(_written(tmp_path / "d.avif", data))
    expected = (steps.astype(np.int64) * 65535 + ((1 << bits) - 1) // 2) // ((1 << bits) - 1)
    np.testing.assert_array_equal(picture.pixels[0, :, 0], expected)
    assert picture.pixels.max() == 65535
    assert picture.source.mode == f"{bits}-bit RGB"


def test_heic_of_10_bits_reaches_full_white(tmp_path: Path) -> None:
    ramp = np.repeat(np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (48, 1))[..., None], 3, axis=2)
    heic = io.BytesIO()
    pillow_heif.from_bytes("RGB;16", (64, 48), ramp.tobytes()).save(heic, quality=-1, chroma=444, matrix_coefficients=0)
    picture = image_io.read(_written(tmp_path / "d.heic", heic.getvalue()))
    assert picture.source.mode == "10-bit RGB"
    assert picture.bits == 16
    assert picture.pixels.max() == 65535
    assert np.abs(picture.pixels.astype(int) - ramp).max() <= 64


def test_gray_heic_of_10_bits_keeps_its_profile(tmp_path: Path) -> None:
    profile = bytes(imagecodecs.cms_profile("gray", gamma=1.8))
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (48, 1))
    heic = io.BytesIO()
    pillow_heif.from_bytes("L;16", (64, 48), ramp.tobytes()).save(heic, quality=-1, icc_profile=profile)
    file = _written(tmp_path / "g.heic", heic.getvalue())
    picture = image_io.read(file)
    assert picture.is_gray
    assert np.abs(picture.pixels[..., 0].astype(int) - ramp).max() <= 64
    assert picture.icc == profile
    assert picture.source.mode == image_io.probe(file).mode == "10-bit gray"


@pytest.mark.parametrize("bits", [10, 12])
def test_jxl_of_10_and_12_bits_reaches_full_white(tmp_path: Path, bits: int) -> None:
    steps = np.linspace(0, (1 << bits) - 1, 48).astype(np.uint16)
    stored = np.repeat(np.tile(steps, (16, 1))[..., None], 3, axis=2)
    data = imagecodecs.jpegxl_encode(stored, lossless=True, bitspersample=bits)
    picture = image_io.read(_written(tmp_path / "d.jxl", data))
    assert picture.pixels.max() == 65535
    np.testing.assert_array_equal(picture.pixels[0, :, 0], scale_depth(steps, (1 << bits) - 1, 16))


def test_premultiplied_tiff_is_converted_to_straight_alpha(tmp_path: Path) -> None:
    samples = np.full((4, 4, 4), [200, 100, 50, 128], np.uint8)
    data = _vips(samples).tiffsave_buffer(premultiply=True)
    picture = image_io.read(_written(tmp_path / "a.tif", data))
    assert np.abs(picture.pixels.astype(int) - [200, 100, 50]).max() <= 2
    assert picture.alpha is not None
    assert (picture.alpha == 128).all()


def test_premultiplied_avif_is_converted_to_straight_alpha(tmp_path: Path) -> None:
    image = Image.new("RGBA", (16, 16), (200, 100, 50, 128))
    for premultiplied in (True, False):
        file = _pillow(tmp_path / "a.avif", image, quality=100, subsampling="4:4:4", alpha_premultiplied=premultiplied)
        picture = image_io.read(file)
        assert np.abs(picture.pixels.astype(int) - [200, 100, 50]).max() <= 2
        assert picture.alpha is not None
        assert (picture.alpha == 128).all()


def _tiff(
    samples: Samples,
    photometric: int,
    *extra: tuple[int, int, int, bytes],
    deflated: bool = False,
    in_planes: bool = False,
) -> bytes:
    """A little-endian TIFF of one strip, or one for each channel; `extra` are (tag, type, count, value)."""
    height, width, bands = samples.shape
    parts = [samples[..., band].tobytes() for band in range(bands)] if in_planes else [samples.tobytes()]
    strips = [zlib.compress(part, 0) if deflated else part for part in parts]
    offsets = [8 + sum(map(len, strips[:number])) for number in range(len(strips))]
    fields = [
        (256, 3, 1, struct.pack("<H", width)),
        (257, 3, 1, struct.pack("<H", height)),
        (258, 3, bands, struct.pack(f"<{bands}H", *[8 * samples.itemsize] * bands)),
        (259, 3, 1, b"\10\0" if deflated else b"\1\0"),
        (262, 3, 1, struct.pack("<H", photometric)),
        (273, 4, len(strips), struct.pack(f"<{len(strips)}I", *offsets)),
        (277, 3, 1, struct.pack("<H", bands)),
        (278, 3, 1, struct.pack("<H", height)),
        (279, 4, len(strips), struct.pack(f"<{len(strips)}I", *map(len, strips))),
        (284, 3, 1, b"\2\0" if in_planes else b"\1\0"),
        *extra,
    ]
    data = b"".join(strips)
    directory = struct.pack("<H", len(fields))
    for tag, kind, count, value in sorted(fields):
        stored = value.ljust(4, b"\0")
        if len(value) > 4:
            stored, data = struct.pack("<I", 8 + len(data)), data + value
        directory += struct.pack("<HHI", tag, kind, count) + stored
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + bytes(4)


def test_tiff_with_unspecified_extra_channel_has_no_transparency(tmp_path: Path) -> None:
    file = _written(tmp_path / "x.tif", _tiff(RGBA8, 2, (338, 3, 1, b"\0\0")))
    picture = image_io.read(file)
    assert picture.alpha is None
    np.testing.assert_array_equal(picture.pixels, RGBA8[..., :3])
    assert any("Extra channels" in note for note in picture.source.notes)
    assert not image_io.probe(file).has_alpha


def test_undeclared_extra_channel_of_tiff_is_read_as_alpha(tmp_path: Path) -> None:
    picture = image_io.read(_written(tmp_path / "x.tif", _tiff(RGBA8, 2)))
    np.testing.assert_array_equal(picture.alpha, RGBA8[..., 3])


def test_uncompressed_ycbcr_tiff_is_converted_to_rgb(tmp_path: Path) -> None:
    ycbcr = np.asarray(Image.fromarray(RGB8).convert("YCbCr"))
    picture = image_io.read(_written(tmp_path / "y.tif", _tiff(ycbcr, 6, (530, 3, 2, b"\1\0\1\0"))))
    assert np.abs(picture.pixels.astype(int) - RGB8).max() <= 3


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_uncompressed_ycbcr_tiff_is_converted_at_every_depth_and_beside_alpha(tmp_path: Path, dtype: type) -> None:
    ycbcr = np.dstack([np.asarray(Image.fromarray(RGB8).convert("YCbCr")), GRAY8]).astype(dtype)
    ycbcr *= np.iinfo(dtype).max // 255
    picture = image_io.read(_written(tmp_path / "y.tif", _tiff(ycbcr, 6, (530, 3, 2, b"\1\0\1\0"))))
    assert np.abs(to_8_bits(picture.pixels).astype(int) - RGB8).max() <= 3
    np.testing.assert_array_equal(picture.alpha, ycbcr[..., 3])


_ALPHA = (338, 3, 1, b"\2\0")


@pytest.mark.parametrize("through_disk", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("photometric", [0, 1, 2, 8])
def test_separate_planes_of_tiff_equal_interleaved_channels(
    tmp_path: Path, photometric: int, dtype: type, through_disk: bool
) -> None:
    samples = np.random.default_rng(6).integers(0, 128, (20, 30, 2 if photometric < 2 else 4)).astype(dtype)
    allocate = scratch.on_disk(tmp_path) if through_disk else scratch.in_memory
    interleaved = image_io.read(_written(tmp_path / "i.tif", _tiff(samples, photometric, _ALPHA)), allocate=allocate)
    planes = _written(tmp_path / "p.tif", _tiff(samples, photometric, _ALPHA, in_planes=True))
    picture = image_io.read(planes, allocate=allocate)
    np.testing.assert_array_equal(picture.pixels, interleaved.pixels)
    np.testing.assert_array_equal(picture.alpha, samples[..., -1])
    if photometric == 1:
        np.testing.assert_array_equal(picture.pixels, samples[..., :1])


@pytest.mark.parametrize(
    ("photometric", "lab"),
    [
        (8, np.array([136, 80, 67], np.uint8)),
        (8, np.array([34_890, 20_500, 17_210], np.uint16)),
        (9, np.array([136, 80 + 128, 67 + 128], np.uint8)),
        (9, np.array([34_755, 20_500 + 32_768, 17_210 + 32_768], np.uint16)),
    ],
)
def test_lab_tiff_is_converted_to_srgb_with_a_note(tmp_path: Path, photometric: int, lab: Samples) -> None:
    """The red of sRGB is Lab 53.24, 80.09, 67.20 under D65, where white, black and gray have no a* and b*."""
    neutral = np.zeros(3, lab.dtype) if photometric == 8 else np.array([0, *[1 << 8 * lab.itemsize - 1] * 2], lab.dtype)
    samples = np.stack([lab, neutral])[None]
    file = _written(tmp_path / "l.tif", _tiff(samples, photometric))
    picture = image_io.read(file)
    assert picture.source.mode == image_io.probe(file).mode == f"{8 * lab.itemsize}-bit Lab"
    assert picture.bits == 8 * lab.itemsize
    assert np.abs(to_8_bits(picture.pixels)[0].astype(int) - [[255, 0, 0], [0, 0, 0]]).max() <= 3
    assert "Lab colours were converted to sRGB." in picture.source.notes


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (_tiff(RGB8, 10), "fax"),
        (_tiff(np.zeros((4, 4, 5), np.uint16), 5, (338, 3, 1, b"\1\0")), "multiplied"),
        (_tiff(np.zeros((4, 4, 2), np.uint8), 3, _ALPHA, (320, 3, 768, bytes(1536)), in_planes=True), "after the"),
    ],
)
def test_tiff_whose_colours_would_come_out_wrong_is_rejected(tmp_path: Path, data: bytes, what: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=what):
        image_io.read(_written(tmp_path / "u.tif", data))


@pytest.mark.parametrize("through_disk", [False, True])
def test_tiff_in_one_large_strip_is_read(tmp_path: Path, through_disk: bool) -> None:
    """The strip exceeds the 50 MiB that libvips allows libtiff by default."""
    samples = np.random.default_rng(3).integers(0, 256, (3520, 5000, 3), np.uint8)
    file = _written(tmp_path / "a.tif", _tiff(samples, 2, deflated=True))
    picture = image_io.read(file, allocate=scratch.on_disk(tmp_path) if through_disk else scratch.in_memory)
    assert np.array_equal(picture.pixels, samples)


def test_compressed_tiff_with_too_large_strip_counts_as_held_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = _written(tmp_path / "a.tif", _tiff(RGB8, 2, deflated=True))
    allocate = scratch.on_disk(tmp_path)
    monkeypatch.setattr("vdsr_app.core.image_io.limits.available_memory_bytes", lambda: 100)
    assert image_io.read(file, allocate=allocate).pixels.shape == RGB8.shape
    monkeypatch.setattr("vdsr_app.core.image_io.decode_vips._MAX_BLOCK_BYTES", RGB8.nbytes - 1)
    with pytest.raises(PictureTooLargeError, match="memory"):
        image_io.read(file, allocate=allocate)
    # Uncompressed samples need not be held in memory, whatever the size of the strips.
    assert image_io.read(_written(tmp_path / "b.tif", _tiff(RGB8, 2)), allocate=allocate).pixels.shape == RGB8.shape


def test_claimed_strip_size_of_tiff_is_limited_to_the_file_length(tmp_path: Path) -> None:
    data = bytearray(_tiff(RGB8, 2, deflated=True))
    at = data.index(struct.pack("<HHI", 279, 4, 1)) + 8
    struct.pack_into("<I", data, at, 0xFFFFFFF0)
    assert read_info(io.BytesIO(data)).block_bytes == len(data)
    webp = _vips(np.zeros((600, 400, 3), np.uint8)).tiffsave_buffer(compression="webp", tile=False, lossless=True)
    assert read_info(io.BytesIO(webp)).block_bytes > len(webp)


def test_tiff_with_white_as_zero_is_inverted(tmp_path: Path) -> None:
    picture = image_io.read(_written(tmp_path / "w.tif", _tiff(255 - GRAY8, 0)))
    np.testing.assert_array_equal(picture.pixels, GRAY8)


def test_floating_point_tiff_is_rejected(tmp_path: Path) -> None:
    image = _vips(RGB8).cast("float")
    file = _written(tmp_path / "f.tif", image.tiffsave_buffer())
    with pytest.raises(UnsupportedFormatError, match="floating-point"):
        image_io.read(file)


def test_camera_raw_in_a_tiff_container_is_rejected(tmp_path: Path) -> None:
    file = _written(tmp_path / "r.tif", _tiff(RGB8, 2, (0xC612, 1, 4, b"\1\4\0\0")))
    with pytest.raises(UnsupportedFormatError, match="camera raw"):
        image_io.read(file)


def test_cmyk_is_converted_to_srgb_with_a_note(tmp_path: Path) -> None:
    white = Image.new("CMYK", (8, 8), (0, 0, 0, 0))
    black = Image.new("CMYK", (8, 8), (255, 255, 255, 255))
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    means = []
    for number, image in enumerate((white, black, red)):
        picture = image_io.read(_pillow(tmp_path / f"{number}.jpg", image, quality=95))
        assert any("CMYK was converted to sRGB" in note for note in picture.source.notes)
        assert picture.source.mode == "8-bit CMYK"
        assert picture.icc is None
        means.append(picture.pixels.reshape(-1, 3).mean(axis=0))
    assert means[0].min() > 250
    assert means[1].max() < 40
    assert means[2][0] > 180
    assert means[2][1:].max() < 80


@pytest.mark.parametrize("through_disk", [False, True])
@pytest.mark.parametrize(("photometric", "bands"), [(5, 4), (8, 3)])
def test_alpha_of_16_bit_cmyk_and_lab_is_read_exactly(
    tmp_path: Path, photometric: int, bands: int, through_disk: bool
) -> None:
    samples = np.full((16, 16, bands + 1), 9000, np.uint16)
    samples[..., bands] = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    file = _written(tmp_path / "x.tif", _tiff(samples, photometric, (338, 3, 1, b"\2\0")))
    picture = image_io.read(file, allocate=scratch.on_disk(tmp_path) if through_disk else scratch.in_memory)
    np.testing.assert_array_equal(picture.alpha, samples[..., bands])
    opaque = image_io.read(_written(tmp_path / "o.tif", _tiff(samples[..., :bands], photometric)))
    np.testing.assert_array_equal(picture.pixels, opaque.pixels)


def test_first_frame_of_animations_is_read_with_a_note(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (9, 7), colour) for colour in ("#ff0000", "#00ff00", "#0000ff")]
    for name in ("a.gif", "a.webp", "a.png", "a.tif", "a.avif"):
        options = {"lossless": True} if name.endswith("webp") else {}
        file = _pillow(tmp_path / name, frames[0], save_all=True, append_images=frames[1:], **options)
        picture = image_io.read(file)
        assert np.abs(picture.pixels.astype(int) - [255, 0, 0]).max() <= 3, name
        assert (picture.width, picture.height) == (9, 7), name
        assert picture.source.frames == image_io.probe(file).frames == 3, name
        kind = "pages" if name == "a.tif" else "frames"
        assert f"Only the first of its 3 {kind} was read." in picture.source.notes, name


# Orientation

_QUADRANTS = np.zeros((16, 40, 3), np.uint8)
_QUADRANTS[:8, :20], _QUADRANTS[:8, 20:] = (255, 0, 0), (0, 255, 0)
_QUADRANTS[8:, :20], _QUADRANTS[8:, 20:] = (0, 0, 255), (255, 255, 255)

# Expected results, written independently of the code: EXIF 3.0, "0th row, 0th column" of each value.
_UPRIGHT: dict[int, Callable[[Samples], Samples]] = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: np.swapaxes(stored, 0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(np.swapaxes(stored, 0, 1), 2),
    8: lambda stored: np.rot90(stored, 1),
}


def _exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def _oriented_files(folder: Path, orientation: int) -> list[Path]:
    image, exif = Image.fromarray(_QUADRANTS), _exif(orientation)
    heic = folder / "o.heic"
    container = pillow_heif.from_pillow(image)
    container[0].info["exif"] = exif  # from here it also becomes a property of the container
    container.save(heic, quality=-1)
    return [
        _pillow(folder / "o.jpg", image, exif=exif, quality=95, subsampling=0),
        _pillow(folder / "o.png", image, exif=exif),
        _pillow(folder / "o.webp", image, exif=exif, lossless=True),
        _pillow(folder / "o.tif", image, tiffinfo={0x0112: orientation}),
        _pillow(folder / "o-lzw.tif", image, tiffinfo={0x0112: orientation}, compression="tiff_lzw"),
        _pillow(folder / "o.avif", image, exif=exif, quality=95),
        heic,
    ]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_exactly_once(tmp_path: Path, orientation: int) -> None:
    expected = _UPRIGHT[orientation](_QUADRANTS)
    for file in _oriented_files(tmp_path, orientation):
        picture = image_io.read(file)
        assert picture.pixels.shape == expected.shape, file.name
        assert np.abs(picture.pixels.astype(int) - expected).mean() < 8, file.name
        info = image_io.probe(file)
        assert (info.width, info.height) == (picture.width, picture.height), file.name
        if picture.exif is not None:
            exif = Image.Exif()
            exif.load(picture.exif)
            assert exif.get(0x0112, 1) == 1, file.name


def test_exif_orientation_of_avif_is_ignored(tmp_path: Path) -> None:
    """In HEIF the container's own properties determine how a picture is turned; browsers use them alone."""
    image = _vips(_QUADRANTS).copy()
    image.set_type(vips.load().GValue.blob_type, "exif-data", _exif(1))
    data = image.heifsave_buffer(compression="av1", lossless=True, keep="exif")
    turned = b"".join(replace_exif(bytes(data), _exif(6).removeprefix(b"Exif\0\0")))
    picture = image_io.read(_written(tmp_path / "o.avif", turned))
    np.testing.assert_array_equal(picture.pixels, _QUADRANTS)
    assert picture.exif is not None
    assert ExifBlock(picture.exif).orientation == 1


def _jxl_with_orientation(orientation: int) -> bytes:
    """A lossless codestream whose header is rewritten to carry an orientation, which the encoder cannot set.

    For 8-bit sRGB without alpha the header is: size, 0 (not all default), 0 (no extra fields), depth 0 00, buffers 1,
    extra channels 00, own colour space 0, colour…; then zeros up to the next byte.
    """
    data = bytes(imagecodecs.jpegxl_encode(_QUADRANTS, lossless=True))
    bits = "".join(f"{byte:08b}"[::-1] for byte in data[2:40])
    size_bits = 14  # 1 small, 5 height, 3 aspect 0, 5 width: the sides are multiples of 8
    assert bits[0] == "1"
    assert bits[6:9] == "000"
    fields = bits[size_bits:]
    assert fields[:2] == "00"
    start = 2 + 3 + 1 + 2 + 1  # all default, extra fields, depth, buffers, extra channels, colour space
    assert fields[start] == "1", "the colour is not the default one"
    end = start + 1 + 2 + 1  # colour, extensions 00, default transform 1
    assert fields[start + 1 : end] == "001"
    rest_at = 2 + -(-(size_bits + end) // 8)
    turned = f"{orientation - 1:03b}"[::-1]
    # Extra fields: orientation, no other size, no preview, no animation; then, last, default tone mapping.
    header = bits[:size_bits] + "0" + "1" + turned + "000" + fields[2 : start + 1] + "1" + fields[start + 1 : end]
    header += "0" * (-len(header) % 8)
    packed = bytes(int(header[at : at + 8][::-1], 2) for at in range(0, len(header), 8))
    return data[:2] + packed + data[rest_at:]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_jxl_is_applied_exactly_once(tmp_path: Path, orientation: int) -> None:
    file = _written(tmp_path / "o.jxl", _jxl_with_orientation(orientation))
    picture = image_io.read(file)
    np.testing.assert_array_equal(picture.pixels, _UPRIGHT[orientation](_QUADRANTS))
    info = image_io.probe(file)
    assert (info.width, info.height) == (picture.width, picture.height)


def _xmp(orientation: int) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
        f'tiff:Orientation="{orientation}"/></rdf:RDF></x:xmpmeta>'
    ).encode()


def test_xmp_orientation_is_used_when_exif_has_none(tmp_path: Path) -> None:
    image = Image.fromarray(_QUADRANTS)
    picture = image_io.read(_pillow(tmp_path / "x.webp", image, xmp=_xmp(6), lossless=True))
    np.testing.assert_array_equal(picture.pixels, _UPRIGHT[6](_QUADRANTS))
    assert picture.xmp is not None
    assert b'Orientation="1"' in picture.xmp


def test_exif_orientation_takes_precedence_over_xmp(tmp_path: Path) -> None:
    image = Image.fromarray(_QUADRANTS)
    picture = image_io.read(_pillow(tmp_path / "x.webp", image, xmp=_xmp(6), exif=_exif(3), lossless=True))
    np.testing.assert_array_equal(picture.pixels, _UPRIGHT[3](_QUADRANTS))
    assert picture.xmp is not None
    assert b'Orientation="1"' in picture.xmp


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("through_disk", [False, True])
def test_metadata_after_the_pixels_of_a_png_is_read(tmp_path: Path, through_disk: bool, packed: bool) -> None:
    data = _pillow(tmp_path / "p.png", Image.fromarray(_QUADRANTS)).read_bytes()
    packet = _xmp(3)
    text = b"XML:com.adobe.xmp\0" + (b"\1\0\0\0" + zlib.compress(packet) if packed else b"\0\0\0\0" + packet)
    late = _png_chunk(b"eXIf", _exif(6)) + _png_chunk(b"iTXt", b"Comment\0\0\0\0\0eXIf") + _png_chunk(b"iTXt", text)
    file = _written(tmp_path / "p.png", data[:-12] + late + data[-12:])
    assert image_io.probe(file).width == 16
    picture = image_io.read(file, allocate=scratch.on_disk(tmp_path) if through_disk else scratch.in_memory)
    np.testing.assert_array_equal(picture.pixels, _UPRIGHT[6](_QUADRANTS))
    assert picture.exif is not None
    assert ExifBlock(picture.exif).orientation == 1
    assert picture.xmp is not None
    assert b'Orientation="1"' in picture.xmp


def test_metadata_before_the_pixels_of_a_png_takes_precedence(tmp_path: Path) -> None:
    data = _pillow(tmp_path / "p.png", Image.fromarray(_QUADRANTS), exif=_exif(3)).read_bytes()
    file = _written(tmp_path / "p.png", data[:-12] + _png_chunk(b"eXIf", _exif(6)) + data[-12:])
    np.testing.assert_array_equal(image_io.read(file).pixels, _UPRIGHT[3](_QUADRANTS))


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_invalid_orientation_is_ignored(tmp_path: Path, value: int) -> None:
    picture = image_io.read(_pillow(tmp_path / "o.png", Image.fromarray(_QUADRANTS), exif=_exif(value)))
    np.testing.assert_array_equal(picture.pixels, _QUADRANTS)


# Colour, resolution, quality


def _srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_profile_is_kept_only_when_it_fits(tmp_path: Path) -> None:
    profile = _srgb_profile()
    kept = image_io.read(_pillow(tmp_path / "c.png", Image.fromarray(RGB8), icc_profile=profile))
    assert kept.icc == profile
    dropped = image_io.read(_pillow(tmp_path / "g.jpg", Image.fromarray(GRAY8[..., 0]), icc_profile=profile))
    assert dropped.icc is None
    assert any("does not fit" in note for note in dropped.source.notes)


def test_gray_profile_of_a_gray_picture_is_kept(tmp_path: Path) -> None:
    profile = bytes(imagecodecs.cms_profile("gray", gamma=2.2))
    picture = image_io.read(_pillow(tmp_path / "g.png", Image.fromarray(GRAY8[..., 0]), icc_profile=profile))
    assert picture.icc == profile


def test_gamma_of_png_becomes_a_profile(tmp_path: Path) -> None:
    plain = _png(17, 11, 8, 2, RGB8.tobytes(), (b"gAMA", struct.pack(">I", 45455)))
    assert image_io.read(_written(tmp_path / "s.png", plain)).icc is None
    linear = _png(17, 11, 8, 2, RGB8.tobytes(), (b"gAMA", struct.pack(">I", 100_000)))
    picture = image_io.read(_written(tmp_path / "l.png", linear))
    assert picture.icc is not None
    # Middle gray in linear light is far brighter in sRGB: 188 by IEC 61966-2-1.
    gray = Image.new("RGB", (1, 1), (128, 128, 128))
    shown = ImageCms.profileToProfile(
        gray, ImageCms.ImageCmsProfile(io.BytesIO(picture.icc)), ImageCms.createProfile("sRGB")
    )
    assert shown is not None
    assert shown.getpixel((0, 0)) == pytest.approx((188, 188, 188), abs=2)


def test_colour_codes_of_png_become_a_profile(tmp_path: Path) -> None:
    display_p3 = _png(17, 11, 8, 2, RGB8.tobytes(), (b"cICP", bytes([12, 13, 0, 1])))
    picture = image_io.read(_written(tmp_path / "p.png", display_p3))
    assert picture.icc is not None
    red = Image.new("RGB", (1, 1), (234, 51, 35))  # sRGB red, in Display P3
    shown = ImageCms.profileToProfile(
        red, ImageCms.ImageCmsProfile(io.BytesIO(picture.icc)), ImageCms.createProfile("sRGB")
    )
    assert shown is not None
    assert shown.getpixel((0, 0)) == pytest.approx((255, 0, 0), abs=4)


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_png_is_read_with_a_note(tmp_path: Path, transfer: int, name: str) -> None:
    data = _png(17, 11, 8, 2, RGB8.tobytes(), (b"cICP", bytes([9, transfer, 0, 1])))
    picture = image_io.read(_written(tmp_path / "h.png", data))
    np.testing.assert_array_equal(picture.pixels, RGB8)
    assert any(f"HDR picture ({name})" in note for note in picture.source.notes)


@pytest.mark.parametrize("name", ["r.png", "r.jpg", "r.tif", "r.bmp"])
def test_resolution_is_read_and_none_when_absent(tmp_path: Path, name: str) -> None:
    image = Image.fromarray(RGB8)
    assert image_io.read(_pillow(tmp_path / name, image, dpi=(300, 150))).dpi == pytest.approx((300, 150), abs=0.01)
    if not name.endswith("bmp"):  # Pillow always writes one there
        assert image_io.read(_pillow(tmp_path / name, image)).dpi is None


@pytest.mark.parametrize(("orientation", "expected"), [(1, (204, 98)), (3, (204, 98)), (6, (98, 204)), (8, (98, 204))])
def test_resolution_turns_with_the_picture(tmp_path: Path, orientation: int, expected: tuple[float, float]) -> None:
    file = _pillow(tmp_path / "fax.jpg", Image.fromarray(RGB8), dpi=(204, 98), exif=_exif(orientation))
    assert image_io.read(file).dpi == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("name", ["fax.jpg", "fax.png", "fax.webp"])
@pytest.mark.parametrize(("orientation", "expected"), [(3, (204, 98)), (5, (98, 204)), (6, (98, 204))])
def test_resolution_in_exif_and_xmp_turns_with_the_picture(
    tmp_path: Path, name: str, orientation: int, expected: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x011A], exif[0x011B], exif[0x0128] = orientation, 204.0, 98.0, 2
    stated = b'xmlns:t="http://ns.adobe.com/tiff/1.0/" t:XResolution="204/1" t:YResolution="98/1"'
    xmp = _xmp(orientation).replace(b'rdf:about=""', b'rdf:about="" ' + stated)
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp.decode())
    file = _pillow(tmp_path / name, Image.fromarray(RGB8), exif=exif.tobytes(), xmp=xmp, pnginfo=text)
    picture = image_io.read(file)
    assert picture.dpi == expected
    assert picture.exif is not None
    assert ExifBlock(picture.exif).dpi == expected
    assert picture.xmp is not None
    assert b'XResolution="%d/1"' % expected[0] in picture.xmp
    assert b'YResolution="%d/1"' % expected[1] in picture.xmp


@pytest.mark.parametrize("quality", [1, 10, 35, 50, 75, 83, 92, 95, 98])
def test_quality_of_jpeg_is_recognised(tmp_path: Path, quality: int) -> None:
    file = _pillow(tmp_path / "q.jpg", Image.fromarray(RGB8), quality=quality)
    assert image_io.read(file).source.compression == Compression(SourceFormat.JPEG, quality)


def test_compression_of_png_is_none(tmp_path: Path) -> None:
    assert image_io.read(_pillow(tmp_path / "q.png", Image.fromarray(RGB8))).source.compression is None


# Files, names, limits


@posix_only
@pytest.mark.parametrize(
    "name",
    [
        "brackets[page=3,access=random].png",
        "\N{GRINNING FACE} \N{ARABIC LETTER ALEF}.png",
        "line\nbreak.png",
        "n" * 251 + ".png",
        os.fsdecode(b"caf\xe9.png"),
        "<b>bold<i>.png",
        "%s%n.png",
    ],
)
def test_special_characters_in_file_names_are_taken_literally(tmp_path: Path, name: str) -> None:
    _pillow(tmp_path / "plain.png", Image.fromarray(RGB8)).rename(tmp_path / name)
    np.testing.assert_array_equal(image_io.read(tmp_path / name).pixels, RGB8)
    assert image_io.probe(str(tmp_path / name)).width == 17


def test_wrong_suffix_is_tolerated_with_a_note(tmp_path: Path) -> None:
    file = _pillow(tmp_path / "a.png", Image.fromarray(RGB8)).rename(tmp_path / "a.jpg")
    picture = image_io.read(file)
    assert picture.source.format == "png"
    assert any("is actually PNG" in note for note in picture.source.notes)


def test_read_bytes_matches_read_and_raises_without_a_path(tmp_path: Path) -> None:
    file = _pillow(tmp_path / "a.png", Image.fromarray(RGB8), dpi=(300, 300))
    picture, same = image_io.read(file), image_io.read_bytes(file.read_bytes())
    np.testing.assert_array_equal(same.pixels, RGB8)
    assert (same.dpi, same.source) == (picture.dpi, replace(picture.source, path=None))
    for content in (b"", b"no picture", file.read_bytes()[:-30]):
        with pytest.raises(UnreadablePictureError) as caught:
            image_io.read_bytes(content)
        assert caught.value.path is None


@pytest.mark.parametrize(
    ("name", "data", "error", "words"),
    [
        ("e.png", b"", UnreadablePictureError, "empty"),
        ("h.jpg", b"<!DOCTYPE html><html></html>", UnsupportedFormatError, r'ends in ".jpg", but .* web page'),
        ("s.png", b'<svg xmlns="http://www.w3.org/2000/svg"/>', UnsupportedFormatError, "SVG"),
        ("s.svg", b'<?xml version="1.0"?><svg/>', UnsupportedFormatError, "an SVG drawing"),
        ("p.png", b"%!PS-Adobe-3.0 EPSF-3.0\n", UnsupportedFormatError, "EPS"),
        ("p.pdf", b"%PDF-1.7\n", UnsupportedFormatError, "a PDF document"),
        ("v.heic", b"\0\0\0\x18ftypisom\0\0\0\0isommp42", UnsupportedFormatError, "a video"),
        ("v.mp4", b"\0\0\0\x18ftypisom\0\0\0\0isommp42", UnsupportedFormatError, "a video"),
        ("z.png", b"PK\x03\x04" + bytes(60), UnsupportedFormatError, "ZIP"),
        ("t.png", b"just some words, no picture", UnsupportedFormatError, "a text file"),
        ("o.png", bytes(500), UnreadablePictureError, "no PNG picture"),
        ("o.bin", bytes(500), UnreadablePictureError, "not a picture"),
        ("t.tga", bytes(2) + b"\2" + bytes(40), UnsupportedFormatError, "TGA"),
        ("q.qoi", b"qoif" + bytes(40), UnsupportedFormatError, "QOI"),
        ("c.cr2", b"II*\0\x10\0\0\0CR\2\0" + bytes(40), UnsupportedFormatError, "camera raw"),
        ("l.png", b"version https://git-lfs.github.com/spec/v1\n", UnsupportedFormatError, "Git LFS"),
    ],
)
def test_error_names_the_kind_of_a_file_that_is_no_picture(
    tmp_path: Path, name: str, data: bytes, error: type[PictureError], words: str
) -> None:
    file = _written(tmp_path / name, data)
    for function in (image_io.read, image_io.probe):
        with pytest.raises(error, match=words) as caught:
            function(file)
        assert caught.value.path == str(file)


def test_reading_eps_starts_no_other_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        pytest.fail("a child process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(os, "system", refuse)
    with pytest.raises(UnsupportedFormatError):
        image_io.read(_written(tmp_path / "p.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"))


@posix_only
def test_folders_pipes_devices_and_invalid_paths_are_rejected(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "circle.png").symlink_to(tmp_path / "circle.png")
    for path, words in (
        (tmp_path, "a folder"),
        (tmp_path / "pipe.png", "a pipe"),
        (Path("/dev/zero"), "device"),
        (tmp_path / "circle.png", "circle"),
        (tmp_path / "none.png", "no such file"),
        (tmp_path / "x" / "none.png", "no such file"),
        (tmp_path / ("n" * 300), "too long"),
        (Path("a\0b.png"), "file name"),
    ):
        for function in (image_io.read, image_io.probe):
            with pytest.raises(UnreadablePictureError, match=words):
                function(path)


def test_truncated_files_are_rejected(tmp_path: Path) -> None:
    noise = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    heic = tmp_path / "a.heic"
    pillow_heif.from_pillow(image).save(heic, quality=80)
    files = [_pillow(tmp_path / f"a.{ending}", image) for ending in ("jpg", "png", "webp", "tif", "avif", "bmp", "gif")]
    files += [heic, _written(tmp_path / "a.jxl", imagecodecs.jpegxl_encode(noise))]
    for file in files:
        whole = file.read_bytes()
        image_io.read(file)
        for length in (1, 12, 40, len(whole) // 2, len(whole) * 9 // 10):
            file.write_bytes(whole[:length])
            with pytest.raises(PictureError) as caught:
                image_io.read(file)
            assert caught.value.path == str(file), (file.name, length)
        file.write_bytes(whole)


def test_damaged_files_raise_only_picture_error(tmp_path: Path) -> None:
    image = Image.fromarray(RNG.integers(0, 256, (24, 24, 3), dtype=np.uint8))
    rng = np.random.default_rng(11)
    for ending in ("jpg", "png", "webp", "tif", "avif", "bmp", "gif"):
        file = _pillow(tmp_path / f"a.{ending}", image)
        whole = file.read_bytes()
        for _ in range(30):
            damaged = bytearray(whole)
            for _ in range(rng.integers(1, 8)):
                damaged[rng.integers(0, min(len(whole), 300))] = rng.integers(0, 256)
            file.write_bytes(damaged)
            for function in (image_io.read, image_io.probe):
                with contextlib.suppress(PictureError):
                    function(file)


def test_decoders_write_nothing_to_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = _pillow(tmp_path / "a.tif", Image.fromarray(RGB8))
    damaged = bytearray(file.read_bytes())
    damaged[-40:-8] = bytes(range(32))
    file.write_bytes(damaged)
    with contextlib.suppress(PictureError):
        image_io.read(file)
    for name in ("b.png", "b.jpg", "b.avif", "b.gif"):
        file = _pillow(tmp_path / name, Image.fromarray(RGB8))
        file.write_bytes(file.read_bytes()[:-30])
        with pytest.raises(PictureError):
            image_io.read(file)
    assert capfd.readouterr() == ("", "")


def test_libvips_does_not_log_through_python() -> None:
    """Its Python handler could start a garbage collection within libvips' own logging, which ends the process."""
    assert vips.load()._log_handler_id is None


def _claiming(path: Path, width: int, height: int, pixels_bytes: int) -> Path:
    """A PNG of one bit per pixel that claims a size, with `pixels_bytes` bytes in place of its pixels."""
    header = _png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return _written(path, b"\x89PNG\r\n\x1a\n" + header + _png_chunk(b"IDAT", bytes(pixels_bytes)))


@pytest.mark.parametrize(("width", "height"), [(2**31 - 1, 1), (30_000, 20_000), (65_536, 65_536)])
def test_header_that_claims_too_many_pixels_is_rejected(tmp_path: Path, width: int, height: int) -> None:
    with pytest.raises(PictureError) as caught:
        image_io.read(_claiming(tmp_path / "l.png", width, height, 600_000))
    if width < 1 << 30:  # beyond that libpng itself considers the header damaged
        assert isinstance(caught.value, PictureTooLargeError)
        assert f"{width} x {height}" in str(caught.value)
        assert "250 megapixels" in str(caught.value)
        assert caught.value.hint
        assert caught.value.through_disk == (width == 30_000)  # up to a thousand megapixels can go through the disk


@pytest.mark.parametrize("size", [(30_000, 20_000), (65_536, 65_536)])
def test_false_header_is_reported_as_false_and_not_as_a_large_picture(tmp_path: Path, size: tuple[int, int]) -> None:
    file = _claiming(tmp_path / "l.png", *size, 99)
    for look in (image_io.probe, image_io.read):
        with pytest.raises(UnreadablePictureError, match=r"claims .* the file is far too short"):
            look(file)


def test_header_that_claims_more_than_the_file_holds_is_rejected(tmp_path: Path) -> None:
    data = _png(12_000, 1, 8, 2, bytes(36_000))
    lying = data[:16] + struct.pack(">II", 12_000, 12_000) + data[24:29]
    lying += struct.pack(">I", zlib.crc32(lying[12:29])) + data[33:]
    with pytest.raises(UnreadablePictureError, match="too short"):
        image_io.read(_written(tmp_path / "l.png", lying))


def test_max_pixels_sets_the_limit(tmp_path: Path) -> None:
    file = _pillow(tmp_path / "a.png", Image.fromarray(RGB8))
    image_io.read(file, max_pixels=17 * 11)
    with pytest.raises(PictureTooLargeError, match="17 x 11"):
        image_io.read(file, max_pixels=17 * 11 - 1)


def test_png_too_large_for_memory_is_rejected_with_through_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = _pillow(tmp_path / "a.png", Image.fromarray(np.zeros((1000, 1000, 3), np.uint8)))
    monkeypatch.setattr("vdsr_app.core.image_io.limits.available_memory_bytes", lambda: 5_000_000)
    with pytest.raises(PictureTooLargeError, match=r"1000 x 1000 .* memory") as refused:
        image_io.read(file)
    assert refused.value.through_disk


def test_webp_too_large_for_memory_is_rejected_without_through_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = _pillow(tmp_path / "a.webp", Image.fromarray(np.zeros((1000, 1000, 3), np.uint8)))
    monkeypatch.setattr("vdsr_app.core.image_io.limits.available_memory_bytes", lambda: 5_000_000)
    with pytest.raises(PictureTooLargeError) as refused:
        image_io.read(file)
    assert not refused.value.through_disk


def test_read_raises_cancelled(tmp_path: Path) -> None:
    file = _pillow(tmp_path / "a.png", Image.fromarray(RGB8))
    token = CancelToken()
    image_io.read(file, token=token)
    token.cancel()
    with pytest.raises(Cancelled):
        image_io.read(file, token=token)


class _CancelledWhenAsked(CancelToken):
    """Is cancelled when it is first queried from within the work, and counts the queries."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    @property
    def cancelled(self) -> bool:
        self.asked += 1
        self.cancel()
        return super().cancelled


@pytest.mark.parametrize("ending", ["png", "jpg", "tif"])
def test_cancel_during_decoding_stops_the_decoder(tmp_path: Path, ending: str) -> None:
    noise = RNG.integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
    # libvips reports progress by the clock, and none for what is decoded within some milliseconds. Hence LZW.
    options = {"compression": "tiff_lzw"} if ending == "tif" else {}
    file = _pillow(tmp_path / f"a.{ending}", Image.fromarray(noise), **options)
    token = _CancelledWhenAsked()
    with pytest.raises(Cancelled):
        image_io.read(file, token=token)
    assert 1 <= token.asked < 20  # an undisturbed run queries it about two hundred times


def test_importing_loads_no_decoder() -> None:
    code = (
        "import sys, vdsr_app.core.image_io\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(loaded & {'PIL', 'pyvips', 'pillow_heif', 'imagecodecs', 'torch'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Arithmetic


def test_16_to_8_bits_rounds_to_nearest() -> None:
    every = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(to_8_bits(every), np.rint(every / 257).astype(np.uint8))


def test_unpremultiply_divides_by_alpha_and_clips() -> None:
    colours = np.array([[[64], [0], [255], [9]]], np.uint8)
    alpha = np.array([[128, 0, 255, 3]], np.uint8)
    assert unpremultiply(colours, alpha)[0, :, 0].tolist() == [128, 0, 255, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turn_upright_applies_every_orientation(orientation: int) -> None:
    np.testing.assert_array_equal(turn_upright(RGB16, orientation), _UPRIGHT[orientation](RGB16))
    np.testing.assert_array_equal(turn_upright(GRAY8[..., 0], orientation), _UPRIGHT[orientation](GRAY8[..., 0]))


@pytest.mark.parametrize("what", ["a damaged table", "a table of another kind"])
def test_cmyk_with_unusable_profile_is_converted_by_a_standard_one(tmp_path: Path, what: str) -> None:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[16:20] = b"CMYK"
    if what == "a damaged table":
        profile[128:132] = b"\xff" * 4
    else:
        profile = profile.replace(b"wtpt", b"A2B1")
    picture = Image.new("CMYK", (8, 8), (10, 200, 30, 40))
    picture.save(tmp_path / "plain.jpg")
    picture.save(tmp_path / "damaged.jpg", icc_profile=bytes(profile))
    plain, damaged = image_io.read(tmp_path / "plain.jpg"), image_io.read(tmp_path / "damaged.jpg")
    assert np.array_equal(damaged.pixels, plain.pixels)
    assert damaged.source.notes == (
        "CMYK was converted to sRGB by a standard profile, because the picture's own cannot be used.",
    )
