"""State of the batch workspace: its pictures, plan and run, and what can be resumed. No widgets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from vdsr_app.core.batch.estimate import Plan
from vdsr_app.core.batch.events import BatchEvent, BatchReport, Changed, FoundRoom, Planned, Progress, WaitsForRoom
from vdsr_app.core.batch.items import Item, State
from vdsr_app.core.batch.options import BatchOptions
from vdsr_app.core.batch.unfinished import Unfinished
from vdsr_app.gui.settings import SettingsStore
from vdsr_app.gui.texts import file_name
from vdsr_app.workers.batch import BatchService
from vdsr_app.workers.messages import ErrorReport

_REPLAN_MS = 150


class Phase(Enum):
    """State of the workspace."""

    EMPTY = "empty"
    PLANNING = "planning"
    UNPLANNED = "unplanned"
    """There are pictures, but planning them failed."""
    PLANNED = "planned"
    RUNNING = "running"
    ENDED = "ended"


class BatchFlow(QObject):
    """Takes pictures from being added to their outcome: drives the service and informs the page.

    Signals:
        phase_changed: `phase` was entered, possibly again.
        outdated: messages and offers made so far concern an earlier plan or batch.
        folder_proposed: Path where results go, proposed or chosen by the user; None if unknown.
        planned: the `Plan`, and the BatchOptions it was made with; the phase is PLANNED, or EMPTY if the plan has no
            pictures. Emitted again if a batch failed before it had begun.
        plan_failed: ErrorReport.
        items_changed: tuple of Item, each once.
        room_awaited: (bytes needed, bytes free) of a full disk, None when there is room again.
        progressed: Progress, and the name of the current picture or "".
        paused_changed: whether the user has paused the batch.
        ended: BatchReport.
        stopped: the batch was cancelled and can be resumed; whether all its pictures are known.
        failed: ErrorReport; the batch could not start or continue. The phase is PLANNED if it had not begun and its
            plan still holds, else ENDED.
        interrupted_found: Unfinished, an interrupted batch in the folder of the last one.
    """

    phase_changed = Signal(object)
    outdated = Signal()
    folder_proposed = Signal(object)
    planned = Signal(object, object)
    plan_failed = Signal(object)
    items_changed = Signal(object)
    room_awaited = Signal(object)
    progressed = Signal(object, str)
    paused_changed = Signal(bool)
    ended = Signal(object)
    stopped = Signal(bool)
    failed = Signal(object)
    interrupted_found = Signal(object)

    def __init__(
        self,
        service: BatchService,
        store: SettingsStore,
        chosen_options: Callable[[], BatchOptions | None],
        parent: QObject | None = None,
    ) -> None:
        """Start without a plan, and look for an interrupted batch in the folder of the last one.

        Args:
            service: plans and runs batches.
            store: remembers that folder.
            chosen_options: returns the options the user has currently chosen; None if they cannot be used.
            parent: owner.
        """
        super().__init__(parent)
        self._service = service
        self._store = store
        self._chosen_options = chosen_options
        self._inputs: list[Path] = []
        self._late: list[Path] = []
        self._chosen_folder: Path | None = None
        self._phase = Phase.EMPTY
        self._options: BatchOptions | None = None
        self._planned: tuple[Plan, BatchOptions | None] | None = None  # of everything that was added
        self._is_written = False  # in the journal of its folder, which may hold an older batch until then
        self._knows_inputs = False  # that journal, of everything that was added
        self._at_work: dict[int, Item] = {}
        self._replan = QTimer(self)
        self._replan.setSingleShot(True)
        self._replan.setInterval(_REPLAN_MS)
        self._replan.timeout.connect(self.plan)
        service.planned.connect(self._on_planned)
        service.plan_failed.connect(self._on_plan_failed)
        service.events_received.connect(self._on_events_received)
        service.ended.connect(self._on_ended)
        service.stopped.connect(self._on_stopped)
        service.failed.connect(self._on_failed)
        service.found.connect(self._on_found)
        if store.current.batch_folder:
            service.look_for(Path(store.current.batch_folder))

    @property
    def phase(self) -> Phase:
        """Current state of the workspace."""
        return self._phase

    @property
    def output(self) -> Path:
        """Results folder of the last plan or batch, whatever has been chosen since."""
        return Path() if self._options is None else self._options.output

    # Before a batch

    def add(self, paths: Sequence[Path]) -> None:
        """Add files and folders, also during a batch; a folder that was added before may contain new pictures."""
        if not paths:
            return
        self.outdated.emit()
        self._knows_inputs = False
        running = self._phase is Phase.RUNNING
        if running and not self._service.add(paths):
            self._late += paths  # it has just ended
            return
        if self._phase is Phase.ENDED:
            self._inputs = []  # what is done may be added again: with other settings, or with new pictures in it
        self._inputs = list(dict.fromkeys([*self._inputs, *paths]))
        self._planned = None
        if running:
            return
        if self._chosen_folder is None:
            self.folder_proposed.emit(_folder_beside(self._inputs[0]))
        self.plan()

    def clear(self) -> None:
        """Forget everything that was added."""
        self._inputs = []
        self.outdated.emit()
        self._service.drop_thumbnails()
        if self._chosen_folder is None:
            self.folder_proposed.emit(None)
        self._enter(Phase.EMPTY)

    def choose_folder(self, folder: Path) -> None:
        """Send results to a folder of the user's choice."""
        self._chosen_folder = folder
        self.folder_proposed.emit(folder)
        self.plan_soon()

    def plan(self) -> None:
        """Plan everything that was added."""
        options = self._chosen_options()
        if not self._inputs or options is None or self._phase is Phase.RUNNING:
            return
        self._options = options
        self.outdated.emit()
        self._enter(Phase.PLANNING)
        self._service.plan(self._inputs, options)

    def plan_soon(self) -> None:
        """Replan, once for several changes in quick succession, as the user has changed something for this batch."""
        self._replan.start()

    def follow_settings(self) -> None:
        """Replan after a change made elsewhere, if there is a plan. A batch that has ended stays on screen."""
        if self._phase in (Phase.PLANNED, Phase.PLANNING, Phase.UNPLANNED):
            self.plan_soon()

    # Running

    def start(self) -> None:
        """Run everything that was added."""
        options = self._chosen_options()
        if options is not None:
            self._run(options, self._inputs)

    def retry(self) -> None:
        """Retry what failed in the last batch."""
        if self._options is not None:
            self._run(self._options, [], retry_failed=True)

    def resume(self, options: BatchOptions) -> None:
        """Resume a batch with the options it was started with."""
        if self._phase is not Phase.RUNNING:
            self._run(options, [], resume=True)

    def resume_last(self) -> None:
        """Resume the last batch with everything that was added to it, or start it again if it had not begun."""
        if self._options is None or self._phase is Phase.RUNNING:
            return
        # What the journal knows as well is not found twice.
        inputs = [] if self._is_written and self._knows_inputs else self._inputs
        self._run(self._options, inputs, resume=self._is_written)

    @property
    def paused(self) -> bool:
        """Whether a batch is running and the user has paused it."""
        return self._phase is Phase.RUNNING and self._service.paused

    def pause_or_continue(self) -> None:
        """Pause the batch, or continue it if it is paused."""
        if self._service.paused:
            self._service.resume()
        else:
            self._service.pause()
        self.paused_changed.emit(self.paused)

    def cancel(self) -> None:
        """Stop the batch; finished results are kept."""
        self._service.cancel()

    def _run(
        self, options: BatchOptions, inputs: Sequence[Path], *, resume: bool = False, retry_failed: bool = False
    ) -> None:
        self.outdated.emit()
        self._options = options
        self._is_written = resume or retry_failed
        self._store.update(batch_folder=str(options.output.absolute()))
        self._at_work.clear()
        self._enter(Phase.RUNNING)
        self._replan.stop()  # changes still to be planned are part of this run, or show once it has ended
        self._service.start(inputs, options, resume=resume, retry_failed=retry_failed)
        self.paused_changed.emit(False)

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self.phase_changed.emit(phase)

    # Reports from the service

    def _on_planned(self, plan: Plan) -> None:
        if self._phase is not Phase.PLANNING:
            return
        if not plan.items:
            self._inputs = []
        self._planned = plan, self._options
        self._enter(Phase.PLANNED if plan.items else Phase.EMPTY)
        self.planned.emit(plan, self._options)

    def _on_plan_failed(self, report: ErrorReport) -> None:
        if self._phase is not Phase.PLANNING:
            return
        self._enter(Phase.UNPLANNED)
        self.plan_failed.emit(report)

    def _on_events_received(self, events: tuple[BatchEvent, ...]) -> None:
        self._is_written = True
        changed: dict[int, Item] = {}
        for event in events:
            match event:
                case Planned():
                    changed |= {item.number: item for item in event.items}
                case Changed():
                    changed[event.item.number] = event.item
                    if event.item.state is State.WORKING:
                        self._at_work[event.item.number] = event.item
                    else:
                        self._at_work.pop(event.item.number, None)
                case WaitsForRoom():
                    self.room_awaited.emit((event.needed_bytes, event.free_bytes))
                case FoundRoom():
                    self.room_awaited.emit(None)
                case Progress():
                    item = self._at_work.get(event.number)
                    self.progressed.emit(event, "" if item is None else file_name(item.source))
                case _:
                    pass
        if changed:
            self.items_changed.emit(tuple(changed.values()))

    def _on_ended(self, report: BatchReport) -> None:
        self._enter(Phase.ENDED)
        self.ended.emit(report)
        self._plan_late()

    def _on_stopped(self, planned: bool) -> None:
        self._requeue_work()
        self._knows_inputs = planned and not self._late
        self._keep_late()
        self._enter(Phase.ENDED)
        self.stopped.emit(self._knows_inputs)

    def _on_failed(self, report: ErrorReport) -> None:
        self._requeue_work()
        if not self._is_written and self._planned is not None and self._planned[1] == self._options:
            self._enter(Phase.PLANNED)
            self.planned.emit(*self._planned)
            self._plan_late()  # first, as it clears earlier messages, but must not clear this one
        else:
            self._keep_late()
            self._enter(Phase.ENDED)
        self.failed.emit(report)

    def _plan_late(self) -> None:
        """Plan what was added at the moment a batch ended or failed to begin."""
        late, self._late = self._late, []
        self.add(late)

    def _keep_late(self) -> None:
        """Keep what was added at the moment a batch broke off for when it is resumed: a plan would end that offer."""
        if self._late:
            self._inputs = list(dict.fromkeys([*self._inputs, *self._late]))
            self._late, self._planned = [], None

    def _requeue_work(self) -> None:
        """Put the pictures that were in progress when the batch broke off back into the queue."""
        waiting = tuple(replace(item, state=State.QUEUED) for item in self._at_work.values())
        self._at_work.clear()
        if waiting:
            self.items_changed.emit(waiting)

    def _on_found(self, found: Unfinished | None) -> None:
        if found is not None and not found.ended and self._phase is Phase.EMPTY:
            self.interrupted_found.emit(found)


def _folder_beside(source: Path) -> Path:
    """Default results folder: beside `source` if that is a folder, else in the folder of that file."""
    if not source.is_dir():
        return source.parent / "upscaled"
    # There is nothing beside the root of a drive, such as a memory card.
    return source.with_name(f"{source.name} upscaled") if source.name else source / "upscaled"
