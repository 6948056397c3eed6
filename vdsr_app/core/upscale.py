"""Enlarging whole pictures, by interpolation alone or with the network on top.

The network works on luma. In BT.601 a step in Y with Cb and Cr unchanged is the same step in R, G and B, and bicubic
interpolation is linear, so what the network adds to the luma can be added directly to the interpolated colours: no
chroma planes are needed, and nothing but the result itself is larger than a tile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vdsr_app.control import CancelToken, ProgressCallback
from vdsr_app.core.alpha import FloatPixels, PictureResampler
from vdsr_app.core.color import RGB_PER_LUMA, network_luma
from vdsr_app.core.ensemble import FloatPlane
from vdsr_app.core.job import TargetSize, UpscaleSettings
from vdsr_app.core.picture import Picture, Pixels
from vdsr_app.core.scratch import Allocator, in_memory
from vdsr_app.core.tiling import Rect, Tile, plan_tiles
from vdsr_app.errors import NonFiniteOutputError, PictureTooLargeError

if TYPE_CHECKING:
    # For annotations only: interpolating must not wait for torch.
    from vdsr_app.core.engine import Engine, NoticeCallback, VisibleCallback

MAX_STAGE_SCALE = 4.0
"""Largest factor in one stage; the network was trained for no more, so larger ones take two stages."""

_FAINT = 1 / 32
"""Contrast, as a fraction of full scale, that a network may smooth away: specks on the scan of an empty page."""

_BLOCK_PX = 512
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class TileResult:
    """A finished tile of the result.

    Attributes:
        x: left edge in output pixels.
        y: top edge in output pixels.
        pixels: (h, w, C) of the picture's dtype; the receiver's own copy.
        alpha: (h, w) of the same dtype, or None.
        done_px: pixels done, including those of earlier stages.
        total_px: pixels to do in all stages.
    """

    x: int
    y: int
    pixels: Pixels
    alpha: Pixels | None
    done_px: int
    total_px: int

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])


class _Planes(NamedTuple):
    """Colours (H, W, C) and alpha (H, W) or None, of the same dtype."""

    pixels: Pixels
    alpha: Pixels | None


def cascade_sizes(width: int, height: int, size: TargetSize) -> list[tuple[int, int]]:
    """Width and height after each stage on the way to `size`.

    One stage up to `MAX_STAGE_SCALE`; above it two, each by the square root of the factor (up to 8, so at most 2.83).
    """
    if size.scale <= MAX_STAGE_SCALE * (1 + _TOLERANCE):
        return [(size.width, size.height)]
    between = (round((width * size.width) ** 0.5), round((height * size.height) ** 0.5))
    return [between, (size.width, size.height)]


def interpolate_picture(
    picture: Picture,
    size: TargetSize,
    kernel: str = "bicubic",
    token: CancelToken | None = None,
    on_rows: ProgressCallback | None = None,
) -> Picture:
    """Enlarge by interpolation alone, with the same treatment of transparency as `upscale_picture`.

    Args:
        picture: the source.
        size: size of the result.
        kernel: one of `resize.KERNELS`.
        token: tested between blocks.
        on_rows: called with rows done and total.

    Returns:
        A picture of exactly `size` with the source's depth and metadata.

    Raises:
        UsageError: unknown kernel.
        PictureTooLargeError: the result does not fit into memory.
        Cancelled: `token` was cancelled.
    """
    out = _empty_planes(picture, size.width, size.height, picture.pixels.dtype)
    source = PictureResampler(picture.pixels, picture.alpha, size.height, size.width, kernel, token)
    for tile in plan_tiles(size.width, size.height, _BLOCK_PX, 0):
        if token is not None:
            token.raise_if_cancelled()
        rows, cols = tile.core.rows, tile.core.cols
        colours, alpha = source.region(rows, cols)
        out.pixels[rows, cols] = _quantised(colours, picture.pixels.dtype)
        if out.alpha is not None and alpha is not None:
            out.alpha[rows, cols] = _quantised(alpha, picture.pixels.dtype)
        if on_rows is not None and tile.core.right == size.width:
            on_rows(tile.core.bottom, size.height)
    return replace(picture, pixels=out.pixels, alpha=out.alpha)


def upscale_picture(
    picture: Picture,
    settings: UpscaleSettings,
    engine: Engine,
    *,
    token: CancelToken | None = None,
    on_tile: Callable[[TileResult], None] | None = None,
    on_progress: ProgressCallback | None = None,
    on_notice: NoticeCallback | None = None,
    visible: VisibleCallback | None = None,
    allocate: Allocator = in_memory,
) -> Picture:
    """Enlarge with the network.

    Args:
        picture: the source.
        settings: `target`, `tile_px` and `self_ensemble` are used here; model, device and precision are the engine's.
        engine: the network on its device.
        token: tested before each tile and several times within it.
        on_tile: called with each finished tile of the result, but not with those of an intermediate stage.
        on_progress: called with pixels done and total after each tile of every stage.
        on_notice: called with a sentence when tiles become smaller or another device is used.
        visible: asked before each tile for the region of the result to do first.
        allocate: allocates the result, and that of an intermediate stage.

    Returns:
        A picture of exactly `settings.target.size_for(...)` with the source's depth and metadata.

    Raises:
        UsageError: the target is outside the supported range.
        PictureTooLargeError: the result does not fit into memory.
        SaveError: `allocate` is on a disk that is full.
        NonFiniteOutputError: the network gave NaN, infinity, or one flat colour for a picture that has others.
        DeviceError: no device could do it.
        Cancelled: `token` was cancelled.
    """
    size = settings.target.size_for(picture.width, picture.height)
    stages = cascade_sizes(picture.width, picture.height, size)
    progress = _Progress(sum(width * height for width, height in stages), on_progress)
    planes = _Planes(picture.pixels, picture.alpha)
    residual = partial(engine.begin_residual, token=token, self_ensemble=settings.self_ensemble)
    for number, (width, height) in enumerate(stages, start=1):
        last = number == len(stages)
        # 16 bits between the stages: the rounding to 8 would be enlarged with the picture.
        out = _empty_planes(picture, width, height, picture.pixels.dtype if last else np.dtype(np.uint16), allocate)
        stage = _Stage(planes, out, residual, token, progress, on_tile if last else None)
        engine.run_tiles(
            width,
            height,
            stage.work,
            tile_px=settings.tile_px,
            token=token,
            visible=visible if last else None,
            on_notice=on_notice,
        )
        planes = out
    result = replace(picture, pixels=planes.pixels, alpha=planes.alpha)
    flat = _only_colour(result)
    if flat is not None and _only_colour(picture) is None and not _is_near(picture, flat):
        raise NonFiniteOutputError(
            "The result is one flat colour, though the picture is not; it was discarded.",
            hint="Choose another model, or the precision fp32.",
        )
    return result


class _Progress:
    """Pixels done across all stages."""

    def __init__(self, total_px: int, on_progress: ProgressCallback | None) -> None:
        self.done_px = 0
        self.total_px = total_px
        self._on_progress = on_progress

    def add(self, pixels: int) -> None:
        self.done_px += pixels
        if self._on_progress is not None:
            self._on_progress(self.done_px, self.total_px)


class _Stage:
    """One enlargement from `source` into `out`."""

    def __init__(
        self,
        source: _Planes,
        out: _Planes,
        begin_residual: Callable[[FloatPlane, Tile], Callable[[], FloatPlane]],
        token: CancelToken | None,
        progress: _Progress,
        on_tile: Callable[[TileResult], None] | None,
    ) -> None:
        height, width = out.pixels.shape[:2]
        self._resampler = PictureResampler(source.pixels, source.alpha, height, width, token=token)
        self._source_scale = float(np.iinfo(source.pixels.dtype).max)
        self._out = out
        self._begin_residual = begin_residual
        self._progress = progress
        self._on_tile = on_tile

    def work(self, tile: Tile) -> Callable[[], None]:
        """Begin one tile; the returned function finishes it."""
        core, dtype = tile.core, self._out.pixels.dtype
        colours, alpha = self._resampler.region(tile.padded.rows, tile.padded.cols)
        luma = network_luma(colours, self._source_scale)  # (padded height, padded width)
        finish_residual = self._begin_residual(luma, tile)
        rows = slice(tile.insets.top, tile.insets.top + core.height)
        cols = slice(tile.insets.left, tile.insets.left + core.width)
        factor = np.float32(self._source_scale * RGB_PER_LUMA)
        rescale = float(np.iinfo(dtype).max) / self._source_scale
        plain, shown = colours[rows, cols], None if alpha is None else _quantised(alpha[rows, cols], dtype, rescale)

        def finish() -> None:
            added = finish_residual()  # (core height, core width)
            sharp = plain + (added * factor)[..., None]
            self._put(core, _quantised(sharp, dtype, rescale), shown)

        return finish

    def _put(self, core: Rect, pixels: Pixels, shown: Pixels | None) -> None:
        """Store a finished tile in the result and report it."""
        self._out.pixels[core.rows, core.cols] = pixels
        if self._out.alpha is not None and shown is not None:
            self._out.alpha[core.rows, core.cols] = shown
        self._progress.add(core.area)
        if self._on_tile is not None:
            progress = self._progress
            self._on_tile(TileResult(core.x, core.y, pixels, shown, progress.done_px, progress.total_px))


def _only_colour(picture: Picture) -> Pixels | None:
    """(C,), the colour of all visible pixels, black if there are none; None at the first row that differs.

    Hidden pixels do not count, as they get another colour.
    """
    even: Pixels | None = None  # (W, C): comparing whole rows is many times as fast as each pixel with one
    for number, row in enumerate(picture.pixels):
        if even is not None and np.array_equal(row, even):
            continue
        shown = _shown(picture, number)
        if len(shown) == 0:
            continue
        if even is None:
            even = np.broadcast_to(shown[0], row.shape).copy()
        if not (shown == even[0]).all():
            return None
    return np.zeros(picture.pixels.shape[2], picture.pixels.dtype) if even is None else even[0]


def _is_near(picture: Picture, colour: Pixels) -> bool:
    """Whether no visible pixel differs from `colour`, (C,), by more than `_FAINT`."""
    most = _FAINT * np.iinfo(picture.pixels.dtype).max
    rows = (_shown(picture, number) for number in range(picture.height))
    return all(len(shown) == 0 or np.abs(shown.astype(np.int32) - colour).max() <= most for shown in rows)


def _shown(picture: Picture, row: int) -> Pixels:
    """(n, C), the visible pixels of a row."""
    pixels: Pixels = picture.pixels[row]
    return pixels if picture.alpha is None else pixels[picture.alpha[row] > 0]


def _quantised(values: FloatPixels, dtype: np.dtype[Any], rescale: float = 1.0) -> Pixels:
    """`values` times `rescale`, rounded half up, clipped to the range of `dtype`."""
    scaled = values * np.float32(rescale) + np.float32(0.5)
    return np.clip(scaled, 0.0, float(np.iinfo(dtype).max), out=scaled).astype(dtype)


def _empty_planes(
    picture: Picture, width: int, height: int, dtype: np.dtype[Any], allocate: Allocator = in_memory
) -> _Planes:
    """Planes for a result of `picture`, their contents undefined.

    Raises:
        PictureTooLargeError: there is not enough memory.
    """
    try:
        pixels = allocate((height, width, picture.pixels.shape[2]), dtype)
        alpha = None if picture.alpha is None else allocate((height, width), dtype)
    except MemoryError as error:
        raise PictureTooLargeError(
            f"The result of {width} x {height} pixels does not fit into memory.",
            path=picture.source.path,
            hint="Choose a smaller scale.",
        ) from error
    return _Planes(pixels, alpha)
