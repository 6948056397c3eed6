"""Pictures: finding files, decoding them, recording each, and recognising those that resemble each other."""

from __future__ import annotations

import io
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainer.conftest import draw_picture
from vdsr_app.control import CancelToken
from vdsr_app.core import cores
from vdsr_app.core.protocol import protocol_luma
from vdsr_app.errors import Cancelled, TrainingError
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data import pictures as module
from vdsr_trainer.data.fingerprint import fingerprint, resembling
from vdsr_trainer.data.pictures import find_pictures, in_parallel, read_luma, record_pictures, workers
from vdsr_trainer.presets import preset


def config_of(*folders: Path, **values: object) -> TrainConfig:
    return replace(preset("robust"), data=tuple(map(str, folders)), **values)


def records_of(config: TrainConfig, known: tuple = ()) -> tuple:
    return record_pictures(config, known, lambda done, total: None, CancelToken())


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


# --- finding


def test_find_pictures_searches_recursively_and_skips_hidden_files(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("b.png", "a/deep/er/c.png", ".hidden.png", "._b.png", ".thumbnails/b.png", "a/.cache/x.png"):
        save(root / name, draw_picture(0))
    (root / "notes.txt").write_text("no picture")
    assert find_pictures(config_of(root)) == [(str(root), "a/deep/er/c.png"), (str(root), "b.png")]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_find_pictures_lists_linked_file_once_and_tolerates_loops(tmp_path: Path) -> None:
    root = tmp_path / "root"
    original = save(root / "sub" / "a.png", draw_picture(0))
    (root / "link.png").symlink_to(original)
    (root / "sub" / "loop").symlink_to(root, target_is_directory=True)
    (root / "nowhere.png").symlink_to(root / "missing.png")
    (root / "self.png").symlink_to(root / "self.png")
    found = find_pictures(config_of(root, root / "sub", root))
    assert found == [(str(root), "link.png")]


def test_file_in_nested_validation_folder_is_found_for_both_folders(tmp_path: Path) -> None:
    save(tmp_path / "sub" / "a.png", draw_picture(0))
    inner = str(tmp_path / "sub")
    assert find_pictures(config_of(tmp_path, validation=inner)) == [(str(tmp_path), "sub/a.png"), (inner, "a.png")]
    assert find_pictures(config_of(tmp_path / "sub", validation=inner)) == [(inner, "a.png")]


@pytest.mark.parametrize(
    ("folders", "what"),
    [((), "no folder"), (("missing",), "no such folder"), (("empty",), "no pictures"), (("file",), "no such folder")],
)
def test_find_pictures_rejects_folders_without_pictures(tmp_path: Path, folders: tuple[str, ...], what: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=what) as caught:
        find_pictures(config_of(*(tmp_path / folder for folder in folders)))
    assert caught.value.hint
    if folders:
        assert caught.value.path == str(tmp_path / folders[0])


# --- decoding


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "CMYK", "I;16", "1"])
def test_read_luma_supports_every_picture_mode(tmp_path: Path, mode: str) -> None:
    rgb = Image.fromarray(draw_picture(1))
    path = tmp_path / ("p.tif" if mode == "CMYK" else "p.png")
    if mode == "I;16":
        Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257).save(path)
    else:
        rgb.convert(mode).save(path)
    luma = read_luma(path)
    assert luma.shape == (72, 88)
    assert luma.dtype == np.uint8
    wanted = protocol_luma(np.asarray(rgb))
    if mode in ("L", "LA", "I;16", "1"):
        gray = np.asarray(rgb.convert("1" if mode == "1" else "L").convert("L"))
        wanted = protocol_luma(np.stack([gray] * 3, axis=-1))
    if mode in ("P", "CMYK"):
        assert np.corrcoef(luma.ravel(), wanted.ravel())[0, 1] > 0.8
    else:
        assert np.array_equal(luma, wanted)


def test_luma_computed_in_strips_matches_protocol_luma(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (301, 97, 3), dtype=np.uint8)
    monkeypatch.setattr(module, "_STRIP_PIXELS", 1000)
    assert np.array_equal(read_luma(save(tmp_path / "p.png", pixels)), protocol_luma(pixels))


