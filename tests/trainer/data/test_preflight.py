"""Preflight: the check of a run's pictures, their split, and the index file that stores it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainer.conftest import draw_picture
from vdsr_app.control import CancelToken
from vdsr_app.core.protocol import make_trial
from vdsr_app.errors import TrainingError
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.preflight import (
    INDEX_NAME,
    Index,
    Plan,
    check_pictures,
    moved,
    read_index,
    save_index,
    write_index,
)
from vdsr_trainer.data.report import IssueKind, PictureRecord, PreflightReport
from vdsr_trainer.data.split import judge_px, plan_split


def check(config: TrainConfig) -> PreflightReport:
    return check_pictures(config, lambda done, total: None, CancelToken())


def records_of(count: int, *, folder: str = "birds", height: int = 200, width: int = 300) -> list[PictureRecord]:
    """Records of made-up pictures, none of which resembles another."""
    rng = np.random.default_rng(list(folder.encode()))
    prints = [rng.integers(0, 256, 256, dtype=np.uint8).tobytes().hex() for _ in range(count)]
    return [
        PictureRecord(folder, f"p{i:03}.png", 1, 1, height, width, f"{folder} {i}", prints[i]) for i in range(count)
    ]


@pytest.fixture
def config() -> TrainConfig:
    return TrainConfig(data=("birds",), patch_px=48)


def files(records: tuple[PictureRecord, ...]) -> list[str]:
    return [record.file for record in records]


# --- the whole check


def test_check_reports_every_kind_of_issue(small: TrainConfig, pictures: Path) -> None:
    (pictures / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    Image.fromarray(draw_picture(50)[:20, :20]).save(pictures / "tiny.png")
    Image.fromarray(draw_picture(0)).save(pictures / "z-same.bmp")
    report = check(small)
    (held_out,) = report.held_out
    seed = int(held_out.file[1])
    Image.fromarray(draw_picture(seed)).resize((176, 144)).save(pictures / "z-twice.jpg", quality=80)
    report = check(small)
    kinds = {issue.picture.file: issue.kind for issue in report.issues}
    assert report.held_out == (held_out,)
    assert kinds == {
        "broken.png": IssueKind.UNREADABLE,
        "tiny.png": IssueKind.TOO_SMALL,
        "z-same.bmp": IssueKind.DUPLICATE,
        "z-twice.jpg": IssueKind.NEAR_DUPLICATE,
    }
    assert all(issue.reason.endswith(".") for issue in report.issues)
    assert len(report.records) == 12
    assert files(report.training) == [f"p{i}.png" for i in range(8) if i != seed]
    assert report.patches_per_epoch == 7 * (72 // 24) * (88 // 24)
    assert report.training_pixels == 7 * 72 * 88


def test_check_and_index_support_non_ascii_and_unusual_names(small: TrainConfig, tmp_path: Path) -> None:
    folder = tmp_path / "Vögel 鳥 'и' (1)"
    folder.mkdir()
    for seed, name in enumerate(("ä.png", "new\nline.png", "🦆.png", "a" * 200 + ".png")):
        Image.fromarray(draw_picture(seed)).save(folder / name)
    report = check(replace(small, data=(str(folder),)))
    assert len(report.records) == len(report.training) + 1 == 4
    write_index(tmp_path, report)
    assert read_index(tmp_path).records == report.records


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not UTF-8")
def test_index_round_trips_names_that_are_not_utf8(small: TrainConfig, pictures: Path, tmp_path: Path) -> None:
    source = (pictures / "p0.png").read_bytes()
    with open(bytes(pictures) + b"/\xff\xfe.png", "wb") as file:
        file.write(source)
    report = check(small)
    assert len(report.records) == 9
    write_index(tmp_path, report)
    assert read_index(tmp_path).records == report.records


def test_preflight_imports_neither_torch_nor_decoders() -> None:
    code = (
        "import sys, vdsr_trainer.data.preflight as p; "
        "print([m for m in ('torch', 'pyvips', 'imagecodecs', 'pillow_heif') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "[]"


# --- the split


def test_split_does_not_depend_on_seed_or_order_of_records(config: TrainConfig) -> None:
    records = records_of(100)
    report = plan_split(records, config)
    assert plan_split(list(records), replace(config, seed=5)) == report
    shuffled = list(records)
    random.Random(0).shuffle(shuffled)
    assert set(plan_split(shuffled, config).held_out) == set(report.held_out)


def test_held_out_pictures_are_spread_over_larger_half(config: TrainConfig) -> None:
    large = records_of(50)
    small = [replace(record, height=100, file=f"s{record.file}") for record in records_of(50, folder="trees")]
    small = [replace(record, folder="birds") for record in small]
    report = plan_split([*small, *large], replace(config, holdout=10))
    assert files(report.held_out) == [f"p{i:03}.png" for i in range(0, 50, 5)]
    assert len(report.training) == 90
    assert not set(report.training) & set(report.held_out)


@pytest.mark.parametrize(("pictures", "held_out"), [(2, 1), (8, 1), (9, 1), (10, 2), (49, 9), (50, 10), (1000, 10)])
def test_held_out_count_is_one_fifth_between_one_and_holdout(config: TrainConfig, pictures: int, held_out: int) -> None:
    report = plan_split(records_of(pictures), config)
    assert (len(report.held_out), len(report.training)) == (held_out, pictures - held_out)


def test_plan_split_rejects_single_picture(config: TrainConfig) -> None:
    with pytest.raises(TrainingError, match="too few") as caught:
        plan_split(records_of(1), config)
    assert "folder for validation" in caught.value.hint


@pytest.mark.parametrize("fault", ["unreadable", "small"])
def test_plan_split_gives_reason_when_no_picture_is_usable(config: TrainConfig, fault: str) -> None:
    bad = {"unreadable": {"reason": "No picture.", "height": 0, "width": 0, "digest": ""}, "small": {"height": 47}}
    records = [replace(record, **bad[fault]) for record in records_of(3)]
    with pytest.raises(TrainingError, match=f"3 .*{fault}") as caught:
        plan_split(records, config)
    assert caught.value.path == "birds"
    assert caught.value.hint


def test_pictures_too_small_for_validation_are_not_held_out(config: TrainConfig) -> None:
    large, small = records_of(2), [replace(r, file=f"s{r.file}", height=50) for r in records_of(9, folder="trees")]
    small = [replace(record, folder="birds") for record in small]
    report = plan_split([*small, *large], config)
    assert len(report.held_out) == 2
    assert all(record.height == 200 for record in report.held_out)
    with pytest.raises(TrainingError, match="large enough"):
        plan_split(small, config)


@pytest.mark.parametrize("scales", [(2.0, 3.0, 4.0), (8.0,), (2.5,), (1.2, 7.95)])
def test_judge_px_is_large_enough_for_every_scale_factor(config: TrainConfig, scales: tuple[float, ...]) -> None:
    side = judge_px(replace(config, scales=scales))
    for scale in scales:
        make_trial(np.zeros((side, side)), scale)


def test_all_usable_pictures_of_validation_folder_are_held_out(config: TrainConfig) -> None:
    mine, judges = records_of(10), records_of(3, folder="judges")
    tiny = replace(judges[0], file="tiny.png", digest="tiny", height=30)
    twin = replace(judges[1], file="twin.png")
    report = plan_split([*mine, *judges, tiny, twin], replace(config, validation="judges"))
    assert report.training == tuple(mine)
    assert report.held_out == tuple(judges)
    reported = [(issue.kind, issue.picture, issue.held_out) for issue in report.issues]
    assert reported == [(IssueKind.TOO_SMALL, tiny, True), (IssueKind.DUPLICATE, twin, True)]


def test_validation_folder_within_training_folder_is_not_trained_on(small: TrainConfig, pictures: Path) -> None:
    judges = pictures / "judges"
    judges.mkdir()
    for name in ("p1.png", "p2.png"):
        (pictures / name).rename(judges / name)
    report = check(replace(small, validation=str(judges)))
    assert files(report.held_out) == ["p1.png", "p2.png"]
    assert files(report.training) == [f"p{i}.png" for i in (0, 3, 4, 5, 6, 7)]
    assert report.issues == ()


def test_duplicates_are_reported_and_skipped_unless_kept(config: TrainConfig) -> None:
    records = records_of(10)
    (held_out, _) = plan_split(records, config).held_out
    same = replace(records[1], file="z-same.png")
    like = replace(held_out, file="z-like.png", digest="like")
    report = plan_split([*records, same, like], config)
    assert [(issue.kind, issue.picture, issue.other) for issue in report.issues] == [
        (IssueKind.DUPLICATE, same, records[1]),
        (IssueKind.NEAR_DUPLICATE, like, held_out),
    ]
    assert not {same, like} & set(report.training)
    kept = plan_split([*records, same, like], replace(config, keep_duplicates=True))
    assert {same, like} <= set(kept.training)
    assert kept.issues == report.issues
    assert not set(kept.held_out) & set(kept.training)


def test_training_picture_equal_to_validation_picture_is_skipped(config: TrainConfig) -> None:
    mine, judges = records_of(10), records_of(3, folder="judges")
    leak = replace(judges[1], folder="birds", file="leak.png")
    report = plan_split([*mine, leak, *judges], replace(config, validation="judges"))
    assert leak not in report.training
    assert [(issue.kind, issue.picture, issue.other) for issue in report.issues] == [
        (IssueKind.DUPLICATE, leak, judges[1])
    ]


def test_resemblance_between_training_pictures_is_no_issue(config: TrainConfig) -> None:
    records = records_of(10)
    held_out = set(plan_split(records, config).held_out)
    one, other = [record for record in records if record not in held_out][:2]
    records[records.index(other)] = replace(other, fingerprint=one.fingerprint)
    assert plan_split(records, config).issues == ()


def test_excluded_pictures_are_skipped_and_not_reported(config: TrainConfig, tmp_path: Path) -> None:
    records = records_of(9, folder=str(tmp_path))
    config = replace(config, data=(str(tmp_path),), exclude=("p003.png", str(tmp_path / "p005.png")))
    report = plan_split(records, config)
    assert len(report.records) == 9
    assert {"p003.png", "p005.png"}.isdisjoint(files(report.training + report.held_out))
    assert len(report.training) + len(report.held_out) == 7
    assert report.issues == ()


def test_patches_per_epoch_includes_shrunk_copies(config: TrainConfig) -> None:
    judges = records_of(1, folder="judges")
    config = replace(config, validation="judges", shrunk_copies=(0.5, 0.2))
    report = plan_split([*records_of(2), *judges], config)
    assert report.patches_per_epoch == 2 * (4 * 6 + 2 * 3), "a copy smaller than a patch is none"


def test_split_of_100000_pictures_takes_less_than_a_minute(config: TrainConfig) -> None:
    prints = [record.fingerprint for record in records_of(1000)]
    record = records_of(1)[0]
    records = [replace(record, file=f"{i}.png", digest=str(i), fingerprint=prints[i % 1000]) for i in range(100_000)]
    started = time.monotonic()
    report = plan_split(records, replace(config, holdout=64, exclude=("1.png",)))
    assert time.monotonic() - started < 60
    assert len(report.issues) == 100 * 64 - 64


# --- the index file


def test_index_round_trips_records_plan_and_folders(tmp_path: Path, config: TrainConfig) -> None:
    records = (*records_of(4), replace(records_of(1)[0], file="bad.png", reason='He said "no".'))
    plan = Plan(records[:2], records[2:3], 1 << 33)
    save_index(tmp_path, Index(records, plan, ("birds", "empty")))
    assert read_index(tmp_path) == Index(records, plan, ("birds", "empty"))
    write_index(tmp_path, plan_split(records, config))
    assert read_index(tmp_path) == Index(records, None, ("birds",))
    assert [path.name for path in tmp_path.iterdir()] == [INDEX_NAME]


@pytest.mark.parametrize(
    "damage",
    [
        lambda values: values.update(version=99),
        lambda values: values.pop("folders"),
        lambda values: values["records"][0].pop(),
        lambda values: values["records"][0].__setitem__(0, 7),
        lambda values: values["records"][0].__setitem__(0, -1),
        lambda values: values["records"][0].__setitem__(4, "high"),
        lambda values: values["records"][0].__setitem__(7, "no hex"),
        lambda values: values["records"][0].__setitem__(7, "00ff"),
        lambda values: values["plan"].update(training=[99]),
        lambda values: values["plan"].update(training=[-1]),
        lambda values: values["plan"].update(training=[]),
        lambda values: values["plan"].update(cache_bytes=None),
        lambda values: values.update(records=7),
    ],
)
def test_read_index_returns_none_for_invalid_values(tmp_path: Path, damage: object) -> None:
    records = tuple(records_of(4))
    save_index(tmp_path, Index(records, Plan(records[:2], records[2:3], 9), ("birds",)))
    values = json.loads((tmp_path / INDEX_NAME).read_text())
    damage(values)
    (tmp_path / INDEX_NAME).write_text(json.dumps(values))
    assert read_index(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_read_index_returns_none_when_missing_or_malformed(tmp_path: Path, content: bytes) -> None:
    assert read_index(tmp_path) is None
    (tmp_path / INDEX_NAME).write_bytes(content)
    assert read_index(tmp_path) is None


def test_moved_replaces_folders_of_index(config: TrainConfig) -> None:
    records = (*records_of(3), *records_of(2, folder="judges"))
    index = Index(records, Plan(records[:3], records[3:], 9), ("birds", "judges"))
    there = replace(config, data=("/mnt/birds",), validation="/mnt/judges")
    carried = moved(index, there)
    assert [record.folder for record in carried.records] == ["/mnt/birds"] * 3 + ["/mnt/judges"] * 2
    assert carried.plan == Plan(carried.records[:3], carried.records[3:], 9)
    assert moved(carried, there) is carried
    with pytest.raises(TrainingError, match="2 folders"):
        moved(index, config)
