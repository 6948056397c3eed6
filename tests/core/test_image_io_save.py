"""Saving: round trips, reports of what a format cannot store, and files that are written whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import stat
import struct
import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from vdsr_app.control import CancelToken
from vdsr_app.core import image_io
from vdsr_app.core.compression import Compression
from vdsr_app.core.formats import SourceFormat
from vdsr_app.core.image_io import saving
from vdsr_app.core.image_io.samples import flatten_on_white, round_to_12_bits
from vdsr_app.core.job import FileFormat, Metadata, SaveOptions
from vdsr_app.core.picture import Picture, Pixels
from vdsr_app.errors import Cancelled, SaveError

RNG = np.random.default_rng(3)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GRAY_PROFILE = bytes(imagecodecs.cms_profile("gray", gamma=1.0))

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
    b' xmlns:exif="http://ns.adobe.com/exif/1.0/"'
    b' xmlns:xmp="http://ns.adobe.com/xap/1.0/" tiff:Orientation="1"'
    b' xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/" drone-dji:GpsLatitude="48.1370"'
    b' exif:PixelXDimension="17" exif:PixelYDimension="11" exif:GPSLatitude="48,8N"'
    b' xmp:Rating="5"/></rdf:RDF></x:xmpmeta>'
)

every_format = pytest.mark.parametrize("target", list(FileFormat))
posix_only = pytest.mark.skipif(os.name == "nt", reason="POSIX files")


def _noise(channels: int, bits: int = 8) -> Pixels:
    return RNG.integers(0, 1 << bits, (11, 17, channels), dtype=np.uint16 if bits == 16 else np.uint8)


def _alpha(bits: int = 8) -> Pixels:
    return _noise(1, bits)[..., 0]


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    exif[0x0112] = 1
    exif[0x013B] = "Jane Doe"
    exif.get_ifd(0x8769).update(
        {0xA002: 17, 0xA003: 11, 0xA431: "BODY-4711", 0x927C: b"MAKER NOTE 4711", 0x9003: "2024"}
    )
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 14.0)})
    return exif.tobytes().removeprefix(b"Exif\0\0")


def _exif_with_thumbnail() -> bytes:
    """The same block plus a second directory, which holds only a thumbnail and is at the end as cameras write it."""
    block = bytearray(_exif())
    order = "<" if block[:2] == b"II" else ">"
    first = struct.unpack_from(f"{order}I", block, 4)[0]
    fields = struct.unpack_from(f"{order}H", block, first)[0]
    struct.pack_into(f"{order}I", block, first + 2 + 12 * fields, len(block))
    jpeg_at = len(block) + 2 + 2 * 12 + 4
    block += struct.pack(f"{order}H", 2)
    block += struct.pack(f"{order}HHII", 0x0201, 4, 1, jpeg_at) + struct.pack(f"{order}HHII", 0x0202, 4, 1, 18)
    return bytes(block) + bytes(4) + b"a stale thumbnail."


def _pillow_exif(file: Path) -> Image.Exif:
    with Image.open(file) as image:
        exif = image.getexif()
        exif.get_ifd(0x8769), exif.get_ifd(0x8825)
    return exif


def _save(picture: Picture, folder: Path, target: FileFormat, **options: object) -> tuple[Picture, saving.SaveReport]:
    file = folder / f"out.{target.value}"
    report = image_io.save(picture, file, SaveOptions(target, **options))  # type: ignore[arg-type]
    assert report.size_bytes == file.stat().st_size
    assert report.path == file
    assert report.format is target
    return image_io.read(file), report


# Pixels


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("with_alpha", [False, True])
@pytest.mark.parametrize("target", [FileFormat.PNG, FileFormat.TIFF])
def test_png_and_tiff_keep_every_sample(
    tmp_path: Path, bits: int, channels: int, with_alpha: bool, target: FileFormat
) -> None:
    picture = Picture(_noise(channels, bits), _alpha(bits) if with_alpha else None)
    back, report = _save(picture, tmp_path, target)
    np.testing.assert_array_equal(back.pixels, picture.pixels)
    assert back.pixels.dtype == picture.pixels.dtype
    if picture.alpha is None:
        assert back.alpha is None
    else:
        np.testing.assert_array_equal(back.alpha, picture.alpha)
    assert report.notes == ()
    assert back.source.notes == ()


@pytest.mark.parametrize("target", [FileFormat.WEBP, FileFormat.AVIF])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_quality_100_is_lossless(tmp_path: Path, target: FileFormat, channels: int, with_alpha: bool) -> None:
    picture = Picture(_noise(channels), _alpha() if with_alpha else None)
    back, report = _save(picture, tmp_path, target, quality=100)
    np.testing.assert_array_equal(back.pixels, np.broadcast_to(picture.pixels, back.pixels.shape))
    if picture.alpha is not None:
        np.testing.assert_array_equal(back.alpha, picture.alpha)
    assert report.notes == ()


def test_avif_keeps_12_of_16_bits(tmp_path: Path) -> None:
    picture = Picture(_noise(3, 16), _alpha(16))
    back, report = _save(picture, tmp_path, FileFormat.AVIF, quality=100)
    assert back.bits == 16
    assert back.source.mode == "12-bit RGB with transparency"
    # Nearest of 4096 levels: at most half a step away.
    assert np.abs(back.pixels.astype(int) - picture.pixels).max() <= 9
    assert any("rounded to 12" in note for note in report.notes)


@pytest.mark.parametrize("target", [FileFormat.JPEG, FileFormat.WEBP])
def test_jpeg_and_webp_round_16_bits_to_8(tmp_path: Path, target: FileFormat) -> None:
    picture = Picture(np.full((8, 8, 3), 128 * 257 - 129, np.uint16))  # just below the middle between 127 and 128
    back, report = _save(picture, tmp_path, target, quality=100, bits=16)
    assert (back.pixels == 127).all()
    assert any("rounded to 8" in note for note in report.notes)


@pytest.mark.parametrize("target", [FileFormat.PNG, FileFormat.TIFF])
def test_png_and_tiff_are_written_with_requested_bit_depth(tmp_path: Path, target: FileFormat) -> None:
    deep, _ = _save(Picture(_noise(3)), tmp_path, target, bits=16)
    assert deep.bits == 16
    flat, report = _save(deep, tmp_path, target, bits=8)
    assert flat.bits == 8
    np.testing.assert_array_equal(flat.pixels.astype(int) * 257, deep.pixels)
    assert report.notes == ()


def test_jpeg_flattens_transparency_on_white(tmp_path: Path) -> None:
    red = np.full((16, 16, 3), (255, 0, 0), np.uint8)
    clear = np.zeros((16, 16), np.uint8)
    back, report = _save(Picture(red, clear), tmp_path, FileFormat.JPEG)
    assert back.pixels.min() >= 253
    assert any("placed on white" in note for note in report.notes)
    opaque, report = _save(Picture(red, clear + 255), tmp_path, FileFormat.JPEG)
    assert np.abs(opaque.pixels.astype(int) - red).max() <= 3
    assert report.notes == ()


@pytest.mark.parametrize("bits", [8, 16])
def test_flatten_on_white_is_exact(bits: int) -> None:
    full = (1 << bits) - 1
    pixels, alpha = _noise(3, bits), _alpha(bits)
    pixels[0, 0], alpha[0, 0] = full, full
    pixels[0, 1], alpha[0, 1] = 0, 0
    share = alpha[..., None].astype(np.float64) / full
    expected = pixels * share + full * (1 - share)
    assert np.abs(flatten_on_white(pixels, alpha) - expected).max() <= 0.5 + 1e-6


def test_round_to_12_bits_rounds_to_nearest() -> None:
    every = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(round_to_12_bits(every[None])[0] >> 4, np.rint(every / 65535 * 4095))


def _file_bytes(picture: Picture, folder: Path, target: FileFormat, quality: int) -> bytes:
    _save(picture, folder, target, quality=quality)
    return (folder / f"out.{target.value}").read_bytes()


@pytest.mark.parametrize("target", [FileFormat.JPEG, FileFormat.WEBP, FileFormat.AVIF])
def test_file_size_grows_with_quality(tmp_path: Path, target: FileFormat) -> None:
    smooth = np.add.outer(np.arange(96) * 2.0, np.arange(96))[..., None] % 256 + RNG.normal(0, 6, (96, 96, 3))
    picture = Picture(smooth.clip(0, 255).astype(np.uint8))
    sizes = [len(_file_bytes(picture, tmp_path, target, quality)) for quality in (20, 60, 95)]
    assert sizes == sorted(sizes)
    assert sizes[2] > 1.5 * sizes[0]


@pytest.mark.parametrize("quality", [1, 40, 75, 92, 100])
def test_jpeg_is_written_at_requested_quality(tmp_path: Path, quality: int) -> None:
    back, _ = _save(Picture(_noise(3)), tmp_path, FileFormat.JPEG, quality=quality)
    assert back.source.compression == Compression(SourceFormat.JPEG, quality)


@pytest.mark.parametrize(("quality", "sampling"), [(92, (1, 1)), (90, (1, 1)), (89, (2, 2))])
def test_jpeg_subsamples_colour_only_below_quality_90(tmp_path: Path, quality: int, sampling: tuple[int, int]) -> None:
    _save(Picture(_noise(3)), tmp_path, FileFormat.JPEG, quality=quality)
    with Image.open(tmp_path / "out.jpeg") as image:
        assert image.layer[0][1:3] == sampling  # type: ignore[attr-defined]


# Profile, resolution, metadata


@every_format
def test_profile_and_resolution_round_trip(tmp_path: Path, target: FileFormat) -> None:
    picture = Picture(_noise(3), icc=SRGB, exif=_exif(), dpi=(300.0, 300.0))
    for metadata in Metadata:
        back, _ = _save(picture, tmp_path, target, metadata=metadata)
        assert back.icc == SRGB
        assert back.dpi == (300.0, 300.0)


@pytest.mark.parametrize("target", [FileFormat.WEBP, FileFormat.AVIF])
@pytest.mark.parametrize("metadata", list(Metadata))
def test_resolution_round_trips_when_exif_is_missing_or_lacks_it(
    tmp_path: Path, target: FileFormat, metadata: Metadata
) -> None:
    for exif in (None, b"damaged", _exif(), _exif_with_thumbnail()):
        picture = Picture(_noise(3), exif=exif, dpi=(300.0, 118.11))
        assert _save(picture, tmp_path, target, metadata=metadata)[0].dpi == (300.0, 118.11)
        found = _pillow_exif(tmp_path / f"out.{target.value}")
        assert (found[0x011A], found[0x011B], found[0x0128]) == (300.0, pytest.approx(118.11), 2)
        kept = metadata is not Metadata.NONE and exif not in (None, b"damaged")
        assert found.get(0x010F) == ("Camera" if kept else None)


@pytest.mark.parametrize("target", [FileFormat.WEBP, FileFormat.AVIF])
def test_resolution_stated_in_exif_is_kept(tmp_path: Path, target: FileFormat) -> None:
    source = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x011A], exif[0x011B], exif[0x0128] = 240.0, 240.0, 2
    Image.fromarray(_noise(3)).save(source, exif=exif)
    assert _save(image_io.read(source), tmp_path, target)[0].dpi == (240.0, 240.0)


@pytest.mark.parametrize("target", [FileFormat.WEBP, FileFormat.AVIF])
@pytest.mark.parametrize("metadata", list(Metadata))
def test_exif_resolution_is_updated_to_that_of_the_picture(
    tmp_path: Path, target: FileFormat, metadata: Metadata
) -> None:
    source = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x011A], exif[0x011B], exif[0x0128] = 72.0, 72.0, 2
    Image.fromarray(_noise(3)).save(source, exif=exif, dpi=(300, 300))
    picture = image_io.read(source)
    assert picture.dpi == (300.0, 300.0)
    assert _save(picture, tmp_path, target, metadata=metadata)[0].dpi == (300.0, 300.0)


@every_format
def test_missing_resolution_stays_missing(tmp_path: Path, target: FileFormat) -> None:
    back, _ = _save(Picture(_noise(3), exif=_exif(), xmp=XMP), tmp_path, target)
    assert back.dpi is None


@every_format
def test_metadata_is_kept_with_updated_dimensions(tmp_path: Path, target: FileFormat) -> None:
    enlarged = Picture(np.repeat(np.repeat(_noise(3), 2, 0), 2, 1), exif=_exif(), xmp=XMP)
    back, report = _save(enlarged, tmp_path, target)
    assert report.notes == ()
    found = _pillow_exif(tmp_path / f"out.{target.value}")
    assert (found[0x010F], found[0x013B], found.get(0x0112, 1)) == ("Camera", "Jane Doe", 1)
    exif, gps = found.get_ifd(0x8769), found.get_ifd(0x8825)
    assert (exif[0xA002], exif[0xA003], exif[0xA431], exif[0x927C]) == (34, 22, "BODY-4711", b"MAKER NOTE 4711")
    assert gps[2] == (48.0, 8.0, 14.0)
    assert back.exif is not None
    assert back.xmp is not None
    for words in (b'PixelXDimension="34"', b'PixelYDimension="22"', b'Rating="5"', b"GPSLatitude"):
        assert words in back.xmp


@pytest.mark.parametrize("quality", [80, 100])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_webp_header_declares_alpha_and_metadata(tmp_path: Path, quality: int, with_alpha: bool) -> None:
    picture = Picture(_noise(3), _alpha() if with_alpha else None, exif=_exif(), xmp=XMP)
    _save(picture, tmp_path, FileFormat.WEBP, quality=quality)
    data = (tmp_path / "out.webp").read_bytes()
    assert data[12:16] == b"VP8X"
    assert data[20] == (0x10 if with_alpha else 0) | 0x08 | 0x04  # RFC 9649, section 2.7
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    with Image.open(tmp_path / "out.webp") as image:
        assert image.mode == ("RGBA" if with_alpha else "RGB")


@every_format
@pytest.mark.parametrize("metadata", list(Metadata))
def test_exif_thumbnail_of_source_is_dropped(tmp_path: Path, target: FileFormat, metadata: Metadata) -> None:
    exif = _exif_with_thumbnail()
    back, report = _save(Picture(_noise(3), exif=exif), tmp_path, target, metadata=metadata)
    assert b"stale thumbnail" not in (tmp_path / f"out.{target.value}").read_bytes()
    assert report.notes == ()
    assert (back.exif is None) is (metadata is Metadata.NONE)


# Except TIFF: the file itself is the EXIF block, so everything in it moves.
@pytest.mark.parametrize("target", [each for each in FileFormat if each is not FileFormat.TIFF])
def test_maker_note_keeps_its_offset_in_exif(tmp_path: Path, target: FileFormat) -> None:
    exif = _exif()
    back, _ = _save(Picture(_noise(3), exif=exif), tmp_path, target)
    assert back.exif is not None
    assert back.exif.index(b"MAKER NOTE") == exif.index(b"MAKER NOTE")


@every_format
@pytest.mark.parametrize("metadata", [Metadata.PRIVATE, Metadata.NONE])
def test_private_metadata_is_not_in_the_file(tmp_path: Path, target: FileFormat, metadata: Metadata) -> None:
    back, _ = _save(Picture(_noise(3), exif=_exif(), xmp=XMP), tmp_path, target, metadata=metadata)
    data = (tmp_path / f"out.{target.value}").read_bytes()
    for secret in (
        b"Jane Doe",
        b"4711",
        b"MAKER",
        b"GPSLatitude",
        b"48.1370",
        struct.pack("<2I", 48, 1),
        struct.pack(">2I", 48, 1),
    ):
        assert secret not in data, secret
    private = metadata is Metadata.PRIVATE
    assert (b"Camera" in data) is private
    assert (b"Rating" in data) is private
    assert (back.xmp is not None) is private


@every_format
def test_damaged_metadata_is_dropped_and_reported(tmp_path: Path, target: FileFormat) -> None:
    picture = Picture(_noise(3), exif=b"II*\0\xff\xff\xff\x7f", xmp=b"<not closed")
    back, report = _save(picture, tmp_path, target)
    assert back.xmp is None
    assert len(report.notes) == 2
    assert all("damaged" in note for note in report.notes)


def test_metadata_too_large_for_jpeg_is_dropped_and_reported(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "x" * 70_000
    xmp = XMP.replace(b"</rdf:RDF>", b" " * 70_000 + b"</rdf:RDF>")
    picture = Picture(_noise(3), exif=exif.tobytes().removeprefix(b"Exif\0\0"), xmp=xmp)
    back, report = _save(picture, tmp_path, FileFormat.JPEG)
    assert len(report.notes) == 2
    assert back.exif is None
    assert back.xmp is None
    kept, report = _save(picture, tmp_path, FileFormat.PNG)
    assert report.notes == ()
    assert kept.exif is not None
    assert kept.xmp is not None


@pytest.mark.parametrize("target", [FileFormat.PNG, FileFormat.JPEG, FileFormat.TIFF])
def test_gray_profile_is_kept_for_gray_picture(tmp_path: Path, target: FileFormat) -> None:
    back, _ = _save(Picture(_noise(1), icc=GRAY_PROFILE), tmp_path, target)
    assert back.icc == GRAY_PROFILE
    assert back.is_gray


@pytest.mark.parametrize("target", [FileFormat.WEBP, FileFormat.AVIF])
def test_gray_profile_is_applied_when_format_stores_only_rgb(tmp_path: Path, target: FileFormat) -> None:
    picture = Picture(np.full((8, 8, 1), 128, np.uint8), icc=GRAY_PROFILE)
    back, report = _save(picture, tmp_path, target, quality=100)
    assert any("profile for gray was applied" in note for note in report.notes)
    # Middle gray of linear light is 188 in sRGB (IEC 61966-2-1).
    assert np.abs(back.pixels.astype(int) - 188).max() <= 2


@pytest.mark.parametrize("target", [FileFormat.WEBP, FileFormat.AVIF])
def test_gray_profile_that_cannot_be_applied_is_dropped_and_reported(tmp_path: Path, target: FileFormat) -> None:
    damaged = GRAY_PROFILE[:20] + b"Luv " + GRAY_PROFILE[24:]  # a connection space for which no profiles exist
    picture = Picture(np.full((8, 8, 1), 128, np.uint8), icc=damaged)
    back, report = _save(picture, tmp_path, target, quality=100)
    assert any("profile for gray could not be applied and was left out" in note for note in report.notes)
    assert np.abs(back.pixels.astype(int) - 128).max() <= 1


def test_gray_profile_is_dropped_and_reported_for_rgb_picture(tmp_path: Path) -> None:
    back, report = _save(Picture(_noise(3), icc=GRAY_PROFILE), tmp_path, FileFormat.PNG)
    assert back.icc is None
    assert any("does not fit" in note for note in report.notes)


def _in_length(profile: bytes) -> bytes:
    return struct.pack(">I", len(profile)) + profile[4:]


@pytest.mark.parametrize("target", [FileFormat.PNG, FileFormat.JPEG, FileFormat.TIFF])
@pytest.mark.parametrize("version", [2, 4])
@pytest.mark.parametrize("stray", [1, 3, 4])
@pytest.mark.parametrize("stated", [False, True], ids=["behind it", "within it"])
def test_profile_with_stray_bytes_is_trimmed_or_padded_and_kept(
    tmp_path: Path, target: FileFormat, version: int, stray: int, *, stated: bool
) -> None:
    profile = SRGB[:8] + bytes([version]) + SRGB[9:]
    assert len(profile) % 4 == 0
    damaged = profile + bytes(stray)
    back, report = _save(Picture(_noise(3), icc=_in_length(damaged) if stated else damaged), tmp_path, target)
    assert report.notes == ()
    assert back.icc is not None
    assert len(back.icc) % 4 == 0
    assert back.icc[128 : len(profile)] == profile[128:]
    assert int.from_bytes(back.icc[:4], "big") == len(back.icc)
    assert stated or back.icc == profile


@pytest.mark.parametrize("size", [0, 50, 131])
def test_profile_with_too_small_stated_size_is_dropped_and_reported(tmp_path: Path, size: int) -> None:
    profile = struct.pack(">I", size) + SRGB[4:]
    for target in (FileFormat.PNG, FileFormat.JPEG):
        back, report = _save(Picture(_noise(3), icc=profile), tmp_path, target)
        assert back.icc is None
        assert any("colour profile" in note for note in report.notes)


@every_format
@pytest.mark.parametrize("tags", [101, 0xFFFFFFFF])
def test_profile_with_damaged_tag_table_is_dropped_and_reported(tmp_path: Path, target: FileFormat, tags: int) -> None:
    profile = SRGB[:128] + struct.pack(">I", tags) + SRGB[132:]
    back, report = _save(Picture(_noise(3), icc=profile), tmp_path, target)
    assert back.icc is None
    assert any("profile is damaged and was left out" in note for note in report.notes)


@pytest.mark.parametrize("what", ["a link", "no tags", "a tag beyond the end"])
def test_profile_that_png_rejects_is_dropped_and_reported(tmp_path: Path, what: str) -> None:
    profiles = {
        "a link": SRGB[:12] + b"link" + SRGB[16:],
        "no tags": _in_length(SRGB[:128] + bytes(4)),
        "a tag beyond the end": SRGB[:136] + struct.pack(">I", len(SRGB)) + SRGB[140:],
    }
    back, report = _save(Picture(_noise(3), icc=profiles[what]), tmp_path, FileFormat.PNG)
    assert back.icc is None
    assert any("does not take this colour profile" in note for note in report.notes)
    kept, report = _save(Picture(_noise(3), icc=profiles[what]), tmp_path, FileFormat.TIFF)
    assert report.notes == ()
    assert kept.icc == profiles[what]


def test_png_is_unchanged_when_read_and_saved_again(tmp_path: Path) -> None:
    picture = Picture(_noise(3), _alpha(), SRGB, _exif(), XMP, (240.0, 120.0))
    first, _ = _save(picture, tmp_path, FileFormat.PNG)
    one = (tmp_path / "out.png").read_bytes()
    _save(first, tmp_path, FileFormat.PNG)
    assert (tmp_path / "out.png").read_bytes() == one


# Formats and names


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("a.png", "png"),
        ("a.JPG", "jpeg"),
        ("a.jpeg", "jpeg"),
        ("a.jfif", "jpeg"),
        ("a.webp", "webp"),
        ("a.tif", "tiff"),
        ("a.avif", "avif"),
    ],
)
def test_file_suffix_selects_format(tmp_path: Path, name: str, target: str) -> None:
    image_io.save(Picture(_noise(3)), str(tmp_path / name))
    assert image_io.probe(tmp_path / name).format == target


@pytest.mark.parametrize("name", ["a", "a.", "a.gif", "a.heic", "a.docx", "a.apng", "a.avifs", ".png"])
def test_unknown_suffix_is_rejected_unless_format_is_given(tmp_path: Path, name: str) -> None:
    with pytest.raises(SaveError, match="PNG, JPEG, WebP, TIFF, AVIF"):
        image_io.save(Picture(_noise(3)), tmp_path / name)
    assert os.listdir(tmp_path) == []
    image_io.save(Picture(_noise(3)), tmp_path / name, SaveOptions(FileFormat.PNG))
    assert image_io.probe(tmp_path / name).format == "png"


@pytest.mark.parametrize(
    ("target", "side"), [(FileFormat.WEBP, 16_384), (FileFormat.AVIF, 16_385), (FileFormat.JPEG, 65_501)]
)
def test_side_beyond_format_limit_is_rejected_before_encoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: FileFormat, side: int
) -> None:
    picture = Picture(np.zeros((1, side, 1), np.uint8))
    with monkeypatch.context() as patch:
        patch.setattr(saving, "encode", lambda *_: pytest.fail("encoded"))
        with pytest.raises(SaveError, match=f"at most {side - 1:,} pixels"):
            image_io.save(picture, tmp_path / f"a.{target.value}")
    assert os.listdir(tmp_path) == []
    longest = Picture(np.zeros((1, side - 1, 1), np.uint8))
    back, _ = _save(longest, tmp_path, target)
    assert back.width == side - 1


@posix_only
@pytest.mark.parametrize(
    "name", ["x[Q=1].jpg", "n" * 251 + ".png", os.fsdecode(b"caf\xe9.tif"), "\N{GRINNING FACE}\n.webp", "%s.avif"]
)
def test_unusual_file_names_are_used_verbatim(tmp_path: Path, name: str) -> None:
    image_io.save(Picture(_noise(3)), tmp_path / name)
    assert os.listdir(tmp_path) == [name]
    assert image_io.probe(tmp_path / name).width == 17


# Files are written whole or not at all


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    file = tmp_path / "a.png"
    file.write_bytes(b"earlier file")
    return file


def _untouched(file: Path) -> bool:
    return file.read_bytes() == b"earlier file" and os.listdir(file.parent) == [file.name]


def test_full_disk_is_reported_and_existing_file_is_kept(earlier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SaveError, match="no space left"):
        image_io.save(Picture(_noise(3)), earlier)
    assert _untouched(earlier)


def test_encoder_failure_is_reported_and_existing_file_is_kept(earlier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise RuntimeError("codec")

    monkeypatch.setattr(saving, "encode", fail)
    with pytest.raises(SaveError, match="could not be made into a PNG") as caught:
        image_io.save(Picture(_noise(3)), earlier)
    assert caught.value.path == str(earlier)
    assert _untouched(earlier)


@pytest.mark.parametrize("written", [b"", b"garbage that is no picture", "wrong size"])
def test_invalid_encoded_file_is_discarded_and_existing_file_is_kept(
    earlier: Path, monkeypatch: pytest.MonkeyPatch, written: bytes | str
) -> None:
    if isinstance(written, str):
        buffer = io.BytesIO()
        Image.new("RGB", (3, 3)).save(buffer, "PNG")
        written = buffer.getvalue()
    monkeypatch.setattr(saving, "encode", lambda *_: ([written], []))
    with pytest.raises(SaveError, match="discarded"):
        image_io.save(Picture(_noise(3)), earlier)
    assert _untouched(earlier)


def test_lack_of_memory_is_reported_and_existing_file_is_kept(earlier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(saving, "encode", fail)
    with pytest.raises(SaveError, match="not enough memory"):
        image_io.save(Picture(_noise(3)), earlier)
    assert _untouched(earlier)
    monkeypatch.setattr("vdsr_app.core.image_io.limits.available_memory_bytes", lambda: 1000)
    with pytest.raises(SaveError, match="GB of memory"):
        image_io.save(Picture(_noise(3)), earlier.with_suffix(".avif"))
    assert _untouched(earlier)


def test_cancelled_save_keeps_existing_file(earlier: Path) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        image_io.save(Picture(_noise(3)), earlier, token=token)
    assert _untouched(earlier)


def test_missing_folder_is_reported_before_encoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "encode", lambda *_: pytest.fail("encoded"))
    with pytest.raises(SaveError, match="folder does not exist"):
        image_io.save(Picture(_noise(3)), tmp_path / "none" / "a.png")


def test_invalid_file_name_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(SaveError, match="not a valid file name"):
        image_io.save(Picture(_noise(3)), tmp_path / "a\0.png")


@posix_only
def test_file_mode_follows_umask(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        image_io.save(Picture(_noise(3)), tmp_path / "a.png")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o644


@posix_only
def test_file_size_limit_is_reported_and_existing_file_is_kept(earlier: Path) -> None:
    code = (
        "import resource, sys, numpy as np\n"
        "from vdsr_app.core import image_io\n"
        "from vdsr_app.core.picture import Picture\n"
        "noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "image_io.save(Picture(noise), sys.argv[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, earlier], capture_output=True, text=True, check=False)
    assert "larger than the disk allows" in done.stderr
    assert _untouched(earlier)
