"""Small errands around training in a thread of their own: lists of runs, counts of pictures, thumbnails, new runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from PySide6.QtCore import QDeadlineTimer, QObject, Signal, Slot

from vdsr_app.workers import training_errands
from vdsr_app.workers.lane import Lane
from vdsr_app.workers.messages import ErrorReport
from vdsr_app.workers.runner import LaneJob, Work
from vdsr_app.workers.training_errands import NewRun


class TrainingDesk(QObject):
    """Does what touches the disk for the pages about training, so that a slow disk never holds up the window.

    Signals:
        listed: tuple of RunInfo, the newest first.
        counted: tuple of int, pictures in each folder of the last `count_pictures`; -1 where there is no such folder.
        thumbnail_made: Path, (H, W, 4) uint8 RGBA; pictures that cannot be read have none.
        histories_read: tuple of (title, RunHistory).
        created: Path, folder of a new run.
        create_failed: ErrorReport.
        deleted: Path, folder of a run that is gone.
        failed: ErrorReport of a run that could not be deleted, or of histories that could not be read.
    """

    listed = Signal(object)
    counted = Signal(object)
    thumbnail_made = Signal(object, object)
    histories_read = Signal(object)
    created = Signal(object)
    create_failed = Signal(object)
    deleted = Signal(object)
    failed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        """Start the thread."""
        super().__init__(parent)
        self._ids = count(1)
        self._kinds: dict[int, str] = {}
        self._lane = Lane("training errands", self)
        self._lane.succeeded.connect(self._on_succeeded)
        self._lane.failed.connect(self._on_failed)
        self._lane.cancelled.connect(self._on_cancelled)

    def list_runs(self, root: Path) -> None:
        """Ask for all runs below a folder; of several wishes at once, the first and the last are fulfilled."""
        if list(self._kinds.values()).count("list") < 2:
            self._submit("list", partial(training_errands.list_all, root))

    def count_pictures(self, folders: Sequence[str]) -> None:
        """Count the files that look like pictures; an earlier count that is under way is given up."""
        self._cancel("count")
        self._submit("count", partial(training_errands.count_pictures, tuple(folders)))

    def make_thumbnails(self, paths: Sequence[Path], side_px: int) -> None:
        """Ask for small versions of these pictures, one signal each; earlier wishes are given up."""
        self._cancel("thumbnail")
        for path in paths:
            self._submit("thumbnail", partial(training_errands.thumbnail, path, side_px))

    def read_histories(self, runs: Sequence[tuple[str, Path]]) -> None:
        """Read the whole logs of some runs."""
        self._cancel("histories")
        self._submit("histories", partial(training_errands.read_histories, tuple(runs)))

    def create(self, new: NewRun) -> None:
        """Make the folder of a new run, with all that it need not find out again."""
        self._submit("create", partial(training_errands.create, new), leaves_file=True)

    def delete(self, folder: Path) -> None:
        """Delete a run with all it holds."""
        self._submit("delete", partial(training_errands.delete, folder), leaves_file=True)

    def start_closing(self) -> None:
        """Give up what waits; no signal comes afterwards."""
        self.blockSignals(True)
        self._lane.start_closing()

    def wait_closed(self, deadline: QDeadlineTimer) -> bool:
        """Whether the thread ended in time."""
        return self._lane.wait_closed(deadline)

    def _submit(self, kind: str, work: Work, *, leaves_file: bool = False) -> None:
        job_id = next(self._ids)
        self._kinds[job_id] = kind
        self._lane.submit(LaneJob(job_id, work, leaves_file=leaves_file))

    def _cancel(self, kind: str) -> None:
        for job_id in [job_id for job_id, other in self._kinds.items() if other == kind]:
            self._lane.cancel(job_id)

    @Slot(int, object)
    def _on_succeeded(self, job_id: int, result: object) -> None:
        kind = self._kinds.pop(job_id)
        if kind == "thumbnail":
            self._tell_thumbnail(result)
            return
        signals = {
            "list": self.listed,
            "count": self.counted,
            "histories": self.histories_read,
            "create": self.created,
            "delete": self.deleted,
        }
        signals[kind].emit(result)

    def _tell_thumbnail(self, result: Any) -> None:
        path, rgba = result
        if rgba is not None:
            self.thumbnail_made.emit(path, rgba)

    @Slot(int, object)
    def _on_failed(self, job_id: int, report: ErrorReport) -> None:
        kind = self._kinds.pop(job_id)
        (self.create_failed if kind == "create" else self.failed).emit(report)

    @Slot(int)
    def _on_cancelled(self, job_id: int) -> None:
        self._kinds.pop(job_id)
