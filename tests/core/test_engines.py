"""Engines: created once per model and kept, but never more than two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vdsr_app import paths
from vdsr_app.core.engine import Engine
from vdsr_app.core.engines import MAX_KEPT, Engines
from vdsr_app.core.network import VDSR, VDSRConfig, initialise
from vdsr_app.core.weights import save_weights
from vdsr_app.errors import WeightsError

DEPTHS = {"a": 2, "b": 3, "c": 4}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, dict[str, Any]]]:
    """Depth of each network for which an engine was created, with the options."""
    for name, depth in DEPTHS.items():
        model = VDSR(VDSRConfig(depth, 4))
        initialise(model, 0)
        paths.user_models_dir().mkdir(parents=True, exist_ok=True)
        save_weights(model, paths.user_models_dir() / f"{name}.safetensors", {"title": name})
    calls: list[tuple[int, dict[str, Any]]] = []
    create: Callable[..., Engine] = Engine.create

    def counted(model: VDSR, **options: Any) -> Engine:
        calls.append((model.config.depth, options))
        return create(model, **{**options, "device": "cpu", "precision": "fp32"})

    monkeypatch.setattr(Engine, "create", counted)
    return calls


def test_each_model_is_loaded_once_when_models_alternate(made: list[tuple[int, dict[str, Any]]]) -> None:
    engines = Engines("cpu", "fp32")
    assert made == []
    first = [engines.get(name) for name in ("a", "b")]
    for _ in range(3):
        assert [engines.get(name) for name in ("a", "b")] == first
    assert [engine.halo_px for engine in first] == [2, 3]
    assert made == [(2, {"device": "cpu", "precision": "fp32"}), (3, {"device": "cpu", "precision": "fp32"})]


def test_least_recently_used_engine_is_dropped(made: list[tuple[int, dict[str, Any]]]) -> None:
    engines = Engines("cpu", "fp32")
    assert MAX_KEPT == 2
    kept = engines.get("a")
    engines.get("b")
    engines.get("a")
    engines.get("c")
    assert engines.get("a") is kept
    engines.get("b")
    assert [depth for depth, _ in made] == [2, 3, 4, 3]


def test_missing_or_damaged_model_leaves_other_engines_kept(made: list[tuple[int, dict[str, Any]]]) -> None:
    engines = Engines("cpu", "fp32")
    kept = [engines.get("a"), engines.get("b")]
    with pytest.raises(WeightsError, match="nothing"):
        engines.get("nothing")
    damaged = paths.user_models_dir() / "c.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    with pytest.raises(WeightsError):
        engines.get("c")
    assert [engines.get("a"), engines.get("b")] == kept


def test_close_drops_all_engines(made: list[tuple[int, dict[str, Any]]], tmp_path: Path) -> None:
    engines = Engines("cpu", "fp32")
    before = engines.get("a")
    engines.close()
    assert engines.get("a") is not before
    file = paths.user_models_dir() / "b.safetensors"
    assert engines.get(str(file)).halo_px == 3
