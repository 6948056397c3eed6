"""Small jobs around training in threads of their own: lists of runs, counts of pictures, thumbnails, new runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QDeadlineTimer, QObject, Signal

from vdsr_app.core.picture import Pixels
from vdsr_app.workers import thumbnails, training_errands
from vdsr_app.workers.errands import Errands
from vdsr_app.workers.training_errands import NewRun
from vdsr_trainer.runs import RunInfo


class TrainingDesk(QObject):
    """Does the disk access of the training pages, so that a slow disk never blocks the window.

    Signals:
        listed: tuple of RunInfo, newest first.
        counted: tuple of int, pictures in each folder of the last `count_pictures`; -1 if there is no such folder.
        thumbnail_made: Path, (H, W, 4) uint8 RGBA; unreadable pictures have none.
        histories_read: tuple of (title, RunHistory).
        created: Path, folder of a new run.
        create_failed: ErrorReport.
        settings_read: RunInfo, TrainConfig.
        control_read: Path, Control: last request to the run in that folder.
        renamed: RunInfo, with its new title.
        deleted: Path, folder of a deleted run.
        failed: ErrorReport of a run that could not be renamed or deleted, or of settings or histories that could not
            be read.
    """

    listed = Signal(object)
    counted = Signal(object)
    thumbnail_made = Signal(object, object)
    histories_read = Signal(object)
    created = Signal(object)
    create_failed = Signal(object)
    settings_read = Signal(object, object)
    control_read = Signal(object, object)
    renamed = Signal(object)
    deleted = Signal(object)
    failed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        """Start the threads."""
        super().__init__(parent)
        self._errands = Errands("training errands", self)
        # Thumbnails get a lane of their own: each decodes a whole picture, and a start must not wait for dozens.
        self._small = Errands("training thumbnails", self)
        self._listed_root: Path | None = None

    def list_runs(self, root: Path) -> None:
        """Request all runs below a folder; if one request runs and one waits for it too, the latter serves this one."""
        if self._errands.count("list") < 2 or root != self._listed_root:
            self._listed_root = root
            self._errands.submit("list", partial(training_errands.list_all, root), self.listed.emit, self.failed.emit)

    def count_pictures(self, folders: Sequence[str]) -> None:
        """Count the files that look like pictures; a count in progress is cancelled."""
        self._errands.cancel("count")
        work = partial(training_errands.count_pictures, tuple(folders))
        self._errands.submit("count", work, self.counted.emit, self.failed.emit)

    def make_thumbnails(self, paths: Sequence[Path], side_px: int) -> None:
        """Request small versions of these pictures, one signal each; earlier requests are cancelled."""
        self._small.cancel("thumbnail")
        for path in paths:
            work = partial(thumbnails.thumbnail, path, side_px)
            self._small.submit("thumbnail", work, self._on_thumbnail, self.failed.emit)

    def read_histories(self, runs: Sequence[tuple[str, Path]]) -> None:
        """Read the complete logs of several runs; an earlier request is cancelled."""
        self._errands.cancel("histories")
        work = partial(training_errands.read_histories, tuple(runs))
        self._errands.submit("histories", work, self.histories_read.emit, self.failed.emit)

    def create(self, new: NewRun) -> None:
        """Create the folder of a new run, with everything it need not find out again."""
        work = partial(training_errands.create, new)
        self._errands.submit("create", work, self.created.emit, self.create_failed.emit, leaves_file=True)

    def read_settings(self, run: RunInfo) -> None:
        """Read the configuration that a run was created with; an earlier request is cancelled."""
        self._errands.cancel("settings")
        work = partial(training_errands.read_settings, run.folder)
        self._errands.submit("settings", work, partial(self.settings_read.emit, run), self.failed.emit)

    def read_control(self, folder: Path) -> None:
        """Read the last request to a run from whichever window; an earlier read is cancelled."""
        self._errands.cancel("control")
        work = partial(training_errands.last_control, folder)
        self._errands.submit("control", work, partial(self.control_read.emit, folder), self.failed.emit)

    def rename(self, folder: Path, title: str) -> None:
        """Give a run another title."""
        work = partial(training_errands.rename, folder, title)
        self._errands.submit("rename", work, self.renamed.emit, self.failed.emit, leaves_file=True)

    @property
    def renaming(self) -> bool:
        """Whether a requested title is not on disk yet."""
        return self._errands.count("rename") > 0

    def delete(self, folder: Path) -> None:
        """Delete a run with everything in it."""
        work = partial(training_errands.delete, folder)
        self._errands.submit("delete", work, self.deleted.emit, self.failed.emit, leaves_file=True)

    def start_closing(self) -> None:
        """Cancel everything and ask the threads to end; no signal is emitted afterwards."""
        self.blockSignals(True)
        for lane in (self._errands, self._small):
            lane.start_closing()

    def wait_closed(self, deadline: QDeadlineTimer) -> bool:
        """Whether the threads ended in time."""
        ended = [lane.wait_closed(deadline) for lane in (self._errands, self._small)]
        return all(ended)

    def _on_thumbnail(self, made: tuple[Path, Pixels | None]) -> None:
        if made[1] is not None:
            self.thumbnail_made.emit(*made)
