"""Training service apart from runs: checking pictures, dry runs, exporting and installing a result."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import onnx
import pytest

from tests.workers.fake_trainer import COMMAND
from vdsr_app import paths
from vdsr_app.core.models import installed_models
from vdsr_app.core.network import VDSR, VDSRConfig, initialise
from vdsr_app.core.weights import load_weights, save_weights
from vdsr_app.errors import TrainingError
from vdsr_app.workers.training import TrainingService
from vdsr_trainer import runs
from vdsr_trainer.data.report import PictureRecord, PreflightReport
from vdsr_trainer.events import Measured
from vdsr_trainer.presets import preset

WAIT_MS = 30_000


class Recorder:
    """Records the values that each signal carries."""

    def __init__(self, service: TrainingService) -> None:
        self.all: list[tuple[str, object]] = []
        names = ("checked", "check_failed", "measured", "measure_failed", "exported", "installed", "job_failed")
        for name in names:
            getattr(service, name).connect(lambda value, name=name: self.all.append((name, value)))
        service.check_progress.connect(lambda done, total: self.all.append(("check_progress", (done, total))))
        service.measure_finished.connect(lambda: self.all.append(("measure_finished", None)))

    def of(self, name: str) -> list:
        return [value for said, value in self.all if said == name]


@pytest.fixture
def service(qtbot) -> Iterator[TrainingService]:
    service = TrainingService(command=lambda: COMMAND)
    service.recorder = Recorder(service)
    service.wait = lambda name: qtbot.waitUntil(lambda: bool(service.recorder.of(name)), timeout=WAIT_MS)
    yield service
    assert service.close(WAIT_MS)


# --- checking pictures


@pytest.fixture
def preflight(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Replaces the check of pictures; it waits while a test keeps the gate closed."""
    fake = SimpleNamespace(gate=threading.Event(), configs=[], known=[], threads=set(), error=None)
    fake.gate.set()

    def check_pictures(config, on_progress, token, known=()):
        fake.configs.append(config)
        fake.known.append(known)
        fake.threads.add(threading.get_ident())
        for i in range(3):
            on_progress(i + 1, 3)
            assert fake.gate.wait(30)
            token.raise_if_cancelled()
        if fake.error is not None:
            raise fake.error
        return PreflightReport((PictureRecord(config.data[0], "a.png", 1, 1),), (), (), (), 1)

    module = ModuleType("vdsr_trainer.data.preflight")
    module.check_pictures = check_pictures
    monkeypatch.setitem(sys.modules, "vdsr_trainer.data.preflight", module)
    return fake


def checked_folders(service) -> list[str]:
    return [report.records[0].folder for report in service.recorder.of("checked")]


def test_check_runs_in_a_thread_and_emits_progress_and_report(service, preflight) -> None:
    config = replace(preset("quick"), data=("birds",))
    service.check(config)
    service.wait("checked")
    assert checked_folders(service) == ["birds"]
    assert service.recorder.of("check_progress")[-1] == (3, 3)
    assert preflight.configs == [config]
    assert threading.get_ident() not in preflight.threads


def test_check_is_given_records_of_last_check(service, preflight, qtbot) -> None:
    service.check(replace(preset("quick"), data=("birds",)))
    service.wait("checked")
    service.check(replace(preset("quick"), data=("birds",), holdout=3))
    qtbot.waitUntil(lambda: len(service.recorder.of("checked")) == 2)
    first, second = preflight.known
    assert first == ()
    assert second == service.recorder.of("checked")[0].records


def test_failed_check_reports_reason(service, preflight) -> None:
    preflight.error = TrainingError("There is no such folder.", path="/birds", hint="Choose another.")
    service.check(replace(preset("quick"), data=("birds",)))
    service.wait("check_failed")
    (report,) = service.recorder.of("check_failed")
    assert (report.what, report.path, report.hint) == ("There is no such folder.", "/birds", "Choose another.")


