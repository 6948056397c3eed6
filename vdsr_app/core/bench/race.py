"""The parent: starts a process for each way, lets them work in turn, and sums up."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from vdsr_app.control import CancelToken
from vdsr_app.core.bench.work import Way, output_size
from vdsr_app.errors import DeviceError

_FEWER_RUNS = ((4.0, 5), (16.0, 3))
"""Most runs up to so many megapixels; above the last, one."""


@dataclass(frozen=True, slots=True)
class Result:
    """One way at one size.

    Attributes:
        way: what was measured.
        about: what it says of itself: "precision", and "backend", "kind" and "text", or "version".
        megapixels: of the result, exactly.
        runs: how many; the numbers are their medians.
        seconds: from picture to picture; of a peer, of the network alone.
        network_s: of the network alone.
        first_tile_s: until the first tile of the visible region; None of a peer.
        peak_memory_bytes: largest resident set beyond that of the interpreter with PyTorch; None where it is
            not told.
    """

    way: Way
    about: dict[str, str]
    megapixels: float
    runs: int
    seconds: float
    network_s: float
    first_tile_s: float | None
    peak_memory_bytes: int | None

    @property
    def mpx_per_s(self) -> float:
        """Millions of output pixels a second, from picture to picture."""
        return self.megapixels / self.seconds

    @property
    def network_mpx_per_s(self) -> float:
        """Likewise of the network alone."""
        return self.megapixels / self.network_s


def runs_for(megapixels: float, most: int) -> int:
    """How often a size is measured: fewer times where one run takes minutes."""
    return min(most, next((runs for limit, runs in _FEWER_RUNS if megapixels <= limit), 1))


def race(
    ways: Sequence[Way],
    megapixels: float,
    runs: int,
    model: str,
    token: CancelToken,
    on_run: Callable[[], None] = lambda: None,
) -> list[Result]:
    """Measure some ways at one size, in turn.

    Args:
        ways: what to measure.
        megapixels: about the size of the result.
        runs: of each.
        model: name of an installed model or path of a weight file.
        token: tested between runs.
        on_run: called after each run.

    Raises:
        DeviceError: one of them failed.
        Cancelled: through `token`.
    """
    with ExitStack() as stack:
        children = [stack.enter_context(_Child(way, model, megapixels)) for way in ways]
        for child in children:  # one after the other: ready means that a first run was done
            child.wait_ready()
        for _ in range(runs):
            for child in children:
                token.raise_if_cancelled()
                child.run()
                on_run()
        width, height = output_size(megapixels)
        return [child.result(width * height / 1e6) for child in children]


class _Child:
    """A process that works when it is told to."""

    def __init__(self, way: Way, model: str, megapixels: float) -> None:
        self._way = way
        self._command = [
            *(sys.executable, "-P", "-m", "vdsr_app.core.bench.child"),
            *(json.dumps(list(asdict(way).values())), model, str(megapixels)),
        ]
        self._runs: list[dict[str, float]] = []
        self._head: dict[str, Any] = {}

    def __enter__(self) -> _Child:
        # Ready one after the other: so the process is started when the one before has done its first run.
        return self

    def __exit__(self, *exception: object) -> None:
        process = getattr(self, "_process", None)
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
        if process is not None:
            process.stdin.close()
            process.stdout.close()

    def wait_ready(self) -> None:
        """Start it and wait for its first run."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self._head = self._read()

    def run(self) -> None:
        """Let it work once."""
        self._write("\n")
        self._runs.append(self._read())

    def result(self, megapixels: float) -> Result:
        """End it and sum up."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        peak, started = self._read()["peak_bytes"], self._head["started_bytes"]
        self._process.wait()

        def median(name: str) -> float:
            return statistics.median(run[name] for run in self._runs)

        return Result(
            self._way,
            self._head["describe"],
            megapixels,
            len(self._runs),
            median("seconds"),
            median("network_s"),
            median("first_tile_s") if "first_tile_s" in self._runs[0] else None,
            None if peak is None else peak - started,
        )

    def _write(self, text: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(text)
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._failed() from error

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._failed()
        record: dict[str, Any] = json.loads(line)
        return record

    def _failed(self) -> DeviceError:
        return DeviceError(
            f"Measuring '{self._way.name}' failed.", hint="Its own message stands above; the log has the rest."
        )
