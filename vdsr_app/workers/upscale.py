"""The service between the window and the core: takes jobs, emits signals, owns two threads."""

from __future__ import annotations

import logging
from functools import partial
from itertools import count

from PySide6.QtCore import QDeadlineTimer, QObject, Signal, Slot

from vdsr_app.core.models import DEFAULT_MODEL
from vdsr_app.workers import jobs
from vdsr_app.workers.core_access import CoreAccess, LazyCore
from vdsr_app.workers.lane import Lane
from vdsr_app.workers.messages import (
    CopyJob,
    ErrorReport,
    InstallJob,
    LayerJob,
    LayerKind,
    MetricsJob,
    OpenJob,
    PasteJob,
    Rect,
    SaveJob,
)
from vdsr_app.workers.runner import LaneJob, VisibleRegion, Work

logger = logging.getLogger(__name__)

Job = OpenJob | PasteJob | LayerJob | SaveJob | CopyJob | MetricsJob | InstallJob


class UpscaleService(QObject):
    """Runs jobs alongside the window; lives in the window's thread and is used only from it.

    Quick work (open, interpolate, save, copy, measure, install) goes through one thread, the network through another,
    so that the bicubic layer never waits for it. Within each, jobs run in order of arrival.

    Signals:
        started: job id, when its work begins.
        progress: job id, JobProgress; at most 20 per second.
        tile_finished: job id, TileBlock; MODEL layers only.
        notice: job id, sentence for a banner: memory was short, or what a saved file could not store.
        succeeded: job id, OpenedPicture, LayerResult, SavedFile, Score, ModelInfo or what a copy was converted to.
        failed: job id, ErrorReport.
        cancelled: job id. Exactly one of these three is emitted for each job, and nothing of that job after it.
        device_described: what the network runs on, when that is known and when it changes.
        fitting_changed: whether the network is being fitted to this processor, which happens once and delays it by
            some 20 seconds.
    """

    started = Signal(int)
    progress = Signal(int, object)
    tile_finished = Signal(int, object)
    notice = Signal(int, str)
    succeeded = Signal(int, object)
    failed = Signal(int, object)
    cancelled = Signal(int)
    device_described = Signal(str)
    fitting_changed = Signal(bool)

    def __init__(self, parent: QObject | None = None, core: CoreAccess | None = None) -> None:
        """Start both threads; torch is not loaded yet.

        Args:
            parent: owner.
            core: what the jobs call; None for the real core, a test may pass another.
        """
        super().__init__(parent)
        self._core: CoreAccess = core if core is not None else LazyCore(self.fitting_changed.emit)
        self._ids = count(1)
        self._warm_ups: set[int] = set()
        self._device = ""
        self._pictures = Lane("pictures", self)
        self._network = Lane("network", self)
        for lane in (self._pictures, self._network):
            lane.started.connect(self._on_started)
            lane.progress.connect(self.progress)
            lane.tile_finished.connect(self.tile_finished)
            lane.notice.connect(self.notice)
            lane.device_described.connect(self._on_device_described)
            lane.succeeded.connect(self._on_succeeded)
            lane.failed.connect(self._on_failed)
            lane.cancelled.connect(self._on_cancelled)

    @property
    def network_ready(self) -> bool:
        """Whether torch has been loaded, so that the first tile takes only a moment."""
        return bool(self._device)

    @property
    def active_jobs(self) -> frozenset[int]:
        """Jobs that have not ended, waiting or running."""
        return (self._pictures.active_jobs | self._network.active_jobs) - self._warm_ups

    def preload(self, device: str = "auto", precision: str = "auto", model: str = DEFAULT_MODEL) -> None:
        """Load torch and a model in the background, so that the first upscaling starts at once.

        This is not a job: nothing but `device_described` follows. Errors are logged, and reported by the first job
        that runs into them.
        """
        job_id = next(self._ids)
        self._warm_ups.add(job_id)
        self._network.submit(LaneJob(job_id, partial(jobs.warm_up, model, device, precision, self._core)))

    def submit(self, job: Job) -> int:
        """Queue a job; its signals are emitted after this call has returned.

        Returns:
            The number that all its signals carry.

        Raises:
            RuntimeError: the service is closed.
        """
        job_id = next(self._ids)
        network = isinstance(job, LayerJob) and job.layer.kind is LayerKind.MODEL
        lane = self._network if network else self._pictures
        lane.submit(
            LaneJob(
                job_id,
                self._work_of(job),
                leaves_file=isinstance(job, SaveJob | InstallJob),
                visible=VisibleRegion(job.visible if isinstance(job, LayerJob) else None),
            )
        )
        return job_id

    def cancel(self, job_id: int) -> None:
        """Cancel a job, waiting or running; does nothing if it has ended.

        `cancelled` is emitted from within this call, and the thread is free for the next job when the running tile or
        step is done. Only a job that is writing its file reports its actual end, a moment later.
        """
        self._pictures.cancel(job_id)
        self._network.cancel(job_id)

    def set_visible(self, job_id: int, rect: Rect | None) -> None:
        """Set what a MODEL job computes first from now on: the region on the screen, in output pixels."""
        self._network.set_visible(job_id, rect)

    def close(self, timeout_ms: int = 3000) -> bool:
        """Cancel everything, end both threads and wait for them; no signal is emitted afterwards.

        Returns:
            Whether both ended in time. If not (a slow disk while torch is being imported), the threads are abandoned,
            and the process must exit by `os._exit`.
        """
        deadline = QDeadlineTimer(timeout_ms)
        lanes = (self._pictures, self._network)
        for lane in lanes:
            lane.start_closing()
        ended = [lane.wait_closed(deadline) for lane in lanes]
        return all(ended)

    def _work_of(self, job: Job) -> Work:
        match job:
            case OpenJob():
                return partial(jobs.open_picture, job, self._core)
            case PasteJob():
                return partial(jobs.paste_picture, job)
            case LayerJob():
                return partial(jobs.make_layer, job, self._core)
            case SaveJob():
                return partial(jobs.save_picture, job, self._core)
            case CopyJob():
                return partial(jobs.copy_picture, job)
            case MetricsJob():
                return partial(jobs.measure, job, self._core)
            case InstallJob():
                return partial(jobs.install_model, job)

    @Slot(int)
    def _on_started(self, job_id: int) -> None:
        if job_id not in self._warm_ups:
            self.started.emit(job_id)

    @Slot(str)
    def _on_device_described(self, text: str) -> None:
        if text != self._device:
            self._device = text
            self.device_described.emit(text)

    @Slot(int, object)
    def _on_succeeded(self, job_id: int, result: object) -> None:
        if not self._was_warm_up(job_id):
            self.succeeded.emit(job_id, result)

    @Slot(int, object)
    def _on_failed(self, job_id: int, report: ErrorReport) -> None:
        if not self._was_warm_up(job_id):
            self.failed.emit(job_id, report)

    @Slot(int)
    def _on_cancelled(self, job_id: int) -> None:
        if not self._was_warm_up(job_id):
            self.cancelled.emit(job_id)

    def _was_warm_up(self, job_id: int) -> bool:
        """Whether a job that has ended was a warm-up, not one of the window's."""
        if job_id not in self._warm_ups:
            return False
        self._warm_ups.discard(job_id)
        return True
