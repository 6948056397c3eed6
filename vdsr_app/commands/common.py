"""Arguments and steps that several commands share."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from vdsr_app.control import CancelToken
from vdsr_app.core.models import DEFAULT_MODEL, find_model

if TYPE_CHECKING:
    from vdsr_app.core.engine import Engine

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """`--model`, `--device` and `--precision`."""
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, metavar="NAME|FILE", help="installed model or .safetensors file (%(default)s)"
    )
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1, mps (%(default)s)")
    parser.add_argument(
        "--precision", default="auto", choices=PRECISIONS, help="arithmetic of the network (%(default)s)"
    )


def make_engine(model: str, device: str, precision: str) -> Engine:
    """Load a model and put it on a device; torch is imported here and not before.

    Raises:
        WeightsError: the model is missing or damaged.
        DeviceError: the device is absent.
    """
    info = find_model(model)
    from vdsr_app.core.engine import Engine
    from vdsr_app.core.weights import load_model

    return Engine.create(load_model(info).model, device=device, precision=precision)


@contextmanager
def stop_on_signals() -> Iterator[CancelToken]:
    """A token that Ctrl+C and a polite kill cancel; a second Ctrl+C ends the program at once."""
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
