"""Converts pixels between numpy, `Picture` and QImage; handles row stride, byte order and lifetime.

A QImage row may be longer than its pixels (rows are padded to four bytes), a QImage made from a buffer does not own it,
and `bits()` of a destroyed QImage is a dangling pointer. Nothing outside this module needs to know.
"""

from __future__ import annotations

import numpy as np
from PySide6.QtGui import QColorSpace, QImage, QPixelFormat

from vdsr_app.core.picture import Picture, Pixels, SourceInfo
from vdsr_app.core.pyramid import Rgba
from vdsr_app.errors import PictureTooLargeError, ShapeMismatchError, UnreadablePictureError

_Format = QImage.Format
_METRES_PER_INCH = 0.0254


def wrap_rgba(
    rgba: Rgba, image_format: QImage.Format = _Format.Format_RGBA8888, box: tuple[int, int, int, int] | None = None
) -> QImage:
    """Wrap the array's memory, or a part of it, in a QImage without copying.

    The QImage keeps the array alive and reflects later writes to it. Only this Python object does so: pass `.copy()` to
    code that stores the image in C++ (a clipboard, a signal between threads).

    Args:
        rgba: (H, W, 4) uint8, C-contiguous.
        image_format: any format with four bytes per pixel.
        box: x, y, width, height of the part, at least one pixel; None for all of it.

    Raises:
        ShapeMismatchError: the array has another shape, dtype or layout, or the box exceeds it.
    """
    if rgba.ndim != 3 or rgba.shape[2] != 4 or rgba.dtype != np.uint8 or not rgba.flags.c_contiguous:
        raise ShapeMismatchError(f"A QImage needs contiguous (H, W, 4) uint8 pixels, not {rgba.shape} {rgba.dtype}.")
    row_bytes = 4 * rgba.shape[1]
    x, y, width, height = box or (0, 0, rgba.shape[1], rgba.shape[0])
    if min(x, y) < 0 or min(width, height) < 1 or x + width > rgba.shape[1] or y + height > rgba.shape[0]:
        raise ShapeMismatchError(f"The part {box} leaves an array of {rgba.shape}.")
    first = y * row_bytes + 4 * x
    memory = rgba.reshape(-1)[first : first + (height - 1) * row_bytes + 4 * width]
    return QImage(memory.data, width, height, row_bytes, image_format)


def qimage_from_picture(picture: Picture) -> QImage:
    """Make a QImage that owns its memory, with the picture's depth, colour space and resolution.

    Gray stays gray (Grayscale8, Grayscale16) unless there is transparency, in which case its profile is applied; colour
    becomes RGB888, RGBX64, RGBA8888 or RGBA64. EXIF and XMP have no place in a QImage and are dropped.

    Raises:
        PictureTooLargeError: there is not enough memory.
    """
    deep = picture.bits == 16
    color_space = QColorSpace() if picture.icc is None else QColorSpace.fromIccProfile(picture.icc)
    if picture.alpha is not None:
        pixels = picture.pixels
        if picture.is_gray and color_space.isValid():
            pixels, color_space = _gray_in_srgb(pixels, color_space), QColorSpace()
        samples = _stacked(pixels, picture.alpha)
        image_format = _Format.Format_RGBA64 if deep else _Format.Format_RGBA8888
    elif picture.is_gray:
        samples = picture.pixels
        image_format = _Format.Format_Grayscale16 if deep else _Format.Format_Grayscale8
    elif deep:
        opaque = np.full(picture.pixels.shape[:2], 65535, dtype=np.uint16)
        samples, image_format = _stacked(picture.pixels, opaque), _Format.Format_RGBX64
    else:
        samples, image_format = picture.pixels, _Format.Format_RGB888
    image = _filled(samples, image_format)
    if color_space.isValid():
        image.setColorSpace(color_space)
    if picture.dpi is not None:
        image.setDotsPerMeterX(round(picture.dpi[0] / _METRES_PER_INCH))
        image.setDotsPerMeterY(round(picture.dpi[1] / _METRES_PER_INCH))
    return image