def test_large_pictures_are_decoded_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LARGE_PIXELS", 1000)
    inside, most, lock = [0], [0], threading.Lock()
    real = module._read_luma

    def watched(path: Path, max_pixels: int, token: CancelToken | None) -> np.ndarray:
        large = max_pixels > 1000
        with lock:
            inside[0] += large
            most[0] = max(most[0], inside[0])
        try:
            return real(path, max_pixels, token)
        finally:
            with lock:
                inside[0] -= large

    monkeypatch.setattr(module, "_read_luma", watched)
    for seed in range(6):
        save(tmp_path / f"{seed}.png", draw_picture(seed))
    assert all(record.width == 88 for record in records_of(config_of(tmp_path)))
    assert most == [1]


def test_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.fromarray(draw_picture(0))
    exif = Image.Exif()
    exif[274] = 6
    image.save(tmp_path / "p.jpg", exif=exif)
    (record,) = records_of(config_of(tmp_path))
    assert (record.height, record.width) == (88, 72)


# --- records


def test_records_of_unreadable_files_have_a_reason(tmp_path: Path) -> None:
    save(tmp_path / "good.png", draw_picture(0))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    (tmp_path / "empty.jpg").write_bytes(b"")
    whole = save(tmp_path / "cut.png", draw_picture(2)).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    records = {record.file: record for record in records_of(config_of(tmp_path))}
    assert records["good.png"].reason == ""
    assert records["good.png"].size_bytes == (tmp_path / "good.png").stat().st_size
    for name in ("broken.png", "empty.jpg", "cut.png"):
        assert records[name].reason, name
        assert str(tmp_path) not in records[name].reason
        assert (records[name].height, records[name].digest, records[name].fingerprint) == (0, "", "")


def test_equal_pictures_have_same_digest_in_any_format(tmp_path: Path) -> None:
    save(tmp_path / "a.png", draw_picture(0))
    save(tmp_path / "b.bmp", draw_picture(0))
    save(tmp_path / "c.png", draw_picture(0)[:, ::-1])
    a, b, c = records_of(config_of(tmp_path))
    assert a.digest == b.digest != c.digest


def test_only_new_changed_or_unreadable_files_are_decoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(4):
        save(tmp_path / f"{seed}.png", draw_picture(seed))
    (tmp_path / "bad.png").write_bytes(b"bad")
    config = config_of(tmp_path)
    known = records_of(config)
    save(tmp_path / "1.png", draw_picture(7))
    os.utime(tmp_path / "2.png", ns=(1, 1))
    (tmp_path / "3.png").unlink()
    save(tmp_path / "9.png", draw_picture(9))
    decoded = []
    real = module.record_picture
    monkeypatch.setattr(module, "record_picture", lambda found, token: decoded.append(found[1]) or real(found, token))
    records = records_of(config, known)
    assert [record.file for record in records] == ["0.png", "1.png", "2.png", "9.png", "bad.png"]
    assert sorted(decoded) == ["1.png", "2.png", "9.png", "bad.png"]
    assert records[0] == known[0]
    assert records[1].digest != known[1].digest


def test_progress_is_reported_per_file_in_calling_thread(tmp_path: Path) -> None:
    for seed in range(5):
        save(tmp_path / f"{seed}.png", draw_picture(seed))
    reported = []
    record_pictures(
        config_of(tmp_path),
        (),
        lambda done, total: reported.append((done, total, threading.current_thread())),
        CancelToken(),
    )
    assert [(done, total) for done, total, _ in reported] == [(i, 5) for i in range(6)]
    assert {thread for *_, thread in reported} == {threading.current_thread()}


def test_cancelling_stops_recording_and_ends_threads(tmp_path: Path) -> None:
    for seed in range(40):
        save(tmp_path / f"{seed}.png", draw_picture(seed))
    token, reported = CancelToken(), []

    def progress(done: int, total: int) -> None:
        reported.append(done)
        if done == 3:
            token.cancel()

    with pytest.raises(Cancelled):
        record_pictures(config_of(tmp_path), (), progress, token)
    assert max(reported) < 40
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pictures")]


