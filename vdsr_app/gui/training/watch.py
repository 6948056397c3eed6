"""The run that is followed: its history, its state, and pending requests. No widgets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from vdsr_app.gui.status_line import Activity
from vdsr_app.gui.texts import steps_text
from vdsr_app.gui.training.words import count, percent, preparing, preparing_short, time_left
from vdsr_app.workers.messages import ErrorReport
from vdsr_app.workers.training import TrainingService
from vdsr_trainer.events import Event, Failed, Finished, Noticed, RolledBack
from vdsr_trainer.history import RunHistory
from vdsr_trainer.run_files import Command, is_alive
from vdsr_trainer.runs import RunInfo, RunState, describe_run

_CHANGED_MS = 100


class RunWatch(QObject):
    """Follows one run through the service and accumulates its events.

    Attributes:
        folder: run folder; None while no run is followed.
        history: everything the run has reported.
        state: state of the run; None until its log has been read once.
        report: why its process ended unexpectedly or could not be started.
        asked: pending request; "run" if there is none.

    Signals:
        changed: any of the above; event bursts are merged to at most ten signals per second.
        state_changed: the RunState.
        noticed: message about something that happened while it was followed.
        crashed: ErrorReport.
        discarded: the run was deleted at the user's request.
        finished: the run completed its last step while it was followed.
    """

    changed = Signal()
    state_changed = Signal(object)
    noticed = Signal(str)
    crashed = Signal(object)
    discarded = Signal()
    finished = Signal()

    def __init__(self, service: TrainingService, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._service = service
        self.folder: Path | None = None
        self._info: RunInfo | None = None
        self.state: RunState | None = None
        self._clear()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_CHANGED_MS)
        self._timer.timeout.connect(self.changed)
        service.event_received.connect(self._on_event)
        service.state_changed.connect(self._on_state)
        service.crashed.connect(self._on_crashed)
        service.desk.renamed.connect(self._on_renamed)

    @property
    def info(self) -> RunInfo | None:
        """Content of the run folder besides its log, such as the title, as of when it was opened or renamed."""
        return self._info

    @property
    def title(self) -> str:
        """Name of the run, or ""."""
        return self._info.title if self._info is not None else ""

    @property
    def alive(self) -> bool:
        """Whether a process is training it or has paused."""
        return self.state in (RunState.RUNNING, RunState.PAUSED)

    @property
    def alive_by_log_or_lock(self) -> bool:
        """`alive`, or before the log was first read, whether a process holds the run's lock, which reads the disk."""
        return is_alive(self.folder) if self.state is None and self.folder is not None else self.alive

    @property
    def steps(self) -> int:
        """Total steps."""
        if self.history.started is not None:
            return self.history.started.steps
        return self._info.steps if self._info is not None else 0

    @property
    def percent(self) -> int:
        """Share done, in whole percent."""
        return percent(self.history.step, self.steps)

    def look_at(self, folder: Path) -> None:
        """Follow the run in this folder, alive or not."""
        if self.folder == folder and self._service.attached == folder and self._service.following:
            return
        self._turn_to(folder)
        self._service.attach(folder)

    def start(self, folder: Path, steps: int | None = None) -> None:
        """Start or resume the run in this folder, and follow it."""
        self._turn_to(folder)
        self._starts = True
        # Detach so that the log is read from its beginning and nothing is reported twice.
        self._service.detach()
        if not self._service.start(folder, steps):
            # Unknown until the log has been read: what it holds is in the past, and none of it is news.
            self.state, self._starts = None, False
            self._service.attach(folder)

    def leave(self) -> None:
        """Stop following; a running process continues."""
        self._service.detach()
        self.folder, self._info = None, None
        self._clear()
        self.changed.emit()

    def pause(self) -> None:
        """Pause the run."""
        self._ask("pause", self._service.pause)

    def resume(self) -> None:
        """End a pause."""
        self._ask("run", self._service.resume)

    def stop(self) -> None:
        """Save and end the run."""
        self._ask("stop", self._service.stop)

    def discard(self) -> None:
        """End and delete the run; one without a process is left alone."""
        self._ask("discard", self._service.discard)

    def activity(self) -> Activity | None:
        """Status line for the other workspaces; None while the run is not alive."""
        if not self.alive:
            return None
        history = self.history
        parts = [self.tr("Training {name}").format(name=self.title)]
        if self.state is RunState.PAUSED:
            parts = [self.tr("{name} is paused").format(name=self.title)]
        if history.preparing is not None and history.latest is None:
            parts.append(preparing_short(history.preparing))
        else:
            parts.append(self.tr("{percent} %").format(percent=self.percent))
        latest = history.latest if history.preparing is None else history.preparing
        left = latest.seconds_left if latest is not None else None
        if left is not None and self.state is RunState.RUNNING:
            parts.append(time_left(left))
        return Activity(" · ".join(parts), history.step / self.steps if self.steps else None)

    def state_text(self) -> str:
        """Current activity of the run as text."""
        history = self.history
        asked = {
            "stop": self.tr("Saving what it has learned…"),
            "discard": self.tr("Discarding…"),
            "pause": self.tr("Pausing after this step…"),
        }
        if self.alive and self.asked in asked and not (self.asked == "pause" and self.state is RunState.PAUSED):
            return asked[self.asked]
        match self.state:
            case None:
                return self.tr("Starting…")
            case RunState.PAUSED:
                return self.tr("Paused at step {step} of {steps}").format(**self._steps_words())
            case RunState.RUNNING if history.preparing is not None:
                return preparing(history.preparing)
            case RunState.RUNNING if history.started is None:
                return self.tr("Starting…")
            case RunState.RUNNING:
                return self.tr("Learning: step {step} of {steps}").format(**self._steps_words())
            case RunState.FINISHED:
                return self.tr("Finished after {steps}").format(steps=steps_text(self.steps))
            case RunState.FAILED:
                return self.tr("Failed at step {step} of {steps}").format(**self._steps_words())
            case _:
                return self.tr("Stopped at step {step} of {steps}").format(**self._steps_words())

    def _steps_words(self) -> dict[str, str]:
        return {"step": count(self.history.step), "steps": count(self.steps)}

    def _turn_to(self, folder: Path) -> None:
        self.folder = folder
        self._info = describe_run(folder)
        self._clear()
        self.changed.emit()

    def _clear(self) -> None:
        self.history = RunHistory()
        self.state = None
        self.report: ErrorReport | None = None
        self.asked: Command = "run"
        self._starts = False  # started here with no state reported yet; its end may be the first

    def _ask(self, command: Command, send: Callable[[], bool]) -> None:
        """Send a request; one that could not be sent, which the service has reported, can be made again."""
        if send():
            self.asked = command
        self.changed.emit()

    @Slot(object, object)
    def _on_event(self, folder: Path, event: Event) -> None:
        if folder != self.folder:
            return
        self.history.add(event)
        if self.state is not None:  # else it is an old event from the log
            match event:
                case Noticed(message=words) | RolledBack(reason=words):
                    self.noticed.emit(words)
                case _:
                    pass
        if isinstance(event, Finished) and event.discarded:
            self.discarded.emit()
        elif isinstance(event, Finished | Failed) and self.state is not None:  # else the end of an earlier part
            self.asked = "run"
        if not self._timer.isActive():
            self._timer.start()

    @Slot(object, object)
    def _on_state(self, folder: Path, state: RunState) -> None:
        if folder != self.folder:
            return
        was_followed = self.alive or self._starts
        self._starts = False
        self.state = state
        if not self.alive or (state is RunState.PAUSED) == (self.asked == "pause"):
            self.asked = "run" if self.asked in ("pause", "run") or not self.alive else self.asked
        self.state_changed.emit(state)
        self.changed.emit()
        if was_followed and state is RunState.FINISHED:
            self.finished.emit()

    @Slot(object)
    def _on_renamed(self, run: RunInfo) -> None:
        if run.folder == self.folder:
            self._info = run
            self.changed.emit()

    @Slot(object)
    def _on_crashed(self, report: ErrorReport) -> None:
        self.report = report
        if self.state is None:
            self.state = RunState.STOPPED
            self.state_changed.emit(self.state)
        self.crashed.emit(report)
        self.changed.emit()
