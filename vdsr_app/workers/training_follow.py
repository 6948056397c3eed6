"""Following one training run from the window: its events, whether it is alive, and requests to it."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from vdsr_app.errors import VdsrError
from vdsr_app.workers.messages import ErrorReport
from vdsr_app.workers.runner import describe_failure
from vdsr_app.workers.training_launch import DetachedProcess, crash_report
from vdsr_trainer.events import Event, Failed, Finished, Paused, Preparing, Started
from vdsr_trainer.history import EventTail
from vdsr_trainer.run_files import CONTROL_NAME, EVENTS_NAME, Control, is_alive, read_control, write_control
from vdsr_trainer.runs import RunState, delete_run

logger = logging.getLogger(__name__)

POLL_MS = 150
_LIFE_EVERY = 4
"""Polls from one check of the lock to the next."""


class RunFollower(QObject):
    """Reads the events of a run as they are written and detects its end; lives in the window's thread.

    Nothing here depends on who started the process: it is recognised by the lock that it holds. Only for the seconds
    between its start and its lock is it recognised by its process object.

    Signals:
        event_read: Event, in the order of the log.
        state_changed: RunState, first emitted once the log has been read.
        crashed: ErrorReport, if the process ended without giving a reason.
        ended: the process is gone; emitted before the other three report how.

    Attributes:
        folder: of the run, None while there is none.
        state: what it is doing, None until known.
    """

    event_read = Signal(object)
    state_changed = Signal(object)
    crashed = Signal(object)
    ended = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        """Follow nothing until `look_at` and `begin`."""
        super().__init__(parent)
        self.folder: Path | None = None
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._on_timeout)
        self._generation = 0
        self.look_at(None)

    def look_at(self, folder: Path | None) -> None:
        """Switch to another run, or to none; no signal of the previous one is emitted afterwards."""
        self._timer.stop()
        self._generation += 1
        self.folder = folder
        self.state: RunState | None = None
        self._tail = EventTail((folder or Path()) / EVENTS_NAME)
        self._wanted = Control() if folder is None else read_control(folder)
        self._last: Event | None = None
        self._step = 0
        self._paused = False
        self._process: DetachedProcess | None = None
        self._old_bytes = 0
        self._seen_alive = False
        self._locked = False
        self._repeat_control = False
        self._countdown = 0

    @property
    def wanted(self) -> Control:
        """The last request to the run."""
        return self._wanted

    @property
    def following(self) -> bool:
        """Whether the log is being read: from `begin` until the process ends."""
        return self._timer.isActive()

    def begin(self, asked: Control | None = None, process: DetachedProcess | None = None) -> None:
        """Follow the run, from its first event on or from where the last part ended.

        Args:
            asked: the request to a process just started for it; None follows whatever is there.
            process: that process. What the log holds at this moment is reported as the past: it says nothing about how
                the new process is doing.
        """
        if self.folder is None:
            return
        self._generation += 1
        if asked is not None:
            self._wanted = asked
        self._process = process
        self._seen_alive = self._repeat_control = process is not None
        self._locked = False
        self._countdown = 0
        self._last = None
        if process is not None:
            try:
                self._old_bytes = (self.folder / EVENTS_NAME).stat().st_size
            except OSError:
                self._old_bytes = 0
        self._timer.start(0)

    def ask(self, control: Control) -> None:
        """Send a request to the process of the run.

        Raises:
            SaveError: the folder cannot be written.
        """
        if self.folder is not None:
            write_control(self.folder, control.command, control.when_window_ends)
            self._wanted = control

    @Slot()
    def _on_timeout(self) -> None:
        folder, generation = self.folder, self._generation
        if folder is None:
            return
        # Checked before reading the log: a process writes its last event and then ends, so in the other order its end
        # could be seen without that event.
        alive = True
        if self._countdown <= 0:
            alive = self._check_alive(folder)
            self._countdown = _LIFE_EVERY
        more = self._read(folder)
        if generation != self._generation:
            return  # a receiver of a signal has switched to another run
        if more:
            self._timer.setInterval(0)  # there may be more; the window's event loop runs in between
            self._countdown = 0
            return
        self._timer.setInterval(POLL_MS)
        self._countdown -= 1
        if alive:
            self._change(RunState.PAUSED if self._paused else RunState.RUNNING)
        else:
            self._end(folder)

    def _check_alive(self, folder: Path) -> bool:
        locked = is_alive(folder)
        if locked and not self._locked:
            self._locked = self._seen_alive = True
            self._ask_again(folder)
        return locked or (self._process is not None and self._process.lives)

    def _read(self, folder: Path) -> bool:
        """Report the next events; False if there were none."""
        past, generation = self._tail.offset < self._old_bytes, self._generation
        try:
            events = self._tail.read_new(self._old_bytes if past else None)
        except OSError as error:
            logger.warning("The log of %s cannot be read: %s", folder, error)
            return False
        for event in events:
            self._take(folder, event, past)
            self.event_read.emit(event)
            if generation != self._generation:
                return False
        if past and not events:
            self._old_bytes = 0  # all of it has been reported; what follows is from the new process
            return True
        return bool(events)

    def _take(self, folder: Path, event: Event, past: bool) -> None:
        self._step = getattr(event, "step", self._step)
        if past:
            return
        self._last = event
        if isinstance(event, Paused):
            self._paused = True
        elif not isinstance(event, Finished | Failed):
            self._paused = False
        if isinstance(event, Preparing | Started):
            self._ask_again(folder)
            self._repeat_control = self._repeat_control and not isinstance(event, Started)

    def _ask_again(self, folder: Path) -> None:
        """Repeat the request: at its start a process clears requests to an earlier one, and with them its own."""
        if not self._repeat_control or self._wanted == read_control(folder):
            return
        try:
            write_control(folder, self._wanted.command, self._wanted.when_window_ends)
        except VdsrError as error:
            logger.warning("The run could not be asked again: %s", error)

    def _end(self, folder: Path) -> None:
        """Report the end: the process is gone, or there was none."""
        self._timer.stop()
        # First, so that `ended` is true whatever receivers of the other signals do, and nothing holds files of a folder
        # that is to be deleted.
        self.ended.emit()
        if self._seen_alive and self._is_discarded(folder):
            self._finish_discarding(folder)
            return
        match self._last:
            case Finished():
                state = RunState.FINISHED if self._last.complete else RunState.STOPPED
            case Failed():
                state = RunState.FAILED
            case _:
                state = RunState.STOPPED
        crashed = self._seen_alive and not isinstance(self._last, Finished | Failed)
        self._process, self._paused = None, False
        self._wanted = replace(self._wanted, command="run")
        self._tell_end(state, (), crash_report(folder) if crashed else None)

    def _is_discarded(self, folder: Path) -> bool:
        """Whether the run was to be discarded, also by the file, in which a new process clears old requests."""
        if self._wanted.command != "discard":
            return False
        return read_control(folder).command == "discard" or not (folder / CONTROL_NAME).exists()

    def _finish_discarding(self, folder: Path) -> None:
        """Delete what the process left of its folder: files that it held open, or everything if it was killed."""
        said = isinstance(self._last, Finished) and self._last.discarded
        failure = None
        if folder.exists():
            try:
                delete_run(folder)
            except VdsrError as error:
                failure = describe_failure(error)
        self._process, self._paused = None, False
        self._wanted = Control()
        unsaid = () if said or failure else (Finished(self._step, "", complete=False, discarded=True),)
        self._tell_end(RunState.STOPPED, unsaid, failure)

    def _tell_end(self, state: RunState, events: tuple[Event, ...], report: ErrorReport | None) -> None:
        """Report how it ended, until a receiver switches to another run or starts this one again."""
        generation = self._generation
        for event in events:
            self.event_read.emit(event)
        if generation == self._generation:
            self._change(state)
        if report is not None and generation == self._generation:
            self.crashed.emit(report)

    def _change(self, state: RunState) -> None:
        if state is not self.state:
            self.state = state
            self.state_changed.emit(state)