def test_folder_vanishing_while_read_raises_training_error(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    for seed in range(6):
        save(folder / f"{seed}.png", draw_picture(seed))

    def progress(done: int, total: int) -> None:
        if done == 1:
            folder.rename(tmp_path / "gone")

    with pytest.raises(TrainingError, match="vanished") as caught:
        record_pictures(config_of(folder), (), progress, CancelToken())
    assert caught.value.path == str(folder)


def test_workers_respects_cpu_quota_of_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    monkeypatch.setattr(cores, "_CGROUP_QUOTA", tmp_path / "cpu.max")
    assert workers() == 6
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert workers() == 2


def test_in_parallel_raises_error_of_thread() -> None:
    def fail(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    with pytest.raises(ValueError, match="three"):
        list(in_parallel(fail, range(100), CancelToken()))


def test_in_parallel_stops_when_cancelled() -> None:
    token = CancelToken()
    with pytest.raises(Cancelled):
        list(in_parallel(lambda number: token.cancel() if number == 100 else number, range(10_000), token))


# --- resembling pictures


def scene(seed: int) -> np.ndarray:
    """A stand-in for a photograph: smooth noise at many scales."""
    rng = np.random.default_rng(seed)
    plane = np.zeros((240, 320))
    for cells in (3, 6, 12, 24, 48):
        grid = Image.fromarray(rng.normal(0, 1, (cells, cells + cells // 3)).astype(np.float32))
        plane += np.asarray(grid.resize((320, 240), Image.Resampling.BICUBIC)) / np.sqrt(cells)
    plane -= plane.min()
    return (16 + 219 * plane / plane.max()).astype(np.uint8)


def resized(luma: np.ndarray, factor: float) -> np.ndarray:
    size = (round(luma.shape[1] * factor), round(luma.shape[0] * factor))
    return np.asarray(Image.fromarray(luma).resize(size, Image.Resampling.BICUBIC))


def through_jpeg(luma: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(luma).save(file, "jpeg", quality=quality)
    return np.asarray(Image.open(file))


COPIES = {
    "half": lambda luma: resized(luma, 0.5),
    "double": lambda luma: resized(luma, 2.0),
    "JPEG": lambda luma: through_jpeg(luma, 50),
    "brighter": lambda luma: np.minimum(luma.astype(int) + 20, 255).astype(np.uint8),
    "flatter": lambda luma: (60 + 0.6 * luma).astype(np.uint8),
    "cropped": lambda luma: luma[7:-7, 9:-9],
    "cropped at one side": lambda luma: luma[:, 16:],
    "all": lambda luma: through_jpeg(resized(luma[5:-3, 4:-8], 0.7), 60),
}


@pytest.mark.parametrize("copy", COPIES)
def test_copies_resemble_their_picture_and_no_other(copy: str) -> None:
    scenes = [scene(seed) for seed in range(60)]
    prints = [fingerprint(luma) for luma in scenes]
    copies = [fingerprint(COPIES[copy](luma)) for luma in scenes]
    assert resembling(copies, prints) == {i: i for i in range(60)}
    assert resembling(prints, copies) == {i: i for i in range(60)}
    assert resembling(prints[:30], prints[30:]) == {}


def test_pictures_without_content_resemble_nothing() -> None:
    y, x = np.mgrid[0:80, 0:100]
    rng = np.random.default_rng(0)
    plain = [np.full((80, 100), value, np.uint8) for value in (16, 128, 128, 235)]
    ramps = [(20 + 2 * x).astype(np.uint8), (30 + x + y).astype(np.uint8), (200 - 2 * y).astype(np.uint8)]
    grain = [np.clip(rng.normal(128, 3, (80, 100)), 0, 255).astype(np.uint8) for _ in range(2)]
    prints = [fingerprint(luma) for luma in (*plain, *ramps, *grain)]
    for i in range(len(prints)):
        assert resembling([prints[i]], prints[:i] + prints[i + 1 :]) == {}
    assert resembling([], prints) == resembling(prints, []) == {}


def test_resembling_returns_most_similar_picture() -> None:
    luma = scene(0)
    near, nearer = fingerprint(luma[12:, 14:]), fingerprint(through_jpeg(luma, 80))
    assert resembling([fingerprint(luma)], [near, nearer]) == {0: 1}
    assert resembling([fingerprint(luma)], [nearer, near]) == {0: 0}


@pytest.mark.shared
def test_photographs_of_different_subjects_are_not_duplicates(shared_dir: Path) -> None:
    files = sorted(path for folder in ("t91", "bsds-train200") for path in (shared_dir / "data" / folder).iterdir())
    prints = [fingerprint(read_luma(path)) for path in files if path.suffix in (".png", ".jpg")]
    assert len(prints) > 250
    found = {(i, j + i + 1) for i in range(len(prints)) for j in resembling(prints[i + 1 :], [prints[i]])}
    names = [path.name for path in files if path.suffix in (".png", ".jpg")]
    assert {(names[i], names[j]) for i, j in found} == {("t36.png", "t65.png")}, "these two are equal"
