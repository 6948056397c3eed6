"""Run folders, intact and broken: listing, creating, renaming, duplicating, deleting, locking and control files."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from vdsr_app.errors import SaveError, TrainingError
from vdsr_trainer import run_files, run_tail, runs
from vdsr_trainer.config_file import read_config
from vdsr_trainer.events import (
    CheckpointSaved,
    Event,
    Failed,
    Finished,
    Paused,
    RolledBack,
    Started,
    Stepped,
    Validated,
    to_json,
)
from vdsr_trainer.presets import preset
from vdsr_trainer.run_files import RunLock
from vdsr_trainer.runs import RunState


def started(step: int = 0) -> Started:
    return Started(step, 100, 10, 3, ("a",), "cpu")


def stepped(step: int) -> Stepped:
    return Stepped(step, 0.01, 1e-3, 1.0, 0.0, 10.0, 0.0, None)


def validated(step: int, psnr_db: float) -> Validated:
    return Validated(step, {"2": psnr_db}, {"2": 30.0})


def write_events(folder: Path, *events: Event, end: str = "") -> None:
    (folder / run_files.EVENTS_NAME).write_text("".join(to_json(event) + "\n" for event in events) + end, "utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def folder(root: Path) -> Path:
    return runs.create_run(root, "My holiday", "quick", preset("quick"))


@contextmanager
def other_process_holding(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a lock until it is killed."""
    code = (
        f"import filelock; lock = filelock.FileLock({str(path)!r}); lock.acquire(); print('held', flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_new_run_is_listed_with_title_preset_and_configuration(root: Path, folder: Path) -> None:
    (run,) = runs.list_runs(root)
    assert (run.folder, run.title, run.preset, run.state) == (folder, "My holiday", "quick", RunState.STOPPED)
    assert (run.step, run.steps, run.weights, run.psnr_db) == (0, preset("quick").steps, None, {})
    assert abs((datetime.now(UTC) - run.created).total_seconds()) < 60
    assert read_config(folder / "config.toml") == preset("quick")


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("My holiday", "My-holiday"),
        ("../../etc", "etc"),
        ("  ", "Run"),
        ("con", "run-con"),
        ("LPT1.txt", "run-LPT1.txt"),
        ("***", "run-"),
        ("Größe/ß:*?", "Größe-ß"),
        ("a" * 300, "a" * 60),
        ("line\nbreak", "line-break"),
        ("漢" * 200, "漢" * 60),
    ],
)
def test_titles_become_portable_folder_names(root: Path, title: str, name: str) -> None:
    assert runs.create_run(root, title, "", preset("quick")).name == name


def test_equal_titles_get_separate_folders(root: Path) -> None:
    names = [runs.create_run(root, "Same", "", preset("quick")).name for _ in range(3)]
    assert names == ["Same", "Same-2", "Same-3"]


def test_create_run_raises_save_error_when_root_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SaveError):
        runs.create_run(tmp_path / "file", "A", "", preset("quick"))


@pytest.mark.parametrize(
    ("events", "state", "step"),
    [
        ([started(), stepped(40), Finished(100, "w", True)], RunState.FINISHED, 100),
        ([started(), stepped(40), Finished(40, "w", False)], RunState.STOPPED, 40),
        ([started(), stepped(40), Failed(40, "No room.")], RunState.FAILED, 40),
        ([started(), CheckpointSaved(30, "c"), stepped(40)], RunState.STOPPED, 30),  # killed: 40 has to be done again
        ([Finished(40, "w", False), started(40), stepped(60)], RunState.STOPPED, 40),
        ([], RunState.STOPPED, 0),
    ],
)
def test_state_and_step_follow_last_events(root: Path, folder: Path, events: list[Event], state: RunState, step: int):
    write_events(folder, *events)
    (run,) = runs.list_runs(root)
    assert (run.state, run.step) == (state, step)
    assert run.reason == ("No room." if state is RunState.FAILED else "")


