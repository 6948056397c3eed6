"""ONNX export: exported files give the network's numbers in other programs, and a wrong file is never left on disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from vdsr_app.control import CancelToken
from vdsr_app.core import onnx_export
from vdsr_app.core.models import describe_model
from vdsr_app.core.network import VDSR, VDSRConfig, initialise
from vdsr_app.core.onnx_export import INPUT_NAME, OUTPUT_NAME, build, export_onnx
from vdsr_app.core.weights import save_weights
from vdsr_app.errors import Cancelled, SaveError, WeightsError

SIZES = [(1, 1), (1, 7), (7, 1), (2, 2), (17, 23), (64, 31)]


def make_model(tmp_path: Path, depth: int = 4, width: int = 6, residual: bool = True) -> tuple[VDSR, Path]:
    model = VDSR(VDSRConfig(depth, width, residual))
    initialise(model, 3)
    for layer in model.layers:
        layer.bias.data.normal_(0.0, 0.05)
    path = tmp_path / "mine.safetensors"
    save_weights(model, path, {"title": "Mine", "steps": "12"})
    return model.eval(), path


@pytest.mark.parametrize(("depth", "width", "residual"), [(4, 6, True), (4, 6, False), (2, 1, True), (20, 64, True)])
def test_exported_network_matches_torch_at_any_size(tmp_path: Path, depth: int, width: int, residual: bool) -> None:
    model, path = make_model(tmp_path, depth, width, residual)
    report = export_onnx(describe_model(path), tmp_path / "mine.onnx")
    assert report.max_difference < 1e-4
    assert report.size_bytes == (tmp_path / "mine.onnx").stat().st_size
    session = ReferenceEvaluator(str(tmp_path / "mine.onnx"))
    for n, (height, width_px) in enumerate(SIZES):
        luma = np.random.default_rng(n).random((1 + n % 3, 1, height, width_px), dtype=np.float32)
        (found,) = session.run(None, {INPUT_NAME: luma})
        with torch.inference_mode():
            np.testing.assert_allclose(found, model(torch.from_numpy(luma)).numpy(), rtol=0, atol=1e-4)


def test_exported_file_runs_in_onnxruntime_without_this_program(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    _, path = make_model(tmp_path)
    report = export_onnx(describe_model(path), tmp_path / "mine.onnx")
    assert report.checked_with.startswith("onnxruntime")
    code = f"""
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession("mine.onnx", providers=["CPUExecutionProvider"])
(given,), (made,) = session.get_inputs(), session.get_outputs()
result = session.run(None, {{"{INPUT_NAME}": numpy.zeros((2, 1, 5, 9), numpy.float32)}})[0]
title = session.get_modelmeta().custom_metadata_map["title"]
print(given.name, given.shape, made.name, made.shape, result.shape, title)
assert "torch" not in sys.modules and "vdsr_app" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.strip() == f"{INPUT_NAME} ['N', 1, 'H', 'W'] {OUTPUT_NAME} ['N', 1, 'H', 'W'] (2, 1, 5, 9) Mine"


def test_export_is_checked_by_reference_evaluator_without_onnxruntime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    _, path = make_model(tmp_path)
    report = export_onnx(describe_model(path), tmp_path / "mine.onnx")
    assert "reference" in report.checked_with
    assert 0 <= report.max_difference < 1e-4


def test_exported_file_carries_metadata_of_weights(tmp_path: Path) -> None:
    _, path = make_model(tmp_path)
    export_onnx(describe_model(path), tmp_path / "mine.onnx")
    model = onnx.load(tmp_path / "mine.onnx")
    onnx.checker.check_model(model, full_check=True)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert {"title": "Mine", "steps": "12", "depth": "4", "width": "6", "residual": "true"}.items() <= said.items()
    assert len(said["sha256"]) == 64
    assert {node.op_type for node in model.graph.node} == {"Conv", "Relu", "Add"}
    assert model.opset_import[0].version <= 13


@pytest.mark.parametrize("runtime", ["onnxruntime", "reference"])
@pytest.mark.parametrize("earlier", [None, b"earlier"])
def test_wrong_export_is_rejected_and_leaves_folder_unchanged(
    tmp_path: Path, monkeypatch, runtime: str, earlier: bytes | None
) -> None:
    if runtime == "reference":
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
    else:
        pytest.importorskip("onnxruntime")

    def wrong(model, metadata):
        changed = VDSR(model.config)
        changed.load_state_dict(model.state_dict())
        changed.layers[-1].bias.data.add_(5e-4)
        return build(changed, metadata)

    monkeypatch.setattr(onnx_export, "build", wrong)
    _, path = make_model(tmp_path)
    target = tmp_path / "out" / "mine.onnx"
    target.parent.mkdir()
    if earlier is not None:
        target.write_bytes(earlier)
    with pytest.raises(SaveError, match="other numbers"):
        export_onnx(describe_model(path), target)
    assert [file.read_bytes() for file in target.parent.iterdir()] == ([] if earlier is None else [earlier])


def test_export_with_non_finite_numbers_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "_runner", lambda file: (lambda luma: luma * np.nan, "a broken runtime"))
    _, path = make_model(tmp_path)
    with pytest.raises(SaveError, match="other numbers"):
        export_onnx(describe_model(path), tmp_path / "mine.onnx")
    assert not (tmp_path / "mine.onnx").exists()


def test_cancelled_export_leaves_no_file(tmp_path: Path) -> None:
    token = CancelToken()
    token.cancel()
    _, path = make_model(tmp_path)
    with pytest.raises(Cancelled):
        export_onnx(describe_model(path), tmp_path / "mine.onnx", token)
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["mine.safetensors"]


def test_export_reports_missing_folder_and_damaged_weights(tmp_path: Path) -> None:
    _, path = make_model(tmp_path)
    info = describe_model(path)
    with pytest.raises(SaveError, match="folder does not exist"):
        export_onnx(info, tmp_path / "nowhere" / "mine.onnx")
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError):
        export_onnx(info, tmp_path / "mine.onnx")
