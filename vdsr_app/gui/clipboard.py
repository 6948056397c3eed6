"""Copies the result to the clipboard, and takes pictures from there.

Slow work is done in a worker thread. On Linux, the program that put a picture on the clipboard must encode it as PNG
when another one requests it, in its GUI thread, which takes seconds if it is large; so it is PNG from the start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QMimeData, QObject, Signal
from PySide6.QtGui import QGuiApplication, QImage, QImageWriter, QPixmap

from vdsr_app.core.picture import Picture
from vdsr_app.gui.latest_job import LatestJob
from vdsr_app.gui.qimage import picture_from_qimage, qimage_from_picture
from vdsr_app.workers.messages import CopyJob

if TYPE_CHECKING:
    from vdsr_app.workers.upscale import UpscaleService

_PNG = "image/png"
_FAST = 80
"""Qt's PNG quality; 80 selects the fastest compression."""


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """A picture in the forms that other programs accept.

    Attributes:
        image: for programs on Windows and macOS, and this one.
        png: the same as a PNG file; empty if there was not enough memory for it.
    """

    image: QImage
    png: QByteArray


def offer_of(picture: Picture) -> Offer:
    """Convert a picture to the forms that other programs accept.

    Raises:
        PictureTooLargeError: there is not enough memory.
    """
    image = qimage_from_picture(picture)
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    writer = QImageWriter(buffer, b"png")
    writer.setQuality(_FAST)
    return Offer(image, buffer.data() if writer.write(image) else QByteArray())


def take_from(data: QMimeData | None) -> Callable[[], Picture] | None:
    """Return a function, for any thread, that makes the picture of a clipboard or drop; None if none can be read.

    Everything needed from `data` is taken at once: dropped data is gone a moment later. A PNG is not decoded yet. It
    will be read like a file, with the same limits, because Qt refuses images that take more than 256 MB.
    """
    if data is None or not data.hasImage():
        return None
    png = data.data(_PNG) if data.hasFormat(_PNG) else QByteArray()
    if not png.isEmpty():
        return partial(_picture_from_png, png)
    image = data.imageData()
    if isinstance(image, QPixmap):
        image = image.toImage()
    return partial(picture_from_qimage, image) if isinstance(image, QImage) and not image.isNull() else None


class ClipboardCopy(QObject):
    """Copies one picture at a time; a new request cancels the previous one.

    Signals:
        changed: `running` may have changed.
        done: the picture is on the clipboard.
        failed: the `ErrorReport`; the clipboard is unchanged.
    """

    changed = Signal()
    done = Signal()
    failed = Signal(object)

    def __init__(self, service: UpscaleService, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._job = LatestJob(service, self)
        self._job.changed.connect(self.changed)
        self._job.failed.connect(self.failed)

    @property
    def running(self) -> bool:
        """Whether a picture is being prepared."""
        return self._job.running

    def begin(self, picture: Picture) -> None:
        """Put a picture on the clipboard as soon as it is prepared."""
        self._job.begin(CopyJob(picture, offer_of), self._on_ready)

    def cancel(self) -> None:
        """Cancel, leaving the clipboard as it is."""
        self._job.cancel()

    def _on_ready(self, offer: Offer) -> None:
        data = QMimeData()
        data.setImageData(offer.image)
        if not offer.png.isEmpty():
            data.setData(_PNG, offer.png)
        QGuiApplication.clipboard().setMimeData(data)
        self.done.emit()


def _picture_from_png(png: QByteArray) -> Picture:
    from vdsr_app.core.image_io import read_bytes  # late: not needed at start-up

    picture = read_bytes(bytes(png.data()))
    if picture.alpha is None or int(picture.alpha.min()) < 2**picture.bits - 1:
        return picture
    # Most programs supply a fully opaque alpha channel; `picture_from_qimage` drops it, too.
    mode = picture.source.mode.removesuffix(" with transparency")
    return replace(picture, alpha=None, source=replace(picture.source, mode=mode))
