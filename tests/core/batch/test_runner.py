"""Batch runs: one outcome per picture, whatever happens, and nothing lost."""

from __future__ import annotations

import contextlib
import csv
import errno
import gc
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import tracemalloc
from collections import Counter, namedtuple
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path, PurePath

import numpy as np
import pytest
from PIL import Image

from tests.core.pipeline.test_run import HeldEngine
from vdsr_app.control import CancelToken, PauseGate
from vdsr_app.core import image_io, scratch
from vdsr_app.core.batch import (
    Batch,
    BatchEvent,
    BatchOptions,
    BatchReport,
    Changed,
    Existing,
    FoundRoom,
    Item,
    Planned,
    Progress,
    State,
    WaitsForRoom,
    disk,
    probe_source,
    tally,
    unfinished,
    write_report,
)
from vdsr_app.core.batch import runner as module
from vdsr_app.core.batch.journal import Journal
from vdsr_app.core.batch.journal_view import FILE_NAME, reading
from vdsr_app.core.batch.pace import Pace
from vdsr_app.core.batch.plan import totals
from vdsr_app.core.job import FileFormat, Metadata, SaveOptions, Target, UpscaleSettings
from vdsr_app.core.models import find_model
from vdsr_app.errors import Cancelled, SaveError, UsageError, WeightsError

WAIT_S = 20.0
CORPUS = Path(__file__).resolve().parents[4] / "shared" / "corpus"


class Held:
    """A batch over a folder, with a network that the test can hold and release; keeps the events."""

    def __init__(self, folder: Path) -> None:
        self.source, self.output = folder / "in", folder / "out"
        self.source.mkdir(exist_ok=True)
        self.engine = HeldEngine()
        self.token, self.pause = CancelToken(), PauseGate()
        self.events: list[BatchEvent] = []
        self.seen = threading.Condition()
        self.probes = 0
        self.renew()

    def renew(self, **changes: object) -> None:
        """Create another batch, as after a restart of the program."""
        settings = UpscaleSettings(Target(value=2.0), model="vdsr")
        options = replace(BatchOptions(self.output, settings), **changes)  # type: ignore[arg-type]
        self.events, self.token = [], CancelToken()
        self.batch = Batch(
            options,
            self.on_event,
            self.token,
            pause=self.pause,
            probe=self.probe,
            do_files=module.run_locally(self),  # type: ignore[arg-type]
        )

    def get(self, _model: str) -> HeldEngine:
        return self.engine

    def probe(self, path: Path) -> object:
        self.probes += 1
        return probe_source(path)

    def picture(self, name: str, value: int | None = None, side: int = 12) -> Path:
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(len(name)).integers(0, 256, (side, side, 3), np.uint8)
        Image.fromarray(pixels if value is None else np.full_like(pixels, value)).save(path)
        return path

    def on_event(self, event: BatchEvent) -> None:
        with self.seen:
            self.events.append(event)
            self.seen.notify_all()

    def wait_for(self, wanted: Callable[[BatchEvent], bool]) -> None:
        with self.seen:
            assert self.seen.wait_for(lambda: any(wanted(event) for event in self.events), WAIT_S)

    def run(self, **how: bool) -> BatchReport:
        self.batch.add([self.source])
        return self.batch.run(**how)

    def in_thread(self) -> threading.Thread:
        def work() -> None:
            try:
                self.report = self.run()
            except Cancelled:
                self.report = None

        thread = threading.Thread(target=work)
        thread.start()
        return thread

    def ends(self) -> dict[str, State]:
        """The outcome of each picture; exactly one each."""
        found = [event.item for event in self.events if isinstance(event, Changed)]
        found += [item for event in self.events if isinstance(event, Planned) for item in event.items]
        ended = [item for item in found if item.state.is_outcome]
        assert max(Counter(item.number for item in ended).values(), default=1) == 1
        return {item.source.relative_to(self.source).as_posix(): item.state for item in ended}

    def results(self) -> list[str]:
        found = [path for path in self.output.rglob("*") if path.is_file() and path.name != FILE_NAME]
        return sorted(path.relative_to(self.output).as_posix() for path in found)


@pytest.fixture
def held(tmp_path: Path) -> Held:
    return Held(tmp_path)


def is_end(name: str, state: State) -> Callable[[BatchEvent], bool]:
    return lambda event: isinstance(event, Changed) and event.item.source.name == name and event.item.state is state


def at_first_picture(held: Held) -> threading.Thread:
    """Start a batch whose first picture, a.png, then waits for the network."""
    held.engine.hold()
    thread = held.in_thread()
    held.wait_for(is_end("a.png", State.WORKING))
    return thread


def test_good_and_bad_pictures_each_get_one_outcome(held: Held) -> None:
    for name in ("a.png", "b/c.png", "b/deep/d.jpg"):
        held.picture(name)
    (held.source / "bad.png").write_bytes(b"no picture")
    report = held.run()
    assert (report.done, report.skipped, report.failed) == (3, 0, 1)
    assert held.ends() == {
        "a.png": State.DONE,
        "bad.png": State.FAILED,
        "b/c.png": State.DONE,
        "b/deep/d.jpg": State.DONE,
    }
    assert held.results() == ["a_vdsr_x2.png", "b/c_vdsr_x2.png", "b/deep/d_vdsr_x2.png"]
    assert image_io.probe(held.output / "a_vdsr_x2.png").width == 24


