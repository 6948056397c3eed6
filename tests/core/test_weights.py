"""Weight files: round trip, rejection of every kind of damage with one clear error, and installed models."""

from __future__ import annotations

import json
import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from vdsr_app import paths
from vdsr_app.core.models import (
    AUTO_MODEL,
    describe_model,
    find_model,
    install_model,
    installed_models,
    model_digest,
    persistent_name,
)
from vdsr_app.core.network import VDSR, VDSRConfig, initialise
from vdsr_app.core.weight_header import read_shape
from vdsr_app.core.weights import load_model, load_weights, save_weights
from vdsr_app.errors import WeightsError


def _model(depth: int = 4, width: int = 8, residual: bool = True) -> VDSR:
    model = VDSR(VDSRConfig(depth, width, residual))
    initialise(model, 1)
    return model


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    save_weights(_model(), path, {"title": "Small one"})
    return path


@pytest.mark.parametrize("residual", [True, False])
def test_weights_and_metadata_round_trip(tmp_path: Path, residual: bool) -> None:
    model = _model(residual=residual)
    checksum = save_weights(model, tmp_path / "a.safetensors", {"title": "A"})
    loaded = load_weights(tmp_path / "a.safetensors")
    assert loaded.model.config == model.config
    assert loaded.metadata["title"] == "A"
    assert loaded.checksum == checksum
    luma = torch.rand(1, 1, 12, 9)
    with torch.no_grad():
        assert torch.equal(loaded.model(luma), model(luma))


def test_flipped_bits_are_detected(file: Path) -> None:
    good = file.read_bytes()
    start = 8 + struct.unpack("<Q", good[:8])[0]
    for position in range(start, len(good), 97):
        for bit in (0, 6):
            bad = bytearray(good)
            bad[position] ^= 1 << bit
            file.write_bytes(bad)
            with pytest.raises(WeightsError):
                load_weights(file)


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 9, 200, 3000])
def test_truncated_file_is_rejected(file: Path, keep: int) -> None:
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(WeightsError):
        load_weights(file)


def test_trailing_bytes_are_rejected(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"PK\x03\x04")
    with pytest.raises(WeightsError):
        load_weights(file)


def _with(change: Callable[[dict[str, torch.Tensor]], None], path: Path) -> Path:
    tensors = {name: tensor.clone() for name, tensor in _model().state_dict().items()}
    change(tensors)
    safetensors.torch.save_file(tensors, path)
    return path


def _set(name: str, value: torch.Tensor) -> Callable[[dict[str, torch.Tensor]], None]:
    return lambda tensors: tensors.__setitem__(name, value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_set("layers.1.bias", torch.full((8,), float("nan"))), "layers.1.bias.* not finite"),
        (_set("layers.1.bias", torch.full((8,), float("inf"))), "layers.1.bias.* not finite"),
        (_set("layers.1.bias", torch.full((8,), 1e30)), "layers.1.bias.*no trained network"),
        (_set("layers.1.weight", torch.zeros(8, 8, 5, 5)), "layers.1.weight.*shape"),
        (_set("layers.1.weight", torch.zeros(8, 7, 3, 3)), "layers.1.weight.*shape"),
        (_set("layers.1.weight", torch.zeros(8, 8, 3, 3, dtype=torch.float64)), "layers.1.weight.*float32"),
        (_set("layers.1.weight", torch.zeros(8, 8, 3, 3, dtype=torch.complex64)), "layers.1.weight.*float32"),
        (lambda tensors: tensors.pop("layers.2.bias"), "layers"),
        (_set("layers.9.weight", torch.zeros(1)), "layers"),
        (lambda tensors: tensors.clear(), "no VDSR"),
    ],
)
def test_invalid_tensors_are_rejected_by_name(
    tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], None], said: str
) -> None:
    with pytest.raises(WeightsError, match=said):
        load_weights(_with(change, tmp_path / "bad.safetensors"))


def test_valid_file_without_checksum_is_accepted(tmp_path: Path) -> None:
    assert load_weights(_with(lambda tensors: None, tmp_path / "plain.safetensors")).model.config.depth == 4


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\xff" * 8 + b"{}", struct.pack("<Q", 2) + b"[]", b"PK\x03\x04" + b"\0" * 90]
)
def test_files_of_other_kinds_are_rejected(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError):
        load_weights(path)


def test_missing_file_and_folder_are_rejected(tmp_path: Path) -> None:
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(WeightsError):
            load_weights(path)


def test_non_finite_weights_are_not_saved(tmp_path: Path) -> None:
    model = _model()
    with torch.no_grad():
        model.layers[0].bias[0] = float("nan")
    with pytest.raises(WeightsError):
        save_weights(model, tmp_path / "x.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_install_model_does_not_overwrite_an_invalid_file(file: Path) -> None:
    other = paths.user_models_dir() / "small.safetensors"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"half of something")
    assert install_model(file).name == "small-2"
    assert install_model(file).name == "small-2"
    assert other.read_bytes() == b"half of something"


