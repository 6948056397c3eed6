"""Putting the result on the clipboard; a large one takes a moment to be made ready, in a worker's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QGuiApplication, QImage

from vdsr_app.core.picture import Picture
from vdsr_app.gui.qimage import qimage_from_picture
from vdsr_app.workers.messages import CopyJob, ErrorReport

if TYPE_CHECKING:
    from vdsr_app.workers.upscale import UpscaleService


class ClipboardCopy(QObject):
    """Copies one picture at a time; a new wish cancels the one before.

    Signals:
        done: the picture is on the clipboard.
        failed: the `ErrorReport`; the clipboard holds what it held.
    """

    done = Signal()
    failed = Signal(object)

    def __init__(self, service: UpscaleService, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._service = service
        self._job: int | None = None
        service.succeeded.connect(self._on_succeeded)
        service.failed.connect(self._on_failed)
        service.cancelled.connect(self._on_cancelled)

    def begin(self, picture: Picture) -> None:
        """Put a picture on the clipboard, a moment later."""
        if self._job is not None:
            self._service.cancel(self._job)
        self._job = self._service.submit(CopyJob(picture, qimage_from_picture))

    def _on_succeeded(self, job: int, image: object) -> None:
        if job == self._job and isinstance(image, QImage):
            self._job = None
            QGuiApplication.clipboard().setImage(image)
            self.done.emit()

    def _on_failed(self, job: int, report: ErrorReport) -> None:
        if job == self._job:
            self._job = None
            self.failed.emit(report)

    def _on_cancelled(self, job: int) -> None:
        if job == self._job:
            self._job = None
