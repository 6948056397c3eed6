"""Show what this machine offers: devices, precision, models, formats, folders."""

from __future__ import annotations

import argparse
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from vdsr_app import __version__, paths
from vdsr_app.console import Console
from vdsr_app.core import measurements
from vdsr_app.core.engines import Engines
from vdsr_app.core.formats import READABLE_SUFFIXES, WRITABLE_SUFFIXES
from vdsr_app.core.models import DEFAULT_MODEL, installed_models

SUMMARY = "show devices, models and folders"
_PACKAGES = (
    *("torch", "PySide6-Essentials", "numpy", "pillow", "pyvips", "pillow-heif", "imagecodecs"),
    *("pyqtgraph", "numba", "onnx", "onnxruntime", "openvino"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `vdsr info`."""
    parser.add_argument(
        "--measure", action="store_true", help="find the fastest way to compute first, as the first picture would"
    )
    parser.add_argument(
        "--kernels", action="store_true", help="make the machine code for this processor first, as the window would"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, console: Console) -> bool:
    """Print the facts."""
    if arguments.kernels:
        _make_kernels()
    if arguments.measure:
        _measure()
    facts = collect()
    console.record(facts)
    console.result(f"VDSR Studio {facts['version']}, Python {facts['python']}, {facts['system']}")
    console.result("Packages   " + ", ".join(f"{name} {number}" for name, number in facts["packages"].items()))
    for i, device in enumerate(facts["devices"]):
        console.result(f"{'Devices' if i == 0 else '':<10} {device['name']}: {device['description']}")
    for i, found in enumerate(facts["measured"].values()):
        rates = ", ".join(f"{way} {rate:.2f}" for way, rate in found["mpx_per_s"].items())
        console.result(f"{'Fastest' if i == 0 else '':<10} {found['choice']} (Mpx/s: {rates})")
    for i, model in enumerate(facts["models"]):
        origin = "bundled" if model["bundled"] else "yours"
        console.result(f"{'Models' if i == 0 else '':<10} {model['name']}: {model['title']} ({origin})")
    console.result("Reads      " + ", ".join(facts["reads"]))
    console.result("Writes     " + ", ".join(facts["writes"]))
    for name, folder in facts["folders"].items():
        console.result(f"{name.capitalize():<10} {folder}")
    return True


def _make_kernels() -> None:
    from vdsr_app.core.winograd.backend import WinogradBackend

    WinogradBackend.make_kernels()


def _measure() -> None:
    """Create an engine as for a picture, which measures and compiles machine code unless that is cached already."""
    Engines().get(DEFAULT_MODEL)


def collect() -> dict[str, Any]:
    """The facts as plain values."""
    from vdsr_app.core.device import available_devices

    return {
        "version": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: _version(name) for name in _PACKAGES},
        "devices": available_devices(),
        "measured": {key: asdict(each) for key, each in measurements.kept().items()},
        "models": [
            {"name": model.name, "title": model.title, "bundled": model.bundled} for model in installed_models()
        ],
        "reads": sorted(READABLE_SUFFIXES),
        "writes": [str(name) for name in WRITABLE_SUFFIXES],
        "folders": {
            "models": str(paths.user_models_dir()),
            "runs": str(paths.runs_dir()),
            "logs": str(paths.log_dir()),
        },
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
