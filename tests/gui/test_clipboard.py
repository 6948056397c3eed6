"""Clipboard: pictures copied to it and pasted from it."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QByteArray, QMimeData
from PySide6.QtGui import QColorSpace, QImage, QImageReader, QPixmap

from vdsr_app.core.picture import Picture, Pixels
from vdsr_app.errors import PictureTooLargeError, UnreadablePictureError
from vdsr_app.gui.clipboard import offer_of, take_from
from vdsr_app.gui.qimage import picture_from_qimage, qimage_from_picture


def samples(height: int, width: int, dtype: type[np.generic] = np.uint8) -> Pixels:
    top = np.iinfo(dtype).max  # type: ignore[type-var]
    return np.random.default_rng(1).integers(0, top, (height, width, 3), dtype=dtype, endpoint=True)  # type: ignore[call-overload, no-any-return]


def test_take_from_returns_none_without_a_picture(qapp: object) -> None:
    data = QMimeData()
    assert take_from(data) is None
    assert take_from(None) is None
    data.setText("no picture")
    assert take_from(data) is None


@pytest.mark.parametrize("kind", [QImage, QPixmap])
def test_take_from_reads_images(qapp: object, kind: type) -> None:
    data = QMimeData()
    image = qimage_from_picture(Picture(pixels=samples(5, 3)))
    data.setImageData(QPixmap.fromImage(image) if kind is QPixmap else image)
    take = take_from(data)
    assert take is not None
    np.testing.assert_array_equal(take().pixels, samples(5, 3))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("see_through", [False, True])
def test_offered_picture_round_trips(qapp: object, dtype: type[np.generic], see_through: bool) -> None:
    pixels = samples(5, 3, dtype)
    icc = bytes(QColorSpace(QColorSpace.NamedColorSpace.DisplayP3).iccProfile().data())
    picture = Picture(pixels, pixels[..., 0].copy() if see_through else None, icc=icc, dpi=(300.0, 300.0))
    offer = offer_of(picture)
    data = QMimeData()
    data.setImageData(QImage(2, 2, QImage.Format.Format_RGB32))
    data.setData("image/png", offer.png)
    take = take_from(data)
    assert take is not None
    for took in (take(), picture_from_qimage(offer.image)):
        np.testing.assert_array_equal(took.pixels, pixels)
        assert took.pixels.dtype == dtype
        assert (took.alpha is None) is not see_through
        assert took.icc is not None
        assert took.dpi == (300.0, 300.0)
        assert took.source.path is None
        assert took.source.mode.endswith(" with transparency") is see_through


def test_take_from_prefers_png_and_decodes_it_lazily(qapp: object) -> None:
    data = QMimeData()
    data.setImageData(QImage(2, 2, QImage.Format.Format_RGB32))
    data.setData("image/png", offer_of(Picture(pixels=samples(5, 3))).png)
    take = take_from(data)
    data.clear()  # as after a drop
    assert take is not None
    np.testing.assert_array_equal(take().pixels, samples(5, 3))


def test_damaged_png_raises_when_decoded(qapp: object) -> None:
    data = QMimeData()
    data.setImageData(QImage(2, 2, QImage.Format.Format_RGB32))
    data.setData("image/png", QByteArray(b"no PNG"))
    take = take_from(data)
    assert take is not None
    with pytest.raises(UnreadablePictureError):
        take()


def as_png(picture: Picture) -> QMimeData:
    data = QMimeData()
    data.setImageData(QImage(2, 2, QImage.Format.Format_RGB32))
    data.setData("image/png", offer_of(picture).png)
    return data


def test_png_is_decoded_regardless_of_qt_allocation_limit(qapp: object) -> None:
    picture = Picture(np.full((600, 600, 3), 77, np.uint8))
    before = QImageReader.allocationLimit()
    take = take_from(as_png(picture))
    assert take is not None
    QImageReader.setAllocationLimit(1)
    try:
        np.testing.assert_array_equal(take().pixels, picture.pixels)
    finally:
        QImageReader.setAllocationLimit(before)


def test_png_with_too_many_pixels_is_rejected(qapp: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vdsr_app.core.image_io.reading.DEFAULT_MAX_PIXELS", 10)
    take = take_from(as_png(Picture(pixels=samples(5, 3))))
    assert take is not None
    with pytest.raises(PictureTooLargeError, match="3 x 5 pixels") as caught:
        take()
    assert caught.value.path is None
