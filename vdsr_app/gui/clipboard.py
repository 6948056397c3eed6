"""The result on the clipboard, and pictures from there.

What takes long is done in a worker's thread. On Linux the program that gave a picture is asked to encode it as PNG when
another one wants it, in its window's thread, which takes seconds for a large one: it is given as PNG from the start.
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
"""Qt's quality of a PNG; 80 is the fastest compression there is."""


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """A picture as other programs take it.

    Attributes:
        image: for programs on Windows and macOS, and this one.
        png: the same as a PNG file; empty where memory did not suffice for it.
    """

    image: QImage
    png: QByteArray


def offer_of(picture: Picture) -> Offer:
    """Make of a picture what other programs take.

    Raises:
        PictureTooLargeError: there is no memory for it.
    """
    image = qimage_from_picture(picture)
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    writer = QImageWriter(buffer, b"png")
    writer.setQuality(_FAST)
    return Offer(image, buffer.data() if writer.write(image) else QByteArray())


def take_from(data: QMimeData | None) -> Callable[[], Picture] | None:
    """What makes the picture on a clipboard or in a drop, in any thread; None where there is none that can be read.

    All that is needed of `data` is taken at once: what is dropped is gone a moment later. A PNG is not decoded yet. It
    will be as files are, within their limits: Qt refuses what takes more than 256 MB.
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
    """Copies one picture at a time; a new wish cancels the one before.

    Signals:
        changed: `running` is another than before.
        done: the picture is on the clipboard.
        failed: the `ErrorReport`; the clipboard holds what it held.
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
        """Whether a picture is being made ready."""
        return self._job.running

    def begin(self, picture: Picture) -> None:
        """Put a picture on the clipboard, a moment later."""
        self._job.begin(CopyJob(picture, offer_of), self._on_ready)

    def cancel(self) -> None:
        """Leave the clipboard as it is."""
        self._job.cancel()

    def _on_ready(self, offer: Offer) -> None:
        data = QMimeData()
        data.setImageData(offer.image)
        if not offer.png.isEmpty():
            data.setData(_PNG, offer.png)
        QGuiApplication.clipboard().setMimeData(data)
        self.done.emit()


def _picture_from_png(png: QByteArray) -> Picture:
    from vdsr_app.core.image_io import read_bytes  # not at the start

    picture = read_bytes(bytes(png.data()))
    if picture.alpha is None or int(picture.alpha.min()) < 2**picture.bits - 1:
        return picture
    # Most programs give transparency that hides nothing; `picture_from_qimage` drops it, too.
    mode = picture.source.mode.removesuffix(" with transparency")
    return replace(picture, alpha=None, source=replace(picture.source, mode=mode))
