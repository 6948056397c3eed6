"""Conversion between numpy, Picture and QImage: bytes, row stride, byte order, lifetime, colour space."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from PySide6.QtCore import QPointF
from PySide6.QtGui import QColor, QColorSpace, QImage

from tests.gui.pixels import rgba_from_qimage
from vdsr_app.core.picture import Picture
from vdsr_app.errors import ShapeMismatchError, UnreadablePictureError
from vdsr_app.gui.qimage import (
    picture_from_qimage,
    qimage_from_picture,
    wrap_rgba,
)

WIDTHS = [1, 2, 3, 5, 8]  # rows of a QImage are padded to four bytes


def samples(width: int, channels: int, bits: int = 8) -> np.ndarray:
    dtype = np.uint8 if bits == 8 else np.uint16
    return np.random.default_rng(width).integers(0, 2**bits, (3, width, channels), dtype=dtype)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("transparent", [False, True])
def test_pictures_round_trip(width: int, channels: int, bits: int, transparent: bool) -> None:
    pixels = samples(width, channels, bits)
    alpha = samples(width, 4, bits)[:, :, 3] if transparent else None
    back = picture_from_qimage(qimage_from_picture(Picture(pixels=pixels, alpha=alpha)))

    # A QImage has no gray with transparency; such a picture is returned with three equal channels.
    expected = np.repeat(pixels, 3, axis=2) if transparent and channels == 1 else pixels
    np.testing.assert_array_equal(back.pixels, expected)
    assert back.pixels.flags.c_contiguous
    assert back.bits == bits
    if alpha is None:
        assert back.alpha is None
    else:
        np.testing.assert_array_equal(back.alpha, alpha)
    assert back.icc is None
    assert back.dpi is None


def test_colour_channels_keep_their_order() -> None:
    image = QImage(1, 1, QImage.Format.Format_ARGB32)
    image.setPixelColor(0, 0, QColor(10, 20, 30, 40))
    picture = picture_from_qimage(image)
    assert picture.pixels[0, 0].tolist() == [10, 20, 30]
    assert picture.alpha is not None
    assert picture.alpha[0, 0] == 40
    assert qimage_from_picture(picture).pixelColor(0, 0) == QColor(10, 20, 30, 40)


def test_premultiplied_alpha_becomes_straight() -> None:
    image = QImage(1, 1, QImage.Format.Format_ARGB32)
    image.setPixelColor(0, 0, QColor(200, 100, 50, 128))
    image.convertTo(QImage.Format.Format_ARGB32_Premultiplied)
    picture = picture_from_qimage(image)
    assert picture.alpha is not None
    assert np.abs(np.dstack((picture.pixels, picture.alpha))[0, 0].astype(int) - [200, 100, 50, 128]).max() <= 1


@pytest.mark.parametrize(
    ("image_format", "bits", "channels"),
    [
        (QImage.Format.Format_RGB32, 8, 3),
        (QImage.Format.Format_RGB16, 8, 3),
        (QImage.Format.Format_Indexed8, 8, 3),
        (QImage.Format.Format_Mono, 8, 3),
        (QImage.Format.Format_Grayscale8, 8, 1),
        (QImage.Format.Format_Grayscale16, 16, 1),
        (QImage.Format.Format_RGB30, 16, 3),
        (QImage.Format.Format_RGBA64_Premultiplied, 16, 3),
        (QImage.Format.Format_RGBA32FPx4, 16, 3),
        (QImage.Format.Format_CMYK8888, 8, 3),
    ],
)
def test_every_image_format_is_converted_to_a_picture(image_format: QImage.Format, bits: int, channels: int) -> None:
    image = QImage(3, 2, QImage.Format.Format_RGB32)
    image.fill(QColor(255, 255, 255))
    picture = picture_from_qimage(image.convertToFormat(image_format))
    assert picture.bits == bits
    assert picture.pixels.shape == (2, 3, channels)
    assert picture.alpha is None
    assert (picture.pixels == 2**bits - 1).all()


def test_colour_space_is_kept_as_profile() -> None:
    image = QImage(2, 2, QImage.Format.Format_RGB32)
    image.fill(QColor(250, 10, 10))
    image.setColorSpace(QColorSpace(QColorSpace.NamedColorSpace.DisplayP3))
    picture = picture_from_qimage(image)
    assert picture.icc is not None
    assert picture.pixels[0, 0].tolist() == [250, 10, 10]
    assert qimage_from_picture(picture).colorSpace().primaries() == QColorSpace.Primaries.DciP3D65

    image.setColorSpace(QColorSpace(QColorSpace.NamedColorSpace.SRgb))
    assert picture_from_qimage(image).icc is None


@pytest.mark.parametrize("bits", [8, 16])
def test_gray_profile_is_applied_to_pictures_with_transparency(bits: int) -> None:
    full = 2**bits - 1
    pixels = np.linspace(0, full, 64).astype(np.uint8 if bits == 8 else np.uint16).reshape(4, 16, 1)
    alpha = np.full((4, 16), full // 2, pixels.dtype)
    profile = QColorSpace(QPointF(0.3127, 0.3290), QColorSpace.TransferFunction.Gamma, 1.0).iccProfile()
    back = picture_from_qimage(qimage_from_picture(Picture(pixels=pixels, alpha=alpha, icc=bytes(profile.data()))))

    linear = pixels / full
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert back.icc is None
    assert back.bits == bits
    assert np.abs(back.pixels / full - srgb).max() < 0.006
    np.testing.assert_array_equal(back.alpha, alpha)


@pytest.mark.qt_log_ignore("fromIccProfile")
def test_damaged_profile_is_ignored() -> None:
    picture = Picture(pixels=samples(2, 3), icc=b"no profile at all")
    assert not qimage_from_picture(picture).colorSpace().isValid()


def test_resolution_is_kept() -> None:
    picture = picture_from_qimage(qimage_from_picture(Picture(pixels=samples(2, 3), dpi=(300.0, 150.0))))
    assert picture.dpi == (300.0, 150.0)


def test_wrapped_array_is_shared_and_kept_alive() -> None:
    rgba = np.zeros((8, 8, 4), dtype=np.uint8)
    image = wrap_rgba(rgba)
    rgba[3, 5] = 1, 2, 3, 255
    assert image.pixelColor(5, 3) == QColor(1, 2, 3)

    del rgba
    gc.collect()
    churn = [np.full((8, 8, 4), 99, dtype=np.uint8) for _ in range(50)]
    assert len(churn) == 50
    assert image.pixelColor(5, 3) == QColor(1, 2, 3)


def test_wrap_rgba_accepts_part_of_array_and_rejects_invalid_boxes() -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (9, 11, 4), dtype=np.uint8)
    part = wrap_rgba(rgba, QImage.Format.Format_RGBA8888, (3, 2, 5, 7))
    np.testing.assert_array_equal(rgba_from_qimage(part), rgba[2:9, 3:8])
    for box in ((-1, 0, 2, 2), (0, 0, 12, 1), (0, 5, 1, 5), (0, 0, 0, 1)):
        with pytest.raises(ShapeMismatchError):
            wrap_rgba(rgba, QImage.Format.Format_RGBA8888, box)


def test_converted_picture_outlives_the_image() -> None:
    image = QImage(64, 64, QImage.Format.Format_RGBA8888)
    image.fill(QColor(1, 2, 3, 4))
    picture = picture_from_qimage(image)
    del image
    gc.collect()
    churn = [QImage(64, 64, QImage.Format.Format_RGBA8888) for _ in range(50)]
    for other in churn:
        other.fill(QColor(9, 9, 9, 9))
    assert (picture.pixels == [1, 2, 3]).all()
    assert picture.alpha is not None
    assert (picture.alpha == 4).all()


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 2, 3), np.uint8), np.zeros((2, 4, 4), np.uint8)[:, ::2], np.zeros((2, 2, 4), np.uint16)]
)
def test_wrap_rgba_rejects_unsuitable_arrays(bad: np.ndarray) -> None:
    with pytest.raises(ShapeMismatchError):
        wrap_rgba(bad)


def test_null_image_is_rejected() -> None:
    with pytest.raises(UnreadablePictureError):
        picture_from_qimage(QImage())
