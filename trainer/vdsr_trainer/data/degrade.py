"""Makes the network's input from its target: blur, shrink, noise, JPEG, enlarge.

It is the whole picture that is degraded: it is blurred and shrunk in one linear step per axis, gets noise, is rounded
to 8 bits, is compressed as JPEG, and is enlarged again by bicubic interpolation. A patch of the result is computed from
just the samples it depends on. That equals cutting it from the whole degraded picture, because:

- an axis is mirrored at its ends, and blurring, shrinking and enlarging a mirrored axis give mirrored axes, so the few
  samples beyond an edge are obtained by reading mirrored input;
- noise is a function of a seed and of the sample's position;
- JPEG codes the 8 x 8 blocks of a gray picture independently, so a region of whole blocks comes out as it would in the
  whole picture;
- rounding uses a margin far above the error of float64, so the order of summation does not matter.

So every patch can have its own scale factor and degradations, at a small part of the cost of the whole picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vdsr_app.core.color import gray_to_luma, luma_to_gray
from vdsr_trainer.data.taps import BLUR_SIGMAS, Taps, matmul, mirrored

Luma8 = npt.NDArray[np.uint8]
"""(H, W) uint8 luma, in studio range: 16 to 235."""
_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]

_ROUNDING_MARGIN = 1e-6
"""Added before rounding down, so that values that are half-way up to the error of float64 all go up."""
_BLOCK_PX = 8
_CHUNK_SAMPLES = 1 << 16
"""Patch samples whose tables are made together: enough to hide Python's overhead, few enough for the cache."""
_TILE_PX = 256