def test_repeated_batch_does_only_new_or_changed_pictures(held: Held) -> None:
    for name in ("a.png", "b.png", "c.png", "d.png", "e.png"):
        held.picture(name)
    held.run()
    tiles = held.engine.tiles
    os.utime(held.source / "a.png", ns=(1, 1))  # the same content, copied again
    held.picture("b.png", 7)  # edited
    (held.output / "c_vdsr_x2.png").unlink()
    (held.output / "d_vdsr_x2.png").write_bytes(b"the person's own now")
    held.picture("f.png")
    held.renew()
    report = held.run()
    assert (report.done, report.skipped, report.failed) == (3, 3, 0)
    assert held.ends() == {
        **dict.fromkeys(("a.png", "d.png", "e.png"), State.SKIPPED),
        **dict.fromkeys(("b.png", "c.png", "f.png"), State.DONE),
    }
    assert (held.output / "d_vdsr_x2.png").read_bytes() == b"the person's own now"
    assert held.engine.tiles > tiles


def test_model_replaced_while_its_first_picture_is_made_remakes_the_result(held: Held, tmp_path: Path) -> None:
    held.picture("a.png")
    model = tmp_path / "mine.safetensors"
    shutil.copy(find_model("vdsr").path, model)
    settings = UpscaleSettings(Target(value=2.0), model=str(model))
    held.renew(settings=settings)
    held.engine.hold()
    thread = held.in_thread()
    assert held.engine.begun.wait(WAIT_S)
    shutil.copy(find_model("photo").path, model)
    held.engine.gate = threading.Semaphore(10**6)
    thread.join(WAIT_S)
    for done in (1, 0):
        held.renew(settings=settings)
        assert held.run().done == done


