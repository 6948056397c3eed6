"""Reading and writing safetensors weight files, with every check before the network uses a value.

A file holds `layers.<i>.weight` (out, in, 3, 3) and `layers.<i>.bias` (out), float32, and text metadata. The shape
of the network is read from the tensors; `sha256` in the metadata covers their bytes, so a flipped bit is found even
if it leaves a plausible value.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import safetensors.torch
import torch
from safetensors.torch import save as serialise
from torch import Tensor, nn

from vdsr_app.core.atomic import atomic_file, write_atomically
from vdsr_app.core.identity import same_file
from vdsr_app.core.models import ModelInfo, check_file
from vdsr_app.core.network import MAX_DEPTH, MAX_WIDTH, VDSR, VDSRConfig
from vdsr_app.core.weight_header import FORMAT, HINT, check_kind, read_metadata
from vdsr_app.errors import UsageError, WeightsError

MAX_ABSOLUTE = 1e4
"""No useful weight comes close; larger ones overflow to infinity within the network."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedWeights:
    """A checked weight file.

    Attributes:
        model: the network in eval mode, float32, on the CPU.
        metadata: text entries of the file: title, training, licence and so on.
        checksum: hexadecimal SHA-256 of the tensors; see `tensor_checksum`.
    """

    model: VDSR
    metadata: dict[str, str]
    checksum: str


