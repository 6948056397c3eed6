"""Batch service: only events of the current batch are emitted, and thumbnails and slow drives do not delay a plan."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pytestqt.qtbot import QtBot

from vdsr_app.control import CancelToken, PauseGate
from vdsr_app.core import image_io
from vdsr_app.core.batch import Batch, BatchEvent, BatchOptions, BatchReport, Item, SourceFacts, State
from vdsr_app.core.batch.events import Planned, Progress
from vdsr_app.errors import UnreadablePictureError
from vdsr_app.workers import batch as module
from vdsr_app.workers import batch_jobs, thumbnails
from vdsr_app.workers.batch import BatchService
from vdsr_app.workers.batch_jobs import BatchRequest, Handle
from vdsr_app.workers.runner import JobContext

WAIT_MS = 20_000


class Decoder:
    """Makes thumbnails as slowly as the test wants, and ignores cancels meanwhile."""

    def __init__(self) -> None:
        self.started: list[Path] = []
        self.first, self.proceed = threading.Event(), threading.Event()

    def thumbnail(self, path: Path, side_px: int, context: JobContext) -> tuple[Path, np.ndarray]:
        self.started.append(path)
        self.first.set()
        assert self.proceed.wait(WAIT_MS / 1000)
        return path, np.zeros((side_px, side_px, 4), np.uint8)


@pytest.fixture
def decoder(monkeypatch: pytest.MonkeyPatch) -> Decoder:
    made = Decoder()
    monkeypatch.setattr(thumbnails, "thumbnail", made.thumbnail)
    return made


@pytest.fixture
def service(qtbot: QtBot, decoder: Decoder) -> Iterator[BatchService]:
    made = BatchService()
    yield made
    decoder.proceed.set()
    assert made.close(WAIT_MS)


def test_plan_does_not_wait_for_thumbnails_and_drops_pending_ones(
    qtbot: QtBot, service: BatchService, decoder: Decoder, tmp_path: Path
) -> None:
    dropped: list[Path] = []
    service.thumbnail_dropped.connect(dropped.append)
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path in paths:
        service.make_thumbnail(path, 8)
    qtbot.waitUntil(decoder.first.is_set, timeout=WAIT_MS)
    with qtbot.waitSignal(service.planned, timeout=WAIT_MS):
        service.plan([], BatchOptions(tmp_path / "out"))
    assert dropped == paths
    with qtbot.waitSignal(service.thumbnail_made, timeout=WAIT_MS) as made:
        service.make_thumbnail(paths[2], 8)  # it is in view again
        decoder.proceed.set()
    assert made.args[0] == paths[2]
    assert decoder.started == [paths[0], paths[2]]


def test_plan_does_not_wait_for_folder_of_last_batch(
    qtbot: QtBot, service: BatchService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    monkeypatch.setattr(batch_jobs, "look_for", lambda folder, context: answers.wait(WAIT_MS / 1000) and None)
    service.look_for(tmp_path / "drive that is not reached")
    try:
        with qtbot.waitSignal(service.planned, timeout=WAIT_MS / 4):
            service.plan([], BatchOptions(tmp_path / "out"))
    finally:
        with qtbot.waitSignal(service.found, timeout=WAIT_MS):
            answers.set()


def test_oldest_thumbnail_requests_are_dropped_when_too_many_wait(
    qtbot: QtBot, service: BatchService, decoder: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_THUMBNAILS_WAITING", 4)
    dropped: list[Path] = []
    made: list[Path] = []
    service.thumbnail_dropped.connect(dropped.append)
    service.thumbnail_made.connect(lambda path, rgba: made.append(path))
    paths = [tmp_path / f"{number}.png" for number in range(10)]
    for path in paths:
        service.make_thumbnail(path, 8)
    assert dropped == paths[:6]
    decoder.proceed.set()
    qtbot.waitUntil(lambda: made == paths[6:], timeout=WAIT_MS)


def test_plan_tries_again_what_could_not_be_read(
    qtbot: QtBot, service: BatchService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = tmp_path / "in" / "a.png"
    picture.parent.mkdir()
    Image.new("RGB", (8, 8)).save(picture)
    states, probe = [], image_io.probe
    for reachable in (False, True):

        def read_header(path: Path, reachable: bool = reachable) -> image_io.PictureInfo:
            if not reachable:
                raise UnreadablePictureError("The disk could not read the file.", path=path)
            return probe(path)

        monkeypatch.setattr(image_io, "probe", read_header)
        with qtbot.waitSignal(service.planned, timeout=WAIT_MS) as planned:
            service.plan([picture.parent], BatchOptions(tmp_path / "out"))
        states += [each.state for each in planned.args[0].items]
    assert states == [State.FAILED, State.QUEUED]


class Runs:
    """Runs that report what the test wants, and ignore cancels meanwhile."""

    def __init__(self) -> None:
        self.tells: list[Callable[[BatchEvent], None]] = []
        self.ends = threading.Semaphore(0)
        self.service = BatchService(run=self.run)

    def run(
        self,
        request: BatchRequest,
        handle: Handle,
        pause: PauseGate,
        facts: dict[Path, SourceFacts],
        tell: Callable[[BatchEvent], None],
        context: JobContext,
    ) -> BatchReport:
        handle.attach(Batch(request.options, tell, context.token))
        self.tells.append(tell)
        assert self.ends.acquire(timeout=WAIT_MS / 1000)
        return BatchReport(0, 0, 0, 1.0, 1.0)


@pytest.fixture
def runs(qtbot: QtBot) -> Iterator[Runs]:
    made = Runs()
    yield made
    made.ends.release(9)
    assert made.service.close(WAIT_MS)


def test_stopped_batch_emits_no_more_events(qtbot: QtBot, runs: Runs, tmp_path: Path) -> None:
    service = runs.service
    log: list[object] = []
    service.events_received.connect(log.append)
    service.stopped.connect(log.append)
    options = BatchOptions(tmp_path / "out")
    first, late, second = (Planned((item(name),)) for name in ("first", "late", "second"))
    service.start([tmp_path], options)
    qtbot.waitUntil(lambda: len(runs.tells) == 1, timeout=WAIT_MS)
    runs.tells[0](first)
    service.cancel()
    assert log == [(first,), False]  # its plan was not complete
    runs.tells[0](late)
    service.start([tmp_path], options)
    runs.tells[0](Progress(0, 1, 2, 0, 1, 1, 2, 1.0, 1.0))
    runs.ends.release()
    qtbot.waitUntil(lambda: len(runs.tells) == 2, timeout=WAIT_MS)
    runs.tells[1](second)
    with qtbot.waitSignal(service.ended, timeout=WAIT_MS):
        runs.ends.release()
    assert log[2:] == [(second,)]


def test_fitting_changed_is_emitted_while_network_is_fitted(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_network(device: str, precision: str, token: CancelToken, on_fitting: Callable[[bool], None]) -> None:
        on_fitting(True)
        on_fitting(False)

    monkeypatch.setattr(batch_jobs, "load_network", load_network)
    service = BatchService()
    reported: list[bool] = []
    service.fitting_changed.connect(reported.append)
    with qtbot.waitSignal(service.ended, timeout=WAIT_MS):
        service.start([], BatchOptions(tmp_path))
    assert reported == [True, False]
    assert service.close(WAIT_MS)


def item(name: str) -> Item:
    return Item(0, Path(name), Path(f"{name}.png"), SourceFacts(None), None, "vdsr")
