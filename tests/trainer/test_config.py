"""Configuration: TOML round trips, presets and their usual rates, and errors that name the wrong value."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdsr_app.errors import ConfigError
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.config_file import apply_values, read_config, to_toml
from vdsr_trainer.presets import PRESETS, preset, preset_of, starting_from

ROOT = Path(__file__).parents[2]
EXPERIMENTS = sorted((ROOT / "trainer" / "experiments").glob("*/config.toml"))


def test_every_key_is_documented() -> None:
    page = (ROOT / "docs" / "training.md").read_text("utf-8")
    assert [each.name for each in fields(TrainConfig) if f"`{each.name}`" not in page] == []


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_preset_of_ignores_pictures_and_device(name: str) -> None:
    for recipe in (preset(name), starting_from(preset(name), "mine.safetensors", 5, 16)):
        elsewhere = replace(recipe, data=("birds",), validation="cats", device="cpu", threads=2)
        assert preset_of(elsewhere) == name
        assert preset_of(replace(elsewhere, momentum=0.5)) == ""
    assert (preset_of(replace(preset(name), steps=77)) == name) == (name == "paper")


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.parent.name)
def test_experiment_config_is_independent_of_base_preset(path: Path) -> None:
    """A key missing from its file would take the preset's current value, and the documented command would change."""
    plain = read_config(path)
    assert read_config(path, preset("robust")) == plain
    assert read_config(path, starting_from(preset("robust"), "vdsr")) == plain


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.parent.name)
def test_experiment_readme_agrees_with_config_and_model_cards(path: Path) -> None:
    text = (path.parent / "README.md").read_text("utf-8")
    given = "--start-from" in text
    assert given == bool(read_config(path).start_from), "an installed name is another model one day"
    for model in ("vdsr", "photo"):
        card = (ROOT / "models" / f"{model}.md").read_text("utf-8")
        assert f"models/{model}.safetensors" not in text or f"{path.parent.name}/" in card


def test_experiments_are_found() -> None:
    assert "clean-291" in [path.parent.name for path in EXPERIMENTS]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_round_trip_through_toml(tmp_path: Path, name: str) -> None:
    (tmp_path / "run.toml").write_text(to_toml(preset(name)), "utf-8")
    assert read_config(tmp_path / "run.toml") == preset(name)


@given(folder=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), seed=st.integers(0, 2**63 - 1))
def test_any_text_round_trips_through_toml(tmp_path_factory: pytest.TempPathFactory, folder: str, seed: int) -> None:
    config = replace(TrainConfig(), data=(folder, 'quote " back \\ slash'), seed=seed, rate=1e-9)
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(to_toml(config), "utf-8")
    assert read_config(path) == config


def test_paper_preset_matches_published_recipe() -> None:
    paper = preset("paper")
    assert (paper.optimizer, paper.rate, paper.momentum, paper.weight_decay) == ("sgd", 0.1, 0.9, 1e-4)
    assert (paper.batch, paper.patch_px, paper.depth, paper.scales) == (64, 41, 20, (2.0, 3.0, 4.0))
    assert paper.fixed_share == 1.0
    assert paper.clip_theta > 0


def test_starting_from_uses_relative_rates_unless_a_rate_is_given() -> None:
    base = starting_from(preset("robust"), "vdsr")
    assert base.relative_rates
    assert apply_values(base, {"steps": 5}).relative_rates
    given = apply_values(base, {"rate": 1e-4})  # as in a file from before relative rates existed
    assert (given.rate, given.relative_rates) == (1e-4, False)
    assert apply_values(base, {"rate": 1e-3, "relative_rates": True}).relative_rates
    sgd = starting_from(preset("paper"), "vdsr")
    assert (sgd.rate, sgd.relative_rates) == (pytest.approx(0.02), False)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_optimizer_brings_its_usual_rates_unless_a_rate_is_given(name: str) -> None:
    robust = preset("robust")
    chosen = apply_values(robust, {"optimizer": name})
    usual = preset("paper").rate if name == "sgd" else 1e-3
    assert (chosen.optimizer, chosen.rate, chosen.loss) == (name, usual, robust.loss)
    assert bool(chosen.clip_theta) == (name == "sgd")
    given = {"optimizer": name, "rate": 0.03}
    assert apply_values(TrainConfig(), given) == replace(TrainConfig(), **given)  # as in the file of an old run
    refined = apply_values(starting_from(robust, "vdsr"), {"optimizer": name})
    assert refined.relative_rates == (name == "adam")
    assert refined.rate < chosen.rate
    assert apply_values(chosen, {"optimizer": "muon"}) == robust


