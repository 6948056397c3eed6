"""A fake worker service that tests control, and helpers that create pictures and results for it."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject, Signal

from vdsr_app.core.models import install_model
from vdsr_app.core.picture import Picture, SourceInfo
from vdsr_app.core.pyramid import MipPyramid
from vdsr_app.errors import VdsrError
from vdsr_app.workers.messages import (
    CopyJob,
    ErrorReport,
    InstallJob,
    JobProgress,
    LayerJob,
    LayerKind,
    LayerResult,
    MetricsJob,
    OpenedPicture,
    OpenJob,
    PasteJob,
    SavedFile,
    SaveJob,
    TileBlock,
)
from vdsr_app.workers.runner import describe_failure

Job = OpenJob | PasteJob | LayerJob | SaveJob | CopyJob | MetricsJob | InstallJob


class FakeService(QObject):
    """Accepts jobs like `UpscaleService`, and ends them only when a test says so."""

    started = Signal(int)
    progress = Signal(int, object)
    tile_finished = Signal(int, object)
    notice = Signal(int, str)
    succeeded = Signal(int, object)
    failed = Signal(int, object)
    cancelled = Signal(int)
    device_described = Signal(str)
    fitting_changed = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[int, Job] = {}
        self.all_jobs: list[Job] = []
        self.preloads: list[tuple[str, ...]] = []
        self.visible: list[tuple[int, object]] = []
        self.network_ready = False
        self._ids = count(1)

    def preload(self, *arguments: str) -> None:
        self.preloads.append(arguments)

    def submit(self, job: Job) -> int:
        number = next(self._ids)
        self.jobs[number] = job
        self.all_jobs.append(job)
        return number

    def cancel(self, number: int) -> None:
        if self.jobs.pop(number, None) is not None:
            self.cancelled.emit(number)

    def set_visible(self, number: int, rect: object) -> None:
        self.visible.append((number, rect))

    @property
    def active_jobs(self) -> frozenset[int]:
        return frozenset(self.jobs)

    # Called by tests.

    def find(self, kind: type[Job] | LayerKind) -> int:
        """Return the only waiting job of a type, or for a kind of layer."""
        found = [
            number
            for number, job in self.jobs.items()
            if (isinstance(kind, LayerKind) and isinstance(job, LayerJob) and job.layer.kind is kind)
            or (not isinstance(kind, LayerKind) and isinstance(job, kind))
        ]
        assert len(found) == 1, f"{kind}: {[type(j).__name__ for j in self.jobs.values()]}"
        return found[0]

    def waiting(self) -> list[str]:
        """Return the waiting jobs, each as its type or kind of layer."""
        return [j.layer.kind.value if isinstance(j, LayerJob) else type(j).__name__ for j in self.jobs.values()]

    def open_with(self, picture: Picture) -> None:
        self.finish(self.find(OpenJob), as_opened(picture))

    def finish_paste(self) -> Picture:
        number = self.find(PasteJob)
        job = self.jobs[number]
        assert isinstance(job, PasteJob)
        picture = job.take()
        self.finish(number, as_opened(picture))
        return picture

    def finish_copy(self) -> None:
        number = self.find(CopyJob)
        job = self.jobs[number]
        assert isinstance(job, CopyJob)
        self.finish(number, job.convert(job.picture))

    def finish_layer(self, kind: LayerKind, value: int = 100) -> LayerResult:
        number = self.find(kind)
        job = self.jobs[number]
        assert isinstance(job, LayerJob)
        size = job.settings.target.size_for(job.picture.width, job.picture.height)
        picture = make_picture(size.width, size.height, value)
        result = LayerResult(job.layer, job.settings.target, picture, pyramid_of(picture), 0.5, "Fake, fp32")
        self.finish(number, result)
        return result

    def finish_save(self) -> SavedFile:
        number = self.find(SaveJob)
        job = self.jobs[number]
        assert isinstance(job, SaveJob)
        job.path.write_bytes(b"saved")
        saved = SavedFile(job.path, 5)
        self.finish(number, saved)
        return saved

    def finish_install(self) -> None:
        number = self.find(InstallJob)
        job = self.jobs[number]
        assert isinstance(job, InstallJob)
        try:
            self.finish(number, install_model(job.path))
        except VdsrError as error:
            del self.jobs[number]
            self.failed.emit(number, describe_failure(error))

    def finish(self, number: int, result: object) -> None:
        del self.jobs[number]
        self.succeeded.emit(number, result)

    def fail(self, kind: type[Job] | LayerKind, what: str = "It failed.") -> None:
        self.fail_with(kind, ErrorReport(what, "/tmp/a.png", "Try again.", "Traceback"))

    def fail_with(self, kind: type[Job] | LayerKind, report: ErrorReport) -> None:
        number = self.find(kind)
        del self.jobs[number]
        self.failed.emit(number, report)

    def tell_progress(self, kind: type[Job] | LayerKind, done: int, total: int, left: float | None = None) -> None:
        self.progress.emit(self.find(kind), JobProgress(done, total, left))

    def tell_tile(self, kind: LayerKind, x: int, y: int, side: int, value: int) -> None:
        block = np.full((side, side, 4), value, np.uint8)
        block[:, :, 3] = 255
        self.tile_finished.emit(self.find(kind), TileBlock(x, y, block))


def make_picture(width: int, height: int, value: int = 50, path: Path | None = None) -> Picture:
    """Return a uniformly gray picture."""
    source = SourceInfo(path, "png") if path is not None else SourceInfo()
    return Picture(np.full((height, width, 3), value, np.uint8), source=source)


def as_opened(picture: Picture) -> OpenedPicture:
    """Return the picture as a reader would."""
    return OpenedPicture(picture, pyramid_of(picture))


def pyramid_of(picture: Picture) -> MipPyramid:
    """Return the picture's pyramid for the screen."""
    rgba = np.full((picture.height, picture.width, 4), 255, np.uint8)
    rgba[:, :, :3] = picture.pixels
    return MipPyramid.from_rgba(rgba)
