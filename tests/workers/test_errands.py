"""Errands: jobs that carry callbacks for their end, counted and cancelled by kind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import pytest
from PySide6.QtCore import QDeadlineTimer
from pytestqt.qtbot import QtBot

from vdsr_app.errors import UsageError
from vdsr_app.workers.errands import Errands
from vdsr_app.workers.runner import JobContext

WAIT_MS = 20_000


class Office:
    """Errands whose first job can be held, and the ends that were reported."""

    def __init__(self) -> None:
        self.errands = Errands("test")
        self.reported: list[tuple[str, object]] = []
        self.started, self.proceed = threading.Event(), threading.Event()

    def submit(self, kind: str, word: str) -> int:
        tell = self.reported.append
        return self.errands.submit(
            kind,
            partial(self.work, word),
            lambda result: tell(("done", result)),
            lambda report: tell(("failed", report.what)),
            lambda: tell(("cancelled", word)),
        )

    def work(self, word: str, context: JobContext) -> str:
        self.started.set()
        assert self.proceed.wait(WAIT_MS / 1000)
        if word == "bad":
            raise UsageError("It is bad.")
        return word


@pytest.fixture
def office(qtbot: QtBot) -> Iterator[Office]:
    made = Office()
    yield made
    made.proceed.set()
    made.errands.start_closing()
    assert made.errands.wait_closed(QDeadlineTimer(WAIT_MS))


def test_each_job_reports_one_end_and_is_counted_until_then(qtbot: QtBot, office: Office) -> None:
    numbers = [office.submit("good", "a"), office.submit("bad", "bad"), office.submit("good", "b")]
    assert len(set(numbers)) == 3
    assert (office.errands.count("good"), office.errands.count("bad"), office.errands.count("other")) == (2, 1, 0)
    office.proceed.set()
    qtbot.waitUntil(lambda: len(office.reported) == 3, timeout=WAIT_MS)
    assert office.reported == [("done", "a"), ("failed", "It is bad."), ("done", "b")]
    assert office.errands.count("good") == office.errands.count("bad") == 0


def test_cancel_ends_jobs_of_one_kind_and_keeps_the_others(qtbot: QtBot, office: Office) -> None:
    office.submit("one", "a")
    qtbot.waitUntil(office.started.is_set, timeout=WAIT_MS)
    for kind, word in (("two", "b"), ("one", "c"), ("two", "d"), ("two", "e")):
        office.submit(kind, word)
    office.errands.cancel("two", most=1)
    assert office.reported == [("cancelled", "b")]
    office.errands.cancel("one")  # the first of them is running
    assert office.reported[1:] == [("cancelled", "a"), ("cancelled", "c")]
    office.proceed.set()
    qtbot.waitUntil(lambda: office.errands.count("two") == 0, timeout=WAIT_MS)
    assert office.reported[3:] == [("done", "d"), ("done", "e")]
