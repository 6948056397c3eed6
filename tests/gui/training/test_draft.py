"""Draft of a run in the wizard: recipe, pictures, and cost; its fields, texts, and the verdict."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from vdsr_app.core.models import ModelInfo
from vdsr_app.core.network import VDSR, VDSRConfig
from vdsr_app.core.weights import save_weights
from vdsr_app.errors import ConfigError
from vdsr_app.gui.training.draft import OWN, Draft
from vdsr_app.gui.training.recipe_fields import FieldKind, FieldSpec, field_groups, from_text, to_text
from vdsr_app.gui.training.verdict import Verdict, judge
from vdsr_app.gui.training.words import about, best_gain, date_text, gain_words, scale_key_text
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.report import PictureRecord, PreflightReport
from vdsr_trainer.events import Compared, Measured
from vdsr_trainer.presets import PRESETS, starting_from

BUNDLED = Path(__file__).resolve().parents[3] / "models" / "vdsr.safetensors"


@pytest.fixture
def draft(qapp: QApplication) -> Draft:
    draft = Draft()
    draft.begin([ModelInfo("vdsr", BUNDLED, "VDSR", bundled=True)])
    return draft


def test_draft_starts_from_bundled_model_except_with_paper_preset(draft: Draft) -> None:
    assert draft.config == starting_from(PRESETS["robust"], "vdsr")
    draft.choose_preset("paper")
    assert draft.config == PRESETS["paper"]


def test_set_start_keeps_settings_that_user_changed(draft: Draft) -> None:
    draft.set_value(batch=5, steps=777)
    draft.set_start("")
    assert (draft.config.batch, draft.config.steps) == (5, 777)
    assert draft.config.rate == PRESETS["robust"].rate
    draft.set_start("vdsr")
    assert draft.config.rate == starting_from(PRESETS["robust"], "vdsr").rate
    draft.reset()
    assert not draft.is_touched


def test_begin_drops_teacher_file_of_copied_settings(draft: Draft) -> None:
    taught = replace(PRESETS["robust"], teacher_from="/elsewhere/teacher.safetensors", teacher_steps=700)
    draft.begin([], like=taught, preset="robust")
    assert draft.config == replace(taught, teacher_from="")


@pytest.mark.parametrize("start", ["/elsewhere/mine.safetensors", "gone"])
def test_begin_keeps_start_that_is_not_installed(draft: Draft, start: str) -> None:
    like = starting_from(PRESETS["quick"], start, 4, 8)
    draft.begin([ModelInfo("vdsr", BUNDLED, "VDSR", bundled=True)], like=like, preset="quick")
    assert (draft.config, draft.is_touched) == (like, False)
    draft.set_value(seed=1)
    assert draft.config == replace(like, seed=1)
    draft.set_value(depth=5)
    assert draft.config == replace(PRESETS["quick"], depth=5, seed=1)
    draft.set_start(start)
    assert draft.config == replace(like, seed=1)


def test_set_models_keeps_start_that_is_no_longer_installed(draft: Draft) -> None:
    draft.set_models([])
    before = draft.config
    draft.set_value(seed=1)
    assert draft.config == replace(before, seed=1)
    assert draft.missing_model == "vdsr"


def test_changing_optimizer_sets_its_usual_rates(draft: Draft) -> None:
    draft.set_value(optimizer="sgd")
    paper, stock = starting_from(PRESETS["paper"], "vdsr"), starting_from(PRESETS["robust"], "vdsr")
    assert not draft.config.relative_rates
    assert (draft.config.rate, draft.config.clip_theta) == (paper.rate, paper.clip_theta)
    draft.set_start("")  # training from scratch takes larger steps
    assert (draft.config.optimizer, draft.config.rate) == ("sgd", PRESETS["paper"].rate)
    draft.set_start("vdsr")
    draft.set_value(optimizer="muon")
    assert draft.config == stock
    draft.choose_preset("paper")
    draft.set_value(optimizer="muon")
    assert (draft.config.rate, draft.config.clip_theta) == (PRESETS["robust"].rate, 0.0)


def test_rate_stays_consistent_with_relative_rates(draft: Draft) -> None:
    share = draft.config.rate
    draft.set_value(relative_rates=False)
    assert draft.config.rate == pytest.approx(PRESETS["robust"].rate / 5)
    draft.set_start("")
    draft.set_value(rate=3e-4)
    draft.set_start("vdsr")
    assert (draft.config.rate, draft.config.relative_rates) == (3e-4, False)
    draft.set_value(relative_rates=True)
    assert draft.config.rate == share
    draft.choose_preset("quick")
    draft.set_start("")
    for relative in (True, False):
        draft.set_value(relative_rates=relative)
    assert draft.config == PRESETS["quick"]


def test_changing_depth_clears_start_and_choosing_start_restores_depth(draft: Draft) -> None:
    draft.set_value(depth=9)
    assert (draft.config.start_from, draft.config.depth) == ("", 9)
    assert draft.config.rate == PRESETS["robust"].rate
    draft.set_start("vdsr")
    assert draft.config.depth == 20


def test_set_value_rejects_invalid_depth_without_changes(draft: Draft) -> None:
    before = draft.config
    with pytest.raises(ConfigError):
        draft.set_value(depth=1000)
    assert draft.config == before


def test_width_not_multiple_of_4_requires_symmetry_none(qapp: QApplication, tmp_path: Path) -> None:
    save_weights(VDSR(VDSRConfig(3, 6)), tmp_path / "six.safetensors", {"title": "Six"})
    draft = Draft()
    draft.begin([ModelInfo("six", tmp_path / "six.safetensors", "Six", bundled=False)])
    assert (draft.config.start_from, draft.config.symmetry) == ("", "p4")
    with pytest.raises(ConfigError, match="width = 6 is not a multiple of 4"):
        draft.set_value(width=6)
    draft.set_value(symmetry="p4m")
    draft.set_start("six")
    assert (draft.config.width, draft.config.symmetry) == (6, "none")
    draft.set_start("")
    draft.set_value(width=6, symmetry="none")


def test_title_follows_folder_and_preset_unless_typed(draft: Draft) -> None:
    draft.set_folders(["/x/Birds", "/x/Cats"])
    draft.choose_preset("photo")
    assert draft.title == "Birds photo"
    draft.set_title(" Mine ")
    draft.choose_preset("quick")
    assert draft.title == "Mine"
    draft.set_title("")
    assert draft.title == "Birds quick"


def test_cost_uses_preset_measurement_until_step_cost_changes(draft: Draft) -> None:
    assert draft.to_measure()["robust"] == PRESETS["robust"]  # one process measures all presets
    draft.set_measured(Measured("robust", 0.5, 1000, 20_000))
    assert draft.cost("robust") == (0.5 * draft.config.steps, 1000)
    assert draft.cost("photo") is None
    draft.set_value(steps=10)
    assert draft.cost("robust") == (5.0, 1000)
    draft.set_value(batch=3)
    assert draft.needs_measuring()
    assert draft.cost("robust") is None
    draft.set_measured(Measured(OWN, 0.1, 500, 10))
    assert draft.cost("robust") == (1.0, 500)


def test_cost_includes_teacher_time_depending_on_pictures(draft: Draft) -> None:
    draft.set_value(steps=10, teacher_steps=7)
    draft.set_measured(Measured(OWN, 0.5, 1000, 10, 60.0, 4.0))
    assert draft.cost("robust") == (65.0, 1000)
    picture = PictureRecord("/x", "a.png", 1, 1, height=1000, width=2000)
    draft.set_report(PreflightReport((picture,), (picture,), (), (), 0))
    shares = 1 + sum(share * share for share in draft.config.shrunk_copies)
    cost = draft.cost("robust")
    assert cost is not None
    assert cost[0] == pytest.approx(65.0 + 4.0 * 2.0 * shares, rel=0.01)


def test_cost_includes_validations_depending_on_held_out_pictures(draft: Draft) -> None:
    draft.set_value(steps=10, validate_every=5, holdout=10, scales=(2.0, 3.0))
    draft.set_measured(Measured("robust", 0.5, 1000, 20_000, seconds_a_trial=0.1, seconds_compared=1.0))
    # Validations at the start, after five steps and after ten.
    assert draft.cost("robust") == (pytest.approx(5.0 + 20 * (3 * 0.1 + 1.0)), 1000)
    picture = PictureRecord("/x", "a.png", 1, 1, height=1000, width=2000)
    draft.set_report(PreflightReport((picture,) * 3, (picture,), (picture,) * 2, (), 0))
    assert draft.cost("robust") == (pytest.approx(5.0 + 4 * (3 * 0.1 + 1.0)), 1000)


def test_steps_in_returns_steps_whose_total_cost_is_given_time(draft: Draft) -> None:
    draft.set_value(steps=10, validate_every=5, holdout=10, scales=(2.0, 3.0), teacher_steps=7)
    assert draft.steps_in(3600.0) is None
    draft.set_measured(Measured(OWN, 0.5, 1000, 20_000, 60.0, 4.0, seconds_a_trial=0.1, seconds_compared=1.0))
    steps = draft.steps_in(3600.0)
    assert steps is not None
    draft.set_value(steps=steps)
    draft.set_measured(Measured(OWN, 0.5, 1000, 20_000, 60.0, 4.0, seconds_a_trial=0.1, seconds_compared=1.0))
    cost = draft.cost("robust")
    assert cost is not None
    assert cost[0] == pytest.approx(3600.0, abs=5.0)  # to within one validation and five steps
    assert draft.steps_in(0.0) == 1


def test_changing_pictures_clears_report_and_stale_exclusions(draft: Draft) -> None:
    draft.set_folders(["/a"])
    draft.report = object()  # type: ignore[assignment]
    draft.set_pictures(keep_duplicates=True)
    assert draft.report is None
    draft.set_pictures(exclude=("/a/1.png",))
    draft.set_folders(["/b"])
    assert draft.config.exclude == ()


def test_set_folders_keeps_exclusions_within_remaining_folders(draft: Draft) -> None:
    draft.set_pictures(validation="/judge", data=("/a", "/b"), exclude=("/a/1.png", "/b/in/2.png", "/judge/3.png"))
    draft.set_folders(["/a", "/b", "/c"])
    assert draft.config.exclude == ("/a/1.png", "/b/in/2.png", "/judge/3.png")
    draft.set_folders(["/a", "/c"])
    assert draft.config.exclude == ("/a/1.png", "/judge/3.png")
    draft.set_pictures(exclude=("4.png",))  # relative: applies to every folder
    draft.set_folders(["/c"])
    assert draft.config.exclude == ("4.png",)


def test_draft_is_empty_until_something_is_chosen(draft: Draft) -> None:
    for choose in (
        lambda: draft.set_folders(["/a"]),
        lambda: draft.set_pictures(validation="/judge"),
        lambda: draft.choose_preset("paper"),
        lambda: draft.set_start(""),
        lambda: draft.set_value(batch=3),
        lambda: draft.set_title("Mine"),
    ):
        draft.begin([ModelInfo("vdsr", BUNDLED, "VDSR", bundled=True)])
        assert draft.is_empty
        choose()
        assert not draft.is_empty


def test_every_field_round_trips_preset_values() -> None:
    for specs in field_groups().values():
        for spec in specs:
            for config in PRESETS.values():
                value = from_text(spec, to_text(spec, config))
                assert value == getattr(config, spec.key), spec.key


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (FieldKind.YES_NO, "no", False),
        (FieldKind.SCALES, "2, 3,4", (2.0, 3.0, 4.0)),
        (FieldKind.SCALES, "1.5 2", (1.5, 2.0)),
        (FieldKind.PERCENT, "80", 0.8),
        (FieldKind.NUMBER, "1e-3", 0.001),
        (FieldKind.WHOLE, "20 000", 20_000),
    ],
)
def test_from_text_accepts_common_notations(kind: FieldKind, text: str, value: object) -> None:
    assert from_text(FieldSpec("x", "X", "", kind), text) == value


@pytest.mark.parametrize("kind", [FieldKind.SCALES, FieldKind.PERCENT, FieldKind.NUMBER, FieldKind.WHOLE])
def test_from_text_says_what_to_enter_when_text_is_no_number(kind: FieldKind) -> None:
    with pytest.raises(ValueError, match="Enter"):
        from_text(FieldSpec("x", "X", "", kind), "many")


def test_fields_are_unique_settings_of_train_config() -> None:
    keys = [spec.key for specs in field_groups().values() for spec in specs]
    assert set(keys) <= set(TrainConfig.__slots__)
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (20, "less than a minute"),
        (130, "about 2 min"),
        (1500, "about 25 min"),
        (6000, "about 1.5 h"),
        (11_000, "about 3 h"),
        (40_000, "about 11 h"),
        (260_000, "about 3 days"),
    ],
)
def test_about_rounds_times_to_estimates(seconds: float, words: str) -> None:
    assert about(seconds) == words


def test_scales_gains_and_dates_are_formatted() -> None:
    assert scale_key_text("2") == "2×"  # noqa: RUF001
    assert scale_key_text("2.5 jpeg 40") == "2.5×, from JPEG"  # noqa: RUF001
    assert gain_words(1.234, "3") == "+1.23 dB at 3×"  # noqa: RUF001
    assert gain_words(-0.5, "3") == "−0.50 dB at 3×"  # noqa: RUF001
    assert best_gain({"2": 33.0, "3": 30.0}, {"2": 30.0, "3": 29.0}) == (3.0, "2")
    assert best_gain({}, {}) is None
    assert date_text(datetime.now(UTC)).startswith("today, ")


def compared(own: float, model: float | None = None, bicubic: float = 30.0) -> Compared:
    rows = {"bicubic": {"2": [bicubic, 0.9]}, "this run": {"2": [own, 0.9]}}
    if model is not None:
        rows["vdsr"] = {"2": [model, 0.9]}
    return Compared(100, 5, rows)


@pytest.mark.parametrize(
    ("table", "verdict", "words"),
    [
        (None, Verdict.UNKNOWN, "Nothing was measured"),
        (compared(33.0, 32.0), Verdict.BETTER, "it beats VDSR by 1.00 dB"),
        (compared(31.0, 32.0), Verdict.WORSE, "loses to VDSR by 1.00 dB"),
        (compared(32.01, 32.0), Verdict.MIXED, "as good as VDSR"),
        (compared(29.0, 32.0), Verdict.WORSE, "no better than plain bicubic"),
        (compared(31.0), Verdict.BETTER, "it beats bicubic by 1.00 dB"),
    ],
)
def test_judge_compares_run_with_model_and_bicubic(table: Compared | None, verdict: Verdict, words: str) -> None:
    found, sentence = judge(table, lambda name: name.upper() if name == "vdsr" else name)
    assert found is verdict
    assert words in sentence


@pytest.mark.parametrize("back", ["choose_preset", "reset", "begin"])
def test_cost_of_changed_recipe_is_dropped_when_preset_is_restored(draft: Draft, back: str) -> None:
    draft.set_measured(Measured("robust", 0.5, 1000, 20_000))
    usual = draft.cost("robust")
    assert usual is not None
    draft.set_value(batch=3)
    draft.set_measured(Measured(OWN, 0.1, 500, 10))
    assert draft.cost("robust") != usual
    match back:
        case "choose_preset":
            draft.choose_preset("robust")
        case "reset":
            draft.reset()
        case _:
            draft.begin([ModelInfo("vdsr", BUNDLED, "VDSR", bundled=True)])
    assert draft.cost("robust") == usual
