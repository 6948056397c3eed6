"""Measure how fast this machine enlarges pictures, how much memory it takes, and how far it is from its limit.

Each way of computing runs in a process of its own, in turn with the others. `--peers` adds OpenVINO and onnxruntime by
themselves, if they are installed. The matrix rate is what PyTorch reaches on products of large matrices; the network is
credited with the arithmetic of plain convolutions, of which Winograd's method needs less than half.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vdsr_app.commands.common import stop_on_signals
from vdsr_app.console import Console
from vdsr_app.core.job import PRECISIONS
from vdsr_app.core.models import DEFAULT_MODEL, find_model
from vdsr_app.errors import UsageError

if TYPE_CHECKING:
    import torch

    from vdsr_app.core.bench.race import Result
    from vdsr_app.core.bench.work import Way

SUMMARY = "measure speed and memory on this machine"
_SIZES = (1.0, 2.0, 8.0)
_MOST_MPX = 1000.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `vdsr bench`."""
    parser.add_argument(
        "--sizes", type=float, nargs="+", default=list(_SIZES), metavar="MP", help="megapixels of the result (1 2 8)"
    )
    parser.add_argument("--runs", type=int, metavar="N", help="of each (5; 3 above 4 megapixels, 1 above 16)")
    parser.add_argument("--peers", action="store_true", help="measure OpenVINO and onnxruntime too, by themselves")
    parser.add_argument("--all", action="store_true", help="every way of computing, not the chosen one alone")
    parser.add_argument("--model", default=DEFAULT_MODEL, metavar="NAME|FILE", help="network to run (%(default)s)")
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1, mps (%(default)s)")
    parser.add_argument("--precision", default="auto", choices=PRECISIONS, help="of the network (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)  # one way, in a process that `race` started


def run(arguments: argparse.Namespace, console: Console) -> bool:
    """Measure and print."""
    if arguments.child is not None:
        return _serve(*arguments.child)
    if (arguments.runs is not None and arguments.runs < 1) or not all(
        0.01 <= size <= _MOST_MPX for size in arguments.sizes
    ):
        raise UsageError(f"Give sizes of 0.01 to {_MOST_MPX:g} megapixels, and at least one run.")
    find_model(arguments.model)
    from vdsr_app.core.bench import race, work
    from vdsr_app.core.device import choose_device
    from vdsr_app.core.weights import load_model

    device = choose_device(arguments.device)
    ways, missing = _ways(arguments, device)
    for name in missing:
        console.note(f"{name} is not installed and is left out.")
    config = load_model(find_model(arguments.model)).model.config
    counts = [race.runs_for(size, arguments.runs) for size in arguments.sizes]
    results: list[Result] = []
    with stop_on_signals() as token, console.progress("Measuring", sum(counts) * len(ways), "runs") as update:
        done = 0

        def on_run() -> None:
            nonlocal done
            done += 1
            update(done)

        matrix: dict[str, float] = {}
        for size, count in zip(arguments.sizes, counts, strict=True):
            token.raise_if_cancelled()
            # Measured before each size, and the best counts: other load lowers the rate, never raises it.
            rates = work.matrix_tflops(device)
            matrix = {name: max(rate, matrix.get(name, 0.0)) for name, rate in rates.items()}
            results += race.race(ways, size, count, arguments.model, token, on_run)
    fraction = _Fraction(device.type, matrix, work.flops_per_pixel(config))
    console.record(
        {
            "machine": work.machine(),
            "matrix_tflops": matrix,
            "results": [_as_json(each, fraction(each)) for each in results if not each.way.is_peer],
            "peers": [_peer_json(each) for each in results if each.way.is_peer],
            "missing_peers": missing,
        }
    )
    for line in table(results, matrix, fraction):
        console.result(line)
    return True


def _serve(way: str, model: str, megapixels: str) -> bool:
    """Run one way of computing, in the process that was started for it."""
    from vdsr_app.core.bench import child
    from vdsr_app.core.bench.work import Way

    child.main(Way(*json.loads(way)), model, float(megapixels))
    return True


def _ways(arguments: argparse.Namespace, device: torch.device) -> tuple[list[Way], list[str]]:
    """What to measure, and which peers are not installed."""
    from vdsr_app.core.bench.work import PEERS, Way, fast_precisions

    ways = [Way("engine", arguments.device, arguments.precision)]
    if arguments.all and device.type != "cpu":
        ways += [Way("torch", arguments.device, str(each)) for each in fast_precisions(device)]
    elif arguments.all:
        from vdsr_app.core.backend_choice import candidates
        from vdsr_app.core.weights import load_model

        model = load_model(find_model(arguments.model)).model
        found = candidates(model, arguments.precision, accelerators=False, openvino=True)
        ways += [Way(each.backend, "cpu", str(each.precision)) for each in found]
    missing = []
    for peer in PEERS if arguments.peers else ():
        package = peer.split()[0]
        if importlib.util.find_spec(package) is None:
            missing.append(package)
        else:
            ways.append(Way(peer))
    return ways, missing


@dataclass(frozen=True, slots=True)
class _Fraction:
    """Fraction of the matrix rate that a result achieves.

    Attributes:
        kind: type of the device whose rate was measured.
        matrix: TFLOP/s by precision.
        flops: per output pixel.
    """

    kind: str
    matrix: dict[str, float]
    flops: int

    def __call__(self, result: Result) -> float | None:
        """The fraction, 1 being all of it; None for a peer, or a device or precision that was not measured."""
        rate = self.matrix.get(result.about["precision"])
        if rate is None or result.about.get("kind") != self.kind:
            return None
        return result.mpx_per_s * 1e6 * self.flops / (rate * 1e12)


def _as_json(result: Result, fraction: float | None) -> dict[str, Any]:
    return {
        "megapixels": round(result.megapixels, 3),
        "way": result.way.name,
        "backend": result.about["backend"],
        "device": result.about["kind"],
        "precision": result.about["precision"],
        "mpx_per_s": round(result.mpx_per_s, 4),
        "network_mpx_per_s": round(result.network_mpx_per_s, 4),
        "fraction_of_matrix_rate": None if fraction is None else round(fraction, 3),
        "first_tile_s": None if result.first_tile_s is None else round(result.first_tile_s, 3),
        "peak_memory_bytes": result.peak_memory_bytes,
        "runs": result.runs,
    }


def _peer_json(result: Result) -> dict[str, Any]:
    return {
        "name": result.way.name,
        "version": result.about["version"],
        "calls": result.about["calls"],
        "precision": result.about["precision"],
        "megapixels": round(result.megapixels, 3),
        "mpx_per_s": round(result.mpx_per_s, 4),
        "peak_memory_bytes": result.peak_memory_bytes,
        "runs": result.runs,
    }


def table(results: Sequence[Result], matrix: dict[str, float], fraction: _Fraction) -> list[str]:
    """The results as lines of a table to read."""
    rates = ", ".join(f"{name} {rate:.3f} TFLOP/s" for name, rate in matrix.items())
    lines = [f"Products of large matrices: {rates}", ""]
    lines.append(
        f"{'Mpx':>6}  {'way':<28} {'Mpx/s':>7} {'network':>8} {'of rate':>8} {'1st tile':>9} {'memory':>9}  runs"
    )
    for each in results:
        way = each.way.name if each.way.is_peer else f"{each.way.name}: {each.about['backend']}"
        calls = each.about.get("calls", 1)
        share = fraction(each)
        first = "" if each.first_tile_s is None else f"{each.first_tile_s:.2f} s"
        memory = "" if each.peak_memory_bytes is None else f"{each.peak_memory_bytes / 1e6:,.0f} MB"
        lines.append(
            f"{each.megapixels:6.1f}  {way + ' ' + each.about['precision']:<28} {each.mpx_per_s:7.3f}"
            f" {each.network_mpx_per_s:8.3f} {'' if share is None else f'{share:.0%}':>8} {first:>9} {memory:>9}"
            f"  {each.runs}{f', in {calls} strips' if calls > 1 else ''}"
        )
    return lines
