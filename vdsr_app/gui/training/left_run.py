"""The run that trains while another one is looked at. No widgets."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from vdsr_app.gui.training.watch import RunWatch
from vdsr_app.workers.training import TrainingService
from vdsr_trainer.run_files import Control

_LOOK_EVERY_MS = 2000


class LeftRun(QObject):
    """Remembers which run trains while the watch is at another one, and turns the watch back to it.

    Attributes:
        folder: of the run that trains, as far as is known; None where none was left.
        title: its name, or "".
        paused: whether it waits, or was asked to.

    Signals:
        changed: anything of the above.
        turned_back: the watch follows it again, and it is left no longer.
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
        """Whether it still trains; asks the disk."""
        return self.folder is not None and self._service.lives(self.folder)

    @property
    def trains_alone(self) -> bool:
        """Whether it trains, as far as is known, and the run that is looked at does not."""
        return self.folder is not None and not self._watch.alive_by_log_or_lock

    def look_at(self, folder: Path) -> None:
        """Let the watch follow the run in this folder; the one that it leaves is remembered where it trains."""
        left = self._watch.folder
        if left is not None and left != folder and self._watch.alive_by_log_or_lock:
            self.folder, self.title, self.paused = left, self._watch.title, self._service.asked == "pause"
            self._timer.start()
            self._service.desk.read_control(left)
            self.changed.emit()
        self._watch.look_at(folder)

    def turn_back(self) -> bool:
        """Let the watch follow the run that was left, where there is one and it still trains; whether it does now."""
        folder = self.folder
        if folder is None:
            return False
        self._forget()
        # That the one looked at trains too, started by another window or program, makes the other no less wanted.
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
        """Another window may have asked it for something."""
        paused = control.command == "pause"
        if folder == self.folder and paused != self.paused:
            self.paused = paused
            self.changed.emit()