@dataclass(frozen=True, slots=True)
class Degradation:
    """What is done to a picture, in this order: blur, shrink, noise, JPEG, enlarge.

    Without blur, noise and JPEG, it is shrunk and enlarged in float; with any of them, rounded to 8 bits in between.

    Attributes:
        scale: factor by which it is shrunk and enlarged, at least 1.
        blur_sigma: standard deviation of a Gaussian blur in LR pixels; 0 for none.
        noise_sigma: standard deviation of Gaussian noise on the LR picture, on the scale [0, 255]; 0 for none.
        jpeg_quality: 1 to 100; 0 for none.
        noise_seed: of the noise, 0 to 2**63 - 1.
    """

    scale: float
    blur_sigma: float = 0.0
    noise_sigma: float = 0.0
    jpeg_quality: int = 0
    noise_seed: int = 0

    @property
    def clean(self) -> bool:
        """Whether the picture is only shrunk and enlarged."""
        return self.blur_sigma == 0 and self.noise_sigma == 0 and self.jpeg_quality == 0


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A picture, or some whole rows of it.

    Attributes:
        luma: (rows, W) uint8.
        height: rows of the whole picture.
        first_row: row of the whole picture at which `luma` begins.
    """

    luma: Luma8
    height: int
    first_row: int = 0


def reach_px(scale: float, blur_sigma: float) -> int:
    """HR samples beyond a patch, on each side, that its degraded version may depend on.

    Args:
        scale: largest scale factor.
        blur_sigma: largest blur, in LR pixels.
    """
    lr = 3 + _BLOCK_PX + 3 + np.ceil(BLUR_SIGMAS * blur_sigma)
    # Sizes are rounded, so the true factor can be a little larger; a picture is at least 8 px wide.
    return int(np.ceil(1.1 * scale * lr)) + 4


def through_jpeg(pixels: Luma8, quality: int) -> Luma8:
    """An (H, W) uint8 gray picture, black 0 and white 255, after JPEG compression at `quality` (1 to 100)."""
    # The same bytes as Pillow's in a seventh of the time: here the pictures are small and many. Imported late: most
    # runs have no JPEG.
    from imagecodecs import jpeg8_decode, jpeg8_encode

    return np.asarray(jpeg8_decode(jpeg8_encode(np.ascontiguousarray(pixels), level=quality)))


def degrade_whole(luma: Luma8, degradation: Degradation) -> npt.NDArray[np.float32]:
    """A whole picture, degraded and enlarged to its size again.

    Args:
        luma: (H, W) uint8.
        degradation: what to do.

    Returns:
        (H, W) float32 on the scale of `luma`, neither rounded nor clipped.
    """
    height, width = luma.shape
    source = Source(luma, height)
    out = np.empty((height, width), np.float32)
    for top in range(0, height, _TILE_PX):
        for left in range(0, width, _TILE_PX):
            rows, cols = min(_TILE_PX, height - top), min(_TILE_PX, width - left)
            tile = degraded_patches([source], [(top, left)], (rows, cols), [degradation])
            out[top : top + rows, left : left + cols] = tile[0]
    return out


def degraded_patches(
    sources: Sequence[Source],
    places: Sequence[tuple[int, int]],
    shape: tuple[int, int],
    degradations: Sequence[Degradation],
) -> npt.NDArray[np.float32]:
    """Patches as cut from the whole degraded pictures.

    Args:
        sources: N pictures; if rows are missing, those within `reach_px` of the patch must be there.
        places: top and left of each patch in the whole picture.
        shape: rows and columns of a patch.
        degradations: one for each patch.

    Returns:
        (N, rows, columns) float32 on the scale of the pictures, neither rounded nor clipped.
    """
    out = np.empty((len(sources), *shape), np.float32)
    at_once = max(1, _CHUNK_SAMPLES // (shape[0] * shape[1]))
    for first in range(0, len(sources), at_once):
        chunk = slice(first, first + at_once)
        _degrade(sources[chunk], places[chunk], shape, degradations[chunk], out[chunk])
    return out


def _degrade(
    sources: Sequence[Source],
    places: Sequence[tuple[int, int]],
    shape: tuple[int, int],
    degradations: Sequence[Degradation],
    out: npt.NDArray[np.float32],
) -> None:
    axes = _Axes.of(
        sizes=np.array([source.height for source in sources] + [source.luma.shape[1] for source in sources]),
        starts=np.array([top for top, _ in places] + [left for _, left in places]),
        counts=np.repeat(np.array(shape), len(sources)),
        degradations=[*degradations, *degradations],
    )
    for i, (source, degradation) in enumerate(zip(sources, degradations, strict=True)):
        j = i + len(sources)
        lr = _product(axes.down[i], _hr(source, axes.hr_range(i), axes.hr_range(j)), axes.down[j])
        if not degradation.clean:
            lr = _with_noise_and_jpeg(lr, int(axes.lr_first[i]), int(axes.lr_first[j]), degradation)
            lr = lr[np.ix_(axes.reads[i], axes.reads[j])]
        out[i] = _product(axes.up[i], lr, axes.up[j])


@dataclass(frozen=True, slots=True, eq=False)
class _Axes:
    """Both axes of some patches: first all vertical ones, then all horizontal ones.

    Attributes:
        up: (patch, LR read) matrix that enlarges, for each axis.
        down: (LR made, HR read) matrix that blurs and shrinks, for each axis.
        lr_first: first LR sample that is made; for a clean patch it may lie before the edge.
        hr_first: first HR sample that is read; it may lie before the edge.
        reads: for each axis of a patch that is not clean, which of the LR samples made are read.
    """

    up: list[_Floats]
    down: list[_Floats]
    lr_first: _Ints
    hr_first: _Ints
    reads: list[_Ints]

    def hr_range(self, axis: int) -> tuple[int, int]:
        first = int(self.hr_first[axis])
        return first, first + self.down[axis].shape[1]

    @classmethod
    def of(cls, sizes: _Ints, starts: _Ints, counts: _Ints, degradations: Sequence[Degradation]) -> _Axes:
        """Tables of axes with `sizes` samples, for windows that begin at `starts` and have `counts` samples."""
        scales = np.array([degradation.scale for degradation in degradations])
        smalls = np.maximum(1, np.rint(sizes / scales).astype(np.int64))
        up = Taps.of(smalls, sizes, starts, counts)
        degraded = np.array([not degradation.clean for degradation in degradations])
        block = np.array([_BLOCK_PX if degradation.jpeg_quality else 1 for degradation in degradations])
        made_first, made_last = _within(up.first, up.last, smalls, block)
        lr_first, lr_last = np.where(degraded, made_first, up.first), np.where(degraded, made_last, up.last)
        down = Taps.of(sizes, smalls, lr_first, lr_last - lr_first)
        sigmas = np.array([degradation.blur_sigma for degradation in degradations]) * sizes / smalls
        if sigmas.any():
            down = down.blurred(sigmas)
        reads = [
            mirrored(int(first), int(last), int(small)) - made if is_degraded else made
            for first, last, small, made, is_degraded in zip(up.first, up.last, smalls, lr_first, degraded, strict=True)
        ]
        return cls(up.matrices(), down.matrices(), lr_first, down.first, reads)


def _within(first: _Ints, last: _Ints, size: _Ints, block: _Ints) -> tuple[_Ints, _Ints]:
    """Smallest range of whole blocks within [0, size) that holds what [first, last) reads of a mirrored axis."""
    far = (first < 0) & (last > size) | (first < -size) | (last > 2 * size)
    low = np.where(last > size, np.minimum(first, 2 * size - last), first)
    high = np.where(first < 0, np.maximum(last, -first), last)
    low, high = np.where(far, 0, np.maximum(low, 0)), np.where(far, size, np.minimum(high, size))
    return low - low % block, np.minimum(size, high + -high % block)


def _hr(source: Source, rows: tuple[int, int], cols: tuple[int, int]) -> _Floats:
    height, width = source.height, source.luma.shape[1]
    if rows[0] >= 0 and rows[1] <= height and cols[0] >= 0 and cols[1] <= width:
        return source.luma[rows[0] - source.first_row : rows[1] - source.first_row, slice(*cols)].astype(np.float64)
    held = mirrored(*rows, height) - source.first_row
    return np.asarray(source.luma[np.ix_(held, mirrored(*cols, width))].astype(np.float64))


def _with_noise_and_jpeg(lr: _Floats, top: int, left: int, degradation: Degradation) -> _Floats:
    """Noise, 8 bits and JPEG for a region of the LR picture that begins at (top, left), as in a gray file.

    A file that the upscaler reads has black at 0, so that is the range used for rounding and compression.
    """
    pixels = luma_to_gray(lr)
    if degradation.noise_sigma:
        pixels = pixels + degradation.noise_sigma * noise_plane(degradation.noise_seed, top, left, *lr.shape)
    rounded = np.floor(np.clip(pixels, 0.0, 255.0) + (0.5 + _ROUNDING_MARGIN)).astype(np.uint8)
    if degradation.jpeg_quality:
        rounded = through_jpeg(rounded, degradation.jpeg_quality)
    return gray_to_luma(rounded)


def noise_plane(seed: int, top: int, left: int, rows: int, cols: int) -> _Floats:
    """Window (top, left, rows, cols) of an infinite plane of Gaussian noise with standard deviation 1.

    Source: the finaliser of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014)
    over one number per position; Box and Muller, 1958.
    """
    y = np.arange(top, top + rows, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x = np.arange(left, left + cols, dtype=np.uint64) * np.uint64(0xD1B54A32D192ED03)
    bits = y[:, None] + x + np.uint64(seed * 0x8CB92BA72F3D8DD7 % 2**64)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    radius = ((bits >> np.uint64(32)) + 1.0) * 2.0**-32
    angle = (bits & np.uint64(0xFFFFFFFF)) * (2 * np.pi * 2.0**-32)
    return np.asarray(np.sqrt(-2.0 * np.log(radius)) * np.cos(angle))


def _product(vertical: _Floats, middle: _Floats, horizontal: _Floats) -> npt.NDArray[Any]:
    return matmul(matmul(vertical, middle), horizontal.T)
