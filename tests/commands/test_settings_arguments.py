"""What the command line says reaches the settings: each option its own field, and every field has one."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace

import pytest

from vdsr_app.commands.settings_arguments import add_settings_arguments, settings_of
from vdsr_app.core.job import FileFormat, Metadata, SaveOptions, Target, TargetKind, UpscaleSettings

SAID: list[tuple[list[str], str, object]] = [
    *((["--" + kind.value.replace("_", "-"), "3"], "target", Target(kind, 3.0)) for kind in TargetKind),
    (["--model", "photo"], "model", "photo"),
    (["--device", "cuda:1"], "device", "cuda:1"),
    (["--precision", "bf16"], "precision", "bf16"),
    (["--tile", "96"], "tile_px", 96),
    (["--self-ensemble"], "self_ensemble", True),
    (["--format", "avif"], "format", FileFormat.AVIF),
    (["--quality", "50"], "quality", 50),
    (["--bits", "16"], "bits", 16),
    (["--metadata", "private"], "metadata", Metadata.PRIVATE),
]
"""What is said, the field that it is for, and what that is then."""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(add_help=False)
    add_settings_arguments(made)
    return made


@pytest.mark.parametrize(("said", "field", "value"), SAID)
def test_each_option_changes_its_field_and_no_other(said: list[str], field: str, value: object) -> None:
    usual = UpscaleSettings()
    assert settings_of(parser().parse_args([])) == usual
    if hasattr(usual.save, field):
        expected = replace(usual, save=replace(usual.save, **{field: value}))
    else:
        expected = replace(usual, **{field: value})
    assert expected != usual
    assert settings_of(parser().parse_args(said)) == expected


def test_every_setting_has_an_option_and_every_option_is_for_a_setting() -> None:
    settings = {each.name for kind in (UpscaleSettings, SaveOptions) for each in fields(kind)} - {"save"}
    assert {field for _, field, _ in SAID} == settings
    options = {action.option_strings[0] for action in parser()._actions}
    assert {said[0] for said, _, _ in SAID} == options
