"""Pictures processed through the disk: identical bytes, and little memory."""

from __future__ import annotations

import errno
import gc
import os
import tracemalloc
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from PIL import Image

from tests.core.pipeline.test_run import HeldEngine
from vdsr_app.control import CancelToken
from vdsr_app.core import image_io, scratch
from vdsr_app.core.image_io import saving
from vdsr_app.core.job import Metadata, SaveOptions, Target, UpscaleSettings
from vdsr_app.core.picture import Picture
from vdsr_app.core.pipeline import FileDone, FileEvent, FileFailed, FileJob, FileProgress, FileStarted, Stage, run_files
from vdsr_app.errors import Cancelled, PictureTooLargeError, SaveError

RNG = np.random.default_rng(11)


class Engines:
    def get(self, _model: str) -> HeldEngine:
        return HeldEngine()


def enlarge(source: Path, output: Path, save: SaveOptions, scale: float) -> FileEvent:
    events: list[FileEvent] = []
    settings = UpscaleSettings(Target(value=scale), model="vdsr", save=save, tile_px=48)
    run_files([FileJob(0, source, output, settings)], Engines(), events.append, CancelToken())
    return events[-1]


def noise(channels: int, dtype: type = np.uint8) -> np.ndarray:
    return RNG.integers(0, np.iinfo(dtype).max + 1, (61, 83, channels), dtype)


def sources(folder: Path) -> list[Path]:
    rgb, rgba = Image.fromarray(noise(3)), Image.fromarray(noise(4))
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb.save(folder / "turned.jpg", exif=exif, quality=80)
    rgb.save(folder / "progressive.jpg", progressive=True)
    rgba.save(folder / "clear.png", dpi=(300, 300))
    rgba.save(folder / "clear.webp", lossless=True)
    rgb.convert("CMYK").save(folder / "print.tif")
    rgb.convert("P").save(folder / "palette.gif")
    Image.fromarray(noise(1)[..., 0]).save(folder / "gray.png")
    deep = Picture(noise(3, np.uint16), noise(1, np.uint16)[..., 0])
    image_io.save(deep, folder / "deep.tif")
    image_io.save(deep, folder / "deep.png")
    return sorted(folder.iterdir())


@pytest.mark.parametrize("ending", [".png", ".tif", ".jpg", ".webp", ".avif"])
@pytest.mark.parametrize("scale", [1.7, 5.0])
def test_result_through_disk_has_same_bytes_as_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, scale: float
) -> None:
    for kind in ("in", "memory", "disk"):
        (tmp_path / kind).mkdir()
    through: list[Path] = []
    for source in sources(tmp_path / "in"):
        save = SaveOptions(metadata=Metadata.KEEP)
        whole, parts = (tmp_path / kind / f"{source.stem}{ending}" for kind in ("memory", "disk"))
        assert isinstance(enlarge(source, whole, save, scale), FileDone)
        with monkeypatch.context() as small:
            small.setattr(scratch, "WHOLE_BYTES", 0)
            assert isinstance(enlarge(source, parts, save, scale), FileDone)
        through.append(parts)
        assert parts.read_bytes() == whole.read_bytes(), source.name
    assert sorted((tmp_path / "disk").iterdir()) == sorted(set(through))


def test_saving_through_disk_converts_depth_and_alpha_as_in_memory(tmp_path: Path) -> None:
    picture = Picture(noise(3, np.uint16), noise(1, np.uint16)[..., 0])
    for options in (SaveOptions(bits=8), SaveOptions(bits=16)):
        for ending in (".png", ".jpg", ".tif"):
            whole, parts = tmp_path / f"whole{ending}", tmp_path / f"parts{ending}"
            first = image_io.save(picture, whole, options)
            second = image_io.save(picture, parts, options, allocate=scratch.on_disk(tmp_path))
            assert whole.read_bytes() == parts.read_bytes()
            assert first.notes == second.notes


