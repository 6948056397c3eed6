"""Drags the result into another program, as a temporary file."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QDir, QMimeData, QObject, Qt, QTemporaryDir, QUrl, Signal
from PySide6.QtGui import QDrag, QGuiApplication, QImage, QPixmap

from vdsr_app.core.pyramid import MipPyramid
from vdsr_app.gui.latest_job import LatestJob
from vdsr_app.gui.qimage import wrap_rgba
from vdsr_app.workers.messages import ErrorReport, LayerResult, SavedFile, SaveJob

if TYPE_CHECKING:
    from vdsr_app.core.job import SaveOptions
    from vdsr_app.workers.upscale import UpscaleService

_THUMBNAIL_PX = 128


@dataclass(frozen=True, slots=True)
class _Parcel:
    """A result as a file that can be dragged; does not keep the result's pixels, which may be gigabytes.

    Attributes:
        pyramid: weak reference to the result's pyramid; identifies the result.
        options: how the file is written.
        path: where it is written.
        thumbnail: shown while dragging.
    """

    pyramid: weakref.ref[MipPyramid]
    options: SaveOptions
    path: Path
    thumbnail: QPixmap

    def holds(self, result: LayerResult, name: str, options: SaveOptions) -> bool:
        """Whether it is `result`, written with this name and these options."""
        return self.pyramid() is result.pyramid and (self.path.name, self.options) == (name, options)


class DragOut(QObject):
    """Writes the result once, then drags it as often as needed.

    Signals:
        failed: the `ErrorReport` if the file could not be written or there is no temporary folder.
    """

    failed = Signal(object)

    def __init__(
        self,
        service: UpscaleService,
        source: QObject,
        start: Callable[[QObject, Path, QPixmap], None] | None = None,
    ) -> None:
        """Start drags from `source` with `start`, which tests replace."""
        super().__init__(source)
        self._source = source
        self._start = start or _start_drag
        self._folder: QTemporaryDir | None = None
        self._written: _Parcel | None = None
        self._job = LatestJob(service, self)
        self._job.failed.connect(self.failed)

    def begin(self, result: LayerResult, name: str, options: SaveOptions) -> None:
        """Drag `result` as a file called `name`, once it is written and if the button is still down by then."""
        written = self._written
        if written is not None and written.holds(result, name, options) and written.path.exists():
            self._start(self._source, written.path, written.thumbnail)
            return
        if self._job.running:
            return
        if self._folder is None:
            folder = QTemporaryDir()
            if not folder.isValid():  # its path is empty, which would mean the current folder
                self.failed.emit(self._no_folder(folder.errorString()))
                return
            self._folder = folder
        path = Path(self._folder.path()) / name
        parcel = _Parcel(weakref.ref(result.pyramid), options, path, _thumbnail(result.pyramid))
        self._job.begin(SaveJob(result.picture, path, options), partial(self._on_written, parcel))

    def close(self) -> None:
        """Remove the temporary files."""
        self._written = None
        if self._folder is not None:
            self._folder.remove()
            self._folder = None

    def _no_folder(self, details: str) -> ErrorReport:
        what = self.tr("The result cannot be dragged out, because no temporary folder can be created in {folder}.")
        hint = self.tr("Save the result instead.")
        return ErrorReport(what.format(folder=QDir.tempPath()), hint=hint, details=details)

    def _on_written(self, parcel: _Parcel, saved: SavedFile) -> None:
        self._written = parcel
        if QGuiApplication.mouseButtons() & Qt.MouseButton.LeftButton:
            self._start(self._source, parcel.path, parcel.thumbnail)


def _start_drag(source: QObject, path: Path, thumbnail: QPixmap) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    drag = QDrag(source)
    drag.setMimeData(data)
    drag.setPixmap(thumbnail)
    drag.exec(Qt.DropAction.CopyAction)


def _thumbnail(pyramid: MipPyramid) -> QPixmap:
    level = next(k for k, pixels in enumerate(pyramid.levels) if max(pixels.shape[:2]) <= _THUMBNAIL_PX)
    kind = QImage.Format.Format_RGBA8888_Premultiplied if level else QImage.Format.Format_RGBA8888
    return QPixmap.fromImage(wrap_rgba(pyramid.levels[level], kind).copy())
