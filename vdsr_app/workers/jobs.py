"""What each kind of job does: plain functions, run in a worker's thread."""

from __future__ import annotations

import time
from dataclasses import replace

from vdsr_app.core import models
from vdsr_app.core.display import picture_to_rgba, pixels_to_rgba
from vdsr_app.core.picture import Picture
from vdsr_app.core.protocol import Score
from vdsr_app.core.pyramid import MipPyramid
from vdsr_app.errors import UsageError
from vdsr_app.workers.core_access import CoreAccess, FinishedTile
from vdsr_app.workers.messages import (
    CopyJob,
    InstallJob,
    LayerJob,
    LayerKind,
    LayerResult,
    MetricsJob,
    OpenedPicture,
    OpenJob,
    PasteJob,
    SavedFile,
    SaveJob,
    TileBlock,
)
from vdsr_app.workers.runner import JobContext

KERNELS = {
    LayerKind.ORIGINAL: "nearest",
    LayerKind.BILINEAR: "bilinear",
    LayerKind.BICUBIC: "bicubic",
    LayerKind.LANCZOS: "lanczos",
}
"""Kernel of each layer made by interpolation."""


def open_picture(job: OpenJob, core: CoreAccess, context: JobContext) -> OpenedPicture:
    """Read a file and prepare it for display."""
    return _opened(core.read(job.path, context.token), context)


def paste_picture(job: PasteJob, context: JobContext) -> OpenedPicture:
    """Take a picture that is not a file and prepare it for display."""
    return _opened(job.take(), context)


def copy_picture(job: CopyJob, context: JobContext) -> object:
    """Convert a picture to what another program takes."""
    copy = job.convert(job.picture)
    context.token.raise_if_cancelled()
    return copy


def make_layer(job: LayerJob, core: CoreAccess, context: JobContext) -> LayerResult:
    """Make one layer of the comparison and prepare it for display."""
    started_s = time.monotonic()
    device = ""
    if job.layer.kind is LayerKind.MODEL:
        picture, device = _upscaled(job, core, context)
    elif job.layer.kind is LayerKind.REFERENCE:
        picture = _reference(job, core, context)
    else:
        picture = _interpolated(job, core, context)
    picture = _read_only(picture)
    pyramid = _pyramid(picture, context)
    return LayerResult(
        layer=job.layer,
        target=job.settings.target,
        picture=picture,
        pyramid=pyramid,
        seconds=time.monotonic() - started_s,
        device=device,
    )


def save_picture(job: SaveJob, core: CoreAccess, context: JobContext) -> SavedFile:
    """Write a file, and report as notices what its format could not store."""
    report = core.save(job.picture, job.path, job.options, context.token)
    for note in report.notes:
        context.notice(note)
    return SavedFile(report.path, report.size_bytes)


def install_model(job: InstallJob, context: JobContext) -> models.ModelInfo:
    """Copy a weight file to the user's own models; see `core.models.install_model`."""
    return models.install_model(job.path)


def measure(job: MetricsJob, core: CoreAccess, context: JobContext) -> Score:
    """Compare two pictures."""
    return core.compare(job.reference, job.estimate, job.border_px, context.token, context.progress)


def warm_up(model: str, device: str, precision: str, core: CoreAccess, context: JobContext) -> None:
    """Load torch and a model, and report what it runs on."""
    context.device(core.engine(model, device, precision, context.token).describe())


def _opened(picture: Picture, context: JobContext) -> OpenedPicture:
    context.token.raise_if_cancelled()
    return OpenedPicture(_read_only(picture), _pyramid(picture, context))


def _upscaled(job: LayerJob, core: CoreAccess, context: JobContext) -> tuple[Picture, str]:
    settings = replace(job.settings, model=job.layer.model or job.settings.model)
    engine = core.engine(settings.model, settings.device, settings.precision, context.token)
    context.device(engine.describe())

    def on_tile(tile: FinishedTile) -> None:
        context.tile(TileBlock(tile.x, tile.y, pixels_to_rgba(tile.pixels, tile.alpha, job.picture.icc)))

    picture = core.upscale(
        job.picture,
        settings,
        engine,
        token=context.token,
        on_tile=on_tile,
        on_progress=context.progress,
        on_notice=context.notice,
        visible=context.visible,
    )
    device = engine.describe()
    context.device(device)
    return picture, device


def _interpolated(job: LayerJob, core: CoreAccess, context: JobContext) -> Picture:
    size = job.settings.target.size_for(job.picture.width, job.picture.height)

    def on_rows(done: int, total: int) -> None:
        context.progress(done * size.width, total * size.width)

    return core.interpolate(job.picture, size, KERNELS[job.layer.kind], context.token, on_rows)


def _reference(job: LayerJob, core: CoreAccess, context: JobContext) -> Picture:
    if job.reference is not None:
        return job.reference
    if job.layer.reference is None:
        raise UsageError("No reference picture was chosen.", hint="Choose a file to compare with.")
    return core.read(job.layer.reference, context.token)


def _read_only(picture: Picture) -> Picture:
    """The same picture with read-only arrays: from here on two threads access them."""
    picture.pixels.flags.writeable = False
    if picture.alpha is not None:
        picture.alpha.flags.writeable = False
    return picture


def _pyramid(picture: Picture, context: JobContext) -> MipPyramid:
    rgba = picture_to_rgba(picture, context.token)
    context.token.raise_if_cancelled()
    return MipPyramid.from_rgba(rgba)
