"""Training data: which pictures are used, and batches that depend on (seed, step) alone, within bounded memory."""

from __future__ import annotations

import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainer.conftest import draw_picture
from vdsr_app.control import CancelToken
from vdsr_app.errors import Cancelled, TrainingError
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data import cache_size, dataset
from vdsr_trainer.data.dataset import Patches, TrainingData, open_data
from vdsr_trainer.data.degrade import Degradation, Source, degraded_patches
from vdsr_trainer.data.pictures import digest, read_luma
from vdsr_trainer.data.preflight import INDEX_NAME, Index, Plan, check_pictures, read_index, save_index, write_index
from vdsr_trainer.presets import preset
from vdsr_trainer.run_files import NEWEST_NAME

Opener = Callable[..., TrainingData]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


@pytest.fixture
def opened(run: Path) -> Iterator[Opener]:
    """Opens the data of a configuration, and closes it at the end."""
    everything = []

    def open_one(config: TrainConfig, said: list[str] | None = None, folder: Path = run) -> TrainingData:
        notice = (lambda message: None) if said is None else said.append
        data = open_data(config, folder, on_progress=lambda done, all_: None, notice=notice, token=CancelToken())
        everything.append(data)
        return data

    yield open_one
    for data in everything:
        data.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pictures")]


def mark_started(run: Path) -> None:
    """Makes the run look as if it had a checkpoint."""
    (run / NEWEST_NAME).write_bytes(b"")


def equal(one: Patches, other: Patches) -> bool:
    return np.array_equal(one.bicubic, other.bicubic) and np.array_equal(one.target, other.target)


def gray_folder(folder: Path, lumas: list[np.ndarray]) -> str:
    folder.mkdir()
    for i, luma in enumerate(lumas):
        Image.fromarray(luma).save(folder / f"g{i:03}.png")
    return str(folder)


def luma_folder(folder: Path, lumas: list[np.ndarray]) -> str:
    """Pictures with exactly these lumas, from 16 to 235."""
    assert all(luma.min() >= 16 and luma.max() <= 235 for luma in lumas)
    return gray_folder(folder, [np.rint((luma - 16.0) * 255 / 219).astype(np.uint8) for luma in lumas])


def noise(count: int, seed: int = 0) -> list[np.ndarray]:
    """Small pictures, none of which resembles another."""
    rng = np.random.default_rng(seed)
    return [np.repeat(rng.integers(0, 256, (80, 20), dtype=np.uint8), 4, axis=1) for _ in range(count)]


@pytest.fixture
def judges(tmp_path: Path) -> str:
    """A folder to validate on, so that all pictures of another folder are trained on."""
    return gray_folder(tmp_path / "judges", [draw_picture(99)[..., 0]])


# --- batches


def test_batches_depend_on_seed_and_step_alone(small: TrainConfig, opened: Opener, tmp_path: Path) -> None:
    first, second = opened(small), opened(small)
    second.batch(3)
    for step in (5, 0):
        assert equal(first.batch(step), second.batch(step))
    assert not np.array_equal(first.batch(5).target, first.batch(6).target)
    assert not np.array_equal(first.batch(5).target, opened(replace(small, seed=1)).batch(5).target)


def test_input_and_target_show_same_part_of_picture(small: TrainConfig, opened: Opener) -> None:
    patches = opened(replace(small, scales=(2.0,), fixed_share=1.0, batch=16)).batch(0)
    assert patches.bicubic.shape == patches.target.shape == (16, 1, 24, 24)
    assert patches.target.dtype == patches.bicubic.dtype == np.float32
    assert patches.target.min() >= 16 / 255 - 1e-6
    assert patches.target.max() <= 235 / 255 + 1e-6
    for low, high in zip(patches.bicubic[:, 0], patches.target[:, 0], strict=True):
        error = np.mean((low - high) ** 2)
        assert error < np.mean((low[::-1] - high) ** 2) or np.ptp(high) == 0


def test_batch_contains_all_eight_turns(small: TrainConfig, opened: Opener, tmp_path: Path, judges: str) -> None:
    corner = np.zeros((24, 24), np.uint8)
    corner[:6, :12] = 200
    folder = gray_folder(tmp_path / "corner", [corner])
    data = opened(replace(small, data=(folder,), validation=judges, batch=64))
    assert len({target.tobytes() for target in data.batch(0).target[:, 0]}) == 8


