"""Events as JSON lines."""

from __future__ import annotations

import json

import pytest

from vdsr_trainer.events import (
    CheckpointSaved,
    Event,
    Finished,
    Noticed,
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
    Finished(100, "vdsr.safetensors", True),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_one_line_there_and_back(event: Event) -> None:
    line = to_json(event)
    assert "\n" not in line
    assert json.loads(line)["event"] == type(event).__name__
    assert from_json(line) == event


def test_infinite_numbers_become_null() -> None:
    assert json.loads(to_json(Stepped(1, float("inf"), 1, 1, 0, 1, 0, None)))["loss"] is None


@pytest.mark.parametrize("line", ["", "nonsense", "[]", "{}", '{"event": "Later", "x": 1}', '{"event": "Noticed"}'])
def test_unknown_lines_are_passed_over(line: str) -> None:
    assert from_json(line) is None
