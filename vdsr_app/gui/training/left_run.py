"""The run that trains while another one is being viewed. No widgets."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from vdsr_app.gui.training.watch import RunWatch
from vdsr_app.workers.training import TrainingService
from vdsr_trainer.run_files import Control

_LOOK_EVERY_MS = 2000


class LeftRun(QObject):
    """Remembers which run is training while the watch follows another one, and turns the watch back to it.

    Attributes:
        folder: the run that was training when last checked; None if none was left.
        title: name of that run, or "".
        paused: whether it is paused, or was asked to pause.

    Signals:
        changed: any of the above.
        turned_back: the watch follows that run again.
    """

    changed = Signal()
    turned_back = Signal()

    def __init__(self, service: TrainingService, watch: RunWatch, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._service = service
        self._watch = watch
        self.folder: Path | None = None
        self.title = ""
        self.paused = False
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_EVERY_MS)
        self._timer.timeout.connect(self._on_look_due)
        service.desk.control_read.connect(self._on_control_read)

    @property
    def lives(self) -> bool:
        """Whether it is still training; accesses the disk."""
        return self.folder is not None and self._service.lives(self.folder)

    @property
    def trains_alone(self) -> bool:
        """Whether it is training, as of the last check, while the watched run is not."""
        return self.folder is not None and not self._watch.alive_by_log_or_lock

    def look_at(self, folder: Path) -> None:
        """Let the watch follow the run in this folder; the run it leaves is remembered if it is training."""
        left = self._watch.folder
        if left is not None and left != folder and self._watch.alive_by_log_or_lock:
            self.folder, self.title, self.paused = left, self._watch.title, self._service.asked == "pause"
            self._timer.start()
            self._service.desk.read_control(left)
            self.changed.emit()
        self._watch.look_at(folder)

    def turn_back(self) -> bool:
        """Let the watch follow the run that was left, if that is still training; return whether it now does."""
        folder = self.folder
        if folder is None:
            return False
        self._forget()
        # Turn back even if the watched run is training too, started by another window or program.
        if self._watch.folder == folder or not self._service.lives(folder):
            return False
        self._watch.look_at(folder)
        self.turned_back.emit()
        return True

    def _forget(self) -> None:
        self.folder, self.title, self.paused = None, "", False
        self._timer.stop()
        self.changed.emit()

    def _on_look_due(self) -> None:
        if not self.lives:
            self._forget()
        elif self.folder is not None:
            self._service.desk.read_control(self.folder)

    def _on_control_read(self, folder: Path, control: Control) -> None:
        """Update `paused` from the control file, which another window may have written."""
        paused = control.command == "pause"
        if folder == self.folder and paused != self.paused:
            self.paused = paused
            self.changed.emit()