def test_memory_does_not_grow_with_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result of 12 megapixels in RGB: no array of the size of source or result is in memory at any time."""
    rows = np.linspace(0, 255, 1500).astype(np.uint8)
    Image.fromarray(np.broadcast_to(rows[:, None, None], (1500, 2000, 3)).copy()).save(tmp_path / "a.png")
    monkeypatch.setattr(scratch, "WHOLE_BYTES", 1 << 20)
    settings = UpscaleSettings(Target(value=2.0), model="vdsr", tile_px=256)
    job = FileJob(0, tmp_path / "a.png", tmp_path / "b.tif", settings)
    events: list[FileEvent] = []
    tracemalloc.start()
    try:
        run_files([job], Engines(), events.append, CancelToken())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(events[-1], FileDone)
    assert peak < 8e6  # the source has 9 million bytes, the result 36


def test_read_applies_pixel_limit_and_gives_same_pixels_through_disk(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(noise(3)).save(path)
    with pytest.raises(PictureTooLargeError):
        image_io.read(path, max_pixels=100)
    read = image_io.read(path, allocate=scratch.on_disk(tmp_path))
    np.testing.assert_array_equal(read.pixels, image_io.read(path).pixels)


def test_damaged_picture_fails_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = tmp_path / "a.jpg"
    Image.fromarray(noise(3)).save(good)
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(good.read_bytes()[:-900])
    monkeypatch.setattr(scratch, "WHOLE_BYTES", 0)
    event = enlarge(cut, tmp_path / "out.png", SaveOptions(), 2.0)
    assert isinstance(event, FileFailed)
    assert "damaged" in str(event.error)
    assert not (tmp_path / "out.png").exists()


def test_picture_fails_with_save_error_when_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(noise(3)).save(tmp_path / "a.png")

    def full(_folder: Path) -> scratch.Allocator:
        def empty(*_: object) -> np.ndarray:
            raise SaveError("There is no space left on the disk.", path=tmp_path)

        return empty

    monkeypatch.setattr(scratch, "WHOLE_BYTES", 0)
    monkeypatch.setattr(scratch, "on_disk", full)
    event = enlarge(tmp_path / "a.png", tmp_path / "out.png", SaveOptions(), 2.0)
    assert isinstance(event, FileFailed)
    assert isinstance(event.error, SaveError)


@pytest.mark.parametrize(
    ("at", "stage", "held"),
    [(0, Stage.READ, 0), (1, Stage.NETWORK, 1), (2, Stage.NETWORK, 1), (3, Stage.WRITE, 1)],
)
def test_stage_waits_on_full_disk_and_releases_what_it_has_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, stage: Stage, held: int
) -> None:
    """Arrays are created in this order: source, intermediate stage, result, result at another bit depth."""
    Image.fromarray(noise(3)).save(tmp_path / "a.png")
    real, made, waits = scratch.on_disk, [], []

    def full_once(folder: Path) -> scratch.Allocator:
        def empty(*what: Any) -> np.ndarray:
            made.append(what)
            if len(made) == at + 1:
                raise SaveError("There is no space left on the disk.") from OSError(errno.ENOSPC, "full")
            return real(folder)(*what)

        return empty

    def on_no_room(job: FileJob, where: Stage, error: SaveError) -> None:
        waits.append((job.number, where, len(scratch.pages) - before))

    monkeypatch.setattr(scratch, "WHOLE_BYTES", 0)
    monkeypatch.setattr(scratch, "on_disk", full_once)
    gc.collect()
    before = len(scratch.pages)
    settings = UpscaleSettings(Target(value=5.0), model="vdsr", save=SaveOptions(bits=16), tile_px=48)
    events: list[FileEvent] = []
    job = FileJob(7, tmp_path / "a.png", tmp_path / "out.png", settings)
    run_files([job], Engines(), events.append, CancelToken(), on_no_room=on_no_room)
    assert isinstance(events[-1], FileDone)
    assert len([event for event in events if isinstance(event, FileStarted)]) == 1
    assert waits == [(7, stage, held)]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no such device here")
@pytest.mark.parametrize("ending", [".png", ".tif", ".jpg"])
def test_run_waits_when_disk_fills_while_result_is_encoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    Image.fromarray(noise(3)).save(tmp_path / "a.png")
    waits: list[tuple[Stage, str]] = []

    def full(**_: object) -> IO[bytes]:
        return Path("/dev/full").open("r+b", buffering=0)

    def on_no_room(job: FileJob, where: Stage, error: SaveError) -> None:
        waits.append((where, error.what))
        monkeypatch.undo()

    monkeypatch.setattr(scratch, "WHOLE_BYTES", 0)
    settings = UpscaleSettings(Target(value=2.0), model="vdsr", tile_px=48)
    job = FileJob(0, tmp_path / "a.png", tmp_path / f"out{ending}", settings)
    events: list[FileEvent] = []

    def on_event(event: FileEvent) -> None:
        events.append(event)
        if isinstance(event, FileProgress):
            monkeypatch.setattr(saving.tempfile, "TemporaryFile", full)

    run_files([job], Engines(), on_event, CancelToken(), on_no_room=on_no_room)
    assert isinstance(events[-1], FileDone)
    assert waits == [(Stage.WRITE, "There is no space left on the disk.")]
    assert image_io.probe(job.output).width == 166


def test_reading_in_strips_raises_when_cancelled(tmp_path: Path) -> None:
    Image.fromarray(noise(3)).save(tmp_path / "a.png")
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        image_io.read(tmp_path / "a.png", token=token, allocate=scratch.on_disk(tmp_path))