def test_new_check_replaces_running_check(service, preflight, qtbot) -> None:
    preflight.gate.clear()
    first = service.check(replace(preset("quick"), data=("birds",)))
    service.wait("check_progress")
    second = service.check(replace(preset("quick"), data=("trees",)))
    preflight.gate.set()
    service.wait("checked")
    assert first != second
    assert checked_folders(service) == ["trees"]
    assert service.recorder.of("check_failed") == []


def test_cancelled_check_emits_no_report(service, preflight) -> None:
    preflight.gate.clear()
    service.check(replace(preset("quick"), data=("birds",)))
    service.wait("check_progress")
    service.cancel_check()
    preflight.gate.set()
    service.check(replace(preset("quick"), data=("trees",)))
    service.wait("checked")
    assert checked_folders(service) == ["trees"]


# --- dry runs


def test_measure_emits_presets_first_and_changed_configurations_last(service) -> None:
    service.measure(
        {
            "quick": replace(preset("quick"), data=("birds",), exclude=("a",)),
            "mine": replace(preset("quick"), depth=7),
            "robust": preset("robust"),
        }
    )
    service.wait("measure_finished")
    assert [(each.preset, each.seconds_a_step) for each in service.recorder.of("measured")] == [
        ("quick", 0.5),
        ("robust", 0.5),
        ("mine", 7.0),
    ]
    assert [name for name, _ in service.recorder.all][-1] == "measure_finished"
    assert service.recorder.of("measure_failed") == []


def test_failed_dry_run_reports_reason_and_skips_the_rest(service) -> None:
    service.measure({"quick": preset("quick"), "paper": preset("paper"), "robust": preset("robust")})
    service.wait("measure_finished")
    assert [each.preset for each in service.recorder.of("measured")] == ["quick"]
    (report,) = service.recorder.of("measure_failed")
    assert report.what == "There is no room. Make some."
    assert len(service.recorder.of("measure_finished")) == 1


def test_cancelled_dry_run_leaves_no_process(service) -> None:
    service.measure({"photo": preset("photo")})
    service.wait("measured")
    process = service._measure._process
    pid = process.processId()
    service.cancel_measure()
    assert service.recorder.of("measure_finished") == [None]
    assert not Path(f"/proc/{pid}").exists()
    service.cancel_measure()
    assert service.recorder.of("measure_finished") == [None]


def test_new_measurement_replaces_running_measurement(service) -> None:
    service.measure({"photo": preset("photo")})
    service.wait("measured")
    service.measure({"quick": preset("quick")})
    service.wait("measure_finished")
    assert service.recorder.of("measured") == [Measured("photo", 0.5, 2**20, 100), Measured("quick", 0.5, 2**20, 100)]
    assert len(service.recorder.of("measure_finished")) == 1
    assert service.recorder.of("measure_failed") == []


def test_close_ends_dry_run(qtbot) -> None:
    service = TrainingService(command=lambda: COMMAND)
    recorder = Recorder(service)
    service.measure({"photo": preset("photo")})
    qtbot.waitUntil(lambda: bool(recorder.of("measured")), timeout=WAIT_MS)
    pid = service._measure._process.processId()
    assert service.close(WAIT_MS)
    assert not Path(f"/proc/{pid}").exists()


def test_measure_reports_program_that_cannot_be_started(qtbot, tmp_path: Path) -> None:
    service = TrainingService(command=lambda: [str(tmp_path / "nothing")])
    recorder = Recorder(service)
    service.measure({"quick": preset("quick")})
    qtbot.waitUntil(lambda: bool(recorder.of("measure_finished")), timeout=WAIT_MS)
    (report,) = recorder.of("measure_failed")
    assert "could not be started" in report.what
    assert service.close(WAIT_MS)


