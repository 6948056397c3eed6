"""What a batch is about now: its pictures, its plan, its run, and what it can go on with. No widgets."""

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
    """What the workspace is about."""

    EMPTY = "empty"
    PLANNING = "planning"
    UNPLANNED = "unplanned"
    """There are pictures, but they could not be planned."""
    PLANNED = "planned"
    RUNNING = "running"
    ENDED = "ended"


class BatchFlow(QObject):
    """The pictures from the first that is added to their outcome; asks the service and tells the page.

    Signals:
        phase_changed: `phase` was entered, perhaps once more.
        outdated: what was told and offered was of the plan or batch before.
        folder_proposed: Path where results go if the person says nothing else, None where that is not known.
        planned: the `Plan`, BatchOptions that it was made with; the phase is PLANNED, or EMPTY where there is no
            picture in it. Told once more where a batch failed before it had begun.
        plan_failed: ErrorReport.
        items_changed: tuple of Item, each once.
        room_awaited: (bytes needed, bytes free) of a full disk, None when it has room again.
        progressed: Progress, name of the picture at work or "".
        paused_changed: whether it stands still at the person's wish.
        ended: BatchReport.
        stopped: it was cancelled, and can go on; whether all its pictures are known.
        failed: ErrorReport; it could not run or go on. The phase is PLANNED where it had not begun, else ENDED.
        interrupted_found: Unfinished, a batch that was interrupted in the folder of the last one.
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
        """Nothing is planned yet; the folder of the last batch is looked at.

        Args:
            service: does what is asked for.
            store: remembers that folder.
            chosen_options: how the person wants it now; None where that cannot be used.
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
        self._planned: tuple[Plan, BatchOptions | None] | None = None  # of all that was added
        self._is_written = False  # in the journal of its folder; till then an older batch may be there
        self._at_work: dict[int, Item] = {}
        self._replan = QTimer(self)
        self._replan.setSingleShot(True)
        self._replan.setInterval(_REPLAN_MS)
        self._replan.timeout.connect(self.plan)
        service.planned.connect(self._on_planned)
        service.plan_failed.connect(self._on_plan_failed)
        service.told.connect(self._on_told)
        service.ended.connect(self._on_ended)
        service.stopped.connect(self._on_stopped)
        service.failed.connect(self._on_failed)
        service.found.connect(self._on_found)
        if store.current.batch_folder:
            service.look_for(Path(store.current.batch_folder))

    @property
    def phase(self) -> Phase:
        """What the workspace is about now."""
        return self._phase

    @property
    def output(self) -> Path:
        """Results folder of the last plan or batch, whatever is chosen meanwhile."""
        return Path() if self._options is None else self._options.output

    # Before a batch

    def add(self, paths: Sequence[Path]) -> None:
        """Add files and folders, also while a batch runs; a folder that was added before may hold new pictures."""
        if not paths:
            return
        self.outdated.emit()
        running = self._phase is Phase.RUNNING
        if running and not self._service.add(paths):
            self._late += paths  # it has just come to its end
            return
        if self._phase is Phase.ENDED:
            self._inputs = []  # what was done may be wished again: with other settings, or with new pictures in it
        self._inputs = list(dict.fromkeys([*self._inputs, *paths]))
        self._planned = None
        if running:
            return
        if self._chosen_folder is None:
            self.folder_proposed.emit(_folder_beside(self._inputs[0]))
        self.plan()

    def clear(self) -> None:
        """Forget what was added."""
        self._inputs = []
        self.outdated.emit()
        self._service.drop_thumbnails()
        if self._chosen_folder is None:
            self.folder_proposed.emit(None)
        self._enter(Phase.EMPTY)

    def choose_folder(self, folder: Path) -> None:
        """Let results go to a folder of the person's choice."""
        self._chosen_folder = folder
        self.folder_proposed.emit(folder)
        self.plan_soon()

    def plan(self) -> None:
        """Plan what was added."""
        options = self._chosen_options()
        if not self._inputs or options is None or self._phase is Phase.RUNNING:
            return
        self._options = options
        self.outdated.emit()
        self._enter(Phase.PLANNING)
        self._service.plan(self._inputs, options)

    def plan_soon(self) -> None:
        """Plan anew, once for several changes at a time: the person chose something else for this batch."""
        self._replan.start()

    def follow_settings(self) -> None:
        """Plan anew where there is a plan: something else was chosen elsewhere. What has ended stays on the screen."""
        if self._phase in (Phase.PLANNED, Phase.PLANNING, Phase.UNPLANNED):
            self.plan_soon()

    # Running

    def start(self) -> None:
        """Run what was added."""
        options = self._chosen_options()
        if options is not None:
            self._run(options, self._inputs)

    def retry(self) -> None:
        """Try once more what failed in the last batch."""
        if self._options is not None:
            self._run(self._options, [], retry_failed=True)

    def go_on(self, options: BatchOptions) -> None:
        """Go on with a batch as it was begun."""
        if self._phase is not Phase.RUNNING:
            self._run(options, [], resume=True)

    def go_on_again(self) -> None:
        """Go on with the batch that was stopped, as it was begun."""
        if self._options is None:
            return
        if self._is_written:
            self.go_on(self._options)
        elif self._phase is not Phase.RUNNING:
            self._run(self._options, self._inputs)

    @property
    def paused(self) -> bool:
        """Whether a batch runs and stands still at the person's wish."""
        return self._phase is Phase.RUNNING and self._service.paused

    def pause_or_continue(self) -> None:
        """Let it stand still, or go on where it does."""
        if self._service.paused:
            self._service.resume()
        else:
            self._service.pause()
        self.paused_changed.emit(self.paused)

    def cancel(self) -> None:
        """Stop it; what is finished is kept."""
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
        self._replan.stop()  # what was still to be planned anew runs now, or is seen when this has ended
        self._service.start(inputs, options, resume=resume, retry_failed=retry_failed)
        self.paused_changed.emit(False)

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self.phase_changed.emit(phase)

    # What the service tells

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

    def _on_told(self, events: tuple[BatchEvent, ...]) -> None:
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
        self._add_late()

    def _on_stopped(self, planned: bool) -> None:
        self._lay_down_work()
        self._enter(Phase.ENDED)
        self.stopped.emit(planned)
        self._add_late()

    def _on_failed(self, report: ErrorReport) -> None:
        self._lay_down_work()
        if not self._is_written and self._planned is not None and self._planned[1] == self._options:
            self._enter(Phase.PLANNED)
            self.planned.emit(*self._planned)
        else:
            self._enter(Phase.ENDED)
        self._add_late()  # which takes back what was told of before, so not of this
        self.failed.emit(report)

    def _add_late(self) -> None:
        """Plan what was added in the moment in which a batch came to its end, whichever that was."""
        late, self._late = self._late, []
        self.add(late)

    def _lay_down_work(self) -> None:
        """What was at work when the batch broke off waits again."""
        waiting = tuple(replace(item, state=State.QUEUED) for item in self._at_work.values())
        self._at_work.clear()
        if waiting:
            self.items_changed.emit(waiting)

    def _on_found(self, found: Unfinished | None) -> None:
        if found is not None and not found.ended and self._phase is Phase.EMPTY:
            self.interrupted_found.emit(found)


def _folder_beside(source: Path) -> Path:
    """Where results go unless the person says otherwise: beside the first folder, or below that of the first file."""
    if not source.is_dir():
        return source.parent / "upscaled"
    # There is nothing beside a drive, such as a memory card.
    return source.with_name(f"{source.name} upscaled") if source.name else source / "upscaled"
