"""What is measured: the ways of computing, a sample picture, and the machine's matrix rate."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from vdsr_app.core.color import network_luma
from vdsr_app.core.cores import usable_cores
from vdsr_app.core.device import Precision, choose_precision
from vdsr_app.core.network import VDSRConfig
from vdsr_app.core.picture import Picture
from vdsr_app.core.resize import resize_region
from vdsr_app.core.tiling import plan_tiles

SCALE = 2
"""Scale factor of the measured pictures."""

_MATRIX_SIDES = (1024, 1536, 2048)
_MATRIX_ROUNDS = 3
_GPU_MATRIX_SIDES = (4096, 8192)

_STRIP_ROWS = 128
_BLOCK_PX = 512


@dataclass(frozen=True, slots=True)
class Way:
    """One way of computing.

    Attributes:
        name: "engine" for what the program itself would use, one of `backend_choice.BACKENDS` for that backend, or the
            name of another program: "onnxruntime", "openvino alone".
        device: as for `Engine.create`.
        precision: likewise.
    """

    name: str
    device: str = "auto"
    precision: str = "auto"

    @property
    def is_peer(self) -> bool:
        """Whether it is another program on its own."""
        return self.name in PEERS


PEERS = ("onnxruntime", "openvino alone")
"""Other programs that are measured on their own, where they are installed."""


def flops_per_pixel(config: VDSRConfig) -> int:
    """Multiplications and additions per output pixel, by direct convolution: 1,329,408 at the default shape."""
    return 2 * 9 * (config.width + (config.depth - 2) * config.width**2 + config.width)


def output_size(megapixels: float) -> tuple[int, int]:
    """Width and height, both even, of a picture of about this many megapixels with the aspect of a photograph, 3:2."""
    height = max(2, 2 * round(math.sqrt(megapixels * 1e6 / 1.5) / 2))
    return max(2, 2 * round(megapixels * 1e6 / height / 2)), height


def sample_picture(megapixels: float) -> Picture:
    """A source whose result at `SCALE` has about this many megapixels: RGB with edges, gradients and grain."""
    width, height = (side // SCALE for side in output_size(megapixels))
    pixels = np.empty((height, width, 3), np.uint8)
    random = np.random.default_rng(0)
    x = np.arange(width, dtype=np.float32)[None]
    # In strips: memory used to make the picture would count as memory of what is measured.
    for top in range(0, height, _STRIP_ROWS):
        y = np.arange(top, min(height, top + _STRIP_ROWS), dtype=np.float32)[:, None]
        base = 0.5 + 0.25 * np.sin(x / 9) * np.cos(y / 13) + 0.2 * (((x + 2 * y) // 37) % 2) - 0.1
        grain = random.normal(0, 0.01, base.shape).astype(np.float32)
        planes = [base + grain, 0.8 * base + 0.1 * x / width, 0.6 * base + 0.3 * y / height]
        pixels[top : top + _STRIP_ROWS] = np.clip(255 * np.stack(planes, axis=2), 0, 255)
    return Picture(pixels)


def picture_luma(picture: Picture) -> npt.NDArray[np.float32]:
    """Input of the network for the enlarged picture, (H, W) float32; nothing else of its size is allocated."""
    height, width = SCALE * picture.height, SCALE * picture.width
    luma = np.empty((height, width), np.float32)
    for tile in plan_tiles(width, height, _BLOCK_PX, 0):
        rows, cols = tile.core.rows, tile.core.cols
        luma[rows, cols] = network_luma(resize_region(picture.pixels, height, width, rows, cols), 255.0)
    return luma


def matrix_tflops(device: torch.device) -> dict[str, float]:
    """Rate of products of large matrices in PyTorch, in TFLOPS, best of several sizes: {"fp32": ..., "bf16": ...}.

    Half precision is measured if the device is fast in it.
    """
    # As many threads as the engine uses: PyTorch does not see the limits of containers.
    torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
    return {str(each): _matrix_rate(device, each) for each in fast_precisions(device)}


def fast_precisions(device: torch.device) -> list[Precision]:
    """fp32, and half precision if the device is fast in it."""
    return sorted({Precision.FP32, choose_precision(device)})


def _matrix_rate(device: torch.device, precision: Precision) -> float:
    best = 0.0
    for side in _MATRIX_SIDES if device.type == "cpu" else _GPU_MATRIX_SIDES:
        a = torch.randn(side, side).to(device, precision.dtype)
        b = torch.randn(side, side).to(device, precision.dtype)

        def product(a: torch.Tensor = a, b: torch.Tensor = b) -> None:
            torch.mm(a, b)
            synchronise(device)

        product()
        best = max(best, *(2 * side**3 / seconds(product) / 1e12 for _ in range(_MATRIX_ROUNDS)))
    return best


def synchronise(device: torch.device) -> None:
    """Wait until a device has finished its queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes, in seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def machine() -> dict[str, object]:
    """Processor, cores, version of PyTorch, and devices."""
    from vdsr_app.core.device import available_devices, cpu_name

    return {
        "processor": cpu_name(),
        "cores": usable_cores(),
        "torch": torch.__version__,
        "devices": [each["description"] for each in available_devices()],
    }
