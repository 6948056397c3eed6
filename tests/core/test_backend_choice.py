"""Choice of the fastest backend by measurement, and storage of the measurements."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vdsr_app import paths
from vdsr_app.core import backend_choice, measurements
from vdsr_app.core.backend_choice import (
    Candidate,
    candidates,
    choose_backend,
    measure,
    measured,
    sample_luma,
)
from vdsr_app.core.device import Precision
from vdsr_app.core.network import VDSR, VDSRConfig, initialise
from vdsr_app.errors import DeviceError, UsageError


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VDSR_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def model() -> VDSR:
    made = VDSR(VDSRConfig(3, 16))
    initialise(made, 0)
    return made


class Fake:
    """A backend with a given speed and error; computing advances the clock of its race."""

    halo_px, kind, precision = 3, "cpu", "fp32"

    def __init__(self, race: Race, name: str) -> None:
        self.race, self.name = race, name

    def residual(self, luma, insets, token=None):
        self.race.now += self.race.seconds[self.name]
        self.race.calls.append(self.name)
        exact = backend_choice.TorchBackend(self.race.model, backend_choice.torch.device("cpu"), Precision.FP32)
        return exact.residual(luma, insets) + np.float32(self.race.errors.get(self.name, 0.0))


class Race:
    """Candidates with speeds and errors set by a test."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, model: VDSR, seconds: dict[str, float], **errors: float
    ) -> None:
        self.model, self.seconds, self.errors, self.now = model, seconds, errors, 0.0
        self.calls: list[str] = []
        monkeypatch.setattr(Candidate, "make", lambda each, model: Fake(self, each.backend))
        self.found = [Candidate(name, Precision.FP32) for name in seconds]

    def clock(self) -> float:
        return self.now

    def run(self) -> str:
        return measure(self.model, self.found, self.clock).choice.backend


@pytest.mark.parametrize(
    ("seconds", "winner"),
    [
        ({"winograd": 1.0, "torch": 3.0, "openvino": 2.5}, "winograd"),
        ({"winograd": 1.0, "torch": 0.3, "openvino": 0.25}, "openvino"),
        ({"winograd": 1.0, "torch": 0.97, "openvino": 0.98}, "winograd"),  # too small a lead to decide
    ],
)
def test_measure_chooses_the_clearly_fastest_backend(
    monkeypatch: pytest.MonkeyPatch, model: VDSR, seconds: dict[str, float], winner: str
) -> None:
    assert Race(monkeypatch, model, seconds).run() == winner


@pytest.mark.parametrize("error", [2e-3, float("nan")])
def test_measure_ignores_a_backend_that_is_not_exact_enough(
    monkeypatch: pytest.MonkeyPatch, model: VDSR, error: float
) -> None:
    assert Race(monkeypatch, model, {"winograd": 1.0, "openvino": 0.1}, openvino=error).run() == "winograd"


def test_choose_backend_accepts_a_network_that_outputs_nan(model: VDSR, own_cache: Path) -> None:
    with backend_choice.torch.no_grad():
        model.layers[1].weight.fill_(float("nan"))
    assert choose_backend(model).name in backend_choice.BACKENDS


def test_measure_times_a_hopelessly_slow_backend_once(monkeypatch: pytest.MonkeyPatch, model: VDSR) -> None:
    race = Race(monkeypatch, model, {"winograd": 1.0, "torch": 9.0})
    assert race.run() == "winograd"
    assert race.calls.count("torch") == 2
    assert race.calls.count("winograd") > 2


def test_measured_reuses_a_stored_measurement(monkeypatch: pytest.MonkeyPatch, model: VDSR, own_cache: Path) -> None:
    race = Race(monkeypatch, model, {"winograd": 1.0, "torch": 0.2})
    first = measured(model, race.found, race.clock)
    calls = len(race.calls)
    assert measured(model, race.found, race.clock) == first
    assert len(race.calls) == calls
    assert first.choice.backend == "torch"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"x": 1}', b"\xff\xfe", None])
def test_damaged_measurements_file_is_rebuilt(
    monkeypatch: pytest.MonkeyPatch, model: VDSR, own_cache: Path, content: bytes | None
) -> None:
    race = Race(monkeypatch, model, {"winograd": 1.0, "torch": 0.2})
    if content is None:
        measured(model, race.found, race.clock)
        known = json.loads(paths.measurements_file().read_text())
        content = json.dumps({key: {"choice": "torch fp64", "mpx_per_s": {}} for key in known}).encode()
    paths.measurements_file().write_bytes(content)
    assert measured(model, race.found, race.clock).choice.backend == "torch"
    assert json.loads(paths.measurements_file().read_text())


def test_measured_measures_again_when_a_package_version_changes(
    monkeypatch: pytest.MonkeyPatch, model: VDSR, own_cache: Path
) -> None:
    race = Race(monkeypatch, model, {"winograd": 1.0, "torch": 0.2})
    measured(model, race.found, race.clock)
    calls = len(race.calls)
    monkeypatch.setattr(measurements, "package_version", lambda package: "9.9")
    measured(model, race.found, race.clock)
    assert len(race.calls) > calls


