"""Conversion for the screen: depth, gray, alpha and colour profiles."""

from __future__ import annotations

import io
import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from vdsr_app.control import CancelToken
from vdsr_app.core import display
from vdsr_app.core.display import picture_to_rgba, pixels_to_rgba, to_8_bits
from vdsr_app.core.picture import Picture
from vdsr_app.errors import Cancelled


def profile_bytes(kind: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(kind)).tobytes()


def swapped_icc() -> bytes:
    """sRGB with its red and green primaries swapped."""
    data = bytearray(profile_bytes("sRGB"))
    first, second = data.index(b"rXYZ"), data.index(b"gXYZ")
    data[first : first + 4], data[second : second + 4] = b"gXYZ", b"rXYZ"
    return bytes(data)


def random_pixels(shape: tuple[int, ...], dtype: type = np.uint8, seed: int = 1) -> np.ndarray:
    high = int(np.iinfo(dtype).max) + 1
    return np.random.default_rng(seed).integers(0, high, shape, dtype=dtype)


@given(st.integers(0, 65535))
def test_to_8_bits_rounds_to_the_nearest_level(value):
    shown = int(to_8_bits(np.array([value], dtype=np.uint16))[0])
    assert abs(shown * 257 - value) <= 128


def test_to_8_bits_restores_8_bit_levels_and_returns_uint8_uncopied():
    eight = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_8_bits(eight.astype(np.uint16) * 257), eight)
    assert to_8_bits(eight) is eight


def test_rgb_without_profile_is_unchanged_and_opaque():
    pixels = random_pixels((7, 5, 3))
    shown = picture_to_rgba(Picture(pixels))
    assert shown.shape == (7, 5, 4)
    assert shown.dtype == np.uint8
    assert shown.flags.c_contiguous
    assert np.array_equal(shown[..., :3], pixels)
    assert (shown[..., 3] == 255).all()


def test_gray_is_repeated_to_rgb_and_alpha_stays_straight():
    pixels, alpha = random_pixels((4, 6, 1), np.uint16), random_pixels((4, 6), np.uint16, seed=2)
    shown = picture_to_rgba(Picture(pixels, alpha=alpha))
    for channel in range(3):
        assert np.array_equal(shown[..., channel], to_8_bits(pixels[..., 0]))
    assert np.array_equal(shown[..., 3], to_8_bits(alpha))


def test_conversion_in_many_chunks_matches_one_chunk(monkeypatch):
    pixels, alpha = random_pixels((33, 9, 3), np.uint16), random_pixels((33, 9), np.uint16)
    whole = pixels_to_rgba(pixels, alpha, swapped_icc())
    monkeypatch.setattr(display, "_CHUNK_PX", 20)
    assert np.array_equal(pixels_to_rgba(pixels, alpha, swapped_icc()), whole)


def test_srgb_profile_changes_no_pixels():
    pixels = random_pixels((16, 16, 3))
    assert np.array_equal(pixels_to_rgba(pixels, icc=profile_bytes("sRGB"))[..., :3], pixels)


def test_other_rgb_profile_is_converted_to_srgb():
    icc = swapped_icc()
    pixels = np.array([[[0, 255, 0], [128, 128, 128]]], dtype=np.uint8)
    # Green in the swapped profile is red in sRGB; gray is gray in both.
    shown = pixels_to_rgba(pixels, icc=icc)[0]
    assert shown[0].tolist() == pytest.approx([255, 0, 0, 255], abs=1)
    assert shown[1].tolist() == pytest.approx([128, 128, 128, 255], abs=1)


def test_conversion_matches_littlecms():
    pixels = random_pixels((6, 6, 3))
    expected = ImageCms.profileToProfile(
        Image.fromarray(pixels),
        ImageCms.ImageCmsProfile(io.BytesIO(swapped_icc())),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert np.array_equal(pixels_to_rgba(pixels, icc=swapped_icc())[..., :3], np.asarray(expected))


def test_converted_tile_matches_the_window_of_the_whole():
    pixels = random_pixels((20, 20, 3))
    icc = swapped_icc()
    whole = pixels_to_rgba(pixels, icc=icc)
    assert np.array_equal(pixels_to_rgba(pixels[5:9, 3:17], icc=icc), whole[5:9, 3:17])


def test_rgb_profile_is_applied_to_gray_pixels():
    gray = random_pixels((5, 5, 1))
    spread = np.repeat(gray, 3, axis=2)
    icc = swapped_icc()
    assert np.array_equal(pixels_to_rgba(gray, icc=icc), pixels_to_rgba(spread, icc=icc))


@pytest.mark.parametrize("icc", [b"", b"rubbish", profile_bytes("sRGB")[:100], profile_bytes("LAB"), bytes(4096)])
def test_useless_profile_is_ignored_and_logged(icc, caplog):
    pixels = random_pixels((3, 3, 3))
    display._transform_to_srgb.cache_clear()
    with caplog.at_level(logging.WARNING, logger="vdsr_app.core.display"):
        assert np.array_equal(pixels_to_rgba(pixels, icc=icc)[..., :3], pixels)
    assert "ignored" in caplog.text


def test_conversion_can_be_cancelled():
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        picture_to_rgba(Picture(random_pixels((2, 2, 3))), token)


def test_gray_profile_is_converted_to_srgb():
    gray = np.full((1, 1, 1), 128, dtype=np.uint8)
    shown = pixels_to_rgba(gray, icc=gray_icc())
    # Linear 128/255 is sRGB level 188.
    assert shown[0, 0].tolist() == pytest.approx([188, 188, 188, 255], abs=2)


def gray_icc() -> bytes:
    """A version 2 gray profile with a linear curve (ICC.1:2001-04)."""

    def s15(value: float) -> bytes:
        return round(value * 65536).to_bytes(4, "big", signed=True)

    white = b"XYZ \0\0\0\0" + s15(0.9642) + s15(1.0) + s15(0.8249)
    curve = b"curv\0\0\0\0" + (0).to_bytes(4, "big")
    text = b"desc\0\0\0\0" + (2).to_bytes(4, "big") + b"g\0" + bytes(78)
    text += bytes(-len(text) % 4)
    tags, offset, table = [(b"wtpt", white), (b"kTRC", curve), (b"desc", text)], 128 + 4 + 3 * 12, b""
    for name, data in tags:
        table += name + offset.to_bytes(4, "big") + len(data).to_bytes(4, "big")
        offset += len(data)
    head = offset.to_bytes(4, "big") + bytes(4) + b"\x02\x40\0\0" + b"mntr" + b"GRAY" + b"XYZ " + bytes(12) + b"acsp"
    head += bytes(28) + s15(0.9642) + s15(1.0) + s15(0.8249)
    return head.ljust(128, b"\0") + (3).to_bytes(4, "big") + table + b"".join(data for _, data in tags)
