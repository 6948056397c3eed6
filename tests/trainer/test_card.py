"""Model cards: what they say, and what they must not reveal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vdsr_trainer.card import RunFacts, card_text, without_places, write_card
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.config_file import read_config
from vdsr_trainer.events import Compared
from vdsr_trainer.presets import preset

FACTS = RunFacts("My birds", "robust", 20_000, 90, 10, 4000.0, "cpu", 665_921)
COMPARED = Compared(
    20_000, 10, {"bicubic": {"2": [30.0, 0.9]}, "vdsr": {"2": [32.5, 0.93]}, "this run": {"2": [33.456, 0.95]}}
)


@pytest.fixture
def config() -> TrainConfig:
    return replace(
        preset("robust"),
        data=("/home/berta/Pictures/birds", r"C:\Users\berta\trees"),
        validation="/mnt/berta/judges/",
        exclude=("/home/berta/Pictures/birds/secret.jpg", "berta.png"),
        start_from="/home/berta/old model.safetensors",
        teacher_from="/home/berta/old teacher.safetensors",
    )


def test_card_names_folders_and_files_without_their_paths(config: TrainConfig) -> None:
    text = card_text(config, FACTS, COMPARED)
    assert "berta" not in text
    assert "home" not in text
    assert "secret" not in text
    for name in ("birds", "trees", "judges", "old model.safetensors", "old teacher.safetensors"):
        assert name in text


def test_card_describes_pictures_training_and_network(config: TrainConfig) -> None:
    text = card_text(config, FACTS, COMPARED)
    for said in (
        *("# My birds\n", "90 pictures of the folders 'birds' and 'trees'", "10 pictures of the folder 'judges'"),
        *("preset robust", "20,000 of 16 patches, 48 x 48 px", "1 hour 7 minutes on cpu", "| seed | 0 |"),
        *("20 layers of 64 channels, 665,921 parameters", "the pictures' licence decides", "no JPEG, blur or noise"),
        *("x2, x3 and x4, and any from x1.2 to x4.5", "0.1 dB is little"),
    ):
        assert said in text, said


def test_card_says_how_many_of_the_held_out_pictures_are_measured(config: TrainConfig) -> None:
    text = card_text(config, replace(FACTS, held_out=70), COMPARED)
    assert "| chosen by | 16 of 70 pictures of the folder 'judges' |" in text


def test_card_names_the_teacher() -> None:
    plain = preset("robust")
    assert "teacher |" not in card_text(plain, FACTS, COMPARED)
    from_file = card_text(replace(plain, teacher_from="/home/berta/wise.safetensors"), FACTS, COMPARED)
    assert "| teacher | a second network, which learned in an earlier run: 'wise.safetensors' |" in from_file
    assert "which learned before, for 1,500 steps" in card_text(replace(plain, teacher_steps=1500), FACTS, COMPARED)


def test_table_has_one_row_per_model_and_one_column_per_scale(config: TrainConfig) -> None:
    compared = Compared(
        *(20_000, 1),
        {
            "bicubic": {"2": [30.0, 0.9], "2 jpeg 40": [28.0, 0.8]},
            "other_model": {"2": [31.0, 0.91]},
            "this run": {"2": [33.456, 0.95], "2 jpeg 40": [29.0, 0.85]},
        },
    )
    lines = card_text(config, FACTS, compared).splitlines()
    at = lines.index("| | x2 | x2, JPEG 40 |")
    assert lines[at + 1 : at + 5] == [
        "|---|---|---|",
        "| bicubic (no network) | 30.00 / 0.9000 | 28.00 / 0.8000 |",
        r"| other\_model | 31.00 / 0.9100 |  |",
        "| **this model** | 33.46 / 0.9500 | 29.00 / 0.8500 |",
    ]
    assert any("mean over 1 picture that" in line for line in lines)


def test_card_says_when_nothing_was_measured(config: TrainConfig) -> None:
    assert "Nothing was measured." in card_text(config, FACTS, None)


def test_card_of_stopped_photo_run_reports_stop_and_degradations() -> None:
    text = card_text(replace(preset("photo"), data=("a",)), replace(FACTS, step=7, seconds=20.0, training=1), COMPARED)
    assert "stopped before its end, 20,000 steps" in text
    assert "JPEG of quality 30 to 95 on 80%, slight blur on 30% and noise on 30% of the patches" in text
    assert "for 7 steps" in text
    assert "20 seconds" in text
    assert "on 1 picture," in text


def test_card_of_run_in_epochs_reports_planned_steps_when_stopped() -> None:
    config = replace(preset("paper"), data=("a",), steps=900)  # as a run derives them from the epochs
    assert "stopped" not in card_text(config, replace(FACTS, step=900), COMPARED)
    assert "stopped before its end, 900 steps" in card_text(config, replace(FACTS, step=100), COMPARED)


def test_markup_in_name_of_start_model_is_escaped() -> None:
    text = card_text(replace(preset("quick"), data=("a",), start_from="/m/<b>x</b>.safetensors"), FACTS, COMPARED)
    assert r"starting from the model '\<b\>x" not in text  # a slash separates folders: only the last part is named
    assert r"'b\>.safetensors'" in text


@pytest.mark.parametrize("title", ["<script>", "a|b", "[x](y)", "two\nlines\n# heading", "`code`"])
def test_title_is_one_line_with_escaped_markup(config: TrainConfig, title: str) -> None:
    first, second, *_ = card_text(config, replace(FACTS, title=title), COMPARED).splitlines()
    assert first.startswith("# ")
    assert second == ""
    for c in "<>|`[]":
        assert first.count(c) == first.count(f"\\{c}")


def test_configuration_on_card_round_trips_without_paths(config: TrainConfig, tmp_path: Path) -> None:
    path = write_card(tmp_path, config, FACTS, COMPARED)
    assert path == tmp_path / "vdsr.md"
    toml = path.read_text("utf-8").split("```toml\n")[1].split("```")[0]
    (tmp_path / "config.toml").write_text(toml, "utf-8")
    assert read_config(tmp_path / "config.toml") == without_places(config)
    assert without_places(config).data == ("birds", "trees")
    assert replace(without_places(config), data=(), validation="", start_from="", teacher_from="") == replace(
        config, data=(), validation="", start_from="", teacher_from="", exclude=()
    )
