"""`vdsr export`: from the arguments to the files."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from safetensors.torch import load_file, save_file

from vdsr_app import paths
from vdsr_app.core.weights import load_weights


def test_writes_onnx_and_safetensors(run, tiny: str, tmp_path: Path) -> None:
    onnx_file, weights = tmp_path / "a.onnx", tmp_path / "a.safetensors"
    status, said, wrong = run("export", tiny, "--onnx", onnx_file, "--safetensors", weights)
    assert (status, wrong) == (0, "")
    assert [line.split(":")[0] for line in said.splitlines()] == [str(weights), str(onnx_file)]
    onnx.checker.check_model(onnx.load(onnx_file), full_check=True)
    before = load_weights(paths.user_models_dir() / "tiny.safetensors")
    after = load_weights(weights)
    assert (after.checksum, after.metadata) == (before.checksum, before.metadata)
    assert weights.read_bytes() == (paths.user_models_dir() / "tiny.safetensors").read_bytes()


def test_weights_of_another_program_are_exported_unchanged(run, tiny: str, tmp_path: Path) -> None:
    tensors = load_file(paths.user_models_dir() / "tiny.safetensors")
    save_file(tensors, tmp_path / "plain.safetensors", {"format": "pt"})
    assert run("export", tmp_path / "plain.safetensors", "--safetensors", tmp_path / "a.safetensors")[0] == 0
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "plain.safetensors").read_bytes()


def test_rejects_an_output_that_is_the_model_itself(run, tiny: str) -> None:
    own = paths.user_models_dir() / "tiny.safetensors"
    status, _, wrong = run("export", tiny, "--safetensors", own, "--existing", "overwrite")
    assert status == 2
    assert "replace the model itself" in wrong


def test_existing_file_is_replaced_only_on_request(run, tiny: str, tmp_path: Path) -> None:
    weights, onnx_file = tmp_path / "a.safetensors", tmp_path / "a.onnx"
    onnx_file.write_bytes(b"another")
    status, said, wrong = run("export", tiny, "--safetensors", weights, "--onnx", onnx_file)
    assert (status, said) == (2, "")
    assert "--existing overwrite" in wrong
    assert not weights.exists()
    assert onnx_file.read_bytes() == b"another"
    weights.write_bytes(b"another")
    assert run("export", tiny, "--safetensors", weights)[0] == 2
    assert weights.read_bytes() == b"another"
    overwrite = ("--existing", "overwrite")
    assert run("export", tiny, "--safetensors", weights, "--onnx", onnx_file, *overwrite)[0] == 0
    assert b"another" not in (weights.read_bytes(), onnx_file.read_bytes())


def test_json_is_one_object_per_file(run, tiny: str, tmp_path: Path) -> None:
    status, said, _ = run("export", tiny, "--onnx", tmp_path / "a.onnx", "--json")
    (record,) = map(json.loads, said.splitlines())
    assert status == 0
    assert record["format"] == "onnx"
    assert record["max_difference"] < 1e-4
    assert record["checked_with"]


@pytest.mark.parametrize(
    "arguments",
    [[], ["--onnx", "model.txt"], ["--safetensors", "model.onnx"], ["--safetensors", "SOURCE"]],
)
def test_wrong_usage_writes_nothing(run, tiny: str, tmp_path: Path, monkeypatch, arguments: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    source = paths.user_models_dir() / "tiny.safetensors"
    before = source.read_bytes()
    status, said, wrong = run("export", source, *(source if each == "SOURCE" else each for each in arguments))
    assert (status, said) == (2, "")
    assert wrong.startswith("error: ")
    assert source.read_bytes() == before
    assert not any(tmp_path.glob("model.*"))


def test_missing_model_fails(run, tmp_path: Path) -> None:
    status, _, wrong = run("export", "nobody", "--onnx", tmp_path / "a.onnx")
    assert status == 1
    assert "There is no model 'nobody'" in wrong
