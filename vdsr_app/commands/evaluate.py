"""Measure a model against bicubic by the papers' protocol: luma PSNR and SSIM, without the border.

Each picture is reduced by bicubic, enlarged again by bicubic and by the model, and compared with the original.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from vdsr_app.commands.common import add_engine_arguments, stop_on_signals
from vdsr_app.console import Console
from vdsr_app.core.engines import Engines
from vdsr_app.core.evaluate import Evaluation, ScaleScores, evaluate
from vdsr_app.core.folders import picture_files
from vdsr_app.core.protocol import Score

SUMMARY = "measure PSNR and SSIM of a model over a folder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `vdsr evaluate`."""
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="folder of reference pictures")
    parser.add_argument(
        "--scales", type=float, nargs="+", default=[2.0, 3.0, 4.0], metavar="S", help="scale factors (2 3 4)"
    )
    add_engine_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, console: Console) -> bool:
    """Evaluate and print; False if a picture had to be left out."""
    files = picture_files(arguments.data)
    engine = Engines(arguments.device, arguments.precision).get(arguments.model)
    with stop_on_signals() as token, console.progress("Evaluating", len(files), "pictures") as update:
        evaluation = evaluate(
            files,
            arguments.scales,
            engine,
            self_ensemble=arguments.self_ensemble,
            token=token,
            on_progress=lambda done, total: update(done),
        )
    console.record(_as_json(arguments, engine.describe(), evaluation))
    for line in _as_table(arguments, engine.describe(), evaluation):
        console.result(line)
    for failure in evaluation.failures:
        console.error(failure)
    return not evaluation.failures


def _as_json(arguments: argparse.Namespace, device: str, evaluation: Evaluation) -> dict[str, Any]:
    def score(value: Score) -> dict[str, float | None]:
        # Identical pictures have an infinite PSNR, which JSON cannot represent.
        return {"psnr_db": value.psnr_db if math.isfinite(value.psnr_db) else None, "ssim": value.ssim}

    return {
        "model": arguments.model,
        "self_ensemble": arguments.self_ensemble,
        "device": device,
        "scales": {
            f"{row.scale:g}": {
                "bicubic": score(row.bicubic),
                "model": score(row.model),
                "pictures": [
                    {"name": each.name, "bicubic": score(each.bicubic), "model": score(each.model)}
                    for each in row.pictures
                ],
            }
            for row in evaluation.scales
        },
        "failed": [str(failure) for failure in evaluation.failures],
    }


def _as_table(arguments: argparse.Namespace, device: str, evaluation: Evaluation) -> list[str]:
    averaged = ", self-ensemble" if arguments.self_ensemble else ""
    lines = [f"Model {arguments.model}{averaged} on {device}; luma PSNR in dB / SSIM"]
    for row in evaluation.scales:
        lines += ["", *_one_scale(row)]
    return lines


def _one_scale(row: ScaleScores) -> list[str]:
    width = max(len("mean"), *(len(each.name) for each in row.pictures))
    lines = [f"x{row.scale:g}".ljust(width) + "   bicubic          model            gain"]
    for each in row.pictures:
        lines.append(_line(each.name.ljust(width), each.bicubic, each.model))
    lines.append(_line("mean".ljust(width), row.bicubic, row.model))
    return lines


def _line(name: str, bicubic: Score, model: Score) -> str:
    return (
        f"{name}   {bicubic.psnr_db:6.2f} / {bicubic.ssim:.4f}  {model.psnr_db:6.2f} / {model.ssim:.4f}"
        f"  {model.psnr_db - bicubic.psnr_db:+.2f} dB"
    )
