"""Writes the result to a file: at once if it is finished, otherwise as soon as it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from vdsr_app.core.job import SaveOptions
from vdsr_app.core.picture import Picture
from vdsr_app.workers.messages import ErrorReport, JobProgress, SavedFile, SaveJob

if TYPE_CHECKING:
    from vdsr_app.workers.upscale import UpscaleService


@dataclass(frozen=True, slots=True)
class SaveRequest:
    """Where and how to write a result."""

    path: Path
    options: SaveOptions


class Exporter(QObject):
    """Saves results one after another, and remembers one request to save a result that is not finished yet.

    Signals:
        changed: `pending` or `saving` has changed; emitted after `saved`, `failed` and `given_up`.
        progressed: `Path` and `JobProgress` of a file being written.
        saved: the `SavedFile`, and sentences about what its format could not hold.
        failed: the `ErrorReport`.
        given_up: the `Path` of a file that will not be written: the request was dropped, or the writing cancelled.
    """

    changed = Signal()
    progressed = Signal(object, object)
    saved = Signal(object, object)
    failed = Signal(object)
    given_up = Signal(object)

    def __init__(self, service: UpscaleService, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._service = service
        self._pending: SaveRequest | None = None
        self._jobs: dict[int, SaveRequest] = {}
        self._notes: dict[int, list[str]] = {}
        service.notice.connect(self._on_notice)
        service.progress.connect(self._on_progress)
        service.succeeded.connect(self._on_succeeded)
        service.failed.connect(self._on_failed)
        service.cancelled.connect(self._on_cancelled)

    @property
    def pending(self) -> SaveRequest | None:
        """The request to carry out once the result is finished, or None."""
        return self._pending

    @property
    def saving(self) -> tuple[Path, ...]:
        """Files being written."""
        return tuple(request.path for request in self._jobs.values())

    def save(self, picture: Picture, request: SaveRequest) -> None:
        """Write a finished result."""
        self._jobs[self._service.submit(SaveJob(picture, request.path, request.options))] = request
        self.changed.emit()

    def save_later(self, request: SaveRequest) -> None:
        """Remember to write the result when `finish` delivers it; an earlier request is dropped."""
        former, self._pending = self._pending, request
        if former is not None and former.path != request.path:
            self.given_up.emit(former.path)
        self.changed.emit()

    def finish(self, picture: Picture) -> None:
        """Write the finished result, if that was requested."""
        if self._pending is not None:
            request, self._pending = self._pending, None
            self.save(picture, request)

    def forget(self) -> None:
        """Drop the request to save later."""
        request, self._pending = self._pending, None
        if request is not None:
            self.given_up.emit(request.path)
            self.changed.emit()

    def stop(self) -> None:
        """Cancel the files being written; existing files of those names stay as they were."""
        for job in list(self._jobs):
            self._service.cancel(job)

    def _on_progress(self, job: int, progress: JobProgress) -> None:
        if job in self._jobs:
            self.progressed.emit(self._jobs[job].path, progress)

    def _on_notice(self, job: int, text: str) -> None:
        if job in self._jobs:
            self._notes.setdefault(job, []).append(text)

    def _on_succeeded(self, job: int, result: object) -> None:
        notes = self._notes.get(job, [])
        if self._end_job(job) is not None and isinstance(result, SavedFile):
            self.saved.emit(result, tuple(notes))
            self.changed.emit()

    def _on_failed(self, job: int, report: ErrorReport) -> None:
        if self._end_job(job) is not None:
            self.failed.emit(report)
            self.changed.emit()

    def _on_cancelled(self, job: int) -> None:
        request = self._end_job(job)
        if request is not None:
            self.given_up.emit(request.path)
            self.changed.emit()

    def _end_job(self, job: int) -> SaveRequest | None:
        """Forget `job` and return what it was writing, or None if it is not one of these."""
        self._notes.pop(job, None)
        return self._jobs.pop(job, None)
