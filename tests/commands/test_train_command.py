"""`vdsr train`: what it accepts, what it measures, what it prints."""

from __future__ import annotations

import os
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.commands.conftest import json_lines
from vdsr_app import paths
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.config_file import read_config, to_toml
from vdsr_trainer.events import Measured
from vdsr_trainer.presets import PRESETS
from vdsr_trainer.teacher.network import first_network
from vdsr_trainer.teacher.weight_file import save_teacher

TINY = """
depth = 3
width = 4
patch_px = 16
batch = 2
holdout = 1
scales = [2]
shrunk_copies = []
validate_every = 4
checkpoint_every = 4
"""


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    for seed in range(6):
        pixels = np.random.default_rng(seed).integers(0, 256, (8, 9, 3), dtype=np.uint8).repeat(9, 0).repeat(9, 1)
        Image.fromarray(pixels).save(folder / ("below" if seed % 2 else ".") / f"{seed}.png")
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


def _train(run, pictures: Path, config: Path, out: Path, *more: object) -> tuple[int, str, str]:
    options = ("--device", "cpu", "--threads", 1, *more)
    return run("train", "--data", pictures, "--out", out, "--config", config, *options)


def test_json_prints_one_event_per_line(run, pictures: Path, config: Path, tmp_path: Path) -> None:
    status, said, _ = _train(run, pictures, config, tmp_path / "run", "--steps", 8, "--json")
    events = json_lines(said)
    assert status == 0
    kinds = [event["event"] for event in events]
    assert kinds[0] == "Preparing"
    assert kinds[-1] == "Finished"
    assert {"Started", "Stepped", "Validated", "Referenced", "CheckpointSaved", "Compared"} <= set(kinds)
    assert Path(events[-1]["weights"]).is_file()
    assert [event["step"] for event in events if event["event"] == "Validated"] == [4, 8]
    assert (tmp_path / "run" / "events.jsonl").read_text().splitlines() == said.splitlines()


def test_text_output_shows_the_comparison_and_the_path_of_the_weights(
    run, pictures: Path, config: Path, tmp_path: Path
) -> None:
    status, said, noted = _train(run, pictures, config, tmp_path / "run", "--steps", 4)
    assert status == 0
    assert "5 pictures, 1 held out" in said
    assert "this run" in said
    assert str(tmp_path / "run" / "vdsr.safetensors") in said
    assert "waiting for pictures" in noted
    assert "on 1 held-out picture (" in said


def test_one_step_is_reported_in_the_singular(run, pictures: Path, config: Path, tmp_path: Path) -> None:
    said = run("train", "--measure", "--config", config, "--device", "cpu", "--threads", 1, "--steps", 1)[1]
    assert "1 step takes about" in said
    _train(run, pictures, config, tmp_path / "run", "--steps", 1)
    assert ", for 1 step." in (tmp_path / "run" / "vdsr.md").read_text()


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_each_preset_trains(run, pictures: Path, config: Path, tmp_path: Path, preset: str) -> None:
    status, said, _ = _train(run, pictures, config, tmp_path / "run", "--preset", preset, "--steps", 4, "--json")
    assert status == 0
    assert json_lines(said)[-1]["complete"]
    kept = read_config(tmp_path / "run" / "config.toml")
    assert kept.optimizer == PRESETS[preset].optimizer
    assert (kept.depth, kept.steps, kept.epochs) == (3, 4, 0)


