"""Reads pictures, one at a time; only the latest request counts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from vdsr_app.core.picture import Picture
from vdsr_app.gui.latest_job import LatestJob
from vdsr_app.gui.texts import file_name
from vdsr_app.workers.messages import OpenJob, PasteJob

if TYPE_CHECKING:
    from vdsr_app.workers.upscale import UpscaleService


class Opener(QObject):
    """Requests a picture from the service; a new request cancels the previous one.

    Signals:
        changed: `name` may have changed.
        opened: the `Path`, or None for a picture that is not a file, and the `OpenedPicture`.
        failed: the `ErrorReport`.
    """

    changed = Signal()
    opened = Signal(object, object)
    failed = Signal(object)

    def __init__(self, service: UpscaleService, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._name = ""
        self._job = LatestJob(service, self)
        self._job.changed.connect(self.changed)
        self._job.failed.connect(self.failed)

    @property
    def name(self) -> str | None:
        """Display name of what is being read, or None."""
        return self._name if self._job.running else None

    def open(self, path: Path) -> None:
        """Read a file."""
        self._begin(OpenJob(path), path, file_name(path))

    def take(self, take: Callable[[], Picture], name: str) -> None:
        """Take a picture that is not a file; `name` is its display name."""
        self._begin(PasteJob(take), None, name)

    def cancel(self) -> None:
        """Stop reading."""
        self._job.cancel()

    def _begin(self, job: OpenJob | PasteJob, path: Path | None, name: str) -> None:
        self._name = name
        self._job.begin(job, partial(self.opened.emit, path))