@pytest.mark.parametrize(
    ("base", "like", "values", "rate"),
    [
        (preset("robust"), "robust", {"relative_rates": True}, 5e-3),
        (preset("robust"), "robust", {"relative_rates": True, "start_from": "vdsr"}, 5e-4),
        (preset("robust"), "robust", {"relative_rates": True, "optimizer": "adam"}, 5e-3),
        (preset("robust"), "robust", {"optimizer": "adam", "start_from": "vdsr"}, 5e-4),
        (starting_from(preset("robust"), "vdsr"), "robust", {"relative_rates": False}, 4e-5),
        (starting_from(preset("quick"), "vdsr"), "quick", {"relative_rates": False}, 2e-4),
        (starting_from(preset("robust"), "vdsr"), "robust", {"relative_rates": True}, 5e-4),
        (preset("robust"), "robust", {"relative_rates": True, "optimizer": "sgd"}, 0.1),
        (preset("robust"), "robust", {"relative_rates": True, "rate": 3e-3}, 3e-3),
    ],
)
def test_other_kind_of_rate_brings_its_usual_rate_unless_one_is_given(
    base: TrainConfig, like: str, values: dict[str, object], rate: float
) -> None:
    chosen = apply_values(base, values, like=preset(like))
    assert chosen.rate == pytest.approx(rate)
    assert {name: getattr(chosen, name) for name in values} == values


@pytest.mark.parametrize("text", ["\r", "\x00\x1f\x7f", 'a "quoted" \\ name', "tab\tand\nline", "日本"])
def test_special_characters_round_trip_through_toml(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    config = replace(TrainConfig(), data=(text,), start_from=text)
    path.write_bytes(to_toml(config).encode())
    assert read_config(path) == config


def test_to_toml_rejects_names_that_are_not_utf8() -> None:
    with pytest.raises(ConfigError, match="not UTF-8"):
        to_toml(replace(TrainConfig(), data=("caf\udce9",)))


def test_starting_from_reduces_steps_and_epochs() -> None:
    assert starting_from(PRESETS["robust"], "vdsr").steps == PRESETS["robust"].steps * 2 // 5
    assert starting_from(PRESETS["paper"], "vdsr").epochs == 32


def test_error_for_mistyped_key_suggests_nearest_key(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("bach = 3\n")
    with pytest.raises(ConfigError, match=r"'bach'.*Did you mean 'batch'"):
        read_config(tmp_path / "run.toml")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"batch": "many"}, "batch.*whole number"),
        ({"batch": True}, "batch.*whole number"),
        ({"batch": 0}, "batch.*outside"),
        ({"rate": "fast"}, "rate.*a number"),
        ({"rate": float("nan")}, "rate.*outside"),
        ({"residual": 1}, "residual.*true or false"),
        ({"optimizer": "magic"}, "optimizer.*muon"),
        ({"scales": []}, "scales"),
        ({"scales": [0.5]}, "scales"),
        ({"scales": [1]}, "scales.*above 1"),
        ({"scales": ["two"]}, "scales.*numbers"),
        ({"data": [1]}, "data.*strings"),
        ({"data": ""}, "no name"),
        ({"rate": 10**400}, "rate is too large"),
        ({"scales": [10**400]}, "scales.*too large"),
        ({"batch": 10**5000}, "batch is too large"),
        ({"residual": 10**5000}, "residual.*too large"),
        ({"scale_min": 4.0, "scale_max": 2.0}, "scale_min"),
        ({"shrunk_copies": [1.5]}, "shrunk_copies"),
        ({"consistency": -1.0}, "consistency.*outside"),
    ],
)
def test_apply_values_rejects_wrong_values_by_name(values: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        apply_values(TrainConfig(), values)


def test_unreadable_files_and_unknown_presets_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path / "missing.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe = [")
    with pytest.raises(ConfigError, match="not valid TOML"):
        read_config(tmp_path / "bad.toml")
    (tmp_path / "deep.toml").write_text("scales = " + "[" * 5000)
    with pytest.raises(ConfigError, match="nested too deeply"):
        read_config(tmp_path / "deep.toml")
    with pytest.raises(ConfigError, match="no preset 'best'"):
        preset("best")


def test_read_config_accepts_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "marked.toml").write_bytes(b"\xef\xbb\xbfbatch = 7\n")
    assert read_config(tmp_path / "marked.toml").batch == 7


def test_chosen_width_takes_precedence_over_symmetry_of_preset() -> None:
    assert apply_values(preset("robust"), {"width": 6}).symmetry == "none"
    assert apply_values(preset("robust"), {"width": 12}).symmetry == "p4"
    with pytest.raises(ConfigError, match="width = 6 is not a multiple of 4"):
        apply_values(preset("robust"), {"width": 6, "symmetry": "p4"})
