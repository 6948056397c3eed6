"""The pipeline of three concurrent stages, with a network that the test controls."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vdsr_app.control import CancelToken, PauseGate
from vdsr_app.core import image_io
from vdsr_app.core.job import Target, UpscaleSettings
from vdsr_app.core.pipeline import FileDone, FileEvent, FileFailed, FileJob, FileProgress, FileStarted, run_files
from vdsr_app.core.pipeline import run as module
from vdsr_app.core.tiling import Tile, TileQueue
from vdsr_app.errors import Cancelled, PictureTooLargeError, UnreadablePictureError

WAIT_S = 20.0
"""Longer than anything here takes; a test that waits this long has failed."""


class HeldEngine:
    """An engine whose residual is `added` everywhere, 0 by default; each tile sets `begun` and acquires `gate`."""

    kind, precision = "cpu", "fp32"

    def __init__(self) -> None:
        self.gate = threading.Semaphore(10**6)
        self.begun = threading.Event()
        self.tiles = 0
        self.added = 0.0

    def hold(self) -> None:
        self.gate = threading.Semaphore(0)

    def run_tiles(self, width, height, work, *, tile_px=None, token=None, visible=None, on_notice=None):
        queue = TileQueue(width, height, tile_px or 16, 2)
        while queue:
            token.raise_if_cancelled()
            work(queue.pop(tile_px or 16, None))()

    def begin_residual(self, luma, tile: Tile, token=None, *, self_ensemble=False):
        return lambda: self.residual(luma, tile, token, self_ensemble=self_ensemble)

    def residual(self, luma, tile: Tile, token=None, *, self_ensemble=False):
        self.begun.set()
        while not self.gate.acquire(timeout=0.01):
            token.raise_if_cancelled()
        self.tiles += 1
        return np.full((tile.core.height, tile.core.width), self.added, np.float32)


class Pipeline:
    """Runs pictures of a folder and records the events."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.engine = folder, HeldEngine()
        self.events: list[FileEvent] = []
        self.token, self.pause = CancelToken(), PauseGate()
        self.asked: list[str] = []
        self.seen = threading.Condition()

    def get(self, model: str) -> HeldEngine:
        self.asked.append(model)
        return self.engine

    def picture(self, name: str, value: int | None = None) -> Path:
        path = self.folder / name
        pixels = np.random.default_rng(len(name)).integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(pixels if value is None else np.full_like(pixels, value)).save(path)
        return path

    def jobs(self, *sources: Path) -> list[FileJob]:
        settings = UpscaleSettings(Target(value=2.0), model="vdsr")
        return [FileJob(i, each, self.folder / "out" / f"{i}.png", settings) for i, each in enumerate(sources)]

    def on_event(self, event: FileEvent) -> None:
        with self.seen:
            self.events.append(event)
            self.seen.notify_all()

    def run(self, jobs):
        return run_files(jobs, self, self.on_event, self.token, pause=self.pause)

    def in_thread(self, jobs) -> threading.Thread:
        def work() -> None:
            try:
                self.run(jobs)
            except Cancelled:
                self.cancelled = True

        self.cancelled = False
        thread = threading.Thread(target=work)
        thread.start()
        return thread

    def wait_for(self, kind: type, number: int) -> None:
        with self.seen:
            assert self.seen.wait_for(
                lambda: any(isinstance(event, kind) and event.job.number == number for event in self.events), WAIT_S
            )

    def ends(self) -> list[tuple[int, str]]:
        return [
            (event.job.number, type(event).__name__)
            for event in self.events
            if isinstance(event, FileDone | FileFailed)
        ]


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    return Pipeline(tmp_path)


def test_pictures_are_finished_in_order_and_reported_once(pipeline: Pipeline) -> None:
    sources = [pipeline.picture(f"{i}.png") for i in range(7)]
    report = pipeline.run(pipeline.jobs(*sources))
    assert pipeline.ends() == [(i, "FileDone") for i in range(7)]
    assert (report.done, report.failed) == (7, 0)
    assert 0 < report.busy_share <= 1
    for i in range(7):
        assert image_io.read(pipeline.folder / "out" / f"{i}.png").pixels.shape == (40, 40, 3)
        assert isinstance(next(event for event in pipeline.events if event.job.number == i), FileStarted)
    last = [event for event in pipeline.events if isinstance(event, FileProgress)][-1]
    assert last.done_px == last.total_px == 1600


