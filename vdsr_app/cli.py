"""The command line: `vdsr upscale`, `batch`, `evaluate`, `train`, `runs`, `export`, `bench` and `info`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from types import ModuleType

from vdsr_app import __version__
from vdsr_app.commands import batch, bench, evaluate, export, info, runs, train, upscale
from vdsr_app.console import Console
from vdsr_app.errors import Cancelled, ConfigError, UsageError, VdsrError

logger = logging.getLogger(__name__)

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130
_MODULES: dict[str, ModuleType] = {
    "upscale": upscale,
    "batch": batch,
    "evaluate": evaluate,
    "train": train,
    "runs": runs,
    "export": export,
    "bench": bench,
    "info": info,
}
COMMANDS = tuple(_MODULES)
"""Names of the subcommands."""

_DESCRIPTION = """\
VDSR Studio enlarges pictures with a neural network that adds back detail which plain
enlargement (bicubic) loses. Without a command it opens the window."""
_EXAMPLES = """\
examples:
  vdsr                                         open the window
  vdsr photo.jpg                               open the window with this picture
  vdsr upscale photo.jpg --scale 3 -o big.png  three times as wide and high
  vdsr upscale scans/ --long-side 6000 -o out/ every picture of a folder, 6000 px long
  vdsr batch scans/ --recursive -o out/        folders by the thousand; resumes after a stop
  vdsr evaluate --data set5 --scales 2 3 4     PSNR and SSIM against bicubic (set5 is not bundled)
  vdsr train --data my-photos --out runs/mine  teach the network your own kind of picture
  vdsr runs                                    your training runs, and how each does
  vdsr export vdsr --onnx vdsr.onnx            a model for other programs
  vdsr bench                                   how fast this machine is
  vdsr info                                    devices, models, folders

`vdsr COMMAND --help` explains one command. Exit status: 0 all went well, 1 something failed, 2 wrong usage,
130 interrupted."""


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="vdsr",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"VDSR Studio {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in _MODULES.items():
        command = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
    return parser


def main(argv: Sequence[str]) -> int:
    """Run one command.

    Args:
        argv: arguments after the program's name, the command first.

    Returns:
        Exit status: 0 all went well, 1 something failed, 2 wrong usage, 130 stopped by the user.
    """
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else EXIT_USAGE
    console = Console(json=getattr(arguments, "json", False))
    try:
        done: bool = _MODULES[arguments.command].run(arguments, console)
    except (UsageError, ConfigError) as error:
        console.error(error)
        return EXIT_USAGE
    except VdsrError as error:
        console.error(error)
        return EXIT_FAILED
    except (Cancelled, KeyboardInterrupt):
        console.note("Stopped. What was already finished is kept.")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of the output is gone; there is nobody to tell.
        sys.stderr.close()
        return EXIT_FAILED
    except OSError as error:
        logger.info("vdsr %s ran into an unexpected error.", arguments.command, exc_info=True)
        reported = VdsrError(
            f"Something could not be read or written: {error.strerror or error}.", hint="The log has the details."
        )
        reported.path = error.filename if isinstance(error.filename, str) else None
        console.error(reported)
        return EXIT_FAILED
    return EXIT_OK if done else EXIT_FAILED