def test_hard_patches_are_preferred(small: TrainConfig, opened: Opener, tmp_path: Path, judges: str) -> None:
    half = np.full((200, 200), 100, np.uint8)
    half[:, 100:] = np.random.default_rng(0).integers(16, 236, (200, 100))
    config = replace(small, data=(gray_folder(tmp_path / "half", [half]),), validation=judges, batch=100)
    spread = []
    for candidates in (1, 6):
        targets = opened(replace(config, hard_candidates=candidates)).batch(0).target
        spread.append(float(np.mean(targets.std(axis=(1, 2, 3)) > 0.1)))
    assert spread[0] < 0.75 < 0.95 < spread[1]


def test_pictures_are_sampled_in_proportion_to_their_area(
    small: TrainConfig, opened: Opener, tmp_path: Path, judges: str
) -> None:
    lumas = [np.full((height, 40), value, np.uint8) for height, value in ((30, 50), (270, 150))]
    config = replace(small, data=(luma_folder(tmp_path / "two", lumas),), validation=judges, batch=400)
    targets = opened(replace(config, hard_candidates=1)).batch(0).target.mean(axis=(1, 2, 3)) * 255
    assert 0.85 < np.mean(np.abs(targets - 150) < 1) < 0.95


def test_shrunk_copies_are_sampled_unless_smaller_than_patch(
    small: TrainConfig, opened: Opener, tmp_path: Path, judges: str
) -> None:
    stripes = np.zeros((200, 200), np.uint8)
    stripes[:, ::2] = 200
    config = replace(small, data=(gray_folder(tmp_path / "stripes", [stripes]),), validation=judges, batch=200)
    flat = [
        float(np.mean(opened(replace(config, shrunk_copies=copies)).batch(0).target.std(axis=(1, 2, 3)) < 0.1))
        for copies in ((), (0.5,), (0.1,))
    ]
    assert flat[0] == flat[2] == 0, "a copy smaller than a patch is not made"
    assert 0.1 < flat[1] < 0.3, "a quarter of the area against the whole"


def test_degradations_follow_configured_shares_and_ranges(
    small: TrainConfig, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Degradation] = []

    def watched(sources: object, places: object, shape: tuple[int, int], done: list[Degradation]) -> np.ndarray:
        drawn.extend(done)
        return np.zeros((len(done), *shape), np.float32)

    monkeypatch.setattr(dataset, "degraded_patches", watched)
    photo = preset("photo")
    names = ("jpeg_share", "blur_share", "noise_share", "blur_sigma_max", "noise_sigma_max")
    data = opened(replace(small, batch=500, **{name: getattr(photo, name) for name in names}))
    for step in range(4):
        data.batch(step)
    qualities = [done.jpeg_quality for done in drawn if done.jpeg_quality]
    blurs = [done.blur_sigma for done in drawn if done.blur_sigma]
    noises = [done.noise_sigma for done in drawn if done.noise_sigma]
    assert [len(those) / 2000 for those in (qualities, blurs, noises)] == pytest.approx([0.8, 0.3, 0.3], abs=0.04)
    assert (min(qualities), max(qualities)) == (30, 95)
    assert 0 < min(blurs) < 0.05 < 0.75 < max(blurs) < photo.blur_sigma_max
    assert 0 < min(noises) < 0.3 < 3.7 < max(noises) < photo.noise_sigma_max
    assert len({done.noise_seed for done in drawn}) == 2000
    scales = Counter(done.scale for done in drawn)
    assert sum(scales[scale] for scale in small.scales) / 2000 == pytest.approx(0.7 + 0.3 * 3 / 67, abs=0.04)
    assert (min(scales), max(scales)) == (1.2, 4.5)
    clean = opened(small, folder=data_folder(small)).batch
    drawn.clear()
    clean(0)
    assert all(done.clean for done in drawn)


def data_folder(config: TrainConfig) -> Path:
    """A separate run folder for a second configuration."""
    folder = Path(config.data[0]).parent / "other-run"
    folder.mkdir(exist_ok=True)
    return folder


