"""Arguments and steps that several commands share."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from vdsr_app.control import CancelToken
from vdsr_app.core.formats import TITLES
from vdsr_app.core.job import PRECISIONS
from vdsr_app.core.model_choice import (
    AUTO_MODEL,
    CLEAN_MODEL,
    PHOTO_MAX_QUALITY,
    PHOTO_MODEL,
    ChoiceReason,
    ModelChoice,
)
from vdsr_app.core.words import counted
from vdsr_app.errors import UsageError


def add_engine_arguments(parser: argparse.ArgumentParser, *, automatic: bool = False) -> None:
    """Add `--model`, `--self-ensemble`, `--device` and `--precision`.

    Args:
        parser: parser to add them to.
        automatic: whether the program may choose the model, and does so unless one is named.
    """
    which = "installed model or .safetensors file"
    if automatic:
        kinds = ", ".join(f"{TITLES[each]} up to {most}" for each, most in PHOTO_MAX_QUALITY.items())
        which += (
            f"; {AUTO_MODEL}: for each picture, {PHOTO_MODEL} where its quality is low ({kinds}), else {CLEAN_MODEL}"
        )
    parser.add_argument(
        "--model",
        default=AUTO_MODEL if automatic else CLEAN_MODEL,
        metavar="NAME|FILE",
        help=f"{which} (%(default)s)",
    )
    parser.add_argument(
        "--self-ensemble",
        action="store_true",
        help="average the network over eight flips and rotations: a little better, twice as slow with the bundled"
        " models, up to eight times with others",
    )
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1, mps (%(default)s)")
    parser.add_argument(
        "--precision", default="auto", choices=PRECISIONS, help="arithmetic of the network (%(default)s)"
    )


def choice_note(choice: ModelChoice) -> str:
    """A note on an automatic choice: "photo model, since ..."; empty if there is nothing to say."""
    if choice.compression is None or choice.reason in (ChoiceReason.REQUESTED, ChoiceReason.NO_SIGN):
        return ""
    saved, quality = f"it was saved as {TITLES[choice.compression.format]} at", choice.compression.quality
    match choice.reason:
        case ChoiceReason.COMPRESSED:
            return f"photo model, since {saved} about quality {quality}"
        case ChoiceReason.FINE:
            return f"clean model, since {saved} a quality as high as about {quality}"
        case ChoiceReason.NO_PHOTO_MODEL:
            return f"clean model, though {saved} about quality {quality}: the photo model is not installed"


@contextmanager
def stop_on_signals() -> Iterator[CancelToken]:
    """A token that SIGINT (Ctrl+C) and SIGTERM cancel; a second signal raises KeyboardInterrupt."""
    token = CancelToken()

    def stop(number: int, frame: FrameType | None) -> None:
        if token.cancelled:
            raise KeyboardInterrupt
        token.cancel()

    watched = [signal.SIGINT, signal.SIGTERM]
    earlier = [signal.signal(number, stop) for number in watched]
    try:
        yield token
    finally:
        for number, handler in zip(watched, earlier, strict=True):
            signal.signal(number, handler)


def require_place_of_table(file: Path, header: bytes) -> None:
    """Check that a table may be written to `file`: the name is free, or the file is empty or has the same header.

    Raises:
        UsageError: the name belongs to another file.
    """
    if os.path.isdir(file) or not os.path.lexists(file):
        return  # saving reports what is wrong with these
    begins = None
    if os.path.isfile(file):
        with suppress(OSError), file.open("rb") as there:
            begins = there.read(len(header))
    # Nothing is lost with an empty file: scripts create one to reserve a name.
    if begins not in (header, b""):
        raise UsageError(
            "A file of this name exists that is not such a table; it is kept.",
            path=file,
            hint="Choose another name.",
        )


def quoted(path: Path) -> str:
    """The absolute path, quoted for the shell of this system."""
    full = str(path.absolute())
    return subprocess.list2cmdline([full]) if os.name == "nt" else shlex.quote(full)


def duration(seconds: float) -> str:
    """A duration formatted for display, in the one unit that suits."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.0f} {unit}"
    return counted(round(seconds), "second")