def test_run_is_running_while_locked_and_stopped_after_holder_is_killed(root: Path, folder: Path) -> None:
    write_events(folder, started(), stepped(40))
    with other_process_holding(folder / run_files.RUN_LOCK_NAME) as process:
        assert run_files.is_alive(folder)
        assert runs.list_runs(root)[0].state is RunState.RUNNING
        assert runs.list_runs(root)[0].step == 40
        write_events(folder, started(), stepped(40), Paused(40))
        assert runs.list_runs(root)[0].state is RunState.PAUSED
        process.kill()
        process.wait()
        assert not run_files.is_alive(folder)
        assert runs.list_runs(root)[0].state is RunState.STOPPED


def test_validations_of_repeated_steps_are_ignored(root: Path, folder: Path) -> None:
    events = [started(), validated(20, 31.0), CheckpointSaved(20, "c"), validated(40, 33.0), started(20), stepped(25)]
    write_events(folder, *events)
    assert runs.list_runs(root)[0].psnr_db == {"2": 31.0}


def test_validations_and_checkpoints_undone_by_roll_back_are_ignored(root: Path, folder: Path) -> None:
    events = [started(), validated(20, 31.0), CheckpointSaved(20, "c"), validated(40, 9.0), CheckpointSaved(40, "c")]
    write_events(folder, *events, RolledBack(50, 30, "The loss was not finite.", 0.5), stepped(35))
    (run,) = runs.list_runs(root)
    assert (run.step, run.psnr_db) == (20, {"2": 31.0})


def test_total_steps_of_run_in_epochs_come_from_its_log(root: Path) -> None:
    epochs = replace(preset("paper"), sampling="grid", epochs=80)
    folder = runs.create_run(root, "Paper", "paper", epochs)
    assert runs.list_runs(root)[0].steps == 0
    write_events(folder, started(), validated(20, 31.0), CheckpointSaved(20, "c"), stepped(40))
    assert runs.list_runs(root)[0].steps == 100


def test_tail_reports_target_step_of_roll_back(folder: Path) -> None:
    write_events(folder, started(), stepped(90), RolledBack(90, 50, "The loss was not finite.", 0.5))
    assert run_tail.read_tail(folder / run_files.EVENTS_NAME).step == 50


def test_tail_reads_event_appended_to_incomplete_line(folder: Path) -> None:
    half = to_json(stepped(40))[:30]
    (folder / run_files.EVENTS_NAME).write_text(f"{to_json(started())}\n{half}{to_json(started(20))}\n", "utf-8")
    tail = run_tail.read_tail(folder / run_files.EVENTS_NAME)
    assert (tail.step, tail.saved_step) == (20, 20)


@pytest.mark.parametrize("block", [1, 2, 7, 64, 1 << 17])
@pytest.mark.parametrize("text", [b"", b"\n", b"a", b"a\n", b"a\nbb\n\nccc\n", b"a\nbb\nhalf", b"\n\nlong line\nx\n"])
def test_lines_backwards_is_independent_of_block_size(tmp_path: Path, monkeypatch, block: int, text: bytes) -> None:
    monkeypatch.setattr(run_tail, "_BLOCK_BYTES", block)
    (tmp_path / "log").write_bytes(text)
    whole = text[: text.rfind(b"\n") + 1]
    assert list(run_tail.lines_backwards(tmp_path / "log")) == [line for line in whole.split(b"\n")[::-1] if line]


def test_long_log_is_read_only_at_its_end(root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Event] = [started()]
    for step in range(1, 20_001):
        events.append(stepped(step))
        if step % 250 == 0:
            events += [validated(step, 31.0 + step / 1e5), CheckpointSaved(step, "c")]
    write_events(folder, *events)
    read: list[bytes] = []
    whole = run_tail.lines_backwards
    monkeypatch.setattr(run_tail, "lines_backwards", lambda path: (read.append(line) or line for line in whole(path)))
    (run,) = runs.list_runs(root)
    assert (run.step, run.psnr_db) == (20_000, {"2": 31.2})
    assert len(read) < 10


def test_broken_folders_are_listed_with_a_reason(root: Path, folder: Path) -> None:
    (folder / "config.toml").write_text("steps = [broken", "utf-8")
    no_config = runs.create_run(root, "No config", "", preset("quick"))
    (no_config / "config.toml").unlink()
    future = runs.create_run(root, "Future", "", preset("quick"))
    (future / "config.toml").write_text("telepathy = true", "utf-8")
    log = runs.create_run(root, "Log", "", preset("quick"))
    (log / "events.jsonl").mkdir()
    found = {run.title: run for run in runs.list_runs(root)}
    assert {run.state for run in found.values()} == {RunState.DAMAGED}
    assert "TOML" in found["My holiday"].reason
    assert "cannot be read" in found["No config"].reason
    assert "telepathy" in found["Future"].reason
    assert found["Log"].reason


