"""One way of computing in a process of its own: gets ready, then runs each time it is told to.

It writes lines of JSON to its standard output: first a description of itself, then one line per run.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vdsr_app.core.bench.work import (
    SCALE,
    Way,
    picture_luma,
    sample_picture,
    seconds,
)
from vdsr_app.core.job import Target, UpscaleSettings
from vdsr_app.core.memory import available_memory_bytes, peak_resident_bytes, resident_bytes
from vdsr_app.core.models import find_model
from vdsr_app.core.network import VDSR
from vdsr_app.core.picture import Picture
from vdsr_app.core.scratch import allocator_for
from vdsr_app.core.tiling import Rect
from vdsr_app.core.weights import load_model

_SCREEN = (1280, 800)
"""Visible region whose first tile is timed."""

_WARM_MPX = 0.3
"""Size of the picture on which an engine does its one-time setup."""

_WHOLE_MPX = 9.0
"""Largest picture that a peer gets in one piece, if there is memory for it."""

_STRIP_MPX = 4.0
_HALO_PX = 20

Run = Callable[[], dict[str, Any]]
Ready = tuple[dict[str, Any], Run]


def main(way: Way, model: str, megapixels: float) -> None:
    """Serve the parent: one run for each line on standard input, until it ends."""
    started = resident_bytes()
    network = load_model(find_model(model)).model
    picture = sample_picture(megapixels)
    describe, run = _peer(way, network, picture) if way.is_peer else _engine(way, network, model, picture)
    _say({"describe": describe, "started_bytes": started})
    for _ in sys.stdin:
        _say(run())


def _say(record: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


class _FirstTileError(Exception):
    """Ends the run that only times the first tile."""


def _engine(way: Way, network: VDSR, model: str, picture: Picture) -> Ready:
    """This program's own engine, from picture to picture."""
    from vdsr_app.core.engine import Engine
    from vdsr_app.core.upscale import upscale_picture

    backend = "auto" if way.name == "engine" else way.name
    engine = Engine.create(network, device=way.device, precision=way.precision, backend=backend)
    settings = UpscaleSettings(Target(value=float(SCALE)), model)
    upscale_picture(sample_picture(_WARM_MPX), settings, engine)
    # As in the pipeline: large pictures go through the disk.
    allocate = allocator_for((1 + SCALE**2) * picture.pixels.nbytes, Path(tempfile.gettempdir()))
    luma: npt.NDArray[np.float32] | None = None
    peak: int | None = None

    def first_tile() -> None:
        def stop(tile: object) -> None:
            raise _FirstTileError

        width, height = SCALE * picture.width, SCALE * picture.height
        left, top = max(0, (width - _SCREEN[0]) // 2), max(0, (height - _SCREEN[1]) // 2)
        visible = Rect(left, top, min(width, _SCREEN[0]), min(height, _SCREEN[1]))
        try:
            upscale_picture(picture, settings, engine, on_tile=stop, visible=lambda: visible, allocate=allocate)
        except _FirstTileError:
            return

    def run() -> dict[str, Any]:
        nonlocal luma, peak
        spent = {
            "first_tile_s": seconds(first_tile),
            "seconds": seconds(lambda: upscale_picture(picture, settings, engine, allocate=allocate)),
        }
        if luma is None:
            # Before the plane for the network-only run is made, which enlarging a picture does not need.
            peak, luma = peak_resident_bytes(), picture_luma(picture)
        plane = luma
        return {**spent, "network_s": seconds(lambda: engine.upscale_luma(plane)), "peak_bytes": peak}

    about = {"text": engine.describe(), "precision": engine.precision, "kind": engine.kind}
    return {**about, "backend": engine.backend_name}, run


def _peer(way: Way, network: VDSR, picture: Picture) -> Ready:
    """Another program on its own: the luma in one call, or in strips if it is too large for that."""
    luma = picture_luma(picture)
    version, precision, call = _openvino(network) if way.name == "openvino alone" else _onnxruntime(network)
    strips = list(_strips(luma, network.config.width))
    call(strips[0])

    def work() -> None:
        for strip in strips:
            call(strip)

    def run() -> dict[str, Any]:
        spent = seconds(work)
        return {"network_s": spent, "seconds": spent, "peak_bytes": peak_resident_bytes()}

    return {"version": version, "precision": precision, "calls": len(strips)}, run


def _strips(luma: npt.NDArray[np.float32], channels: int) -> Iterator[npt.NDArray[np.float32]]:
    """The whole plane, or views of strips of it that overlap by the halo; each needs at most half of the free memory.

    Args:
        luma: (H, W) float32.
        channels: channels of the inner layers, two of which are held at once.
    """
    height, width = luma.shape
    free = available_memory_bytes()
    most_px = float("inf") if free is None else free / 2 / (2 * 4 * channels)
    whole = luma.size <= min(_WHOLE_MPX * 1e6, most_px)
    rows = height if whole else max(1, int(min(_STRIP_MPX * 1e6, most_px) / width))
    for top in range(0, height, rows):
        yield luma[max(0, top - _HALO_PX) : top + rows + _HALO_PX]


def _openvino(network: VDSR) -> tuple[str, str, Callable[[npt.NDArray[np.float32]], object]]:
    """OpenVINO with the number format that it would choose for speed, as its users run it."""
    from vdsr_app.core import backend_openvino

    precision = backend_openvino.fast_precision()
    request = backend_openvino.plain_request(network, precision)
    return backend_openvino.version(), str(precision), lambda luma: request.infer({0: luma[None, None]})


def _onnxruntime(network: VDSR) -> tuple[str, str, Callable[[npt.NDArray[np.float32]], object]]:
    from vdsr_app.core.onnx_export import plain_session

    version, run = plain_session(network)
    return version, "fp32", lambda luma: run(luma[None, None])
