"""The parts of the core that jobs call: imported on first use, behind a protocol that tests can replace."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vdsr_app.control import CancelToken, ProgressCallback
from vdsr_app.core.job import SaveOptions, TargetSize, UpscaleSettings
from vdsr_app.core.models import find_model
from vdsr_app.core.picture import Picture, Pixels
from vdsr_app.core.protocol import Score
from vdsr_app.core.tiling import Rect as TileRect
from vdsr_app.workers.messages import Rect
from vdsr_app.workers.preload import load_network

if TYPE_CHECKING:
    from vdsr_app.core.image_io import SaveReport

logger = logging.getLogger(__name__)

_SECOND_CHANCE_S = 60.0
"""How long to keep an engine that has fallen back, so that a card that is broken for good is not tried every time."""


class Engine(Protocol):
    """A network on a device, ready to run."""

    def describe(self) -> str:
        """Device and precision for the user; may change when memory runs short."""


class FinishedTile(Protocol):
    """A finished tile from the core, in output pixels."""

    @property
    def x(self) -> int:
        """Left edge."""

    @property
    def y(self) -> int:
        """Top edge."""

    @property
    def pixels(self) -> Pixels:
        """(h, w, C) in the depth of the picture."""

    @property
    def alpha(self) -> Pixels | None:
        """(h, w) of the same dtype, straight, or None."""


class CoreAccess(Protocol):
    """The core as the workers use it; `engine` and `upscale` are always called from the same thread."""

    def read(self, path: Path, token: CancelToken) -> Picture:
        """Read a picture file.

        Raises:
            PictureError: the file cannot be read.
            Cancelled: through `token`.
        """

    def save(self, picture: Picture, path: Path, options: SaveOptions, token: CancelToken) -> SaveReport:
        """Write a picture file atomically.

        Raises:
            SaveError: the file cannot be written; an earlier one of that name is untouched.
            Cancelled: through `token`; likewise.
        """

    def interpolate(
        self, picture: Picture, size: TargetSize, kernel: str, token: CancelToken, on_rows: ProgressCallback
    ) -> Picture:
        """Enlarge by an interpolation kernel; `on_rows` receives (rows done, rows in total)."""

    def compare(
        self, reference: Picture, estimate: Picture, border_px: int, token: CancelToken, on_rows: ProgressCallback
    ) -> Score:
        """PSNR and SSIM of the luma."""

    def engine(self, model: str, device: str, precision: str, token: CancelToken) -> Engine:
        """The network `model` on a device, kept between calls; the first call loads torch."""

    def upscale(
        self,
        picture: Picture,
        settings: UpscaleSettings,
        engine: Engine,
        *,
        token: CancelToken,
        on_tile: Callable[[FinishedTile], None],
        on_progress: ProgressCallback,
        on_notice: Callable[[str], None],
        visible: Callable[[], Rect | None],
    ) -> Picture:
        """Enlarge by the network.

        Raises:
            UsageError: the target is outside the supported range.
            PictureTooLargeError: the result does not fit into memory.
            NonFiniteOutputError: the result is unusable: not finite, or flat though the picture is not.
            DeviceError: no device could do it.
            Cancelled: through `token`.
        """


class LazyCore:
    """The real core. Each part is imported by the first job that needs it, in that job's thread."""

    def __init__(self, on_fitting: Callable[[bool], None] = lambda fitting: None) -> None:
        """Load nothing yet; `on_fitting` is as in `preload.load_network`."""
        self._on_fitting = on_fitting
        self._engine_key: tuple[object, ...] | None = None
        self._engine: Any = None
        self._made_s = 0.0

    def read(self, path: Path, token: CancelToken) -> Picture:
        """See `core.image_io.read`."""
        from vdsr_app.core import image_io

        return image_io.read(path, token=token)

    def save(self, picture: Picture, path: Path, options: SaveOptions, token: CancelToken) -> SaveReport:
        """See `core.image_io.save`."""
        from vdsr_app.core import image_io

        return image_io.save(picture, path, options, token=token)

    def interpolate(
        self, picture: Picture, size: TargetSize, kernel: str, token: CancelToken, on_rows: ProgressCallback
    ) -> Picture:
        """See `core.upscale.interpolate_picture`."""
        from vdsr_app.core.upscale import interpolate_picture

        return interpolate_picture(picture, size, kernel, token=token, on_rows=on_rows)

    def compare(
        self, reference: Picture, estimate: Picture, border_px: int, token: CancelToken, on_rows: ProgressCallback
    ) -> Score:
        """See `core.picture_metrics.compare_pictures`."""
        from vdsr_app.core.picture_metrics import compare_pictures

        return compare_pictures(reference, estimate, border_px, token, on_rows)

    def engine(self, model: str, device: str, precision: str, token: CancelToken) -> Engine:
        """The engine of the last call if nothing has changed, including the weight file; else a new one.

        An engine that fell back after a shortage or a fault is not kept for long either: that may have been momentary.

        Raises:
            WeightsError: there is no such model, or its file is damaged.
            DeviceError: the device is absent or failed.
            UsageError: no such device or precision.
            Cancelled: `token` was cancelled.
        """
        load_network(device, precision, token, self._on_fitting)
        from vdsr_app.core.engine import Engine as TorchEngine
        from vdsr_app.core.weights import load_model

        token.raise_if_cancelled()
        info = find_model(model)
        state = info.path.stat()
        key = (info.path, state.st_mtime_ns, state.st_size, device, precision)
        started_s = time.monotonic()
        tired = self._engine_key == key and self._engine.has_fallen_back and started_s - self._made_s > _SECOND_CHANCE_S
        if key != self._engine_key or tired:
            self._engine, self._engine_key = None, None  # so that a GPU never holds two
            self._engine = TorchEngine.create(load_model(info).model, device=device, precision=precision)
            self._engine_key, self._made_s = key, time.monotonic()
            logger.info(
                "'%s' runs on %s, ready in %.2f s.", model, self._engine.describe(), time.monotonic() - started_s
            )
        engine: Engine = self._engine
        return engine

    def upscale(
        self,
        picture: Picture,
        settings: UpscaleSettings,
        engine: Any,
        *,
        token: CancelToken,
        on_tile: Callable[[FinishedTile], None],
        on_progress: ProgressCallback,
        on_notice: Callable[[str], None],
        visible: Callable[[], Rect | None],
    ) -> Picture:
        """See `core.upscale.upscale_picture`."""
        from vdsr_app.core.upscale import upscale_picture

        return upscale_picture(
            picture,
            settings,
            engine,
            token=token,
            on_tile=on_tile,
            on_progress=on_progress,
            on_notice=on_notice,
            visible=lambda: None if (rect := visible()) is None else TileRect(*rect),
        )
