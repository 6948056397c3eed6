"""The thumbnails of a batch keep out of the way of its plan."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from vdsr_app.core.batch import BatchOptions
from vdsr_app.workers import batch as module
from vdsr_app.workers import thumbnails
from vdsr_app.workers.batch import BatchService
from vdsr_app.workers.runner import JobContext

WAIT_MS = 20_000


class Decoder:
    """Makes thumbnails as slowly as the test wants, and hears of no cancel meanwhile."""

    def __init__(self) -> None:
        self.begun: list[Path] = []
        self.first, self.go_on = threading.Event(), threading.Event()

    def thumbnail(self, path: Path, side_px: int, context: JobContext) -> tuple[Path, np.ndarray]:
        self.begun.append(path)
        self.first.set()
        assert self.go_on.wait(WAIT_MS / 1000)
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
    decoder.go_on.set()
    assert made.close(WAIT_MS)


def test_a_plan_waits_for_no_thumbnail_and_gives_up_those_that_wait(
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
        service.make_thumbnail(paths[2], 8)  # it is looked at again
        decoder.go_on.set()
    assert made.args[0] == paths[2]
    assert decoder.begun == [paths[0], paths[2]]


def test_of_many_thumbnails_the_last_are_made(
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
    decoder.go_on.set()
    qtbot.waitUntil(lambda: made == paths[6:], timeout=WAIT_MS)
