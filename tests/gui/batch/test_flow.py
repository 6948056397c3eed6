"""Batch flow with a fake service: phases, additions, events, stopping, and resuming."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QObject, Signal

from vdsr_app.core.batch import BatchOptions, BatchReport, Item, Plan, SourceFacts, State, Totals, Unfinished
from vdsr_app.core.batch.events import Changed, FoundRoom, Planned, Progress, WaitsForRoom
from vdsr_app.gui.batch.flow import BatchFlow, Phase
from vdsr_app.gui.settings import SettingsStore
from vdsr_app.workers.messages import ErrorReport

OUT = Path("/out")


class Service(QObject):
    """Records its calls."""

    planned = Signal(object)
    plan_failed = Signal(object)
    events_received = Signal(object)
    ended = Signal(object)
    stopped = Signal(bool)
    failed = Signal(object)
    found = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[object, ...]] = []
        self.takes_more = True

    def look_for(self, folder: Path) -> None:
        self.asked.append(("look", folder))

    def plan(self, inputs: Sequence[Path], options: BatchOptions) -> None:
        self.asked.append(("plan", *inputs))

    def start(self, inputs: Sequence[Path], options: BatchOptions, *, resume: bool, retry_failed: bool) -> None:
        self.asked.append(("start", options, resume, retry_failed, *inputs))

    def add(self, inputs: Sequence[Path]) -> bool:
        return self.takes_more

    def drop_thumbnails(self) -> None:
        self.asked.append(("drop thumbnails",))


@pytest.fixture
def batch() -> Service:
    return Service()


@pytest.fixture
def flow(batch: Service, store: SettingsStore) -> BatchFlow:
    return BatchFlow(batch, store, lambda: BatchOptions(OUT))  # type: ignore[arg-type]


def item(number: int, name: str, state: State = State.QUEUED) -> Item:
    return Item(number, Path("/in", name), OUT / name, SourceFacts(None), None, "vdsr", state)


def plan(*items: Item) -> Plan:
    return Plan(items, Totals(), None, None)


def run(flow: BatchFlow, batch: Service, path: Path) -> None:
    """Add a picture and start its batch."""
    flow.add([path])
    batch.planned.emit(plan(item(0, path.name)))
    flow.start()
    assert flow.phase is Phase.RUNNING


def test_pictures_added_as_batch_ends_are_planned_afterwards(flow: BatchFlow, batch: Service) -> None:
    run(flow, batch, Path("/in/a.png"))
    batch.takes_more = False
    reported: list[Phase] = []
    flow.ended.connect(lambda _: reported.append(flow.phase))
    flow.add([Path("/in/late.png")])
    batch.ended.emit(BatchReport(1, 0, 0, 1.0, 1.0))
    assert reported == [Phase.ENDED]
    assert flow.phase is Phase.PLANNING
    assert batch.asked[-1] == ("plan", Path("/in/late.png"))


@pytest.mark.parametrize("end", ["stopped", "failed"])
@pytest.mark.parametrize("begun", [True, False])
def test_pictures_added_as_batch_breaks_off_are_part_of_it_when_resumed(
    flow: BatchFlow, batch: Service, end: str, begun: bool
) -> None:
    first, late = Path("/in/a.png"), Path("/in/late.png")
    run(flow, batch, first)
    flow.add([Path("/in/b.png")])  # no plan holds it
    if begun:
        batch.events_received.emit((Planned((item(0, "a.png"),)),))
    batch.takes_more = False
    flow.add([late])
    known: list[bool] = []
    flow.stopped.connect(known.append)
    if end == "stopped":
        batch.stopped.emit(True)
    else:
        batch.failed.emit(ErrorReport("It failed."))
    assert flow.phase is Phase.ENDED
    assert known == ([False] if end == "stopped" else [])
    flow.resume_last()
    assert batch.asked[-1] == ("start", BatchOptions(OUT), begun, False, first, Path("/in/b.png"), late)


def test_pictures_added_as_batch_breaks_off_are_planned_after_another_choice(flow: BatchFlow, batch: Service) -> None:
    run(flow, batch, Path("/in/a.png"))
    batch.takes_more = False
    flow.add([Path("/in/late.png")])
    batch.stopped.emit(True)
    flow.plan()
    assert batch.asked[-1] == ("plan", Path("/in/a.png"), Path("/in/late.png"))


def test_pictures_not_yet_planned_when_batch_stops_are_part_of_it_when_resumed(flow: BatchFlow, batch: Service) -> None:
    """The journal records a folder when its turn to be planned has come."""
    first, added = Path("/in"), Path("/more")
    run(flow, batch, first)
    batch.events_received.emit((Planned((item(0, "a.png"),)),))
    flow.add([added])
    batch.stopped.emit(False)
    flow.resume_last()
    assert batch.asked[-1] == ("start", BatchOptions(OUT), True, False, first, added)


def test_pictures_added_as_batch_fails_are_planned_with_those_not_begun(flow: BatchFlow, batch: Service) -> None:
    run(flow, batch, Path("/in/a.png"))
    batch.takes_more = False
    flow.add([Path("/in/late.png")])
    reported: list[Phase] = []
    flow.failed.connect(lambda _: reported.append(flow.phase))
    batch.failed.emit(ErrorReport("It failed."))
    assert reported == [Phase.PLANNING]
    assert batch.asked[-1] == ("plan", Path("/in/a.png"), Path("/in/late.png"))


def test_paths_added_twice_are_planned_once(flow: BatchFlow, batch: Service) -> None:
    first, second = Path("/in"), Path("/in/a.png")
    flow.add([first, first])
    flow.add([second, first])
    assert batch.asked == [("plan", first), ("plan", first, second)]


def test_plan_that_arrives_after_clear_is_ignored(flow: BatchFlow, batch: Service) -> None:
    reported: list[object] = []
    flow.planned.connect(lambda plan, _: reported.append(plan))
    flow.add([Path("/in/a.png")])
    flow.clear()
    batch.planned.emit(plan(item(0, "a.png")))
    assert reported == []
    assert flow.phase is Phase.EMPTY


def test_flow_is_empty_and_folder_can_be_added_again_after_empty_plan(flow: BatchFlow, batch: Service) -> None:
    flow.add([Path("/in")])
    batch.planned.emit(plan())
    assert flow.phase is Phase.EMPTY
    flow.add([Path("/in")])  # it may contain a picture by now
    assert batch.asked[-2:] == [("plan", Path("/in"))] * 2


def test_events_received_together_report_each_picture_once(flow: BatchFlow, batch: Service) -> None:
    run(flow, batch, Path("/in/a.png"))
    changed: list[tuple[Item, ...]] = []
    names: list[str] = []
    rooms: list[tuple[int, int] | None] = []
    flow.items_changed.connect(changed.append)
    flow.progressed.connect(lambda _, name: names.append(name))
    flow.room_awaited.connect(rooms.append)
    first, second = item(0, "a.png"), item(1, "b.png")
    working, done = replace(first, state=State.WORKING), replace(first, state=State.DONE)
    progress = Progress(0, 1, 2, 0, 2, 1, 4, 1.0, None)
    batch.events_received.emit(
        (Planned((first, second)), WaitsForRoom(OUT, 7, 5), FoundRoom(), Changed(working), progress)
    )
    batch.events_received.emit((Changed(done), progress))
    assert changed == [(working, second), (done,)]
    assert names == ["a.png", ""]
    assert rooms == [(7, 5), None]


@pytest.mark.parametrize("end", ["stopped", "failed"])
def test_working_picture_is_queued_again_when_batch_stops_or_fails(flow: BatchFlow, batch: Service, end: str) -> None:
    run(flow, batch, Path("/in/a.png"))
    changed: list[tuple[Item, ...]] = []
    flow.items_changed.connect(changed.append)
    first, second = item(0, "a.png"), item(1, "b.png")
    batch.events_received.emit((Planned((first, second)), Changed(replace(first, state=State.WORKING))))
    if end == "stopped":
        batch.stopped.emit(True)
    else:
        batch.failed.emit(ErrorReport("It is bad."))
    assert changed[1:] == [(first,)]
    assert flow.phase is Phase.ENDED


def test_resume_passes_inputs_again_only_if_pictures_were_not_known(flow: BatchFlow, batch: Service) -> None:
    path = Path("/in/a.png")
    run(flow, batch, path)
    batch.stopped.emit(False)
    flow.resume_last()
    assert batch.asked[-1] == ("start", BatchOptions(OUT), False, False, path)
    batch.events_received.emit((Planned((item(0, "a.png"),)),))
    for _ in range(2):  # a resumed batch that is stopped at once can be resumed as well
        batch.stopped.emit(True)
        flow.resume_last()
        assert batch.asked[-1] == ("start", BatchOptions(OUT), True, False)


def test_interrupted_batch_is_reported_at_start_and_keeps_its_options(batch: Service, store: SettingsStore) -> None:
    store.update(batch_folder=str(OUT))
    flow = BatchFlow(batch, store, lambda: BatchOptions(Path("/elsewhere")))  # type: ignore[arg-type]
    assert batch.asked == [("look", OUT)]
    reported: list[Unfinished] = []
    flow.interrupted_found.connect(reported.append)
    found = Unfinished(BatchOptions(OUT), 3, 0, ended=False)
    for answer in (None, replace(found, ended=True), found):
        batch.found.emit(answer)
    assert reported == [found]
    flow.resume(found.options)
    assert batch.asked[-1] == ("start", found.options, True, False)
    batch.stopped.emit(True)
    batch.found.emit(found)
    assert reported == [found]