def test_same_name_from_another_folder_does_not_replace_a_result(held: Held, tmp_path: Path) -> None:
    held.picture("a.png", value=10)
    held.run()
    (first,) = held.output.glob("*.png")
    before = first.read_bytes()
    held.source = tmp_path / "february"
    held.picture("a.png", value=200, side=14)
    for done, skipped in ((1, 0), (0, 1)):
        held.renew()
        report = held.run()
        assert (report.done, report.skipped, report.failed) == (done, skipped, 0)
        assert first.read_bytes() == before
        assert sorted(path.name for path in held.output.glob("*.png")) == ["a-2_vdsr_x2.png", "a_vdsr_x2.png"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_result_of_a_broken_link_is_not_replaced_by_another_picture(held: Held, tmp_path: Path) -> None:
    original = held.picture(".hidden/original.png", value=10)
    (held.source / "a.png").symlink_to(original)
    held.run()
    (first,) = held.output.glob("*.png")
    before = first.read_bytes()
    original.unlink()
    held.source = tmp_path / "february"
    held.picture("a.png", value=200, side=14)
    held.renew()
    assert held.run().done == 1
    assert first.read_bytes() == before


def test_results_of_a_moved_source_folder_are_recognised(held: Held, tmp_path: Path) -> None:
    for name, value in (("a.png", 10), ("b.png", 60)):
        held.picture(name, value)
    held.run()
    held.source = held.source.rename(tmp_path / "moved")
    held.renew()
    report = held.run()
    assert (report.done, report.skipped) == (0, 2)
    (held.source / "b.png").unlink()
    held.renew(template="{number}")  # other names: all is made again, and the first number goes to another picture
    assert held.run().done == 1
    held.renew(settings=UpscaleSettings(Target(value=3.0), model="vdsr"), template="{number}")
    report = held.run()
    assert (report.done, sorted(path.name for path in held.output.glob("[0-9]*.png"))) == (1, ["1.png"])


def test_shifted_numbers_do_not_replace_results_of_other_pictures(held: Held) -> None:
    for name, value in (("a.png", 10), ("b.png", 60)):
        held.picture(name, value)
    held.renew(template="{number}")
    held.run()
    before = {path.name: path.read_bytes() for path in held.output.glob("*.png")}
    assert sorted(before) == ["1.png", "2.png"]
    (held.source / "a.png").unlink()
    held.renew(template="{number}")
    held.run()
    after = {path.name: path.read_bytes() for path in held.output.glob("*.png")}
    assert {name: after[name] for name in before} == before


def test_changed_settings_remake_results_but_tile_size_does_not(held: Held) -> None:
    held.picture("a.png")
    held.run()
    settings = UpscaleSettings(Target(value=2.0), model="vdsr", save=SaveOptions(FileFormat.PNG, bits=16))
    held.renew(settings=settings)
    assert held.run().done == 1
    assert image_io.probe(held.output / "a_vdsr_x2.png").bits == 16
    held.renew(settings=replace(settings, tile_px=8))  # tiles leave no trace
    assert held.run().skipped == 1


def test_existing_option_applies_to_files_made_elsewhere(held: Held) -> None:
    held.picture("a.png")
    held.output.mkdir()
    there = held.output / "a_vdsr_x2.png"
    for existing, outcome in ((Existing.SKIP, "skipped"), (Existing.RENAME, "done"), (Existing.OVERWRITE, "done")):
        there.write_bytes(b"mine")
        held.renew(existing=existing)
        assert getattr(held.run(), outcome) == 1
        assert (there.read_bytes() == b"mine") is (existing is not Existing.OVERWRITE)
    assert held.results() == ["a-2_vdsr_x2.png", "a_vdsr_x2.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="names are valid Unicode there")
def test_file_in_the_way_whose_name_is_not_unicode_is_named_in_the_outcome(held: Held, tmp_path: Path) -> None:
    held.picture(os.fsdecode(b"caf\xe9.png"))
    held.output.mkdir()
    (held.output / os.fsdecode(b"caf\xe9_vdsr_x2.png")).write_bytes(b"mine")
    assert held.run().skipped == 1
    write_report(held.output, tmp_path / "report.csv")
    assert r"caf\udce9_vdsr_x2.png already exists" in (tmp_path / "report.csv").read_text("utf-8-sig")


def test_results_beside_their_sources_are_skipped_until_edited(held: Held) -> None:
    held.picture("a.png")
    held.renew(output=held.source)
    held.run()
    held.picture("b_vdsr_x2.png")  # the user's own, whatever its name says
    three = UpscaleSettings(Target(value=3.0), model="vdsr")
    held.renew(output=held.source, settings=three)
    assert held.run().done == 2
    assert held.ends() == {"a.png": State.DONE, "b_vdsr_x2.png": State.DONE, "a_vdsr_x2.png": State.SKIPPED}
    held.picture("a_vdsr_x2.png", 7)  # edited, so it is now the user's own picture
    held.renew(output=held.source, settings=three)
    assert held.run().done == 1
    assert "a_vdsr_x2_vdsr_x3.png" in {path.name for path in held.source.iterdir()}


@pytest.mark.parametrize("template", ["{name}", "{number:04}_{name}"])
def test_rerun_keeps_names_when_results_lie_beside_their_sources(held: Held, template: str) -> None:
    for name in ("a.jpg", "b.jpg"):
        held.picture(name)
    held.renew(output=held.source, template=template)
    held.run()
    names = {path.name for path in held.source.iterdir()}
    held.renew(output=held.source, template=template)
    report = held.run()
    assert (report.done, report.skipped) == (0, 4)
    assert {path.name for path in held.source.iterdir()} == names


def test_results_without_their_sources_are_enlarged(held: Held) -> None:
    held.picture("a.png")
    held.run()
    held.renew(settings=UpscaleSettings(Target(value=3.0), model="vdsr"))
    held.batch.add([held.output])
    assert held.batch.run().done == 1
    assert (held.output / "a_vdsr_x2_vdsr_x3.png").is_file()


def test_explicitly_given_result_is_enlarged(held: Held) -> None:
    held.picture("a.png")
    held.run()
    held.renew()
    held.batch.add([held.output / "a_vdsr_x2.png"])
    assert held.batch.run().done == 1


def test_pictures_can_be_added_while_the_batch_runs(held: Held, tmp_path: Path) -> None:
    held.picture("a.png")
    thread = at_first_picture(held)
    more = held.source / "more"
    held.picture("more/b.png")
    assert held.batch.add([more / "b.png", more])
    held.engine.gate = threading.Semaphore(10**6)
    thread.join(WAIT_S)
    assert held.report is not None
    assert held.report.done == 2
    assert not held.batch.add([more])  # the batch has ended


def test_planned_is_true_once_all_added_pictures_are_reported(held: Held) -> None:
    held.picture("a.png")
    known: list[tuple[str, bool]] = []

    def note(event: BatchEvent) -> None:
        known.append((type(event).__name__, held.batch.planned))

    batch = held.batch = Batch(BatchOptions(held.output), note, do_files=module.run_locally(held))  # type: ignore[arg-type]
    batch.add([held.source])
    assert not batch.planned
    batch.run()
    assert known[0] == ("Planned", False)
    assert batch.planned


def test_many_files_given_again_are_not_each_compared_with_all(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    given = [held.picture(f"{number}.png", side=2) for number in range(60)]
    compared, equal = [], PurePath.__eq__

    def compare(one: PurePath, other: object) -> bool:
        compared.append(1)
        return bool(equal(one, other))

    for _ in range(2):
        held.batch.add(given)
    monkeypatch.setattr(PurePath, "__eq__", compare)
    assert held.batch.run().done == len(given)
    assert len(compared) < len(given) ** 2 / 4


def test_pause_stops_the_work_and_cancel_ends_the_batch(held: Held) -> None:
    for name in ("a.png", "b.png", "c.png"):
        held.picture(name, side=64)
    thread = at_first_picture(held)
    held.pause.pause()
    held.engine.gate = threading.Semaphore(10**6)
    held.wait_for(lambda event: isinstance(event, Progress) and event.done_px > 0)
    assert held.ends() == {}
    held.pause.resume()
    held.wait_for(is_end("a.png", State.DONE))
    held.engine.hold()
    held.token.cancel()
    thread.join(WAIT_S)
    assert held.report is None
    assert all(not path.name.endswith(".part") for path in held.output.iterdir())


def test_cancelled_batch_resumes_where_it_stopped(held: Held) -> None:
    for name in ("a.png", "b.png", "c.png"):
        held.picture(name)
    thread = at_first_picture(held)
    held.engine.gate = threading.Semaphore(8)
    held.wait_for(is_end("a.png", State.DONE))
    held.token.cancel()
    thread.join(WAIT_S)
    before = unfinished(held.output)
    assert before is not None
    assert (before.ended, before.left > 0, before.failed) == (False, True, 0)
    first = (held.output / "a_vdsr_x2.png").stat().st_mtime_ns
    held.engine.gate = threading.Semaphore(10**6)
    held.renew()
    report = held.batch.run(resume=True)
    assert (report.done, report.skipped, report.failed) == (3, 0, 0)
    assert held.results() == ["a_vdsr_x2.png", "b_vdsr_x2.png", "c_vdsr_x2.png"]
    assert (held.output / "a_vdsr_x2.png").stat().st_mtime_ns == first
    after = unfinished(held.output)
    assert after is not None
    assert after.ended


@pytest.mark.parametrize("how", ["resume", "again"])
def test_file_put_in_place_of_a_result_after_a_cancel_is_kept(held: Held, how: str) -> None:
    held.picture("a.png")
    thread = at_first_picture(held)
    held.token.cancel()
    thread.join(WAIT_S)
    (held.output / "a_vdsr_x2.png").write_bytes(b"mine")
    held.engine.gate = threading.Semaphore(10**6)
    held.renew()
    assert held.run(resume=how == "resume").skipped == 1
    assert (held.output / "a_vdsr_x2.png").read_bytes() == b"mine"


def test_batch_resumes_in_a_moved_output_folder(held: Held) -> None:
    for name in ("a.png", "b/c.png", "d.png"):
        held.picture(name)
    thread = at_first_picture(held)
    held.token.cancel()
    thread.join(WAIT_S)
    held.engine.gate = threading.Semaphore(10**6)
    old = held.output
    held.output = old.rename(old.with_name("elsewhere"))
    held.renew()
    held.batch.run(resume=True)
    assert held.results() == ["a_vdsr_x2.png", "b/c_vdsr_x2.png", "d_vdsr_x2.png"]
    assert not old.exists()
    held.output = held.output.rename(old)
    held.renew()
    assert held.run().skipped == 3, "it knows what it made wherever that lies"


def test_results_are_recognised_with_the_full_paths_of_journal_format_2(held: Held) -> None:
    for name in ("a.png", "b.png"):
        held.picture(name)
    held.run()
    with contextlib.closing(sqlite3.connect(held.output / FILE_NAME)) as journal, journal:
        for table in ("items", "made"):
            for row, name in journal.execute(f"SELECT rowid, output FROM {table}").fetchall():
                full = os.fsencode(held.output / os.fsdecode(name))
                journal.execute(f"UPDATE {table} SET output = ? WHERE rowid = ?", (full, row))
        journal.execute("PRAGMA user_version = 2")
    held.renew()
    held.batch.add([held.source])
    assert [item.state for item in held.batch.plan()] == [State.SKIPPED] * 2
    held.renew()
    assert held.run().skipped == 2
    held.output = held.output.rename(held.output.with_name("elsewhere"))
    held.renew()
    assert held.run().skipped == 2


def test_failed_pictures_are_retried_only_with_retry_failed(held: Held) -> None:
    held.picture("a.png")
    bad = held.source / "bad.png"
    bad.write_bytes(b"no picture")
    assert held.run().failed == 1
    held.renew()
    assert held.batch.run(resume=True).failed == 1
    held.picture("bad.png")
    held.renew()
    report = held.batch.run(retry_failed=True)
    assert (report.done, report.failed) == (2, 0)


def test_source_changed_while_queued_is_processed_as_it_is_then(held: Held) -> None:
    for name in ("a.png", "b.png", "c.png", "d.png", "e.png", "f.png"):
        held.picture(name)
    thread = at_first_picture(held)
    held.wait_for(is_end("c.png", State.WORKING))  # three are in progress, the others are queued
    held.picture("d.png", side=20)
    (held.source / "e.png").unlink()
    (held.source / "f.png").unlink()
    if hasattr(os, "mkfifo"):
        os.mkfifo(held.source / "f.png")
    held.engine.gate = threading.Semaphore(10**6)
    thread.join(WAIT_S)
    assert held.ends() == {
        **dict.fromkeys(("a.png", "b.png", "c.png", "d.png"), State.DONE),
        **dict.fromkeys(("e.png", "f.png"), State.FAILED),
    }
    assert image_io.probe(held.output / "d_vdsr_x2.png").width == 40


def test_source_with_a_date_that_no_clock_has_is_processed_once(held: Held) -> None:
    try:
        os.utime(held.picture("a.png"), ns=(0, 2**63 + 10**9))  # in 2262, as faulty drives report
    except (OSError, OverflowError):
        pytest.skip("the file system has no such date")
    assert held.run().done == 1
    held.renew()
    assert held.run().skipped == 1


def test_source_changed_during_processing_is_redone_by_the_next_run(held: Held) -> None:
    held.picture("a.png")
    held.engine.hold()
    thread = held.in_thread()
    held.wait_for(lambda event: isinstance(event, Changed))
    held.picture("a.png", 9)
    held.engine.gate = threading.Semaphore(10**6)
    thread.join(WAIT_S)
    held.renew()
    assert held.run().done == 1


def test_batch_waits_for_disk_space_and_continues_by_itself(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    held.picture("a.png")
    usage = namedtuple("usage", "total used free")
    free = [10]
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage(1, 1, free[0]))
    thread = held.in_thread()
    held.wait_for(lambda event: isinstance(event, WaitsForRoom))
    waits = next(event for event in held.events if isinstance(event, WaitsForRoom))
    assert waits.free_bytes == 10
    assert waits.needed_bytes > 0
    free[0] = 10**12
    thread.join(WAIT_S)
    assert held.report is not None
    assert held.report.done == 1
    assert any(isinstance(event, FoundRoom) for event in held.events)


Usage = namedtuple("Usage", "total used free")


def test_plan_gives_the_same_names_as_the_run(held: Held, tmp_path: Path) -> None:
    held.picture("a.png")
    more = tmp_path / "more"
    more.mkdir()
    held.run()
    held.picture("b.png")
    Image.new("RGB", (12, 12), "teal").save(more / "b.jpg")
    held.renew()
    held.batch.add([more])
    planned = {item.source: item.output for item in held.batch.plan(resume=True)}
    held.renew()
    held.batch.add([more])
    held.batch.run(resume=True)
    made = {item.source: item.output for event in held.events if isinstance(event, Planned) for item in event.items}
    assert planned == made
    assert len(set(made.values())) == 3


def test_picture_stored_on_disk_waits_for_all_the_space_it_takes(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    held.picture("a.png")
    held.batch.add([held.source])
    (item,) = held.batch.plan()
    monkeypatch.setattr(scratch, "WHOLE_BYTES", 0)
    free = [item.disk_bytes + disk._SPARE_BYTES + 1]  # for the result alone
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage(1, 1, free[0]))
    held.renew()
    thread = held.in_thread()
    held.wait_for(lambda event: isinstance(event, WaitsForRoom))
    assert held.ends() == {}
    free[0] = 10**12
    thread.join(WAIT_S)
    assert held.report is not None
    assert held.report.done == 1


def test_large_pictures_are_done_one_by_one_when_only_one_fits_on_disk(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png", "c.png"):
        held.picture(name)
    monkeypatch.setattr(scratch, "WHOLE_BYTES", 0)
    held.batch.add([held.source])
    (item, *_) = held.batch.plan()
    needed = totals([item], BatchOptions(held.output)).disk_bytes
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage(1, 1, disk._SPARE_BYTES + needed * 3 // 2))
    held.renew()
    assert held.run().done == 3
    steps = [(event.item.source.name, event.item.state) for event in held.events if isinstance(event, Changed)]
    assert steps == [(name, state) for name in ("a.png", "b.png", "c.png") for state in (State.WORKING, State.DONE)]
    assert not [event for event in held.events if isinstance(event, WaitsForRoom)]


def test_batch_waits_when_the_disk_fills_while_a_picture_is_read(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    held.picture("a.png")
    real, failed = scratch.on_disk, []

    def full_at_first(folder: Path) -> scratch.Allocator:
        if not failed:
            failed.append(1)
            raise SaveError("There is no space left on the disk.") from OSError(errno.ENOSPC, "full")
        return real(folder)

    monkeypatch.setattr(scratch, "WHOLE_BYTES", 0)
    monkeypatch.setattr(scratch, "on_disk", full_at_first)
    monkeypatch.setattr(disk, "_TRY_AGAIN_S", 0.01)
    assert held.run().done == 1
    reported = [type(event) for event in held.events if isinstance(event, WaitsForRoom | FoundRoom)]
    assert reported == [WaitsForRoom, FoundRoom]
    found, done = (
        next(at for at, event in enumerate(held.events) if wanted(event))
        for wanted in (lambda event: isinstance(event, FoundRoom), is_end("a.png", State.DONE))
    )
    assert found < done


def test_wait_for_disk_space_ends_when_its_picture_fails(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    held.picture("a.png")
    errors = [OSError(errno.ENOSPC, "full"), OSError(errno.EROFS, "read-only")]

    def fail(folder: Path) -> scratch.Allocator:
        raise SaveError("The file could not be written.") from errors.pop(0)

    monkeypatch.setattr(scratch, "WHOLE_BYTES", 0)
    monkeypatch.setattr(scratch, "on_disk", fail)
    monkeypatch.setattr(disk, "_TRY_AGAIN_S", 0.01)
    assert held.run().failed == 1
    reported = [type(event) for event in held.events if isinstance(event, WaitsForRoom | FoundRoom)]
    assert reported == [WaitsForRoom, FoundRoom]


def test_clock_of_a_paused_batch_stays_stopped_when_there_is_disk_space_again(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    held.picture("a.png")
    free, now = [10], [0.0]
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage(1, 1, free[0]))
    monkeypatch.setattr(tally, "Pace", lambda: Pace(lambda: now[0]))

    def on_event(event: BatchEvent) -> None:
        match event:
            case WaitsForRoom():
                held.pause.pause()
                free[0] = 10**12
            case FoundRoom():
                now[0] += 1000
            case Progress():
                held.pause.resume()
            case _:
                pass

    options = BatchOptions(held.output, UpscaleSettings(Target(value=2.0), model="vdsr"))
    batch = Batch(options, on_event, pause=held.pause, do_files=module.run_locally(held))  # type: ignore[arg-type]
    batch.add([held.source])
    report = batch.run()
    assert (report.done, report.seconds) == (1, 0)


def test_full_disk_while_writing_does_not_repeat_the_computation(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    held.picture("a.png")
    real, failed = image_io.save, []

    def save(*arguments: object, **named: object) -> object:
        if len(failed) < 2:
            failed.append(1)
            raise SaveError("There is no space left on the disk.") from OSError(errno.ENOSPC, "full")
        return real(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(image_io, "save", save)
    monkeypatch.setattr(disk, "_TRY_AGAIN_S", 0.01)
    report = held.run()
    assert report.done == 1
    assert len(failed) == 2
    assert held.engine.tiles == 4  # 24 x 24 pixels in tiles of 16, once
    reported = [type(event) for event in held.events if isinstance(event, WaitsForRoom | FoundRoom)]
    assert reported == [WaitsForRoom, FoundRoom]


def test_second_batch_on_the_same_folder_is_rejected(held: Held) -> None:
    held.picture("a.png")
    thread = at_first_picture(held)
    other = Batch(BatchOptions(held.output, UpscaleSettings(model="vdsr")), lambda event: None)
    with pytest.raises(UsageError, match="Another batch"):
        other.run()
    with pytest.raises(UsageError, match="Another batch"):
        unfinished(held.output)
    held.engine.gate = threading.Semaphore(10**6)
    thread.join(WAIT_S)
    assert held.report is not None


def test_batch_runs_while_its_journal_is_being_read(held: Held) -> None:
    held.picture("a.png")
    held.run()
    held.renew()
    with reading(held.output) as journal:
        assert journal is not None
        assert [item.state for item in journal.items()] == [State.DONE]
        assert held.run().skipped == 1


def test_plan_is_rejected_while_a_batch_writes_into_the_folder(held: Held) -> None:
    held.picture("a.png")
    thread = at_first_picture(held)
    other = Batch(BatchOptions(held.output, UpscaleSettings(model="vdsr")), lambda event: None)
    other.add([held.source])
    with pytest.raises(UsageError, match="Another batch"):
        other.plan()
    held.engine.gate = threading.Semaphore(10**6)
    thread.join(WAIT_S)
    assert [item.state for item in other.plan()] == [State.SKIPPED]


def test_plan_leaves_a_damaged_journal_in_place(held: Held) -> None:
    held.picture("a.png")
    held.output.mkdir()
    (held.output / FILE_NAME).write_bytes(b"this is no database, but long enough to look like one" * 40)
    held.batch.add([held.source])
    assert [item.state for item in held.batch.plan()] == [State.QUEUED]
    assert unfinished(held.output) is None
    assert [path.name for path in held.output.iterdir()] == [FILE_NAME]


def test_unwritable_output_folder_is_rejected_before_any_work(held: Held) -> None:
    held.picture("a.png")
    held.output.write_bytes(b"a file")
    with pytest.raises(SaveError):
        held.run()
    assert held.engine.tiles == 0


def test_missing_model_is_rejected_before_any_work(held: Held) -> None:
    held.picture("a.png")
    held.renew(settings=UpscaleSettings(model="nothing"))
    with pytest.raises(WeightsError):
        held.run()
    assert not held.output.exists()


def test_run_puts_a_damaged_journal_aside(held: Held) -> None:
    held.picture("a.png")
    held.output.mkdir()
    (held.output / FILE_NAME).write_bytes(b"this is no database, but long enough to look like one" * 40)
    assert held.run().done == 1
    assert (held.output / FILE_NAME).with_suffix(".bak").exists()


def test_leftovers_of_a_killed_process_are_removed(held: Held) -> None:
    held.picture("b/a.png")
    for folder in (held.output, held.output / "b"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".vdsr-0123456789ab.part").write_bytes(b"half")
    held.run()
    assert held.results() == ["b/a_vdsr_x2.png"]


def test_report_lists_each_picture_as_csv(held: Held, tmp_path: Path) -> None:
    held.picture("a.png")
    (held.source / "=bad.png").write_bytes(b"no picture")
    held.run()
    path = tmp_path / "report.csv"
    write_report(held.output, path)
    rows = list(csv.DictReader(path.read_text("utf-8-sig").splitlines()))
    assert [(Path(row["source"]).name, row["state"]) for row in rows] == [("=bad.png", "failed"), ("a.png", "done")]
    assert rows[1]["output_width"] == "24"
    assert rows[0]["note"]


def test_progress_counts_pixels(held: Held) -> None:
    for name in ("a.png", "b.png"):
        held.picture(name)
    (held.source / "bad.png").write_bytes(b"no picture")
    held.run()
    progress = [event for event in held.events if isinstance(event, Progress)]
    last = progress[-1]
    assert (last.files_done, last.files, last.batch_done_px, last.batch_px) == (3, 3, 2 * 24 * 24, 2 * 24 * 24)
    done = [event.batch_done_px for event in progress]
    assert done == sorted(done)


def test_time_left_follows_the_recent_pace() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0])
    assert pace.left_s(0, 100) is None
    for second in range(1, 11):
        now[0] = second
        pace.reached(10 * second)
    assert pace.left_s(100, 200) == pytest.approx(10)
    pace.stop()
    now[0] = 1000
    assert pace.left_s(100, 200) == pytest.approx(10)
    pace.resume()
    for second in range(1, 400):  # ten times slower from here on
        now[0] = 1000 + second
        pace.reached(100 + second)
    assert pace.left_s(499, 599) == pytest.approx(100, rel=0.05)
    assert pace.elapsed_s == pytest.approx(10 + 399)


def test_memory_hardly_grows_with_the_number_of_pictures(held: Held, tmp_path: Path) -> None:
    first = held.picture("0.png", side=2)

    def peak(count: int, name: str = "") -> int:
        source = tmp_path / f"{count} pictures{name}"
        source.mkdir()
        for number in range(count):
            shutil.copy(first, source / f"{number}.png")
        options = BatchOptions(tmp_path / f"{count} results{name}", UpscaleSettings(Target(value=1.0), model="vdsr"))
        batch = Batch(options, lambda event: None, do_files=module.run_locally(held))  # type: ignore[arg-type]
        batch.add([source])
        gc.collect()
        tracemalloc.start()
        try:
            assert batch.run().done == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(3)  # takes up what is loaded and created only once
    few, many = peak(50), peak(250)
    if many - few >= 200 * 10_000:
        # The interpreter's table of names, pathlib's among them, may have doubled meanwhile; that happens only once.
        many = peak(250, " again")
    assert many - few < 200 * 10_000


PROGRAM = """
import os, sys, time
from pathlib import Path
from vdsr_app.core.batch import Batch, BatchOptions, runner
from vdsr_app.core.job import Target, UpscaleSettings
from vdsr_app.core import atomic
from tests.core.pipeline.test_run import HeldEngine

class Engines:
    engine = HeldEngine()
    def get(self, model):
        return self.engine

source, output, kill_at = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
calls = 0
def counted(name, real):
    def call(*arguments, **named):
        global calls
        calls += 1
        if calls == kill_at:
            os.kill(os.getpid(), 9)
        return real(*arguments, **named)
    return call
os.replace = counted("replace", os.replace)
os.fsync = counted("fsync", os.fsync)
runner.Journal.begin_work = counted("begin", runner.Journal.begin_work)
runner.Journal.settle = counted("settle", runner.Journal.settle)
resume = (output / ".vdsr-batch.sqlite3").exists() and sys.argv[4] == "resume"
batch = Batch(BatchOptions(output, UpscaleSettings(Target(value=2.0), model="vdsr")), lambda event: None,
              do_files=runner.run_locally(Engines()))
batch.add([source])
report = batch.run(resume=resume)
print(report.done, report.skipped, report.failed)
"""


def killed(held: Held, at: int, how: str) -> subprocess.CompletedProcess[str]:
    """Run a batch in its own process and kill it before the step of that number; 0 kills it at none."""
    root = Path(__file__).resolve().parents[3]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "trainer")])}
    command = [sys.executable, "-c", PROGRAM, str(held.source), str(held.output), str(at), how]
    return subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=False)


@pytest.mark.skipif(os.name == "nt", reason="there is no such kill there")
@pytest.mark.parametrize("how", ["resume", "again"])
def test_batch_killed_repeatedly_loses_nothing(held: Held, how: str) -> None:
    """Killed before each of the first steps that matter: each result is whole, and none is missing or left over."""
    for name in ("a.png", "b/a.png", "b/c.jpg", "d.png"):
        held.picture(name)
    said = ""
    for kill_at in (2, 5, 3, 9, 7, 4, 6, 0):
        ended = killed(held, kill_at, how)
        assert ended.returncode in (0, -9), ended.stderr
        for path in held.output.rglob("*.png"):
            assert image_io.read(path).width == 24
        said = ended.stdout
    done, skipped, failed = (int(count) for count in said.split())
    assert (done + skipped, failed) == (4, 0)
    assert held.results() == ["a_vdsr_x2.png", "b/a_vdsr_x2.png", "b/c_vdsr_x2.png", "d_vdsr_x2.png"]


@pytest.mark.skipif(os.name == "nt", reason="there is no such kill there")
@pytest.mark.parametrize(("kill_at", "named"), [(2, False), (3, False), (4, True)])
def test_killed_batch_tells_its_own_result_from_somebody_elses(held: Held, kill_at: int, named: bool) -> None:
    """Killed before the result is flushed, before it is renamed into place, and before that is recorded."""
    held.picture("a.png")
    there = held.output / "a_vdsr_x2.png"
    assert killed(held, kill_at, "again").returncode == -9
    assert there.exists() is named
    own = there.read_bytes() if named else b""
    there.write_bytes(b"mine")
    assert held.run().skipped == 1
    assert there.read_bytes() == b"mine"
    there.unlink()
    held.renew()
    assert held.run().done == 1
    assert not named or there.read_bytes() == own


@pytest.mark.skipif(os.name == "nt", reason="there is no such kill there")
@pytest.mark.parametrize("existing", Existing)
def test_result_renamed_into_place_just_before_a_kill_is_made_again(held: Held, existing: Existing) -> None:
    """It is unknown whether its source has changed since."""
    held.picture("a.png")
    there = held.output / "a_vdsr_x2.png"
    assert killed(held, 4, "again").returncode == -9
    first = there.stat().st_mtime_ns
    held.renew(existing=existing)
    assert held.run(resume=existing is Existing.RENAME).done == 1
    assert held.results() == ["a_vdsr_x2.png"]
    assert there.stat().st_mtime_ns != first


def test_file_of_somebody_else_is_kept_with_journal_format_1(held: Held) -> None:
    held.picture("a.png")
    there = held.output / "a_vdsr_x2.png"
    held.run()
    there.write_bytes(b"mine")
    with contextlib.closing(sqlite3.connect(held.output / FILE_NAME)) as journal, journal:
        status, name = there.stat(), os.fsencode(there)
        journal.execute("INSERT INTO begun VALUES (?, ?, ?)", (name, status.st_size, status.st_mtime_ns))
        journal.execute("PRAGMA user_version = 1")
    assert unfinished(held.output) is not None
    held.renew()
    held.batch.add([held.source])
    assert [item.state for item in held.batch.plan()] == [State.SKIPPED]
    held.renew()
    assert held.run().skipped == 1
    assert there.read_bytes() == b"mine"


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not there")
def test_awkward_and_hostile_files_each_get_one_outcome(held: Held) -> None:
    items: list[Item] = []

    def on_event(event: BatchEvent) -> None:
        if isinstance(event, Planned):
            items.extend(event.items)

    settings = UpscaleSettings(Target(value=1.0), model="vdsr", tile_px=4096)
    batch = Batch(BatchOptions(held.output, settings), on_event, do_files=module.run_locally(held))  # type: ignore[arg-type]
    small = [path for path in sorted(CORPUS.rglob("*")) if path.is_file() and path.stat().st_size < 300_000][::5]
    batch.add(small)
    report = batch.run()
    assert report.done + report.skipped + report.failed == len(items)
    assert report.done > 20
    journal = Journal(held.output)
    try:
        assert all(item.state.is_outcome for item in journal.items())
        assert all(item.note for item in journal.items(State.FAILED))
    finally:
        journal.close()
    assert not list(held.output.rglob("*.part"))


OTHER = {
    "target": Target(value=3.0),
    "model": "photo",
    "device": "cpu",
    "precision": "fp32",
    "self_ensemble": True,
    "quality": 50,
    "bits": 16,
    "metadata": Metadata.NONE,
}
"""For each setting, a value other than its default."""
EXEMPT = {"tile_px", "save", "format"}
"""In this order: tiles leave no trace, `save` holds other settings, and the format changes the names of results."""


@pytest.mark.parametrize(
    "name", [each.name for kind in (UpscaleSettings, SaveOptions) for each in fields(kind) if each.name not in EXEMPT]
)
def test_changing_a_setting_remakes_the_results(held: Held, name: str) -> None:
    held.picture("a.png")
    save = SaveOptions(FileFormat.JPEG if name == "quality" else FileFormat.PNG)
    settings = UpscaleSettings(Target(value=2.0), model="vdsr", save=save)
    changed = {name: OTHER[name]}
    other = replace(settings, save=replace(save, **changed)) if hasattr(save, name) else replace(settings, **changed)
    for each, done in ((settings, 1), (settings, 0), (other, 1), (other, 0)):
        held.renew(settings=each, template="{name}")
        report = held.run()
        assert (report.done, report.skipped) == (done, 1 - done)