def test_measured_tolerates_an_unwritable_cache_folder(
    monkeypatch: pytest.MonkeyPatch, model: VDSR, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("VDSR_CACHE", str(tmp_path / "file" / "below"))
    race = Race(monkeypatch, model, {"winograd": 1.0, "torch": 0.2})
    assert measured(model, race.found, race.clock).choice.backend == "torch"


def test_every_backend_matches_torch(model: VDSR, own_cache: Path) -> None:
    luma = sample_luma(90)
    from vdsr_app.core.engine import Engine

    exact = Engine(choose_backend(model, "torch", "fp32")).upscale_luma(luma)
    for each in candidates(model, "fp32"):
        assert (
            np.abs(Engine(each.make(model)).upscale_luma(luma, tile_px=32) - exact).max() < 1e-5 * np.abs(exact).max()
        ), each


def test_openvino_split_preserves_luma_in_bf16() -> None:
    from vdsr_app.core.backend_openvino import _rounded, _split

    luma = sample_luma(40)
    coarse, rest, again = _split(luma)
    assert (coarse == again).all()
    assert np.abs(coarse + _rounded(rest) - luma).max() < 2.0**-16


@pytest.mark.parametrize(
    ("backend", "precision", "width", "error"),
    [
        ("fastest", "auto", 16, UsageError),
        ("winograd", "auto", 20, UsageError),
        ("winograd", "bf16", 16, UsageError),
        ("torch", "fp64", 16, UsageError),
    ],
)
def test_choose_backend_rejects_impossible_requests(
    backend: str, precision: str, width: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        choose_backend(VDSR(VDSRConfig(3, width)), backend, precision)


@pytest.mark.parametrize(("beside_qt", "asked"), [(True, False), (False, True)])
def test_auto_considers_openvino_only_when_qt_is_not_loaded(
    monkeypatch: pytest.MonkeyPatch, own_cache: Path, model: VDSR, beside_qt: bool, asked: bool
) -> None:
    seen: list[bool] = []
    real = backend_choice.candidates

    def candidates(*arguments: object, openvino: bool, **named: object) -> list[Candidate]:
        seen.append(openvino)
        return real(*arguments, openvino=False, **named)[:1]  # type: ignore[arg-type]

    monkeypatch.setattr(backend_choice, "candidates", candidates)
    monkeypatch.setattr(backend_choice, "_beside_qt", lambda: beside_qt)
    choose_backend(model)
    assert seen == [asked]


def test_openvino_is_no_candidate_and_rejected_when_not_installed(monkeypatch: pytest.MonkeyPatch, model: VDSR) -> None:
    monkeypatch.setattr(backend_choice.backend_openvino, "installed", lambda: False)
    assert {each.backend for each in candidates(model, openvino=True)} == {"winograd", "torch"}
    with pytest.raises(DeviceError, match="not installed"):
        choose_backend(model, "openvino")


def test_kept_returns_stored_measurements_and_ignores_damaged_ones(
    monkeypatch: pytest.MonkeyPatch, model: VDSR, own_cache: Path
) -> None:
    assert measurements.kept() == {}
    race = Race(monkeypatch, model, {"winograd": 1.0, "torch": 0.5})
    measured(model, race.found, race.clock)
    (entry,) = measurements.kept().values()
    assert entry.choice == "torch fp32"
    assert entry.mpx_per_s.keys() == {"winograd fp32", "torch fp32"}
    paths.measurements_file().write_text(json.dumps({"a": 1, "b": {"choice": "x", "mpx_per_s": {"x": "fast"}}}))
    assert measurements.kept() == {}


def test_reused_measurement_becomes_the_last_used(
    monkeypatch: pytest.MonkeyPatch, model: VDSR, own_cache: Path
) -> None:
    race = Race(monkeypatch, model, {"winograd": 1.0, "torch": 0.5})
    shape = model.config.depth, model.config.width
    first = measured(model, race.found, race.clock)
    second = measured(model, race.found[:1], race.clock)
    assert measurements.last_mpx_per_s(*shape) == second.mpx_per_s["winograd fp32"]
    calls = len(race.calls)
    assert measured(model, race.found, race.clock) == first
    assert len(race.calls) == calls
    assert measurements.last_mpx_per_s(*shape) == first.mpx_per_s["torch fp32"]


@pytest.mark.skipif(not backend_choice.backend_openvino.installed(), reason="OpenVINO is not installed")
def test_openvino_matches_torch(own_cache: Path) -> None:
    # In a process of its own, without Qt: see `_beside_qt`.
    script = """
import numpy as np
from vdsr_app.core.backend_choice import choose_backend, sample_luma
from vdsr_app.core.engine import Engine
from vdsr_app.core.network import VDSR, VDSRConfig, initialise
model = VDSR(VDSRConfig(5, 16))
initialise(model, 0)
luma = sample_luma(90)
luma.flags.writeable = False
exact = Engine(choose_backend(model, "torch", "fp32")).upscale_luma(luma)
for tile_px in (32, None):
    made = Engine(choose_backend(model, "openvino", "fp32")).upscale_luma(luma, tile_px=tile_px)
    assert np.abs(made - exact).max() < 1e-5 * np.abs(exact).max()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)