def tensor_checksum(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes and little-endian float32 bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().to("cpu", torch.float32).contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def save_weights(model: VDSR, path: Path, metadata: Mapping[str, str] | None = None) -> str:
    """Write `model` atomically as float32 safetensors.

    Args:
        model: network on any device.
        path: target, replaced if it exists.
        metadata: text entries to store; format, checksum and "residual" are overwritten.

    Returns:
        The checksum of the tensors.

    Raises:
        WeightsError: a value is not finite, or beyond `MAX_ABSOLUTE`.
        SaveError: the file could not be written.
    """
    return write_tensors(model, path, FORMAT, {**(metadata or {}), "residual": str(model.config.residual).lower()})


def write_tensors(network: nn.Module, path: Path, format_name: str, metadata: Mapping[str, str]) -> str:
    """Write the tensors of a network of any kind; otherwise as `save_weights`.

    Args:
        network: on any device.
        path: target, replaced if it exists.
        format_name: kind of network and version, with a hyphen between: "vdsr-1".
        metadata: text entries to store in addition to format and checksum.
    """
    tensors = {
        name: tensor.detach().to("cpu", torch.float32).contiguous() for name, tensor in network.state_dict().items()
    }
    for name, tensor in tensors.items():
        _check_values(path, name, tensor)
    checksum = tensor_checksum(tensors)
    payload = serialise(tensors, metadata={**metadata, "format": format_name, "sha256": checksum})
    write_atomically(path, payload)
    return checksum


def load_weights(path: Path) -> LoadedWeights:
    """Read and check a weight file; nothing in it is ever executed.

    Raises:
        WeightsError: the file is missing, damaged, too large, of another kind of network, or holds a value that is not
            finite or beyond `MAX_ABSOLUTE`.
    """
    tensors, metadata = read_tensors(path, FORMAT)
    config = _config_of(path, tensors, metadata)
    checksum = check_tensors(path, tensors, metadata)
    model = VDSR(config)
    model.load_state_dict(tensors, strict=True)
    return LoadedWeights(model.eval().requires_grad_(False), metadata, checksum)


def load_model(info: ModelInfo) -> LoadedWeights:
    """Read and check an installed model; a bundled one must also match SHA256SUMS. Raises as `load_weights`."""
    check_file(info)
    return load_weights(info.path)


def export_weights(info: ModelInfo, path: Path) -> str:
    """Copy a model's weight file unchanged, after checking all of it.

    Args:
        info: the model.
        path: target, replaced if it exists.

    Returns:
        The checksum of the tensors.

    Raises:
        WeightsError: the model is damaged.
        UsageError: `path` is the model's own file.
        SaveError: it could not be copied.
    """
    if os.path.exists(path) and same_file(path, info.path):
        raise UsageError("The export would replace the model itself.", path=path, hint="Choose another name.")
    checksum = load_model(info).checksum
    with info.path.open("rb") as source, atomic_file(path) as copy:
        shutil.copyfileobj(source, copy)
    return checksum


def read_tensors(path: Path, format_name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a weight file, before `check_tensors`.

    Args:
        path: the file.
        format_name: kind of network and version that can be used here.

    Raises:
        WeightsError: the file is missing, damaged, too large, or of another kind or a newer version.
    """
    metadata = read_metadata(path)
    check_kind(path, metadata, format_name)
    stored = metadata.get("format", format_name)
    if stored not in (format_name, "pt"):
        raise WeightsError(
            f"The weight format '{stored}' is newer than this program.", path=path, hint="Update VDSR Studio."
        )
    try:
        tensors = safetensors.torch.load(path.read_bytes())
    except OSError as error:
        raise WeightsError(f"The file cannot be read: {error.strerror}.", path=path, hint=HINT) from error
    except (safetensors.SafetensorError, KeyError, ValueError, RuntimeError, MemoryError, OverflowError) as error:
        raise WeightsError("The weight file is damaged or truncated.", path=path, hint=HINT) from error
    return tensors, metadata


def width_and_depth(tensors: Mapping[str, Tensor]) -> tuple[int, int]:
    """Width and depth of what may be a chain of convolutions, by its first layer and size; else (0, 0)."""
    first, depth = tensors.get("layers.0.weight"), len(tensors) // 2
    if first is None or first.ndim != 4 or not 2 <= depth <= MAX_DEPTH or not 1 <= first.shape[0] <= MAX_WIDTH:
        return 0, 0
    return int(first.shape[0]), depth


def check_shapes(path: Path, tensors: Mapping[str, Tensor], widths: Sequence[int]) -> None:
    """Reject anything but a float32 chain of 3x3 convolutions with these channels; the first mismatch is named.

    Args:
        path: the file.
        tensors: its tensors.
        widths: channels before the first layer, between the layers, and after the last.

    Raises:
        WeightsError: a tensor is missing, does not belong there, or has another shape or type.
    """
    expected: dict[str, tuple[int, ...]] = {}
    for i, (before, after) in enumerate(pairwise(widths)):
        expected[f"layers.{i}.weight"] = (after, before, 3, 3)
        expected[f"layers.{i}.bias"] = (after,)
    for name in sorted(expected.keys() ^ tensors.keys()):
        state = "is missing" if name in expected else "does not belong there"
        raise WeightsError(
            f"'{name}' {state}; the file is not a network of {len(widths) - 1} layers.", path=path, hint=HINT
        )
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            raise WeightsError(
                f"'{name}' has the shape {tuple(tensors[name].shape)}, not {shape}.", path=path, hint=HINT
            )
        if tensors[name].dtype != torch.float32:
            raise WeightsError(f"'{name}' is {tensors[name].dtype}, not float32.", path=path, hint=HINT)


def check_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Check every value and return the checksum, which must match the one in the metadata, if any.

    Raises:
        WeightsError: a value is not finite or beyond `MAX_ABSOLUTE`, or the checksum differs.
    """
    for name, tensor in tensors.items():
        _check_values(path, name, tensor)
    checksum = tensor_checksum(tensors)
    stored = metadata.get("sha256")
    if stored is not None and stored != checksum:
        raise WeightsError("The weights do not match their checksum; the file is damaged.", path=path, hint=HINT)
    return checksum


def _config_of(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> VDSRConfig:
    """Shape of the network in `tensors`; the first mismatch is named."""
    width, depth = width_and_depth(tensors)
    if not width:
        raise WeightsError("The file holds no VDSR network.", path=path, hint=HINT)
    check_shapes(path, tensors, VDSRConfig(depth, width).widths)
    residual = metadata.get("residual", "true")
    if residual not in ("true", "false"):
        raise WeightsError("The file's metadata is damaged.", path=path, hint=HINT)
    return VDSRConfig(depth, width, residual == "true")


def _check_values(path: Path, name: str, tensor: Tensor) -> None:
    if not bool(torch.isfinite(tensor).all()):
        raise WeightsError(f"'{name}' holds numbers that are not finite.", path=path, hint=HINT)
    if float(tensor.abs().max()) > MAX_ABSOLUTE:
        raise WeightsError(f"'{name}' holds numbers that no trained network has.", path=path, hint=HINT)