DEEP = "[" * 100_000
"""Nested more deeply than any parser supports."""


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{", '{"title": 7, "created": "yesterday", "preset": []}', "\0", pytest.param(DEEP, id="deep")],
)
def test_broken_run_json_falls_back_to_folder_name_and_time(root: Path, folder: Path, text: str) -> None:
    (folder / "run.json").write_text(text, "utf-8")
    (run,) = runs.list_runs(root)
    assert (run.title, run.preset, run.state) == ("My-holiday", "", RunState.STOPPED)
    assert abs(run.created.timestamp() - (folder / "config.toml").stat().st_mtime) < 1


@pytest.mark.parametrize(
    "line",
    [
        "\x00\xff",
        "7",
        '{"event": "Telepathy"}',
        '{"event": "Stepped", "step": "many"}',
        '{"event": "Validated", "step": 5, "psnr_db": 3, "bicubic_psnr_db": {}}',
        '{"event": "Validated", "step": "5", "psnr_db": {}, "bicubic_psnr_db": {}}',
        '{"event": "Validated", "step": 60, "psnr_db": {"2": null}, "bicubic_psnr_db": {"2": "x"}}',
        '{"event": "Validated", "step": 60, "psnr_db": {}, "bicubic_psnr_db": {}, "crop": 7}',
        '{"event": "Failed", "step": 60, "message": ["no", "text"]}',
        pytest.param('{"event": "Failed", "step": 60, "message": ' + DEEP, id="deep"),
        pytest.param(
            f'{{"event": "Validated", "step": 60, "psnr_db": {{"2": {10**400}}}, "bicubic_psnr_db": {{}}}}',
            id="endless",
        ),
    ],
)
def test_invalid_log_lines_are_ignored(root: Path, folder: Path, line: str) -> None:
    write_events(folder, started(), stepped(50), end=line + "\n")
    (run,) = runs.list_runs(root)
    assert run.state is RunState.STOPPED
    assert run.psnr_db == {}


def test_parse_restores_non_finite_numbers_as_nan() -> None:
    event = run_tail.parse(to_json(replace(stepped(5), loss=math.inf)).encode())
    assert isinstance(event, Stepped)
    assert math.isnan(event.loss)
    assert (event.rate, event.seconds_left) == (1e-3, None)


def test_circular_link_hides_no_run(root: Path, folder: Path) -> None:
    (root / "loop").symlink_to(root / "loop")
    assert [run.folder for run in runs.list_runs(root)] == [folder]


@pytest.mark.parametrize("title", ["two\\nlines", "tab\\there", "\\u001b[31mred"])
def test_listed_titles_contain_no_control_characters(root: Path, folder: Path, title: str) -> None:
    (folder / "run.json").write_text(f'{{"title": "{title}"}}', "utf-8")
    assert runs.list_runs(root)[0].title.isprintable()


def test_list_runs_ignores_other_folders_and_missing_root(root: Path, folder: Path, tmp_path: Path) -> None:
    (root / "pictures").mkdir()
    (root / "file").write_text("")
    (root / ".vdsr-deleted-1").mkdir()
    (root / ".vdsr-deleted-1" / "config.toml").write_text("")
    assert [run.folder for run in runs.list_runs(root)] == [folder]
    assert runs.list_runs(tmp_path / "nowhere") == ()


def test_run_without_run_json_is_listed_by_folder_name_and_time(root: Path, folder: Path) -> None:
    (folder / "run.json").unlink()
    os.utime(folder / "config.toml", (1e9, 1e9))
    (run,) = runs.list_runs(root)
    assert (run.title, run.created.year) == ("My-holiday", 2001)


def test_rename_changes_only_the_title(root: Path, folder: Path) -> None:
    before = runs.list_runs(root)[0]
    runs.rename_run(folder, " Better\nname ")
    after = runs.list_runs(root)[0]
    assert (after.title, after.created, after.preset, after.folder) == (
        "Better name",
        before.created,
        before.preset,
        before.folder,
    )


