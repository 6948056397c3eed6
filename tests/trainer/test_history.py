"""History of a run: events as curves and as CSV, and read from a log that another process is writing."""

from __future__ import annotations

import csv
import io
import itertools
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdsr_trainer.events import (
    Compared,
    Event,
    Failed,
    Finished,
    Noticed,
    Preparing,
    RolledBack,
    Started,
    Stepped,
    Validated,
    to_json,
)
from vdsr_trainer.history import EventTail, RunHistory, Smoothed, read_history


def started(step: int = 0) -> Started:
    return Started(step, 100, 10, 3, ("a",), "cpu")


def stepped(step: int, loss: float | None = None) -> Stepped:
    return Stepped(step, step / 1000 if loss is None else loss, 1e-3, 2.0, 0.25, 10.0, 0.0, 5.0)


def validated(step: int, psnr_db: float = 31.0, crop: str = "") -> Validated:
    return Validated(step, {"2": psnr_db, "3": psnr_db - 3}, {"2": 30.0, "3": 27.0}, crop)


def folded(*events: Event) -> RunHistory:
    history = RunHistory()
    for event in events:
        history.add(event)
    return history


def test_reports_and_validations_become_curves() -> None:
    history = folded(started(), stepped(10), validated(15, 31.0, "crops/step-15.png"), stepped(20), validated(30, 32.0))
    assert history.steps == [10, 20]
    assert history.losses == [0.01, 0.02]
    assert (history.rates, history.norms, history.clipped) == ([1e-3] * 2, [2.0] * 2, [0.25] * 2)
    assert history.psnr_db == {"2": ([15, 30], [31.0, 32.0]), "3": ([15, 30], [28.0, 29.0])}
    assert history.bicubic_psnr_db == {"2": 30.0, "3": 27.0}
    assert history.crops == [(15, "crops/step-15.png")]
    assert history.latest == stepped(20)
    assert history.step == 20
    assert history.marks == []


def test_start_discards_events_of_later_steps() -> None:
    compared = Compared(40, 3, {"bicubic": {"2": [30.0, 0.9]}})
    history = folded(
        *(started(), stepped(10), validated(15, crop="a"), stepped(20), stepped(30), validated(30, crop="b"), compared),
        started(20),
    )
    assert history.steps == [10, 20]
    assert len(history.losses) == len(history.rates) == len(history.norms) == len(history.clipped) == 2
    assert history.psnr_db["2"] == ([15], [31.0])
    assert history.crops == [(15, "a")]
    assert (history.latest, history.compared, history.step) == (None, None, 20)
    assert [step for step, _ in history.marks] == [20]


def test_roll_back_is_marked_and_truncates_curves() -> None:
    history = folded(started(), stepped(10), stepped(20), stepped(30, math.nan), RolledBack(30, 10, "Not finite.", 0.5))
    assert history.steps == [10]
    assert history.marks == [(10, "Not finite.")]
    history.add(stepped(20))
    assert history.steps == [10, 20]


def test_roll_back_resets_step_and_latest_report() -> None:
    history = folded(started(), stepped(10), stepped(20), RolledBack(20, 10, "Not finite.", 0.5))
    assert (history.latest, history.step) == (None, 10)


def test_roll_back_to_before_resumed_step_resets_step() -> None:
    history = folded(started(2000), stepped(3750), RolledBack(3750, 0, "Not finite.", 0.5))
    assert history.step == 0
    history.add(stepped(10))
    assert history.step == 10


def test_null_numbers_become_nan() -> None:
    history = folded(
        started(), Stepped(10, None, 1e-3, None, 0.0, 1.0, 0.0, None), Validated(10, {"2": None}, {"2": None})
    )  # type: ignore[arg-type, dict-item]
    assert math.isnan(history.losses[0])
    assert math.isnan(history.norms[0])
    assert math.isnan(history.psnr_db["2"][1][0])
    assert history.to_csv().splitlines()[1] == "10,,0.001,,0,,"


def test_read_history_ignores_huge_numbers_and_invalid_tables(log: Path) -> None:
    lines = [f'{{"event": "Noticed", "step": {10**400}, "message": "x"}}']
    lines += ['{"event": "Referenced", "step": 0, "psnr_db": {"vdsr": 7, "photo": {"2": 31.0}}}']
    log.write_text("\n".join([*lines, ""]), "utf-8")
    history = read_history(log)
    assert (history.notices, history.targets) == ([], {"photo": {"2": 31.0}})


def test_finished_is_kept_until_the_run_continues() -> None:
    finished = Finished(30, "w", False)
    history = folded(started(), stepped(30), finished)
    assert history.finished == finished
    history.add(Preparing(30, 1, 5))
    assert (history.finished, history.preparing) == (None, Preparing(30, 1, 5))
    history.add(started(30))
    assert history.preparing is None
    failed = Failed(31, "No room.")
    history.add(failed)
    assert (history.failed, history.finished) == (failed, None)