def test_next_picture_is_read_while_network_works(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    both = threading.Event()
    real = module.image_io.read

    def reading(path, **rest):
        picture = real(path, **rest)
        read.append(Path(path).name)
        if len(read) == 2:
            both.set()
        return picture

    monkeypatch.setattr(module.image_io, "read", reading)
    pipeline.engine.hold()
    thread = pipeline.in_thread(pipeline.jobs(*(pipeline.picture(f"{i}.png") for i in range(3))))
    assert both.wait(WAIT_S), "the second was not read while the network held the first"
    assert pipeline.ends() == []
    pipeline.engine.gate.release(10**6)
    thread.join(WAIT_S)
    assert len(pipeline.ends()) == 3


def test_no_more_than_three_jobs_are_in_progress(pipeline: Pipeline) -> None:
    taken: list[int] = []

    def jobs() -> Iterator[FileJob]:
        for job in pipeline.jobs(*(pipeline.picture(f"{i}.png") for i in range(9))):
            taken.append(job.number)
            done = len(pipeline.ends())
            assert len(taken) - done <= 3
            yield job

    pipeline.run(jobs())
    assert len(pipeline.ends()) == 9


def test_failed_pictures_are_reported_in_order(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = pipeline.folder / "bad.png"
    bad.write_bytes(b"no picture")
    sources = [pipeline.picture("a.png"), bad, pipeline.picture("b.png"), pipeline.folder / "missing.png"]
    real = module.image_io.save

    def saving(picture, path, options, **rest):
        if Path(path).name == "2.png":
            raise ZeroDivisionError("a surprise")
        return real(picture, path, options, **rest)

    monkeypatch.setattr(module.image_io, "save", saving)
    report = pipeline.run(pipeline.jobs(*sources))
    assert pipeline.ends() == [(0, "FileDone"), (1, "FileFailed"), (2, "FileFailed"), (3, "FileFailed")]
    assert (report.done, report.failed) == (1, 3)
    errors = {event.job.number: event.error for event in pipeline.events if isinstance(event, FileFailed)}
    assert isinstance(errors[1], UnreadablePictureError)
    assert "unexpected" in errors[2].what
    assert errors[2].path == str(sources[2])
    assert errors[2].hint


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="a folder that nobody can write is needed")
def test_unwritable_folder_is_reported_before_network_works(pipeline: Pipeline) -> None:
    good, bad = pipeline.jobs(pipeline.picture("a.png"), pipeline.picture("b.png"))
    pipeline.run([replace(bad, number=0, output=Path("/proc/self/b.png")), replace(good, number=1)])
    assert pipeline.ends() == [(0, "FileFailed"), (1, "FileDone")]
    assert not [event for event in pipeline.events if isinstance(event, FileProgress) and event.job.number == 0]


@pytest.mark.usefixtures("short_paths")
def test_too_long_name_is_reported_before_network_works(pipeline: Pipeline, long_path: Path) -> None:
    good, bad = pipeline.jobs(pipeline.picture("a.png"), pipeline.picture("b.png"))
    pipeline.run([replace(bad, number=0, output=long_path), replace(good, number=1)])
    assert pipeline.ends() == [(0, "FileFailed"), (1, "FileDone")]
    assert ["too long" in event.error.what for event in pipeline.events if isinstance(event, FileFailed)] == [True]
    assert not [event for event in pipeline.events if isinstance(event, FileProgress) and event.job.number == 0]


def test_network_failure_on_one_picture_does_not_stop_the_others(pipeline: Pipeline) -> None:
    jobs = pipeline.jobs(*(pipeline.picture(f"{i}.png") for i in range(2)))
    whole = pipeline.engine.residual

    def residual(luma, tile, token=None, **rest):
        if not pipeline.ends() and pipeline.engine.tiles == 3:
            pipeline.engine.tiles += 1
            raise MemoryError
        return whole(luma, tile, token, **rest)

    pipeline.engine.residual = residual  # type: ignore[method-assign]
    pipeline.run(jobs)
    assert pipeline.ends() == [(0, "FileFailed"), (1, "FileDone")]


def test_flat_result_is_rejected_unless_source_is_flat(pipeline: Pipeline) -> None:
    pipeline.engine.added = -5.0  # all black
    pipeline.run(pipeline.jobs(pipeline.picture("a.png"), pipeline.picture("black.png", 0)))
    assert pipeline.ends() == [(0, "FileFailed"), (1, "FileDone")]
    assert not (pipeline.folder / "out" / "0.png").exists()


@pytest.mark.parametrize(("speck", "end"), [(253, "FileDone"), (200, "FileFailed")])
def test_flat_result_is_accepted_if_it_lacks_only_faint_specks(pipeline: Pipeline, speck: int, end: str) -> None:
    page = np.full((20, 20, 3), 255, np.uint8)
    page[7, 9] = speck
    Image.fromarray(page).save(pipeline.folder / "empty page.png")
    for added, expected in ((5.0, end), (-5.0, "FileFailed")):  # all white, all black
        pipeline.engine.added = added
        pipeline.events.clear()
        pipeline.run(pipeline.jobs(pipeline.folder / "empty page.png"))
        assert pipeline.ends() == [(0, expected)]


def on_transparency(path: Path, *colours: int) -> Path:
    """Stripes of some grays on transparent black."""
    pixels = np.zeros((20, 20, 4), np.uint8)
    for number, value in enumerate(colours):
        pixels[4 + number * 6 : 10 + number * 6, 4:16] = (value, value, value, 255)
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("value", [0, 128, 255])
def test_flat_result_of_one_colour_on_transparency_is_accepted(pipeline: Pipeline, value: int) -> None:
    pipeline.run(pipeline.jobs(on_transparency(pipeline.folder / "logo.png", value)))
    assert pipeline.ends() == [(0, "FileDone")]


def test_flat_result_of_several_colours_on_transparency_is_rejected(pipeline: Pipeline) -> None:
    pipeline.engine.added = -5.0  # all black
    pipeline.run(pipeline.jobs(on_transparency(pipeline.folder / "logo.png", 128, 255)))
    assert pipeline.ends() == [(0, "FileFailed")]


def test_picture_that_does_not_fit_beside_others_waits_for_them(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = pipeline.jobs(*(pipeline.picture(f"{i}.png") for i in range(3)))
    real, tries = module.image_io.read, []

    def reading(path, **rest):
        if Path(path).name == "1.png":
            tries.append(pipeline.ends())
            if len(tries) == 1:
                raise PictureTooLargeError("No room.")
        return real(path, **rest)

    monkeypatch.setattr(module.image_io, "read", reading)
    pipeline.run(jobs)
    assert pipeline.ends() == [(i, "FileDone") for i in range(3)]
    assert tries == [[], [(0, "FileDone")]] or tries[1] == [(0, "FileDone")]


def test_picture_that_never_fits_fails(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def reading(path, **rest):
        raise PictureTooLargeError("No room.")

    monkeypatch.setattr(module.image_io, "read", reading)
    pipeline.run(pipeline.jobs(pipeline.picture("a.png")))
    assert pipeline.ends() == [(0, "FileFailed")]


def test_cancel_while_network_works_leaves_no_files_or_threads(pipeline: Pipeline) -> None:
    pipeline.engine.hold()
    thread = pipeline.in_thread(pipeline.jobs(*(pipeline.picture(f"{i}.png") for i in range(5))))
    pipeline.engine.gate.release(2)
    pipeline.wait_for(FileProgress, 0)
    pipeline.token.cancel()
    thread.join(WAIT_S)
    assert not thread.is_alive()
    assert pipeline.cancelled
    assert pipeline.ends() == []
    assert list((pipeline.folder / "out").iterdir()) == []
    assert not [each for each in threading.enumerate() if each.name.startswith("files-")]


def test_picture_is_finished_while_next_job_is_awaited(pipeline: Pipeline) -> None:
    more = threading.Event()
    first, second = pipeline.jobs(pipeline.picture("a.png"), pipeline.picture("b.png"))

    def jobs() -> Iterator[FileJob]:
        yield first
        assert more.wait(WAIT_S)
        yield second

    thread = pipeline.in_thread(jobs())
    pipeline.wait_for(FileDone, 0)
    more.set()
    thread.join(WAIT_S)
    assert pipeline.ends() == [(0, "FileDone"), (1, "FileDone")]


def test_run_raises_error_of_jobs(pipeline: Pipeline) -> None:
    def jobs() -> Iterator[FileJob]:
        yield pipeline.jobs(pipeline.picture("a.png"))[0]
        raise LookupError("the list is gone")

    with pytest.raises(LookupError, match="the list is gone"):
        pipeline.run(jobs())


def test_no_tile_is_started_while_paused(pipeline: Pipeline) -> None:
    pipeline.engine.hold()
    thread = pipeline.in_thread(pipeline.jobs(pipeline.picture("a.png"), pipeline.picture("b.png")))
    pipeline.wait_for(FileStarted, 0)
    pipeline.pause.pause()
    pipeline.engine.gate.release(10**6)
    pipeline.wait_for(FileProgress, 0)
    assert pipeline.engine.tiles == 1
    pipeline.pause.resume()
    thread.join(WAIT_S)
    assert len(pipeline.ends()) == 2


def test_photo_model_is_looked_up_once_for_all_pictures(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[None] = []
    monkeypatch.setattr(module, "photo_installed", lambda: looks.append(None) or True)
    sources = [pipeline.picture(f"{i}.jpg") for i in range(3)]
    auto = UpscaleSettings(Target(value=2.0))
    pipeline.run([replace(job, settings=auto) for job in pipeline.jobs(*sources)])
    assert pipeline.asked == ["photo"] * 3
    assert len(looks) == 1


def test_pipeline_does_not_import_torch_or_numba() -> None:
    import subprocess
    import sys

    code = "import sys, vdsr_app.core.pipeline; assert 'torch' not in sys.modules and 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
