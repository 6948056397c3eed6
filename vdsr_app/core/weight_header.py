"""Reading the header of a safetensors file without torch: enough to list and name models and reject other files."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vdsr_app.errors import WeightsError

MAX_FILE_BYTES = 256 * 2**20
_MAX_HEADER_BYTES = 2**20
HINT = "Choose another model, or get the file again."


FORMAT = "vdsr-1"
"""Format of VDSR weight files: the kind of network and, after the last hyphen, the version."""
TEACHER_FORMAT = "vdsr-teacher-1"
"""Format of the files that `vdsr_trainer.teacher` writes."""

_KINDS = {"vdsr": "a model to enlarge with", "vdsr-teacher": "the teacher of a training run"}


def read_header(path: Path) -> dict[str, Any]:
    """The JSON header of a safetensors file; offsets are checked against the file's size.

    Raises:
        WeightsError: the file is missing, too large, or not a valid safetensors file.
    """
    try:
        if not path.is_file():
            raise WeightsError("There is no such weight file.", path=path, hint="Choose an installed model or a file.")
        size = path.stat().st_size
        with path.open("rb") as file:
            prefix = file.read(8)
            length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
            if size > MAX_FILE_BYTES or not 2 <= length <= min(_MAX_HEADER_BYTES, size - 8):
                raise _not_a_weight_file(path)
            header = json.loads(file.read(length))
    except OSError as error:
        raise WeightsError(f"The file cannot be read: {error.strerror}.", path=path, hint=HINT) from error
    except (ValueError, RecursionError) as error:
        raise _not_a_weight_file(path) from error
    if not isinstance(header, dict):
        raise _not_a_weight_file(path)
    if _payload_bytes(header) != size - 8 - length:
        raise WeightsError("The weight file is damaged or truncated.", path=path, hint=HINT)
    return header


def read_metadata(path: Path) -> dict[str, str]:
    """Text entries of a weight file, from its header alone; the tensors are not read.

    Raises:
        WeightsError: as `read_header`.
    """
    metadata = read_header(path).get("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise WeightsError("The file's metadata is damaged.", path=path, hint=HINT)
    return dict(metadata)


def check_kind(path: Path, metadata: Mapping[str, str], format_name: str) -> None:
    """Reject the weights of another kind of network, of whatever version.

    Args:
        path: the file.
        metadata: from `read_metadata`; a file that states no format counts as VDSR, "pt" as any kind.
        format_name: kind and version that are wanted.

    Raises:
        WeightsError: it is of another kind.
    """
    kind, wanted = (name.rpartition("-")[0] for name in (metadata.get("format", FORMAT), format_name))
    if metadata.get("format") != "pt" and kind != wanted:
        found = _KINDS.get(kind, "weights of a kind that this program does not know")
        raise WeightsError(f"The file holds {found}, not {_KINDS[wanted]}.", path=path, hint="Choose another file.")


def read_shape(path: Path) -> tuple[int, int]:
    """Depth and width of the network in a VDSR weight file, from its header alone.

    Raises:
        WeightsError: as `read_header`, or the file holds no VDSR network.
    """
    header = read_header(path)
    first = header.get("layers.0.weight")
    depth = sum(name.endswith(".weight") for name in header)
    shape = first.get("shape") if isinstance(first, dict) else None
    if not isinstance(shape, list) or len(shape) != 4 or type(shape[0]) is not int:
        raise WeightsError("The file holds no VDSR network.", path=path, hint=HINT)
    return depth, shape[0]


def _payload_bytes(header: dict[str, Any]) -> int:
    """End of the tensors named in `header`, in bytes; -1 if an entry is invalid."""
    end = 0
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
        if not (isinstance(offsets, list) and len(offsets) == 2 and all(type(offset) is int for offset in offsets)):
            return -1
        end = max(end, offsets[1])
    return end


def _not_a_weight_file(path: Path) -> WeightsError:
    return WeightsError("This is not a safetensors weight file of VDSR.", path=path, hint=HINT)