# --- the grid


def numbered(count: int, rows: int, cols: int, side: int) -> list[np.ndarray]:
    """Pictures whose grid patches are flat, each with a unique value, with a remainder at the right and bottom."""
    values = 16 + np.arange(count * rows * cols).reshape(count, rows, cols)
    assert values.max() < 235
    pictures = np.repeat(np.repeat(values, side, axis=1), side, axis=2).astype(np.uint8)
    return [np.pad(picture, ((0, 5), (0, 7)), constant_values=235) for picture in pictures]


def patches_seen(data: TrainingData, first: int, last: int) -> list[int]:
    """Numbers of the patches shown from step `first` until before `last`."""
    seen = []
    for step in range(first, last):
        target = data.batch(step).target
        assert np.ptp(target, axis=(1, 2, 3)).max() == 0, "a patch across the lines of the grid"
        seen += (np.rint(target[:, 0, 0, 0] * 255).astype(int) - 16).tolist()
    return seen


def test_grid_epoch_shows_every_patch_once_at_each_scale(
    small: TrainConfig, opened: Opener, tmp_path: Path, judges: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scales: list[float] = []

    def watched(sources: list, places: list, shape: tuple[int, int], done: list[Degradation]) -> np.ndarray:
        scales.extend(each.scale for each in done)
        return degraded_patches(sources, places, shape, done)

    monkeypatch.setattr(dataset, "degraded_patches", watched)
    folder = luma_folder(tmp_path / "numbered", numbered(5, 3, 4, 24))
    config = replace(small, data=(folder,), validation=judges, sampling="grid", scales=(2.0, 3.0), fixed_share=1.0)
    data = opened(replace(config, batch=10))
    assert data.patches_per_epoch == 120
    epochs = [patches_seen(data, 12 * epoch, 12 * epoch + 12) for epoch in range(3)]
    for number, seen in enumerate(epochs):
        shown = zip(seen, scales[120 * number : 120 * number + 120], strict=True)
        assert set(shown) == {(value, scale) for value in range(60) for scale in (2.0, 3.0)}
    assert epochs[0] != epochs[1] != epochs[2]
    # Batches whose size does not divide the epoch continue into the next one.
    odd = patches_seen(opened(replace(config, batch=7)), 0, 52)
    assert Counter(odd[:120]) == Counter(odd[120:240]) == Counter(epochs[0])


def test_grid_epoch_shows_every_patch_once_when_scales_are_drawn(
    small: TrainConfig, opened: Opener, tmp_path: Path, judges: str
) -> None:
    folder = luma_folder(tmp_path / "numbered", numbered(5, 3, 4, 24))
    config = replace(small, data=(folder,), validation=judges, sampling="grid", fixed_share=0.5, batch=10)
    data = opened(config)
    assert data.patches_per_epoch == 60
    assert sorted(patches_seen(data, 0, 6)) == list(range(60))


# --- memory


@pytest.fixture
def many(tmp_path: Path, judges: str, small: TrainConfig) -> TrainConfig:
    """Sixty pictures that need three times the memory they are allowed."""
    rng = np.random.default_rng(0)
    lumas = [np.repeat(rng.integers(0, 240, (220, 30), dtype=np.uint8), 8, axis=1) for _ in range(60)]
    return replace(small, data=(gray_folder(tmp_path / "many", lumas),), validation=judges, cache_mb=1, batch=16)


def numbered_many(tmp_path: Path) -> str:
    """215 numbered patches in 43 pictures of 56 KB; the grid skips almost half of each picture."""
    lumas = []
    for i in range(43):
        luma = np.full((47, 1200), 235, np.uint8)
        for j in range(5):
            luma[:24, j * 24 : j * 24 + 24] = 16 + 5 * i + j
        lumas.append(luma)
    return luma_folder(tmp_path / "numbered", lumas)


@pytest.mark.parametrize("sampling", ["random", "grid"])
def test_memory_is_bounded_and_batches_are_the_same_in_any_order(
    many: TrainConfig, opened: Opener, sampling: str
) -> None:
    config = replace(many, sampling=sampling)
    data = opened(config)
    assert data.pictures == 60
    steps = [0, 1, 2, 3, 200, 201, 5000, 77, 123_456]
    batches, most = {}, 0
    for step in steps:
        batches[step] = data.batch(step)
        most = max(most, data.bytes_held)
    assert 2**19 < most <= 2**20
    opened_late = opened(config)
    for step in reversed(steps):
        assert equal(opened_late.batch(step), batches[step])
    with ThreadPoolExecutor(4) as pool:
        for step, batch in zip(steps * 3, pool.map(opened(config).batch, steps * 3), strict=True):
            assert equal(batch, batches[step])


def test_every_picture_is_sampled_within_bounded_memory(many: TrainConfig, opened: Opener, tmp_path: Path) -> None:
    lumas = [np.full((200, 300), 16 + 3 * i, np.uint8) for i in range(60)]
    data = opened(replace(many, data=(luma_folder(tmp_path / "plain", lumas),)))
    seen: Counter[int] = Counter()
    for step in range(0, 120, 2):  # 3.6 megapixels make a round of 360 patches, or 22 steps
        batch = np.rint((data.batch(step).target.mean(axis=(1, 2, 3)) * 255 - 16) / 3).astype(int).tolist()
        assert len(set(batch)) > 4, "some ten pictures are in memory"
        seen.update(batch)
        assert data.bytes_held <= 2**20
    assert set(seen) == set(range(60))
    assert max(seen.values()) < 4 * sum(seen.values()) / 60


def test_neighbouring_steps_share_decoded_pictures(
    many: TrainConfig, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    from vdsr_trainer.data import items

    real = items.read_recorded
    monkeypatch.setattr(
        items, "read_recorded", lambda record, token: decoded.append(record.file) or real(record, token)
    )
    data = opened(many)
    for step in range(60):
        data.batch(step)
    data.close()
    # During 960 patches, 9.6 megapixels are read, which are 182 of these pictures; some more are read ahead.
    assert len(decoded) < 182 + 60


def test_grid_shows_every_patch_once_within_bounded_memory(
    small: TrainConfig, opened: Opener, tmp_path: Path, judges: str
) -> None:
    config = replace(small, data=(numbered_many(tmp_path),), validation=judges, cache_mb=1, sampling="grid", batch=25)
    data = opened(replace(config, patch_px=24))
    # The white rest of each picture adds 45 patches.
    assert data.patches_per_epoch == 43 * 50
    white = 235 - 16
    seen = [number for number in patches_seen(data, 0, 86) if number != white]
    assert sorted(seen) == list(range(215))
    assert data.bytes_held <= 2**20
    again = [number for number in patches_seen(data, 86, 172) if number != white]
    assert sorted(again) == list(range(215))
    assert again != seen


def test_patches_of_picture_larger_than_memory_match_whole_picture(
    small: TrainConfig, opened: Opener, tmp_path: Path, judges: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    luma = np.kron(rng.integers(0, 256, (380, 200)), np.ones((5, 5))).astype(np.uint8)
    folder = gray_folder(tmp_path / "huge", [luma])
    shares = {"jpeg_share": 0.5, "blur_share": 0.5, "noise_share": 0.5}
    config = replace(small, data=(folder,), validation=judges, cache_mb=1, batch=8, scales=(2.0,), scale_max=2.0)
    data = opened(replace(config, **shares))
    rows: list[int] = []

    def compared(sources: list[Source], places: list, shape: tuple[int, int], done: list) -> np.ndarray:
        patches = degraded_patches(sources, places, shape, done)
        whole = degraded_patches(
            [Source(read_luma(Path(folder) / "g000.png"), 1900)] * len(sources), places, shape, done
        )
        assert np.array_equal(patches, whole)
        rows.extend(top for top, _ in places)
        assert all(len(source.luma) < 1000 and source.luma.base is None for source in sources)
        return patches

    monkeypatch.setattr(dataset, "degraded_patches", compared)
    for step in range(0, 4000, 50):
        data.batch(step)
        assert data.bytes_held <= 2**20
    assert min(rows) < 100
    assert max(rows) > 1780
    assert np.histogram(rows, 10, (0, 1900))[0].min() > 10, "all of the picture is drawn from"


def test_cache_size_is_configured_or_quarter_of_memory_with_minimum(
    small: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache_size.machine_bytes() > 2**28
    for machine, wanted in ((2**35, 2**33), (2**29, 2**28), (0, 2**28)):
        monkeypatch.setattr(cache_size, "machine_bytes", lambda machine=machine: machine)
        assert cache_size.cache_bytes(small) == wanted
    assert cache_size.cache_bytes(replace(small, cache_mb=10)) == 10 * 2**20


def test_batch_raises_error_while_picture_folder_is_gone(many: TrainConfig, opened: Opener) -> None:
    data = opened(many)
    data.batch(0)
    folder = Path(many.data[0])
    away = folder.with_name("away")
    folder.rename(away)
    with pytest.raises(TrainingError, match="folder of training pictures is gone") as caught:
        list(map(data.batch, range(100, 2000, 100)))
    assert caught.value.path == str(folder)
    away.rename(folder)
    data.batch(900)


# --- which pictures


def test_held_out_pictures_are_never_trained_on(small: TrainConfig, opened: Opener, run: Path) -> None:
    data, again = opened(small), opened(small)
    assert (data.pictures, len(data.validation)) == (7, 1)
    assert data.validation.keys() == again.validation.keys()
    plan = read_index(run).plan
    assert not set(plan.training) & set(plan.held_out)
    assert [record.name for record in plan.held_out] == list(data.validation)


def test_unreadable_files_are_skipped_and_reported(small: TrainConfig, opened: Opener, pictures: Path) -> None:
    (pictures / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    (pictures / "notes.txt").write_text("no picture")
    said: list[str] = []
    data = opened(small, said)
    assert data.pictures == 7
    assert len(said) == 1
    assert "broken.png" in said[0]


def test_notices_about_unreadable_files_are_limited(small: TrainConfig, opened: Opener, pictures: Path) -> None:
    for i in range(50):
        (pictures / f"bad{i}.png").write_bytes(b"bad")
    said: list[str] = []
    opened(small, said)
    assert len(said) == 21
    assert "30 more" in said[-1]


def test_duplicates_kept_on_request_are_used_and_not_reported(
    small: TrainConfig, opened: Opener, pictures: Path
) -> None:
    shutil.copy(pictures / "p0.png", pictures / "z.png")
    said: list[str] = []
    assert opened(replace(small, keep_duplicates=True), said).pictures == 8
    assert said == []


@pytest.mark.parametrize("what", ["missing", "empty", "none"])
def test_open_data_rejects_unusable_folders(small: TrainConfig, opened: Opener, tmp_path: Path, what: str) -> None:
    (tmp_path / "empty").mkdir()
    data = {"missing": (str(tmp_path / "nowhere"),), "empty": (str(tmp_path / "empty"),), "none": ()}[what]
    with pytest.raises(TrainingError):
        opened(replace(small, data=data))


def test_validation_keeps_central_crops_of_at_most_16_pictures(
    small: TrainConfig, opened: Opener, tmp_path: Path
) -> None:
    large = np.full((901, 1000), 16, np.uint8)
    large[290:610, 340:660] = np.arange(320)[:, None] % 200 + 30
    folder = luma_folder(tmp_path / "judges", [large])
    for i, luma in enumerate(noise(70), start=1):
        Image.fromarray(luma).save(Path(folder) / f"g{i:03}.png")
    data = opened(replace(small, validation=folder))
    assert len(data.validation) == 16
    assert len(data.held_out) == 71
    shapes = {name: luma.shape for name, luma in data.validation.items()}
    assert shapes["judges/g000.png"] == (320, 320)
    assert data.validation["judges/g000.png"].min() == 30, "the middle"
    assert all(luma.base is None for luma in data.validation.values()), "a view holds the whole picture"


def test_validation_decodes_only_pictures_that_it_uses(
    small: TrainConfig, opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = dataset.read_recorded
    monkeypatch.setattr(dataset, "read_recorded", lambda record, token: read.append(record.name) or real(record, token))
    data = opened(replace(small, validation=gray_folder(tmp_path / "judges", noise(40))))
    assert sorted(read) == list(data.validation)
    assert len(read) == 16


def test_resumed_run_keeps_its_validation_pictures(
    small: TrainConfig, opened: Opener, tmp_path: Path, run: Path
) -> None:
    # Ordered by file, those in the folder "b" come first; ordered by name, the others do.
    judges = tmp_path / "judges"
    judges.mkdir()
    gray_folder(judges / "b", noise(25))
    for path in Path(gray_folder(tmp_path / "more", noise(45, 1))).iterdir():
        path.rename(judges / f"b-{path.name}")
    config = replace(small, validation=str(judges))
    report = check_pictures(config, lambda done, total: None, CancelToken())
    folders = (*config.data, config.validation)
    save_index(run, Index(report.records, Plan(report.training, report.held_out, 2**30), folders))
    mark_started(run)
    assert [name.removeprefix("judges/") for name in opened(config).validation] == [
        *(f"b-g{i:03}.png" for i in (0, 4, 8, 13, 17, 22, 26, 30, 35, 39, 43)),
        *(f"b/g{i:03}.png" for i in (3, 7, 12, 16, 20)),
    ], "64 are taken in the order of files, and 16 of these in that of names"


def test_pictures_of_same_name_in_two_folders_are_both_used(small: TrainConfig, opened: Opener, tmp_path: Path) -> None:
    places = []
    for i in range(2):
        for j in range(6):
            folder = tmp_path / str(i) / "same"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(draw_picture(6 * i + j)).save(folder / f"p{j}.png")
        places.append(str(tmp_path / str(i) / "same"))
    data = opened(replace(small, data=tuple(places), holdout=2))
    assert (data.pictures, len(data.validation)) == (10, 2)
    twin = opened(replace(small, validation=places[0]), folder=data_folder(small))
    assert len(twin.validation) == 6


def test_open_data_reports_progress_and_can_be_cancelled(small: TrainConfig, run: Path) -> None:
    reported: list[tuple[int, int]] = []
    open_data(
        small,
        run,
        on_progress=lambda done, total: reported.append((done, total)),
        notice=lambda message: None,
        token=CancelToken(),
    ).close()
    assert reported == [*((i, 8) for i in range(9)), *((i, 7) for i in range(8))]
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        open_data(small, run, on_progress=lambda done, total: None, notice=lambda message: None, token=token)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pictures")]


# --- the index, before and after the first checkpoint


def decodes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are decoded for a record from now on."""
    from vdsr_trainer.data import pictures as module

    decoded: list[str] = []
    real = module.record_picture
    monkeypatch.setattr(module, "record_picture", lambda found, token: decoded.append(found[1]) or real(found, token))
    return decoded


def test_pictures_recorded_in_index_are_not_decoded_again(
    small: TrainConfig, opened: Opener, run: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_index(run, check_pictures(small, lambda done, total: None, CancelToken()))
    decoded = decodes(monkeypatch)
    (pictures / "p3.png").unlink()
    Image.fromarray(draw_picture(20)).save(pictures / "new.png")
    assert opened(small).pictures == 7
    assert decoded == ["new.png"]


def test_resumed_run_keeps_its_pictures_and_batches(
    small: TrainConfig, opened: Opener, run: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = opened(small)
    mark_started(run)
    Image.fromarray(draw_picture(20)).save(pictures / "aaa.png")
    for path in pictures.iterdir():
        os.utime(path, ns=(1, 1))
    monkeypatch.setattr(cache_size, "machine_bytes", lambda: 2**40)
    decoded = decodes(monkeypatch)
    after = opened(small)
    assert decoded == []
    assert after.pictures == before.pictures
    assert after.validation.keys() == before.validation.keys()
    for step in (0, 9):
        assert equal(before.batch(step), after.batch(step))


@pytest.mark.parametrize("cache_mb", [0, 1])
@pytest.mark.parametrize("harm", ["missing", "changed", "broken"])
def test_resumed_run_rejects_missing_or_changed_pictures(
    many: TrainConfig, opened: Opener, run: Path, harm: str, cache_mb: int
) -> None:
    config = replace(many, cache_mb=cache_mb)
    opened(config)
    mark_started(run)
    path = Path(many.data[0]) / "g007.png"
    if harm == "missing":
        path.unlink()
    elif harm == "changed":
        Image.fromarray(draw_picture(20)).save(path)
    else:
        path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(TrainingError) as caught:
        opened(config)
    assert caught.value.path == str(path)
    assert "new run" in caught.value.hint


def test_pictures_may_be_removed_before_first_checkpoint(small: TrainConfig, opened: Opener, pictures: Path) -> None:
    opened(small)
    (pictures / "p3.png").unlink()
    assert opened(small).pictures == 6


def test_resumed_run_keeps_its_cache_size(many: TrainConfig, opened: Opener, run: Path) -> None:
    before = opened(many)
    mark_started(run)
    after = opened(replace(many, cache_mb=2))
    for step in (0, 500):
        assert equal(before.batch(step), after.batch(step))
    assert after.bytes_held <= 2**20


def test_resumed_run_accepts_its_pictures_in_another_folder(
    small: TrainConfig, opened: Opener, run: Path, pictures: Path
) -> None:
    before = opened(small)
    batch = before.batch(4)
    mark_started(run)
    moved = pictures.with_name("elsewhere")
    pictures.rename(moved)
    with pytest.raises(TrainingError, match="gone") as caught:
        opened(small)
    assert caught.value.path == str(pictures)
    assert equal(opened(replace(small, data=(str(moved),))).batch(4), batch)


def test_resumed_run_rejects_patches_larger_than_its_pictures(small: TrainConfig, opened: Opener, run: Path) -> None:
    opened(small)
    mark_started(run)
    with pytest.raises(TrainingError, match="smaller than its patches are now, 96 px") as caught:
        opened(replace(small, patch_px=96))
    assert "patch_px" in caught.value.hint


def test_damaged_index_is_reported_and_rebuilt(small: TrainConfig, opened: Opener, run: Path) -> None:
    before = opened(small)
    mark_started(run)
    (run / INDEX_NAME).write_bytes(b"{")
    said: list[str] = []
    after = opened(small, said)
    assert len(said) == 1
    assert "list of pictures" in said[0]
    assert equal(before.batch(1), after.batch(1))


def test_grayscale_file_yields_same_batches_as_rgb_copy(
    small: TrainConfig, opened: Opener, tmp_path: Path, judges: str
) -> None:
    gray = np.random.default_rng(0).integers(0, 256, (100, 100), dtype=np.uint8)
    gray[:, 50:] = 255
    gray[:, 25:50] = 0
    folders = [gray_folder(tmp_path / "gray", [gray]), gray_folder(tmp_path / "rgb", [np.stack([gray] * 3, axis=-1)])]
    lumas = [read_luma(Path(folder) / "g000.png") for folder in folders]
    assert np.array_equal(*lumas)
    assert (lumas[0].min(), lumas[0].max()) == (16, 235)
    config = replace(small, validation=judges, jpeg_share=0.5, jpeg_quality_min=95, batch=32)
    batches = []
    for folder in folders:
        run = tmp_path / f"run of {Path(folder).name}"
        run.mkdir()
        batches.append(opened(replace(config, data=(folder,)), folder=run).batch(0))
    assert equal(*batches)


def test_resumed_run_with_full_range_gray_reports_earlier_version(
    small: TrainConfig, opened: Opener, run: Path, tmp_path: Path
) -> None:
    grays = noise(3)
    folder = gray_folder(tmp_path / "gray", grays)
    config = replace(small, data=(folder,), shrunk_copies=())
    report = check_pictures(config, lambda done, total: None, CancelToken())
    of_earlier = [
        replace(record, digest=digest(grays[int(record.file[1:4])])) if record.folder == folder else record
        for record in report.records
    ]
    known = {record.path: record for record in of_earlier}
    plan = Plan(*(tuple(known[one.path] for one in each) for each in (report.training, report.held_out)), 2**30)
    save_index(run, Index(tuple(of_earlier), plan, (folder,)))
    mark_started(run)
    with pytest.raises(TrainingError, match="earlier version, which gave gray") as caught:
        opened(config).batch(0)
    assert "new run" in caught.value.hint
    rng = np.random.default_rng(9)
    for i in range(3):
        Image.fromarray(rng.integers(0, 256, (80, 80), dtype=np.uint8)).save(Path(folder) / f"g{i:03}.png")
    with pytest.raises(TrainingError, match="has changed"):
        opened(config).batch(0)