def test_measure_reports_missing_folder_for_temporary_files(service, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    service.measure({"mine": replace(preset("quick"), depth=7)})
    assert [name for name, _ in service.recorder.all] == ["measure_failed", "measure_finished"]
    assert "temporary files" in service.recorder.of("measure_failed")[0].what


# --- results


def trained(tmp_path: Path, title: str = "My birds", seed: int = 0) -> Path:
    run = runs.create_run(tmp_path / "runs", title, "quick", preset("quick"))
    model = VDSR(VDSRConfig(3, 4))
    initialise(model, seed)
    save_weights(model, run / "vdsr.safetensors", {"title": "as it was called", "steps": "9"})
    return run / "vdsr.safetensors"


def test_result_is_installed_under_title_of_its_run(service, tmp_path: Path) -> None:
    weights = trained(tmp_path)
    service.install(weights)
    service.wait("installed")
    (info,) = service.recorder.of("installed")
    assert (info.name, info.title, info.bundled) == ("My-birds", "My birds", False)
    assert info in installed_models()
    assert info.path.parent == paths.user_models_dir()
    assert load_weights(info.path).checksum == load_weights(weights).checksum
    assert load_weights(info.path).metadata["steps"] == "9"


def test_repeated_install_adds_one_model(service, qtbot, tmp_path: Path) -> None:
    weights = trained(tmp_path)
    for _ in range(3):
        service.install(weights)
    qtbot.waitUntil(lambda: len(service.recorder.of("installed")) == 3, timeout=WAIT_MS)
    assert len({info.name for info in service.recorder.of("installed")}) == 1
    assert len(list(paths.user_models_dir().glob("*.safetensors"))) == 1


def test_results_with_equal_titles_get_unique_names_and_titles(service, qtbot, tmp_path: Path) -> None:
    for seed in (1, 2, 2, 3):
        service.install(trained(tmp_path, "VDSR", seed))
    qtbot.waitUntil(lambda: len(service.recorder.of("installed")) == 4, timeout=WAIT_MS)
    infos = service.recorder.of("installed")
    assert infos[1] == infos[2]
    assert len({info.name for info in infos}) == len({info.title for info in infos}) == 3
    assert len({model.title for model in installed_models()}) == len(installed_models())
    bundled = {model.name for model in installed_models() if model.bundled}
    assert not bundled & {info.name for info in infos}


def test_damaged_weights_are_not_installed(service, tmp_path: Path) -> None:
    weights = trained(tmp_path)
    data = bytearray(weights.read_bytes())
    data[-3] ^= 1
    weights.write_bytes(data)
    service.install(weights)
    service.wait("job_failed")
    assert "checksum" in service.recorder.of("job_failed")[0].what
    assert not list(paths.user_models_dir().glob("*"))


def test_result_is_exported_as_onnx(service, tmp_path: Path) -> None:
    out = tmp_path / "birds.onnx"
    service.export_onnx(trained(tmp_path), out)
    service.wait("exported")
    (report,) = service.recorder.of("exported")
    assert report.path == out
    assert report.max_difference < 1e-4
    onnx.checker.check_model(onnx.load(out), full_check=True)


def test_weights_are_exported_unchanged_but_not_onto_themselves(service, tmp_path: Path) -> None:
    weights, out = trained(tmp_path), tmp_path / "birds.safetensors"
    service.export_weights(weights, out)
    service.wait("exported")
    assert service.recorder.of("exported")[0].path == out
    assert out.read_bytes() == weights.read_bytes()
    service.export_weights(weights, weights)
    service.wait("job_failed")
    assert "replace the model itself" in service.recorder.of("job_failed")[0].what


def test_export_reports_missing_folder(service, tmp_path: Path) -> None:
    service.export_onnx(trained(tmp_path), tmp_path / "nowhere" / "birds.onnx")
    service.wait("job_failed")
    assert "folder does not exist" in service.recorder.of("job_failed")[0].what


def test_importing_training_service_loads_neither_torch_nor_onnx() -> None:
    absent = ("torch", "onnx", "filelock", "PySide6.QtGui")
    code = f"import sys, vdsr_app.workers.training; print([name for name in {absent} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
