"""Events as JSON lines."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from vdsr_trainer.events import (
    CheckpointSaved,
    Compared,
    Event,
    Failed,
    Finished,
    Measured,
    Noticed,
    Paused,
    Preparing,
    Referenced,
    Resumed,
    RolledBack,
    Started,
    Stepped,
    Validated,
    from_json,
    to_json,
)

EVENTS: list[Event] = [
    Started(0, 100, 665_921, 281, ("a/ü.png", 'b"c.png'), "cpu"),
    Stepped(7, 0.01, 1e-3, 2.5, 0.25, 18.5, 0.01, None),
    Validated(250, {"2": 33.1}, {"2": 32.0}),
    CheckpointSaved(250, "/runs/x/checkpoint.safetensors"),
    Noticed(3, "Left out:\nline two"),
    Finished(100, "vdsr.safetensors", True, seconds=3.5, data_wait_share=0.01),
    Preparing(0, 3, 10),
    Referenced(0, {"vdsr": {"2": 33.9}}),
    RolledBack(20, 8, "It fell.", 0.5),
    Paused(9),
    Resumed(9),
    Compared(100, 4, {"bicubic": {"2": [32.0, 0.9]}}),
    Measured("quick", 0.25, 2**30, 1500),
    Failed(5, "/pictures: They are gone."),
]


def test_samples_cover_every_kind_of_event() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(Event))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_event_round_trips_through_one_json_line(event: Event) -> None:
    line = to_json(event)
    assert "\n" not in line
    assert json.loads(line)["event"] == type(event).__name__
    assert from_json(line) == event


def test_infinite_numbers_become_null() -> None:
    assert json.loads(to_json(Stepped(1, float("inf"), 1, 1, 0, 1, 0, None)))["loss"] is None


def test_infinite_numbers_in_tables_become_null() -> None:
    line = to_json(Compared(1, 2, {"bicubic": {"2": [float("inf"), 1.0]}}))
    assert json.loads(line)["rows"] == {"bicubic": {"2": [None, 1.0]}}


@pytest.mark.parametrize("line", ["", "nonsense", "[]", "{}", '{"event": "Later", "x": 1}', '{"event": "Noticed"}'])
def test_from_json_returns_none_for_unknown_lines(line: str) -> None:
    assert from_json(line) is None
