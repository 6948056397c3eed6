"""The service between the window and training: checks pictures, measures, starts and follows runs, exports results."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from PySide6.QtCore import QDeadlineTimer, QObject, QTimer, Signal, Slot

from vdsr_app import paths
from vdsr_app.errors import VdsrError
from vdsr_app.workers import training_jobs
from vdsr_app.workers.errands import Errands
from vdsr_app.workers.messages import ErrorReport, JobProgress
from vdsr_app.workers.runner import describe_failure
from vdsr_app.workers.training_desk import TrainingDesk
from vdsr_app.workers.training_follow import RunFollower
from vdsr_app.workers.training_launch import DetachedProcess
from vdsr_app.workers.training_measure import MeasureProcess
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.report import PictureRecord, PreflightReport
from vdsr_trainer.events import Event
from vdsr_trainer.run_files import (
    WINDOW_LOCK_NAME,
    Command,
    Control,
    RunLock,
    WhenWindowEnds,
    is_alive,
    write_control,
)
from vdsr_trainer.runs import RunState

logger = logging.getLogger(__name__)

_REAP_MS = 2000
_WINDOW_LOCK_PATIENCE_S = 0.5
"""The training process tries this lock for an instant every two seconds; if held longer, another window has it."""


class TrainingService(QObject):
    """Training for the window; lives in the window's thread and is used only from it.

    A run is a process of its own, which this service starts, finds again and follows, and which continues without it.
    One run is followed at a time.

    Attributes:
        desk: lists, creates and deletes runs, counts pictures.

    Signals:
        check_progress: pictures done, pictures in total; at most 20 per second.
        checked: PreflightReport.
        check_failed: ErrorReport. One of these two follows `check`, unless it is cancelled.
        measured: Measured, one per configuration, each as soon as it is known.
        measure_failed: ErrorReport; the rest is not measured.
        measure_finished: nothing more is measured; always the last signal of a `measure`.
        event_received: folder, Event: everything in the log of the followed run from its first line, then what is
            added.
        state_changed: folder, RunState: first emitted once the log has been read.
        crashed: ErrorReport: the process ended without giving a reason, or could not be started.
        exported: OnnxReport or SavedFile.
        installed: ModelInfo.
        job_failed: ErrorReport of an export, an installation, or a request that could not be passed to the run.
    """

    check_progress = Signal(int, int)
    checked = Signal(object)
    check_failed = Signal(object)
    measured = Signal(object)
    measure_failed = Signal(object)
    measure_finished = Signal()
    event_received = Signal(object, object)  # `event` is a method of QObject
    state_changed = Signal(object, object)
    crashed = Signal(object)
    exported = Signal(object)
    installed = Signal(object)
    job_failed = Signal(object)

    def __init__(
        self, parent: QObject | None = None, command: Callable[[], list[str]] = paths.training_command
    ) -> None:
        """Start the threads; no process is started and torch is not loaded.

        Args:
            parent: owner.
            command: returns the command that starts `vdsr train`.
        """
        super().__init__(parent)
        self.desk = TrainingDesk(self)
        self._command = command
        self._known: tuple[PictureRecord, ...] = ()
        # One follower for all runs: deleting one within its own signal would be a crash waiting to happen.
        self._follower = RunFollower(self)
        self._follower.event_read.connect(self._on_event_read)
        self._follower.state_changed.connect(self._on_state_changed)
        self._follower.crashed.connect(self.crashed)
        self._follower.ended.connect(self._on_ended)
        self._window_locks: dict[Path, RunLock] = {}
        self._checks = Errands("check pictures", self)
        self._checks.progress.connect(self._on_check_progress)
        self._results = Errands("training results", self)
        self._measure: MeasureProcess | None = None
        self._children: list[DetachedProcess] = []
        self._reaper = QTimer(self)
        self._reaper.timeout.connect(self._on_reap)

    # --- before a run

    def check(self, config: TrainConfig) -> int:
        """Decode every picture of `config` in a thread; a check in progress is cancelled.

        Files that the last check saw and that have not changed since are not decoded again.

        Returns:
            The number of the job.
        """
        self.cancel_check()
        work = partial(training_jobs.check_pictures, config, self._known)
        return self._checks.submit("check", work, self._on_checked, self.check_failed.emit)

    def cancel_check(self) -> None:
        """Cancel the check; none of its signals follow."""
        self._checks.cancel("check")

    def measure(self, configs: dict[str, TrainConfig]) -> None:
        """Run a few steps of each configuration in a child process; a measurement in progress is aborted.

        Args:
            configs: by the name under which `measured` reports them.
        """
        if self._measure is None:
            self._measure = MeasureProcess(self._command(), self)
            self._measure.measured.connect(self.measured)
            self._measure.failed.connect(self.measure_failed)
            self._measure.finished.connect(self.measure_finished)
        self._measure.start(configs)

    def cancel_measure(self) -> None:
        """Stop measuring; `measure_finished` follows at once if a measurement was in progress."""
        if self._measure is not None:
            self._measure.cancel()

    # --- a run

    @property
    def attached(self) -> Path | None:
        """Folder of the followed run, also after it has ended; None before `attach` and after `detach`."""
        return self._follower.folder

    @property
    def following(self) -> bool:
        """Whether its log is being read: from `attach` or `start` until its process ends."""
        return self._follower.following

    @property
    def asked(self) -> Command:
        """The last command given to that run."""
        return self._follower.wanted.command

    def lives(self, folder: Path) -> bool:
        """Whether a process is training this run, or about to."""
        return is_alive(folder) or any(child.run == folder and child.lives for child in self._children)

    def start(self, folder: Path, steps: int | None = None) -> bool:
        """Start or resume the run in `folder` and follow it; one that is already running is only followed.

        Args:
            folder: of the run.
            steps: new total number of steps, more than it was created with; None keeps it.

        Returns:
            Whether a process is training it now; if not, `crashed` has reported why.
        """
        # A process just started does not hold the lock until it has loaded torch.
        if self.lives(folder):
            self.attach(folder)
            return True
        ends: WhenWindowEnds = "save" if folder in self._window_locks else "go on"
        try:
            # Commands to the previous part of the run do not apply to this one.
            write_control(folder, "run", ends)
            longer = [] if steps is None else ["--steps", str(steps)]
            process = DetachedProcess([*self._command(), "--resume", str(folder), *longer, "--json"], folder)
        except VdsrError as error:
            self.crashed.emit(describe_failure(error))
            return False
        self._children.append(process)
        self._reaper.start(_REAP_MS)
        if self.attached != folder:
            self.detach()
            self._follower.look_at(folder)
        self._follower.begin(Control("run", ends), process)
        return True

    def attach(self, folder: Path) -> None:
        """Follow the run in `folder`, alive or not; another one is no longer followed, but continues."""
        if self.attached == folder and self._follower.following:
            return
        self.detach()
        self._follower.look_at(folder)
        self._follower.begin()

    def detach(self) -> None:
        """Follow no run; a running one continues. What happens to it when the window ends stays as it was set."""
        self._follower.look_at(None)
        self._release_ended()

    # Each of these returns whether the request was passed on; if not, `job_failed` has reported why.

    def pause(self) -> bool:
        """Pause the followed run; it reports `Paused` once it has paused."""
        return self._ask("pause")

    def resume(self) -> bool:
        """Continue a paused run; it reports `Resumed`. For one whose process has ended, use `start`."""
        return self._ask("run")

    def stop(self) -> bool:
        """Save the followed run and end its process; `Finished` follows."""
        return self._ask("stop")

    def discard(self) -> bool:
        """End the followed run and delete its folder; `Finished` with `discarded` follows."""
        return self._ask("discard")

    def set_when_window_ends(self, choice: WhenWindowEnds) -> None:
        """Choose whether the followed run continues without the window, or saves and stops, however the window ends."""
        folder, wanted = self.attached, self._follower.wanted
        if folder is None:
            return
        if choice == "save":
            # Take the lock first: a run told to save checks whether it is free.
            if self._hold_window_lock(folder):
                self._tell(replace(wanted, when_window_ends="save"))
        elif self._tell(replace(wanted, when_window_ends="go on")):
            self._release_window_lock(folder)

    # --- a result

    def export_onnx(self, model: Path, out: Path) -> int:
        """Export a weight file to ONNX in a thread; returns the number of the job."""
        work = partial(training_jobs.export_onnx, model, out)
        return self._results.submit("export", work, self.exported.emit, self.job_failed.emit, leaves_file=True)

    def export_weights(self, model: Path, out: Path) -> int:
        """Copy a weight file in a thread after checking it; returns the number of the job."""
        work = partial(training_jobs.export_weights, model, out)
        return self._results.submit("export", work, self.exported.emit, self.job_failed.emit, leaves_file=True)

    def install(self, weights: Path) -> int:
        """Add a run's weights to the list of models in a thread; returns the number of the job."""
        work = partial(training_jobs.install, weights)
        return self._results.submit("install", work, self.installed.emit, self.job_failed.emit, leaves_file=True)

    def close(self, timeout_ms: int = 3000) -> bool:
        """End everything but the runs: those continue, or save and stop, as chosen. No signal is emitted afterwards.

        Returns:
            Whether the threads ended in time. If not, the process must exit by `os._exit`.
        """
        deadline = QDeadlineTimer(timeout_ms)
        self.blockSignals(True)
        self.cancel_check()
        if self._measure is not None:
            self._measure.close()
        self.detach()
        for lane in (self._checks, self._results, self.desk):
            lane.start_closing()
        ended = [lane.wait_closed(deadline) for lane in (self._checks, self._results, self.desk)]
        for folder in list(self._window_locks):
            self._release_window_lock(folder)
        self._reaper.stop()
        for child in self._children:
            child.leave()
        self._children.clear()
        return all(ended)

    # --- inside

    def _ask(self, command: Command) -> bool:
        return self._tell(replace(self._follower.wanted, command=command))

    def _tell(self, control: Control) -> bool:
        try:
            self._follower.ask(control)
        except VdsrError as error:
            self.job_failed.emit(describe_failure(error))
            return False
        return True

    def _hold_window_lock(self, folder: Path) -> bool:
        if folder in self._window_locks:
            return True
        lock = RunLock(folder, WINDOW_LOCK_NAME)
        try:
            held = lock.try_acquire(_WINDOW_LOCK_PATIENCE_S)
        except VdsrError as error:
            self.job_failed.emit(describe_failure(error))
            return False
        if not held:
            report = ErrorReport(
                "Another window is already deciding what happens to this run.",
                str(folder),
                "Close the other window first.",
            )
            self.job_failed.emit(report)
            return False
        self._window_locks[folder] = lock
        return True

    def _release_window_lock(self, folder: Path) -> None:
        lock = self._window_locks.pop(folder, None)
        if lock is not None:
            lock.release()

    def _release_ended(self) -> None:
        """Release the locks of runs that have ended: Windows deletes no folder in which a file is open."""
        for folder in list(self._window_locks):
            if not self.lives(folder):
                self._release_window_lock(folder)

    @Slot(object)
    def _on_event_read(self, event: Event) -> None:
        self.event_received.emit(self.attached, event)

    @Slot(object)
    def _on_state_changed(self, state: RunState) -> None:
        self.state_changed.emit(self.attached, state)

    @Slot()
    def _on_reap(self) -> None:
        """Drop processes that have ended, so that none remains a zombie while the window lives."""
        self._children = [child for child in self._children if child.lives]
        self._release_ended()
        if not self._children:
            self._reaper.stop()

    @Slot()
    def _on_ended(self) -> None:
        if self.attached is not None:
            self._release_window_lock(self.attached)

    @Slot(object)
    def _on_check_progress(self, progress: JobProgress) -> None:
        self.check_progress.emit(progress.done, progress.total)

    def _on_checked(self, report: PreflightReport) -> None:
        self._known = report.records
        self.checked.emit(report)
