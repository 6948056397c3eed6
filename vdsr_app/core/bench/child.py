"""One way of computing in a process of its own: makes ready, then works each time it is told to.

It speaks in lines of JSON on its standard output: first what it is, then one line a run, at the end its memory.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vdsr_app.core.bench.work import SCALE, Way, memory_bytes, peak_memory_bytes, sample_picture, seconds
from vdsr_app.core.color import network_luma
from vdsr_app.core.job import Target, UpscaleSettings
from vdsr_app.core.models import find_model
from vdsr_app.core.network import VDSR
from vdsr_app.core.picture import Picture
from vdsr_app.core.resize import resize
from vdsr_app.core.tiling import Rect
from vdsr_app.core.weights import load_model

_SCREEN = (1280, 800)
"""The visible region whose first tile is waited for."""

_WHOLE_MPX = 9.0
"""Largest picture that a peer gets in one piece; its activations take half a gigabyte a megapixel."""

_STRIP_MPX = 4.0
_HALO_PX = 20


def main(way: Way, model: str, megapixels: float) -> None:
    """Serve the parent: a run for each line on standard input, until it ends."""
    started = memory_bytes()
    network = load_model(find_model(model)).model
    work = _peer(way, network) if way.is_peer else _engine(way, network, model)
    picture = sample_picture(megapixels)
    describe, run = work(picture)
    run()  # the first run makes ready what is made once
    _say({"describe": describe, "started_bytes": started})
    for _ in sys.stdin:
        _say(run())
    _say({"peak_bytes": peak_memory_bytes()})


Run = Callable[[], dict[str, float]]
Prepare = Callable[[Picture], tuple[dict[str, str], Run]]


def _say(record: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


class _FirstTileError(Exception):
    """Ends the run that waits for the first tile alone."""


def _engine(way: Way, network: VDSR, model: str) -> Prepare:
    """This program's own engine, the whole way from a picture to a picture."""
    from vdsr_app.core.engine import Engine
    from vdsr_app.core.upscale import upscale_picture

    backend = "auto" if way.name == "engine" else way.name
    engine = Engine.create(network, device=way.device, precision=way.precision, backend=backend)

    def prepare(picture: Picture) -> tuple[dict[str, str], Run]:
        settings = UpscaleSettings(Target(value=float(SCALE)), model)
        luma = _luma(picture)

        def first_tile() -> None:
            def stop(tile: object) -> None:
                raise _FirstTileError

            height, width = luma.shape
            left, top = max(0, (width - _SCREEN[0]) // 2), max(0, (height - _SCREEN[1]) // 2)
            visible = Rect(left, top, min(width, _SCREEN[0]), min(height, _SCREEN[1]))
            try:
                upscale_picture(picture, settings, engine, on_tile=stop, visible=lambda: visible)
            except _FirstTileError:
                return

        def run() -> dict[str, float]:
            return {
                "first_tile_s": seconds(first_tile),
                "network_s": seconds(lambda: engine.upscale_luma(luma)),
                "seconds": seconds(lambda: upscale_picture(picture, settings, engine)),
            }

        about = {"text": engine.describe(), "precision": engine.precision, "kind": engine.kind}
        return {**about, "backend": engine.backend_name}, run

    return prepare


def _luma(picture: Picture) -> npt.NDArray[np.float32]:
    large = resize(picture.pixels, SCALE * picture.height, SCALE * picture.width)
    return network_luma(large, 255.0)


def _peer(way: Way, network: VDSR) -> Prepare:
    """Another program by itself: the luma in one call, or in strips where it is too large for that."""

    def prepare(picture: Picture) -> tuple[dict[str, str], Run]:
        luma = _luma(picture)
        version, precision, call = _openvino(network) if way.name == "openvino alone" else _onnxruntime(network)

        def work() -> None:
            for strip in _strips(luma):
                call(strip)

        def run() -> dict[str, float]:
            spent = seconds(work)
            return {"network_s": spent, "seconds": spent}

        return {"version": version, "precision": precision}, run

    return prepare


def _strips(luma: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.float32]]:
    """The whole plane, or strips of it that overlap by the halo."""
    height, width = luma.shape
    rows = height if luma.size <= _WHOLE_MPX * 1e6 else max(1, int(_STRIP_MPX * 1e6 / width))
    for top in range(0, height, rows):
        yield np.ascontiguousarray(luma[max(0, top - _HALO_PX) : top + rows + _HALO_PX])


def _openvino(network: VDSR) -> tuple[str, str, Callable[[npt.NDArray[np.float32]], object]]:
    """OpenVINO with the number format that it would choose for speed, as its own users run it."""
    from vdsr_app.core import backend_openvino

    precision = backend_openvino.fast_precision()
    request = backend_openvino.plain_request(network, precision)
    return backend_openvino.version(), str(precision), lambda luma: request.infer({0: luma[None, None]})


def _onnxruntime(network: VDSR) -> tuple[str, str, Callable[[npt.NDArray[np.float32]], object]]:
    from vdsr_app.core.onnx_export import plain_session

    version, run = plain_session(network)
    return version, "fp32", lambda luma: run(luma[None, None])


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main(Way(*json.loads(sys.argv[1])), sys.argv[2], float(sys.argv[3]))
