"""Export of a weight file as ONNX, for other programs, kept only if it gives the same numbers as here.

The graph is built from the weights (Conv, Relu, Add), not traced, so it is as short as the network, and batch, height
and width are dynamic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from vdsr_app import __version__
from vdsr_app.control import CancelToken
from vdsr_app.core.atomic import atomic_file
from vdsr_app.core.cores import usable_cores
from vdsr_app.core.models import ModelInfo
from vdsr_app.core.network import VDSR
from vdsr_app.core.weights import LoadedWeights, load_model
from vdsr_app.errors import SaveError

INPUT_NAME = "luma"
OUTPUT_NAME = "detailed_luma"
"""Not the name of the input: in ONNX every value has a unique name."""
TOLERANCE = 1e-4
"""Largest difference from torch, on the scale [0, 1]: a fortieth of an 8-bit step."""

# Old enough for every runtime of recent years; nothing newer is needed.
_OPSET = 13
_IR_VERSION = 8
_CHECK_SHAPES = ((1, 1), (1, 9), (17, 23), (48, 33))

Plane4 = npt.NDArray[np.float32]
"""(N, 1, H, W) float32."""


@dataclass(frozen=True, slots=True)
class OnnxReport:
    """An exported and checked file.

    Attributes:
        path: the file.
        max_difference: largest difference from torch, on the scale [0, 1].
        checked_with: the runtime that ran it, with its version.
        size_bytes: size of the file.
    """

    path: Path
    max_difference: float
    checked_with: str
    size_bytes: int


def export_onnx(info: ModelInfo, path: Path, token: CancelToken | None = None) -> OnnxReport:
    """Write a model as ONNX and check it.

    The file has one input "luma", (N, 1, H, W) float32, bicubic luma from black at 16/255 to white at 235/255 (see
    `core.color.network_luma`), and one output "detailed_luma" of the same shape, not clipped. It runs in any ONNX
    runtime, without this program.

    Args:
        info: the model, as `core.models.find_model` gives it.
        path: target, replaced if it exists.
        token: tested before each check.

    Raises:
        WeightsError: the model is damaged.
        SaveError: the file could not be written, or its output differs from torch; nothing is left of it then.
        Cancelled: `token` was cancelled; nothing is left.
    """
    loaded = load_model(info)
    model = build(loaded.model, _metadata(info, loaded))
    reports: list[tuple[float, str]] = []
    with atomic_file(path, verify=lambda file: reports.append(_verify(file, path, loaded.model, token))) as file:
        file.write(model.SerializeToString())
    ((difference, checked_with),) = reports
    return OnnxReport(path, difference, checked_with, path.stat().st_size)


def build(model: VDSR, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Build the network as an ONNX model.

    Args:
        model: network on any device.
        metadata: text entries of the file.
    """
    nodes, weights = [], []
    value = INPUT_NAME
    depth, residual = model.config.depth, model.config.residual
    for i in range(depth):
        last = i == depth - 1
        names = [f"layers.{i}.weight", f"layers.{i}.bias"]
        weights += [_tensor(model, name) for name in names]
        after = OUTPUT_NAME if last and not residual else f"conv_{i}"
        nodes.append(
            helper.make_node("Conv", [value, *names], [after], name=f"conv_{i}", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        )
        value = after
        if not last:
            value = f"relu_{i}"
            nodes.append(helper.make_node("Relu", [after], [value], name=value))
    if residual:
        nodes.append(helper.make_node("Add", [INPUT_NAME, value], [OUTPUT_NAME], name="add_input"))
    graph = helper.make_graph(
        nodes,
        "vdsr",
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, ["N", 1, "H", "W"])],
        [helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, ["N", 1, "H", "W"])],
        initializer=weights,
    )
    proto = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="VDSR Studio",
        producer_version=__version__,
        doc_string="VDSR (arXiv 1511.04587): bicubic BT.601 luma, 16/255 to 235/255, to luma with detail, not clipped.",
    )
    helper.set_model_props(proto, dict(metadata))
    return proto


def plain_session(model: VDSR) -> tuple[str, Callable[[Plane4], Plane4]]:
    """Version of onnxruntime, and the network run by it on its own on the CPU, as its users do: from luma to luma.

    Raises:
        ImportError: it is not installed.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    content = build(model, {}).SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return onnxruntime.__version__, lambda luma: _first(session.run(None, {name: luma}))


def _tensor(model: VDSR, name: str) -> onnx.TensorProto:
    values = model.get_parameter(name).detach().to("cpu", torch.float32).contiguous().numpy()
    return numpy_helper.from_array(values, name)


def _metadata(info: ModelInfo, loaded: LoadedWeights) -> dict[str, str]:
    known = {key: value for key, value in loaded.metadata.items() if key != "format"}
    return {
        **known,
        "title": info.title,
        "sha256": loaded.checksum,
        "residual": str(loaded.model.config.residual).lower(),
        "depth": str(loaded.model.config.depth),
        "width": str(loaded.model.config.width),
    }


def _verify(file: Path, path: Path, model: VDSR, token: CancelToken | None) -> tuple[float, str]:
    """Run the written file on planes of unusual sizes; its largest difference from torch, and the runtime used."""
    onnx.checker.check_model(onnx.load(file), full_check=True)
    run, checked_with = _runner(file)
    rng = np.random.default_rng(0)
    worst = 0.0
    for n, (height, width) in enumerate(_CHECK_SHAPES):
        if token is not None:
            token.raise_if_cancelled()
        luma = rng.random((1 + n % 2, 1, height, width), dtype=np.float32)
        with torch.inference_mode():
            expected = model(torch.from_numpy(luma)).numpy()
        found = run(luma)
        if found.shape != expected.shape or not np.isfinite(found).all():
            worst = float("inf")
            break
        worst = max(worst, float(np.abs(found - expected).max()))
    if not worst <= TOLERANCE:
        raise SaveError(
            f"The exported network gives other numbers than this one: they differ by {worst:.2g}, at most"
            f" {TOLERANCE:g} is right.",
            path=path,
            hint="Nothing was written. Please report this with the model.",
        )
    return worst, checked_with


def _runner(file: Path) -> tuple[Callable[[Plane4], Plane4], str]:
    """Function that runs an ONNX file, by onnxruntime if installed, else by the reference of onnx, and its name."""
    try:
        import onnxruntime
    except ImportError:
        from onnx.reference import ReferenceEvaluator

        evaluator = ReferenceEvaluator(str(file))
        return lambda luma: _first(evaluator.run(None, {INPUT_NAME: luma})), f"onnx {onnx.__version__} (reference)"
    # Its builds for Windows report usage to the system unless this is disabled.
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # The bytes, not the path: Windows could not rename a file that the session keeps open.
    session = onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
    return lambda luma: _first(session.run(None, {INPUT_NAME: luma})), f"onnxruntime {onnxruntime.__version__}"


def _first(results: Any) -> Plane4:
    return np.asarray(results[0], dtype=np.float32)