def test_notices_are_kept() -> None:
    assert folded(Noticed(0, "Left out: a.png")).notices == [(0, "Left out: a.png")]


def test_csv_has_one_row_per_step() -> None:
    history = folded(started(), stepped(10), stepped(20), validated(20, 31.5), validated(25, 32.0))
    rows = list(csv.DictReader(io.StringIO(history.to_csv())))
    assert [row["step"] for row in rows] == ["10", "20", "25"]
    assert rows[0]["loss"] == "0.01"
    assert rows[0]["psnr_db_x2"] == ""
    assert (rows[1]["loss"], rows[1]["psnr_db_x2"], rows[1]["bicubic_psnr_db_x3"]) == ("0.02", "31.5", "27")
    assert (rows[2]["loss"], rows[2]["psnr_db_x2"]) == ("", "32")


def test_csv_without_events_has_only_a_header() -> None:
    assert RunHistory().to_csv() == "step,loss,rate,gradient_norm,clipped_share\n"


_events = st.one_of(
    st.builds(started, st.integers(0, 60)),
    st.builds(stepped, st.integers(0, 60)),
    st.builds(validated, st.integers(0, 60), crop=st.sampled_from(["", "c.png"])),
    st.builds(lambda step, back: RolledBack(step, min(step, back), "r", 0.5), st.integers(0, 60), st.integers(0, 60)),
)


@given(st.lists(_events, max_size=40))
def test_curves_increase_in_step_and_have_equal_lengths_for_any_events(events: list[Event]) -> None:
    history = folded(*events)
    for steps in (history.steps, *(steps for steps, _ in history.psnr_db.values()), [s for s, _ in history.crops]):
        assert all(before < after for before, after in itertools.pairwise(steps))
    assert len({len(v) for v in (history.steps, history.losses, history.rates, history.norms, history.clipped)}) == 1
    assert all(len(steps) == len(values) for steps, values in history.psnr_db.values())
    history.to_csv()


def test_smoothing_starts_at_first_value_and_skips_nan() -> None:
    assert Smoothed().extend([3.0, 3.0, 3.0]) == pytest.approx([3.0] * 3)
    assert Smoothed(0.5).extend([1.0, 2.0]) == pytest.approx([1.0, 5 / 3])
    values = Smoothed().extend([1.0, math.nan, 1.0])
    assert values[0] == values[2] == pytest.approx(1.0)
    assert math.isnan(values[1])
    assert Smoothed(0.0).extend([4.0, 7.0]) == [4.0, 7.0]
    assert Smoothed().extend([]) == []


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def append(log: Path, text: str) -> None:
    with log.open("ab") as file:
        file.write(text.encode())


def test_tail_reads_each_event_of_growing_log_once(log: Path) -> None:
    tail = EventTail(log)
    assert tail.read_new() == []  # not there yet
    append(log, to_json(started()) + "\n")
    assert tail.read_new() == [started()]
    assert tail.read_new() == []
    append(log, to_json(stepped(10)) + "\n" + to_json(stepped(20)) + "\n")
    assert tail.read_new() == [stepped(10), stepped(20)]


def test_tail_waits_for_rest_of_incomplete_line(log: Path) -> None:
    tail, line = EventTail(log), to_json(Noticed(0, "Größe 漢")) + "\n"
    data = line.encode()
    for i in range(len(data) - 1):
        log.write_bytes(data[: i + 1])
        assert tail.read_new() == []
    log.write_bytes(data)
    assert tail.read_new() == [Noticed(0, "Größe 漢")]


def test_tail_skips_unknown_lines_and_events(log: Path) -> None:
    append(log, 'Telepathy\n{"event": "Telepathy", "step": 1}\n\n' + to_json(stepped(10)) + "\n")
    assert EventTail(log).read_new() == [stepped(10)]


def test_tail_reads_event_appended_to_incomplete_line(log: Path) -> None:
    append(log, to_json(stepped(10))[:-20] + to_json(started(5)) + "\n")
    assert EventTail(log).read_new() == [started(5)]


def test_tail_rereads_truncated_log(log: Path) -> None:
    tail = EventTail(log)
    append(log, to_json(stepped(10)) + "\n" + to_json(stepped(20)) + "\n")
    tail.read_new()
    log.write_text(to_json(started()) + "\n", "utf-8")
    assert tail.read_new() == [started()]


def test_tail_rereads_replaced_log(log: Path, tmp_path: Path) -> None:
    tail = EventTail(log)
    append(log, to_json(stepped(10)) + "\n")
    tail.read_new()
    other = tmp_path / "other"
    other.write_text(to_json(started()) + "\n" + to_json(stepped(99)) + "\n", "utf-8")
    other.replace(log)
    assert tail.read_new() == [started(), stepped(99)]


def test_tail_reads_long_log_in_parts(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vdsr_trainer.history._MAX_READ_BYTES", 100)
    append(log, "".join(to_json(stepped(step)) + "\n" for step in range(1, 50)))
    assert len(EventTail(log).read_new()) < 10
    assert read_history(log).steps == list(range(1, 50))