def test_model_is_installed_once_and_found_by_name(file: Path) -> None:
    info = install_model(file)
    assert info.path.parent == paths.user_models_dir()
    assert install_model(file) == info
    assert find_model("small").title == "Small one"
    assert "small" in [model.name for model in installed_models()]
    save_weights(_model(3), file, {})
    assert install_model(file).name == "small-2"


def test_identical_file_is_not_installed_twice_under_another_name(file: Path) -> None:
    info = install_model(file)
    renamed = file.rename(file.with_name("small (1).safetensors"))
    assert install_model(renamed) == info
    assert len(list(paths.user_models_dir().iterdir())) == 1


def test_bundled_model_can_be_installed_under_another_name(tmp_path: Path) -> None:
    bundled = find_model("vdsr")
    assert install_model(bundled.path) == bundled
    mine = install_model(shutil.copyfile(bundled.path, tmp_path / "mine.safetensors"))
    assert (mine.name, mine.bundled) == ("mine", False)


def test_install_model_rejects_invalid_and_missing_files(tmp_path: Path) -> None:
    before = installed_models()
    stranger = tmp_path / "a.safetensors"
    stranger.write_bytes(b"not a model at all")
    for path in (stranger, tmp_path / "gone.safetensors"):
        with pytest.raises(WeightsError):
            install_model(path)
    assert installed_models() == before


def test_find_model_names_the_unknown_model() -> None:
    with pytest.raises(WeightsError, match="no model 'nothing'"):
        find_model("nothing")


@pytest.mark.parametrize("path", ["gone.safetensors", "gone.SAFETENSORS", "models/gone"])
def test_find_model_reports_path_of_missing_file(path: str) -> None:
    with pytest.raises(WeightsError, match="no such weight file") as caught:
        find_model(path)
    assert caught.value.path == path


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_persistent_name_is_full_path_for_files_and_keeps_names(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_model(file)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "er", target_is_directory=True)
    mine = file.rename(tmp_path / "deep" / "mine")
    (tmp_path / "latest").symlink_to(mine)
    (tmp_path / "small").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    for requested in ("deep/mine", "link/../mine"):
        assert persistent_name(requested) == str(mine)
    assert persistent_name("latest") == str(tmp_path / "latest"), "results are named after it"
    assert persistent_name("small") == "small", "an installed model comes before a file"
    monkeypatch.setattr("vdsr_app.core.models.installed_models", lambda: pytest.fail("they were looked through"))
    for requested in (AUTO_MODEL, "vdsr", "gone", "gone.safetensors", ""):
        assert persistent_name(requested) == requested


def test_damaged_file_does_not_hide_other_installed_models(file: Path) -> None:
    install_model(file)
    (paths.user_models_dir() / "broken.safetensors").write_bytes(b"nonsense")
    names = [model.name for model in installed_models()]
    assert "small" in names
    assert "broken" not in names


def test_bundled_files_match_their_checksums() -> None:
    bundled = [model for model in installed_models() if model.bundled]
    assert bundled, "no model ships"
    for model in bundled:
        assert model.sha256 is not None, f"{model.path.name} is not in SHA256SUMS"
        assert load_model(model).metadata["sha256"]
        assert model.path.with_suffix(".md").is_file(), "a model card is missing"


@pytest.mark.shared
def test_hostile_safetensors_of_the_corpus_are_rejected(shared_dir: Path) -> None:
    rows = [line.split("\t") for line in (shared_dir / "corpus" / "INDEX.tsv").read_text("utf-8").splitlines()]
    checked = 0
    for name, *_, expected, _note in (row for row in rows if row[0].startswith("weights/")):
        if name.endswith(".safetensors") and expected.startswith("clear-error"):
            with pytest.raises(WeightsError):
                load_weights(shared_dir / "corpus" / name)
            checked += 1
    assert checked >= 5


def test_digest_of_file_that_cannot_be_read_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"cannot be read: No such file"):
        model_digest(tmp_path / "gone.safetensors")


def test_header_contains_format_and_checksum(file: Path) -> None:
    raw = file.read_bytes()
    header = json.loads(raw[8 : 8 + struct.unpack("<Q", raw[:8])[0]])["__metadata__"]
    assert header["format"] == "vdsr-1"
    assert len(header["sha256"]) == 64


def _with_header(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Change the header of a weight file, but not its payload."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    return path


@pytest.mark.parametrize("shape", [["x", 1, 3, 3], [[], 1, 3, 3], [None, 1, 3, 3]])
def test_read_shape_rejects_shape_that_is_not_numeric(file: Path, shape: list[object]) -> None:
    _with_header(file, lambda header: header["layers.0.weight"].update(shape=shape))
    with pytest.raises(WeightsError, match="no VDSR network"):
        read_shape(file)


def test_title_is_cleaned_to_one_line_or_falls_back_to_file_name(file: Path) -> None:
    _with_header(file, lambda header: header["__metadata__"].update(title=" two\nlines \x1b[31mred\ud800 "))
    assert describe_model(file).title == "two lines [31mred"
    _with_header(file, lambda header: header["__metadata__"].update(title="\0"))
    assert describe_model(file).title == "small"
