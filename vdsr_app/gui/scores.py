"""PSNR and SSIM of the layers against a reference picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from vdsr_app.core.job import TargetSize
from vdsr_app.core.picture import Picture
from vdsr_app.core.protocol import Score
from vdsr_app.gui.opener import Opener
from vdsr_app.workers.messages import (
    ErrorReport,
    LayerResult,
    LayerSpec,
    MetricsJob,
    OpenedPicture,
)

if TYPE_CHECKING:
    from vdsr_app.workers.upscale import UpscaleService


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A picture that shows how the result should look."""

    path: Path
    picture: Picture


class Scores(QObject):
    """Holds the reference, and measures each finished layer of its size.

    Signals:
        opening_changed: a reference is being read, or no longer.
        opened: the `Reference` now in use, or None.
        changed: `values` has changed.
        failed: the `ErrorReport` of a reference that cannot be read or compared.
    """

    opening_changed = Signal()
    opened = Signal(object)
    changed = Signal()
    failed = Signal(object)

    def __init__(self, service: UpscaleService, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._service = service
        self._reference: Reference | None = None
        self._opener = Opener(service, self)
        self._jobs: dict[int, LayerSpec] = {}
        self._values: dict[LayerSpec, Score] = {}
        self._opener.changed.connect(self.opening_changed)
        self._opener.opened.connect(self._on_opened)
        self._opener.failed.connect(self.failed)
        service.succeeded.connect(self._on_succeeded)
        service.failed.connect(self._on_failed)
        service.cancelled.connect(self._on_cancelled)

    @property
    def opening(self) -> str | None:
        """The name of the reference being read, or None."""
        return self._opener.name

    @property
    def reference(self) -> Reference | None:
        """The reference in use, or None."""
        return self._reference

    @property
    def values(self) -> dict[LayerSpec, Score]:
        """Results so far, by layer."""
        return dict(self._values)

    def open(self, path: Path) -> None:
        """Read a reference; the previous one stays in use until then."""
        self._opener.open(path)

    def cancel(self) -> None:
        """Stop reading; the previous reference stays in use."""
        self._opener.cancel()

    def close(self) -> None:
        """Stop using a reference."""
        self.cancel()
        self.clear()
        if self._reference is not None:
            self._reference = None
            self.opened.emit(None)

    def clear(self) -> None:
        """Forget the values, because the picture, its layers or the reference have changed."""
        for job in list(self._jobs):
            self._service.cancel(job)
        self._jobs.clear()
        if self._values:
            self._values.clear()
            self.changed.emit()

    def fits(self, size: TargetSize) -> bool:
        """Whether there is a reference of that size."""
        picture = None if self._reference is None else self._reference.picture
        return picture is not None and (picture.width, picture.height) == (size.width, size.height)

    def measure(self, result: LayerResult, size: TargetSize) -> None:
        """Compare a finished layer with the reference, if their sizes are equal."""
        if self._reference is None or not self.fits(size):
            return
        border_px = math.ceil(size.scale - 1e-9)
        job = MetricsJob(self._reference.picture, result.picture, border_px)
        self._jobs[self._service.submit(job)] = result.layer

    def _on_opened(self, path: Path, opened: OpenedPicture) -> None:
        self.clear()
        self._reference = Reference(path, opened.picture)
        self.opened.emit(self._reference)

    def _on_succeeded(self, job: int, result: object) -> None:
        if job in self._jobs and isinstance(result, Score):
            self._values[self._jobs.pop(job)] = result
            self.changed.emit()

    def _on_failed(self, job: int, report: ErrorReport) -> None:
        if self._jobs.pop(job, None) is not None:
            self.failed.emit(report)

    def _on_cancelled(self, job: int) -> None:
        self._jobs.pop(job, None)
