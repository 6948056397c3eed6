"""Settings from the command line: each option sets its own field, and every field has an option."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from typing import Any

import pytest

from vdsr_app.commands import batch, upscale
from vdsr_app.commands.settings_arguments import settings_of
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
"""Arguments, the field that they set, and its value then."""


def settings(command: Any, *said: str) -> UpscaleSettings:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return settings_of(parser.parse_args(["a.png", "-o", "out", *said]))


@pytest.mark.parametrize("command", [upscale, batch], ids=["upscale", "batch"])
@pytest.mark.parametrize(("said", "field", "value"), SAID)
def test_each_option_changes_its_field_and_no_other(command: Any, said: list[str], field: str, value: object) -> None:
    usual = settings(command)
    assert usual == UpscaleSettings()
    changed = {field: value}
    in_save = hasattr(usual.save, field)
    expected = replace(usual, save=replace(usual.save, **changed)) if in_save else replace(usual, **changed)
    assert expected != usual
    assert settings(command, *said) == expected


def test_every_setting_has_an_option() -> None:
    known = {each.name for kind in (UpscaleSettings, SaveOptions) for each in fields(kind)} - {"save"}
    assert {field for _, field, _ in SAID} == known
