"""Write a model as a file for other programs: ONNX, or safetensors with its metadata.

Before the ONNX file gets its name, it is run on pictures of odd sizes and compared with this program's own network.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from vdsr_app.console import Console
from vdsr_app.core.models import find_model
from vdsr_app.errors import UsageError

SUMMARY = "write a model as ONNX or safetensors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `vdsr export`."""
    parser.add_argument("model", metavar="MODEL", help="installed model or .safetensors file")
    parser.add_argument("--onnx", type=Path, metavar="FILE", help=".onnx file to write")
    parser.add_argument("--safetensors", type=Path, metavar="FILE", help=".safetensors file to write")
    parser.add_argument(
        "--existing",
        choices=("refuse", "overwrite"),
        default="refuse",
        help="what to do if the file already exists (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per file")


def run(arguments: argparse.Namespace, console: Console) -> bool:
    """Export and print what was written."""
    _check(arguments)
    info = find_model(arguments.model)
    if arguments.safetensors is not None:
        from vdsr_app.core.weights import export_weights

        checksum = export_weights(info, arguments.safetensors)
        console.record({"file": str(arguments.safetensors), "format": "safetensors", "sha256": checksum})
        console.result(f"{arguments.safetensors}: written")
    if arguments.onnx is not None:
        from vdsr_app.core.onnx_export import export_onnx

        report = export_onnx(info, arguments.onnx)
        console.record(
            {
                "file": str(report.path),
                "format": "onnx",
                "max_difference": report.max_difference,
                "checked_with": report.checked_with,
            }
        )
        console.result(
            f"{report.path}: written; differs from torch by {report.max_difference:.1e} at most"
            f" (checked with {report.checked_with})"
        )
    return True


def _check(arguments: argparse.Namespace) -> None:
    """Refuse unusable arguments before anything is read."""
    targets = {".onnx": arguments.onnx, ".safetensors": arguments.safetensors}
    if not any(targets.values()):
        raise UsageError("Nothing to export.", hint="Give --onnx FILE or --safetensors FILE.")
    for suffix, path in targets.items():
        if path is not None and path.suffix.lower() != suffix:
            raise UsageError(f"The name does not end in {suffix}.", path=path, hint=f"Add {suffix} to it.")
        if path is not None and arguments.existing == "refuse" and os.path.lexists(path):
            raise UsageError(
                "A file of this name already exists.",
                path=path,
                hint="Choose another name, or give --existing overwrite to replace it.",
            )
