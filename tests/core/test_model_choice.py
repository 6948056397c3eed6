"""Which model is chosen for a picture, automatically by the compression of its file or as requested."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vdsr_app import paths
from vdsr_app.core.compression import Compression
from vdsr_app.core.formats import SourceFormat
from vdsr_app.core.job import UpscaleSettings
from vdsr_app.core.model_choice import (
    AUTO_MODEL,
    CLEAN_MODEL,
    PHOTO_MAX_QUALITY,
    PHOTO_MODEL,
    ChoiceReason,
    ModelChoice,
    choose_model,
    photo_installed,
)
from vdsr_app.core.models import install_model, installed_models

Install = Callable[..., None]
JPEG_50 = Compression(SourceFormat.JPEG, 50)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts weight files with a valid header among the bundled models, or among the user's own."""
    bundled = tmp_path / "bundled"
    monkeypatch.setattr(paths, "models_dir", lambda: bundled)

    def put(*names: str, own: bool = False) -> None:
        for name in names:
            weight_file((paths.user_models_dir() if own else bundled) / f"{name}.safetensors", name)

    return put


def weight_file(path: Path, title: str) -> Path:
    header = json.dumps({"__metadata__": {"title": title}}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    return path


@pytest.mark.parametrize(
    ("quality", "name", "reason"),
    [
        (1, PHOTO_MODEL, ChoiceReason.COMPRESSED),
        (75, PHOTO_MODEL, ChoiceReason.COMPRESSED),
        ("most", PHOTO_MODEL, ChoiceReason.COMPRESSED),
        ("more", CLEAN_MODEL, ChoiceReason.FINE),
        (100, CLEAN_MODEL, ChoiceReason.FINE),
    ],
)
@pytest.mark.parametrize("kind", [SourceFormat.JPEG, SourceFormat.WEBP, SourceFormat.AVIF])
def test_photo_model_is_chosen_up_to_its_maximum_quality(
    install: Install, kind: SourceFormat, quality: int | str, name: str, reason: ChoiceReason
) -> None:
    install("vdsr", "photo")
    named = {"most": PHOTO_MAX_QUALITY[kind], "more": PHOTO_MAX_QUALITY[kind] + 1}
    compression = Compression(kind, quality if isinstance(quality, int) else named[quality])
    assert choose_model(AUTO_MODEL, compression) == ModelChoice(name, reason, compression)


def test_clean_model_is_chosen_when_compression_is_unknown(install: Install) -> None:
    install("vdsr", "photo")
    assert choose_model(AUTO_MODEL, None) == ModelChoice(CLEAN_MODEL, ChoiceReason.NO_SIGN)


@pytest.mark.parametrize("requested", ["vdsr", "photo", "mine", "/models/auto.safetensors"])
@pytest.mark.parametrize("compression", [None, JPEG_50, Compression(SourceFormat.JPEG, 99)])
def test_requested_model_is_used(requested: str, compression: Compression | None) -> None:
    choice = choose_model(requested, compression)
    assert (choice.name, choice.reason) == (requested, ChoiceReason.REQUESTED)


def test_clean_model_is_chosen_with_reason_when_photo_model_is_missing(install: Install) -> None:
    install("vdsr")
    assert choose_model(AUTO_MODEL, JPEG_50) == ModelChoice(CLEAN_MODEL, ChoiceReason.NO_PHOTO_MODEL, JPEG_50)
    assert choose_model(AUTO_MODEL, JPEG_50, has_photo=True).name == PHOTO_MODEL
    assert choose_model(AUTO_MODEL, None).reason is ChoiceReason.NO_SIGN


def test_users_own_photo_model_is_never_chosen_automatically(install: Install) -> None:
    install("vdsr")
    install("photo", own=True)
    assert [model.name for model in installed_models()] == ["vdsr", "photo"]
    assert not photo_installed()
    assert choose_model(AUTO_MODEL, JPEG_50).name == CLEAN_MODEL


def test_no_model_is_installed_or_listed_as_auto(
    install: Install, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    install("vdsr")
    assert install_model(weight_file(tmp_path / "auto.safetensors", "Mine")).name == "auto-2"
    install("auto", own=True)
    assert [model.name for model in installed_models()] == ["vdsr", "auto-2"]
    assert "auto.safetensors" in caplog.text


def test_default_settings_use_automatic_model_choice() -> None:
    assert UpscaleSettings().model == AUTO_MODEL
    assert not UpscaleSettings().self_ensemble


def test_model_choice_does_not_import_torch() -> None:
    program = (
        "import sys; import vdsr_app.core.model_choice, vdsr_app.core.engines, vdsr_app.core.ensemble;"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