def test_rename_accepts_run_json_with_unpaired_surrogate(root: Path, folder: Path) -> None:
    (folder / "run.json").write_text(r'{"title": "Old", "note": "\ud800"}', "utf-8")
    runs.rename_run(folder, "Nové")
    assert runs.list_runs(root)[0].title == "Nové"


def test_duplicate_copies_only_the_configuration(root: Path, folder: Path) -> None:
    write_events(folder, started(), stepped(40))
    (folder / "checkpoint.safetensors").write_bytes(b"state")
    copy = runs.duplicate_run(folder, "Again")
    assert sorted(path.name for path in copy.iterdir()) == ["config.toml", "run.json"]
    assert read_config(copy / "config.toml") == read_config(folder / "config.toml")
    assert {run.title: run.preset for run in runs.list_runs(root)} == {"My holiday": "quick", "Again": "quick"}


def test_delete_removes_whole_folder(root: Path, folder: Path) -> None:
    (folder / "crops").mkdir()
    (folder / "crops" / "original.png").write_bytes(b"png")
    runs.delete_run(folder)
    assert list(root.iterdir()) == []


def test_delete_rejects_running_run(folder: Path) -> None:
    with RunLock(folder), pytest.raises(TrainingError, match="running"):
        runs.delete_run(folder)
    assert (folder / "config.toml").exists()


def test_delete_keeps_folders_of_other_programs(root: Path, folder: Path) -> None:
    (root / ".deleted-by-hand").mkdir()
    runs.delete_run(folder)
    assert [path.name for path in root.iterdir()] == [".deleted-by-hand"]


def test_delete_of_link_keeps_its_target(root: Path, folder: Path, tmp_path: Path) -> None:
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    runs.delete_run(folder)
    assert list(root.iterdir()) == []
    assert (tmp_path / "elsewhere" / "config.toml").exists()


def test_create_run_removes_leftovers_of_interrupted_deletion(root: Path, folder: Path) -> None:
    folder.rename(root / ".vdsr-deleted-0123")
    runs.create_run(root, "Next", "", preset("quick"))
    assert [path.name for path in root.iterdir()] == ["Next"]


def test_lock_rejects_second_holder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vdsr_trainer.run_files._LOCK_PATIENCE_S", 0.05)
    with RunLock(folder):
        assert run_files.is_alive(folder)
        with pytest.raises(TrainingError, match="Another process"), RunLock(folder):
            pass
    assert not run_files.is_alive(folder)


def test_is_alive_leaves_the_lock_free(folder: Path) -> None:
    with RunLock(folder):
        assert run_files.is_alive(folder)
    assert not run_files.is_alive(folder)
    with RunLock(folder):
        pass


def test_concurrent_is_alive_calls_are_not_mistaken_for_the_holder(folder: Path) -> None:
    """Two windows and a command line may check at the same moment; each must see that no process is training."""
    with RunLock(folder):
        pass
    with ThreadPoolExecutor(4) as pool:
        seen = [*pool.map(lambda _: [run_files.is_alive(folder) for _ in range(500)], range(4))]
    assert not any(map(any, seen))


@pytest.mark.parametrize("command", run_files.COMMANDS)
@pytest.mark.parametrize("ends", run_files.WHEN_WINDOW_ENDS)
def test_control_file_round_trips(folder: Path, command: run_files.Command, ends: run_files.WhenWindowEnds) -> None:
    run_files.write_control(folder, command, ends)
    assert json.loads((folder / "control.json").read_text()) == {"command": command, "when_window_ends": ends}
    assert run_files.read_control(folder) == run_files.Control(command, ends)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "7",
        '{"command": "explode", "when_window_ends": 3}',
        "\0",
        '{"command": []}',
        pytest.param(DEEP, id="deep"),
    ],
)
def test_broken_control_file_falls_back_to_default(folder: Path, text: str) -> None:
    (folder / "control.json").write_text(text, "utf-8")
    assert run_files.read_control(folder) == run_files.Control()


def test_write_control_raises_save_error_when_folder_is_gone(tmp_path: Path) -> None:
    with pytest.raises(SaveError):
        run_files.write_control(tmp_path / "gone", "stop")
