"""Speed of each backend on this machine, kept between starts in `backends.json`. Imports no torch."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from vdsr_app import paths
from vdsr_app.core.atomic import atomic_file
from vdsr_app.errors import VdsrError

logger = logging.getLogger(__name__)

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Measurement:
    """What is kept of one measurement.

    Attributes:
        choice: the candidate that was chosen, as text.
        mpx_per_s: millions of output pixels per second of each candidate that worked, by its text.
    """

    choice: str
    mpx_per_s: dict[str, float]


def key_of(processor: str, cores: int, depth: int, width: int, ways: Iterable[str]) -> str:
    """What a measurement is valid for: this program on this machine, a network of this shape, and these candidates."""
    versions = [f"{name} {package_version(name)}" for name in ("torch", "numba", "openvino", "vdsr-studio")]
    return " | ".join([str(_FORMAT), processor, f"{cores} cores", *versions, _shape(depth, width), ", ".join(ways)])


def kept() -> dict[str, Measurement]:
    """All stored measurements by `key_of`, the last used at the end; damaged ones are left out."""
    return {key: Measurement(entry["choice"], entry["mpx_per_s"]) for key, entry in _read().items() if _is_whole(entry)}


def use(key: str, measurement: Measurement) -> None:
    """Store a measurement as the last used; if that is not possible, the next start measures again."""
    known = kept()
    if list(known.items())[-1:] == [(key, measurement)]:
        return
    known.pop(key, None)
    known[key] = measurement
    content = json.dumps({key: asdict(each) for key, each in known.items()}, indent=1, ensure_ascii=False)
    file = paths.measurements_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(file) as stream:
            stream.write(content.encode())
    except (OSError, VdsrError) as error:
        logger.warning("The measurements could not be saved.", exc_info=error)


def last_mpx_per_s(depth: int, width: int) -> float | None:
    """Speed of the candidate last chosen for a network of this shape; None if none was measured yet."""
    for key, measurement in reversed(kept().items()):
        rate = measurement.mpx_per_s.get(measurement.choice, 0.0)
        if _shape(depth, width) in key.split(" | ") and rate > 0:
            return float(rate)
    return None


@cache
def package_version(package: str) -> str:
    """Version of an installed package, "none" if it is not installed or has no metadata."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _shape(depth: int, width: int) -> str:
    return f"{depth} x {width}"


def _is_whole(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("choice"), str):
        return False
    rates = entry.get("mpx_per_s")
    return isinstance(rates, dict) and all(isinstance(rate, float | int) for rate in rates.values())


def _read() -> dict[str, Any]:
    try:
        content = json.loads(paths.measurements_file().read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        logger.warning("The measurements could not be read; they are made again.", exc_info=error)
        return {}
    return content if isinstance(content, dict) else {}