def test_preset_name_is_empty_for_custom_settings(
    run, pictures: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named: list[str] = []
    monkeypatch.setattr("vdsr_trainer.loop.train", lambda *_, preset, **__: named.append(preset))
    _train(run, pictures, config, tmp_path / "run")
    _train(run, pictures, config, tmp_path / "run", "--preset", "quick")
    config.write_text(to_toml(PRESETS["photo"]))
    _train(run, pictures, config, tmp_path / "run")
    assert run("train", "--data", pictures, "--out", tmp_path / "run")[0] == 0
    assert named == ["", "quick", "photo", "robust"]


def test_epochs_are_converted_to_steps(run, pictures: Path, config: Path, tmp_path: Path) -> None:
    config.write_text(TINY + "epochs = 2\n")
    status, said, _ = _train(run, pictures, config, tmp_path / "run", "--preset", "paper", "--json")
    assert status == 0
    started = next(event for event in json_lines(said) if event["event"] == "Started")
    # Five pictures of 81 x 72 px have 5 x 4 patches of 16 px each; two of them make a batch.
    assert started["steps"] == 2 * 5 * 20 // 2
    assert json_lines(said)[-1]["step"] == started["steps"]


def test_progress_bar_of_an_epoch_run_shows_the_converted_steps(
    run, pictures: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    shown = Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    config.write_text(TINY + "epochs = 1\n")
    status, said, _ = _train(run, pictures, config, tmp_path / "run", "--preset", "paper")
    assert status == 0
    assert "step 0 of 50" in said
    assert "0.0/50.0 steps" in shown.getvalue()
    assert "20000" not in shown.getvalue()


@pytest.mark.parametrize("by", ["name", "file"])
def test_start_from_refines_a_model(run, tiny: str, pictures: Path, config: Path, tmp_path: Path, by: str) -> None:
    config.write_text("patch_px = 16\nbatch = 2\nholdout = 1\nscales = [2]\nshrunk_copies = []\n")
    model = tiny if by == "name" else paths.user_models_dir() / "tiny.safetensors"
    status, said, _ = _train(run, pictures, config, tmp_path / "run", "--start-from", model, "--steps", 4, "--json")
    assert status == 0
    kept = read_config(tmp_path / "run" / "config.toml")
    assert (kept.depth, kept.width) == (3, 4)
    assert kept.start_from == str(model)
    assert kept.muon_rate == pytest.approx(PRESETS["robust"].muon_rate / 5)
    assert (kept.relative_rates, kept.rate) == (True, 5e-4)  # relative to the weights
    first = next(event for event in json_lines(said) if event["event"] == "Validated")
    assert first["step"] == 0


def test_start_from_option_overrides_the_configuration(
    run, tiny: str, pictures: Path, config: Path, tmp_path: Path
) -> None:
    config.write_text(TINY.replace("depth = 3", "depth = 5") + "start_from = 'the one before'\nmuon_rate = 0.0015\n")
    status, _, err = _train(run, pictures, config, tmp_path / "run", "--start-from", tiny, "--steps", 2)
    assert status == 0, err
    kept = read_config(tmp_path / "run" / "config.toml")
    assert (kept.start_from, kept.depth, kept.width) == (tiny, 3, 4)
    assert kept.muon_rate == 0.0015, "the file's recipe counts"


@pytest.mark.parametrize("name", ["mine", "mine.safetensors"])
def test_start_from_stores_the_absolute_path_of_a_weight_file(
    run, tiny: str, pictures: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (paths.user_models_dir() / "tiny.safetensors").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    status, _, err = _train(run, pictures, config, tmp_path / "run", "--start-from", name, "--steps", 2)
    assert status == 0, err
    assert read_config(tmp_path / "run" / "config.toml").start_from == str(tmp_path / name)


def test_relative_paths_in_a_configuration_become_absolute(
    run, tiny: str, pictures: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pictures.parent)
    model = paths.user_models_dir() / "tiny.safetensors"
    begins = os.path.relpath(model, pictures.parent)
    config.write_text(TINY + f"data = ['{pictures.name}']\nstart_from = '{begins}'\n")
    status, _, err = run("train", "--config", config, "--out", tmp_path / "run", "--steps", 2)
    assert status == 0, err
    kept = read_config(tmp_path / "run" / "config.toml")
    assert (kept.data, kept.start_from) == ((str(pictures),), str(model))


def test_resume_rejects_preset_and_start_from(run, tmp_path: Path) -> None:
    status, _, err = run("train", "--resume", tmp_path, "--preset", "quick")
    assert status == 2
    assert "--preset cannot change" in err
    status, _, err = run("train", "--resume", tmp_path, "--start-from", "vdsr")
    assert "--start-from cannot change" in err


def test_resume_rejects_fewer_steps_than_are_done(run, pictures: Path, config: Path, tmp_path: Path) -> None:
    _train(run, pictures, config, tmp_path / "run", "--steps", 2)
    status, said, noted = run("train", "--resume", tmp_path / "run", "--steps", 1)
    assert (status, said) == (2, "")
    assert "stands at step 2 already, beyond the 1 step" in noted


def test_measure_reports_seconds_per_step_but_no_total_for_epochs(run, config: Path) -> None:
    few = ("--preset", "paper", "--config", config, "--threads", 1, "--device", "cpu")
    status, said, _ = run("train", "--measure", *few)
    assert status == 0
    assert "s a step" in said
    assert "the pictures decide" in said
    assert "20,000" not in said


def test_rejects_depth_option_that_differs_from_the_model_to_start_from(
    run, tiny, pictures: Path, config: Path, tmp_path: Path
) -> None:
    status, said, err = _train(run, pictures, config, tmp_path / "run", "--start-from", tiny, "--depth", 12)
    assert (status, said) == (2, "")
    assert "'tiny' has 3 convolutions" in err
    assert not (tmp_path / "run").exists()


def test_rejects_depth_in_file_that_differs_from_the_model_to_start_from(
    run, tiny, pictures: Path, config: Path, tmp_path: Path
) -> None:
    config.write_text(TINY.replace("depth = 3", "depth = 5") + f"start_from = '{tiny}'\n")
    status, said, err = _train(run, pictures, config, tmp_path / "run")
    assert (status, said) == (2, "")
    assert f"'{tiny}' has 3 convolutions of 4 channels, the run 5 of 4." in err
    assert not (tmp_path / "run").exists()


def test_missing_model_to_start_from_is_named(run, pictures: Path, config: Path, tmp_path: Path) -> None:
    status, _, err = _train(run, pictures, config, tmp_path / "run", "--start-from", "nothing")
    assert status == 1
    assert "There is no model 'nothing'" in err
    assert not (tmp_path / "run").exists()


def test_measure_reports_the_cost_and_writes_nothing(run, config: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    status, said, _ = run("train", "--measure", "--config", config, "--threads", 1, "--device", "cpu", "--json")
    assert status == 0
    (measured,) = json_lines(said)
    assert measured["event"] == "Measured"
    assert measured["preset"] == "robust"
    assert measured["seconds_a_step"] > 0
    assert measured["memory_bytes"] > 2**20
    assert measured["seconds_compared"] > measured["seconds_a_trial"] > 0
    assert sorted(path for path in tmp_path.rglob("*") if "logs" not in path.parts) == [
        path for path in before if "logs" not in path.parts
    ]


def test_measure_reports_the_time_of_validations_besides_the_steps(
    run, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vdsr_trainer.dry_run.measure", lambda *_: Measured("", 0.5, 10**9, 600, 0.0, 0.0, 1.0, 2.0))
    config.write_text(TINY.replace("holdout = 1", "holdout = 10"))
    _, said, _ = run("train", "--measure", "--config", config)
    # Ten pictures at one scale factor, each measured at 150 validations and for two seconds at the end.
    assert "600 steps take about 5 min, validations and the comparison at the end 25 min" in said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("detph = 4", "Did you mean 'depth'?"),
        ("batch = 0", "batch"),
        ('scales = "two"', "scales"),
        ("steps = 3.5", "whole number"),
        ("depth = [", "not valid TOML"),
    ],
)
def test_invalid_configuration_is_reported(
    run, pictures: Path, config: Path, tmp_path: Path, line: str, said: str
) -> None:
    config.write_text(f"{line}\n")
    status, out, err = _train(run, pictures, config, tmp_path / "run")
    assert status != 0
    assert said in err
    assert out == ""
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: None, "no such folder"),
        (lambda folder: folder.mkdir(), "contains no pictures"),
        (lambda folder: (folder.mkdir(), (folder / "a.png").write_bytes(b"no picture")), "(1 unreadable)"),
    ],
)
def test_folder_without_pictures_prints_one_error(run, config: Path, tmp_path: Path, make, said: str) -> None:
    folder = tmp_path / "nothing"
    make(folder)
    status, _, err = _train(run, folder, config, tmp_path / "run")
    assert status == 1
    assert [line for line in err.splitlines() if line.startswith("error: ")] == [err.splitlines()[-1]]
    assert said in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--presets", "quick"),
        ("--measure", "--out", "x"),
        ("--measure", "--presets", "quick", "--depth", 4),
        ("--resume", "x", "--out", "y"),
        ("--out", "x"),
    ],
)
def test_wrong_usage_exits_with_status_2(
    run, tmp_path: Path, arguments: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("train", *arguments)[0] == 2


def test_teacher_from_is_used_and_stored_as_an_absolute_path(
    run, pictures: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_teacher(first_network((2,), 3, 8, 1), tmp_path / "wise.safetensors")
    monkeypatch.chdir(tmp_path)
    config.write_text(TINY + 'teacher_from = "wise.safetensors"\n')
    status, said, err = _train(run, pictures, config, tmp_path / "run", "--steps", 4, "--json")
    assert status == 0, err
    assert [e["total"] for e in json_lines(said) if e["event"] == "Preparing" and e["what"] == "answers"][-1] == 5
    assert read_config(tmp_path / "run" / "config.toml").teacher_from == str(tmp_path / "wise.safetensors")


def test_measure_counts_only_the_answers_of_a_trained_teacher(run, config: Path) -> None:
    def costs(teacher: str) -> tuple[bool, bool]:
        config.write_text(TINY + teacher)
        status, said, _ = run("train", "--measure", "--config", config, "--device", "cpu", "--threads", 1, "--json")
        assert status == 0
        measured = json_lines(said)[-1]
        return measured["seconds_before"] > 0.0, measured["seconds_a_megapixel"] > 0.0

    assert costs("") == (False, False)
    assert costs('teacher_from = "nowhere.safetensors"\nteacher_steps = 9\nteacher_width = 8\n') == (False, True)
    assert costs("teacher_steps = 9\nteacher_width = 8\n") == (True, True)


def test_rates_of_the_preset_are_used_when_the_kind_of_rate_changes(
    run, tiny: str, pictures: Path, config: Path, tmp_path: Path
) -> None:
    config.write_text(TINY + "relative_rates = false\n")
    few = ("--preset", "quick", "--start-from", tiny, "--steps", 2)
    status, _, err = _train(run, pictures, config, tmp_path / "run", *few)
    assert status == 0, err
    kept = read_config(tmp_path / "run" / "config.toml")
    assert (kept.relative_rates, kept.rate) == (False, pytest.approx(PRESETS["quick"].rate / 5))


@pytest.mark.parametrize("name", ["out", "preset", "data", "config", "depth", "seed", "validation", "start-from"])
def test_resume_rejects_options_that_are_fixed_from_the_start(run, tmp_path: Path, monkeypatch, name: str) -> None:
    monkeypatch.setattr("vdsr_trainer.loop.resume_config", lambda _: PRESETS["quick"])
    monkeypatch.setattr("vdsr_trainer.loop.train", lambda *_, **__: pytest.fail("it went on"))
    value = {"preset": "photo", "depth": 4, "seed": 1}.get(name, tmp_path / "x")
    status, _, err = run("train", "--resume", tmp_path, f"--{name}", value)
    assert status == 2
    assert f"--{name} cannot change in a resumed run" in err


@pytest.mark.parametrize("resumed", [True, False])
def test_each_option_reaches_the_run(
    run, pictures: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resumed: bool
) -> None:
    options = {"steps": 7, "checkpoint_every": 3, "device": "cpu", "threads": 1}
    if not resumed:
        options |= {"depth": 4, "seed": 9, "validation": str(pictures / "below")}
    trained: list[TrainConfig] = []
    monkeypatch.setattr("vdsr_trainer.loop.resume_config", lambda _: read_config(config))
    monkeypatch.setattr("vdsr_trainer.loop.train", lambda config, *_, **__: trained.append(config))
    where = ("--resume", tmp_path) if resumed else ("--data", pictures, "--out", tmp_path / "run", "--config", config)
    said = [each for name, value in options.items() for each in ("--" + name.replace("_", "-"), value)]
    for more in ([], said):
        assert run("train", *where, *more)[0] == 0
    usual, chosen = trained
    assert {name: getattr(chosen, name) for name in options} == options
    assert all(getattr(usual, name) != value for name, value in options.items())
    assert replace(chosen, **{name: getattr(usual, name) for name in options}) == usual
