"""The arguments that become `UpscaleSettings`: the same for a single picture and for a batch."""

from __future__ import annotations

import argparse

from vdsr_app.commands.common import add_engine_arguments
from vdsr_app.core.job import FileFormat, Metadata, SaveOptions, Target, TargetKind, UpscaleSettings
from vdsr_app.core.models import persistent_name
from vdsr_app.errors import UsageError


def add_settings_arguments(parser: argparse.ArgumentParser, *, usual_format: str) -> None:
    """Add the arguments for size, model, device, format and tile.

    Args:
        parser: parser to add them to.
        usual_format: what determines the format if none is given, for the help.
    """
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--scale", type=float, metavar="S", help="scale factor, 1.0 to 8.0 (2)")
    for kind in (TargetKind.WIDTH, TargetKind.HEIGHT, TargetKind.LONG_SIDE, TargetKind.SHORT_SIDE):
        size.add_argument(f"--{kind.value.replace('_', '-')}", type=int, metavar="PX", help="of the result, in pixels")
    size.add_argument("--megapixels", type=float, metavar="MP", help="size of the result in millions of pixels")
    add_engine_arguments(parser, automatic=True)
    parser.add_argument(
        "--format", choices=[str(each) for each in FileFormat], help=f"file format; else {usual_format}"
    )
    parser.add_argument("--quality", type=int, default=92, metavar="Q", help="1-100 for jpeg, webp, avif (%(default)s)")
    parser.add_argument("--bits", type=int, choices=(8, 16), help="bits per sample; else those of the source")
    parser.add_argument(
        "--metadata", choices=[str(each) for each in Metadata], default="keep", help="what to carry over (%(default)s)"
    )
    parser.add_argument("--tile", type=int, metavar="PX", help="side of a tile; chosen automatically if not given")


def settings_of(arguments: argparse.Namespace) -> UpscaleSettings:
    """The settings that the arguments ask for; a weight file by its full path, as a batch may be resumed elsewhere.

    Raises:
        UsageError: an invalid size, tile or quality.
    """
    target = Target(TargetKind.SCALE, 2.0)
    for kind in TargetKind:
        if (value := getattr(arguments, kind.value)) is not None:
            target = Target(kind, float(value))
    # An invalid factor is invalid for every picture, so report it before any is read.
    if target.kind is TargetKind.SCALE:
        target.size_for(1000, 1000)
    elif target.value <= 0:
        raise UsageError(f"{target.value:g} is not a usable size.", hint="Give a number above 0.")
    if arguments.tile is not None and arguments.tile < 1:
        raise UsageError(f"A tile of {arguments.tile} px is not possible.", hint="Give a number above 0.")
    save = SaveOptions(
        FileFormat(arguments.format) if arguments.format else None,
        arguments.quality,
        arguments.bits,
        Metadata(arguments.metadata),
    )
    return UpscaleSettings(
        target,
        persistent_name(arguments.model),
        arguments.device,
        arguments.precision,
        arguments.tile,
        save,
        arguments.self_ensemble,
    )