def picture_from_qimage(image: QImage) -> Picture:
    """Make a picture, in memory of its own, from a QImage of any format.

    Samples of more than eight bits become 16-bit. A fully opaque alpha channel is dropped. A colour space other than
    sRGB is kept as an ICC profile; CMYK, which a picture cannot hold, is converted to sRGB.

    Raises:
        UnreadablePictureError: the image is null, or there is no memory to convert it.
    """
    if image.isNull():
        raise UnreadablePictureError("There is no picture.", hint="Copy a picture first.")
    color_space = image.colorSpace()
    if color_space.isValid() and color_space.colorModel() == QColorSpace.ColorModel.Cmyk:
        color_space = QColorSpace(QColorSpace.NamedColorSpace.SRgb)
        image = image.convertedToColorSpace(color_space)
    icc = _icc_of(color_space)
    deep = _sample_bits(image) > 8
    dtype = np.dtype(np.uint16 if deep else np.uint8)
    alpha: Pixels | None = None
    if _is_gray(image, color_space, icc):
        gray_format = _Format.Format_Grayscale16 if deep else _Format.Format_Grayscale8
        pixels = _samples(image, gray_format, dtype, 1)
    else:
        rgba = _samples(image, _Format.Format_RGBA64 if deep else _Format.Format_RGBA8888, dtype, 4)
        pixels = np.ascontiguousarray(rgba[:, :, :3])
        if image.hasAlphaChannel() and int(rgba[:, :, 3].min()) < (65535 if deep else 255):
            alpha = np.ascontiguousarray(rgba[:, :, 3])
    kind = "gray" if pixels.shape[2] == 1 else "RGB"
    source = SourceInfo(mode=f"{16 if deep else 8}-bit {kind}{'' if alpha is None else ' with transparency'}")
    return Picture(pixels=pixels, alpha=alpha, icc=icc, dpi=_dpi_of(image), source=source)


def _samples(image: QImage, image_format: QImage.Format, dtype: np.dtype[np.generic], channels: int) -> Pixels:
    """Copy an image, converted to `image_format`, into an (H, W, `channels`) array."""
    converted = image.convertToFormat(image_format)
    if converted.isNull():
        raise UnreadablePictureError("There is no picture, or no memory to convert it.")
    width, height = converted.width(), converted.height()
    row_bytes = width * channels * dtype.itemsize
    rows = np.frombuffer(converted.constBits(), dtype=np.uint8).reshape(height, converted.bytesPerLine())
    # Rows without their padding; copied while `converted` still owns the memory.
    packed = rows[:, :row_bytes].copy()
    return packed.view(dtype).reshape(height, width, channels)


def _filled(samples: Pixels, image_format: QImage.Format) -> QImage:
    height, width, channels = samples.shape
    image = QImage(width, height, image_format)
    if image.isNull():
        raise PictureTooLargeError(f"There is no memory for {width} x {height} pixels.", hint="Choose a smaller size.")
    row_bytes = width * channels * samples.dtype.itemsize
    rows = np.frombuffer(image.bits(), dtype=np.uint8).reshape(height, image.bytesPerLine())
    rows[:, :row_bytes] = np.ascontiguousarray(samples).view(np.uint8).reshape(height, row_bytes)
    return image


def _gray_in_srgb(pixels: Pixels, color_space: QColorSpace) -> Pixels:
    """(H, W, 1) -> (H, W, 3): a QImage with transparency is RGB, which a gray profile cannot describe."""
    deep = pixels.dtype == np.uint16
    gray = _filled(pixels, _Format.Format_Grayscale16 if deep else _Format.Format_Grayscale8)
    gray.setColorSpace(color_space)
    rgb_format, channels = (_Format.Format_RGBX64, 4) if deep else (_Format.Format_RGB888, 3)
    shown = gray.convertedToColorSpace(QColorSpace(QColorSpace.NamedColorSpace.SRgb), rgb_format)
    return _samples(shown, rgb_format, pixels.dtype, channels)[:, :, :3]


def _stacked(pixels: Pixels, alpha: Pixels) -> Pixels:
    """(H, W, 1 or 3) and (H, W) -> (H, W, 4); gray is repeated."""
    rgba = np.empty((*pixels.shape[:2], 4), dtype=pixels.dtype)
    rgba[:, :, :3] = pixels
    rgba[:, :, 3] = alpha
    return rgba


def _sample_bits(image: QImage) -> int:
    layout = image.pixelFormat()
    if layout.colorModel() == QPixelFormat.ColorModel.Grayscale:
        return image.depth()
    return max(layout.redSize(), layout.greenSize(), layout.blueSize())


def _is_gray(image: QImage, color_space: QColorSpace, icc: bytes | None) -> bool:
    """Whether the format is gray, unless a colour profile describes the samples, which needs three of them."""
    gray_format = image.format() in (_Format.Format_Grayscale8, _Format.Format_Grayscale16)
    return gray_format and (icc is None or color_space.colorModel() == QColorSpace.ColorModel.Gray)


def _icc_of(color_space: QColorSpace) -> bytes | None:
    if not color_space.isValid() or color_space == QColorSpace(QColorSpace.NamedColorSpace.SRgb):
        return None
    return bytes(color_space.iccProfile().data()) or None


def _dpi_of(image: QImage) -> tuple[float, float] | None:
    """Resolution, or None if it is zero or merely the default of a new QImage."""
    fresh = QImage(1, 1, image.format())
    per_metre = image.dotsPerMeterX(), image.dotsPerMeterY()
    if per_metre == (fresh.dotsPerMeterX(), fresh.dotsPerMeterY()) or 0 in per_metre:
        return None
    # Whole dots per metre are steps of 0.03 dpi; rounded so that 300 dpi stay 300.
    return round(per_metre[0] * _METRES_PER_INCH, 1), round(per_metre[1] * _METRES_PER_INCH, 1)
