"""Estimates before a batch: its duration and disk space, and the speed of each model, as far as they are known."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from vdsr_app import paths
from vdsr_app.core.batch import BatchOptions, Item, SourceFacts, State, estimate, plan_of
from vdsr_app.core.batch.estimate import known_mpx_per_s
from vdsr_app.core.ensemble import positions_that_differ
from vdsr_app.core.job import TargetSize, UpscaleSettings
from vdsr_app.core.measurements import Measurement, key_of, use
from vdsr_app.core.models import find_model
from vdsr_app.core.network import VDSR, VDSRConfig
from vdsr_app.core.weights import load_weights, save_weights


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VDSR_CACHE", str(tmp_path))


@pytest.fixture
def thin(tmp_path: Path) -> str:
    path = tmp_path / "thin.safetensors"
    save_weights(VDSR(VDSRConfig(3, 16)), path)
    return str(path)


def measured(depth: int, width: int, choice: str = "torch fp32", **rates: float) -> None:
    use(key_of("A processor", 2, depth, width, rates), Measurement(choice, {choice: 1.0, **rates}))


def test_speed_is_unknown_before_a_measurement(thin: str) -> None:
    assert known_mpx_per_s("auto") is None
    measured(20, 64)
    assert known_mpx_per_s(thin) is None


def test_speed_depends_on_the_shape_of_the_model(thin: str) -> None:
    measured(20, 64, "torch bf16", **{"torch bf16": 0.5})
    measured(3, 16, "winograd fp32", **{"winograd fp32": 20.0, "torch fp32": 4.0})
    assert known_mpx_per_s("auto") == known_mpx_per_s("vdsr") == 0.5
    assert known_mpx_per_s(thin) == 20.0


def test_speed_of_a_missing_model_is_unknown() -> None:
    measured(20, 64)
    assert known_mpx_per_s("gone") is None


@pytest.mark.parametrize(
    "entry", [{"choice": "torch fp32", "mpx_per_s": {}}, {"choice": "a", "mpx_per_s": {"a": 0}}, {"choice": 5}, 7]
)
def test_damaged_measurements_are_ignored(entry: object) -> None:
    measured(20, 64)
    known = json.loads(paths.measurements_file().read_text("utf-8"))
    known[key_of("A processor", 4, 20, 64, ["torch fp32"])] = entry
    paths.measurements_file().write_text(json.dumps(known), "utf-8")
    assert known_mpx_per_s("auto") == 1.0


def test_plan_estimates_duration_and_disk_space_of_queued_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [
        Item(
            i,
            tmp_path / f"{i}.png",
            tmp_path / f"{i}_x2.png",
            SourceFacts(None),
            TargetSize(2000, 1500, 2.0),
            "vdsr",
            state,
        )
        for i, state in enumerate((State.QUEUED, State.QUEUED, State.SKIPPED))
    ]
    items = [replace(item, disk_bytes=700) for item in items]
    options, room = BatchOptions(tmp_path), 1400
    monkeypatch.setattr(estimate, "free_bytes", lambda _: room)
    assert plan_of(items, options).seconds is None
    measured(20, 64, "torch bf16", **{"torch bf16": 0.5})
    plan = plan_of(items, options)
    assert (plan.items, plan.totals.queued, plan.free_bytes) == (tuple(items), 2, 1400)
    assert plan.seconds == pytest.approx(12.0)
    assert not plan.lacks_room
    room = 1399
    assert plan_of(items, options).lacks_room
    monkeypatch.setattr(estimate, "free_bytes", lambda _: None)
    assert not plan_of(items, options).lacks_room


def test_duration_with_self_ensemble_counts_its_passes(tmp_path: Path) -> None:
    size = TargetSize(2000, 1500, 2.0)
    items = [Item(0, tmp_path / "a.png", tmp_path / "a_x2.png", SourceFacts(None), size, "vdsr")]
    measured(20, 64, "torch bf16", **{"torch bf16": 0.5})
    own = shutil.copy(find_model("vdsr").path, tmp_path / "own.safetensors")
    seconds = {
        model: plan_of(items, BatchOptions(tmp_path, UpscaleSettings(model=model, self_ensemble=True))).seconds
        for model in ("auto", "photo", str(own), "gone")
    }
    assert seconds == {"auto": pytest.approx(12.0), "photo": pytest.approx(12.0), str(own): None, "gone": None}
    assert plan_of(items, BatchOptions(tmp_path, UpscaleSettings(model=str(own)))).seconds == pytest.approx(6.0)


@pytest.mark.parametrize("name", ["vdsr", "photo"])
def test_self_ensemble_of_the_bundled_models_takes_the_passes_that_are_counted(name: str) -> None:
    network = load_weights(find_model(name).path).model.double()

    def added(luma: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        with torch.inference_mode():
            inputs = torch.from_numpy(luma)[None, None].double()
            return np.asarray((network(inputs) - inputs)[0, 0].numpy())

    assert len(positions_that_differ(added)) == estimate._BUNDLED_PASSES
