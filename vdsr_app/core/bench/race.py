"""The parent: starts a process for each way, runs them in turn, and summarises."""

from __future__ import annotations

import json
import queue
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from typing import Any

from vdsr_app import paths
from vdsr_app.control import POLL_S, CancelToken
from vdsr_app.core.bench.work import Way, output_size
from vdsr_app.errors import DeviceError

_RUNS = ((4.0, 5), (16.0, 3))
"""(megapixels, runs): how many runs up to each size; above the last, one."""

# Ctrl+C on the terminal must reach the parent only, which then ends its children.
if sys.platform == "win32":
    _NEW_GROUP = subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _NEW_GROUP = 0


@dataclass(frozen=True, slots=True)
class Result:
    """Result of one way at one size.

    Attributes:
        way: what was measured.
        about: its description of itself: "precision", and "backend", "kind" and "text", or for a peer "version" and
            "calls", the number of pieces that it got the picture in.
        megapixels: exact size of the result.
        runs: number of runs; the times are their medians.
        seconds: from picture to picture; for a peer, the network alone.
        network_s: the network alone.
        first_tile_s: until the first tile of the visible region; None for a peer.
        peak_memory_bytes: peak resident memory beyond that of the interpreter with PyTorch, from picture to picture;
            None if the system does not report it.
    """

    way: Way
    about: dict[str, Any]
    megapixels: float
    runs: int
    seconds: float
    network_s: float
    first_tile_s: float | None
    peak_memory_bytes: int | None

    @property
    def mpx_per_s(self) -> float:
        """Millions of output pixels per second, from picture to picture."""
        return self.megapixels / self.seconds

    @property
    def network_mpx_per_s(self) -> float:
        """Likewise for the network alone."""
        return self.megapixels / self.network_s


def runs_for(megapixels: float, requested: int | None = None) -> int:
    """How often a size is measured: as requested, else fewer times if one run takes minutes."""
    return requested or next((runs for limit, runs in _RUNS if megapixels <= limit), 1)


def race(
    ways: Sequence[Way],
    megapixels: float,
    runs: int,
    model: str,
    token: CancelToken,
    on_run: Callable[[], None] = lambda: None,
) -> list[Result]:
    """Measure several ways at one size, in turn.

    Args:
        ways: what to measure.
        megapixels: approximate size of the result.
        runs: number of runs of each.
        model: name of an installed model or path of a weight file.
        token: tested continuously; ends the processes.
        on_run: called after each run.

    Raises:
        DeviceError: one of them failed.
        Cancelled: `token` was cancelled.
    """
    with ExitStack() as stack:
        children = [stack.enter_context(_Child(way, model, megapixels, token)) for way in ways]
        for child in children:  # one after the other, because getting ready takes work
            child.wait_ready()
        for _ in range(runs):
            for child in children:
                child.run()
                on_run()
        width, height = output_size(megapixels)
        return [child.result(width * height / 1e6) for child in children]


class _Child:
    """A process that runs when it is told to."""

    def __init__(self, way: Way, model: str, megapixels: float, token: CancelToken) -> None:
        self._way = way
        self._token = token
        self._command = [
            *(*paths.program_command(), "bench", "--child"),
            *(json.dumps(list(asdict(way).values())), model, str(megapixels)),
        ]
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._head: dict[str, Any] = {}
        self._runs: list[dict[str, Any]] = []

    def __enter__(self) -> _Child:
        # Started by `wait_ready`, when the previous one is ready.
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with suppress(BrokenPipeError):  # a request that it did not read
                stream.close()

    def wait_ready(self) -> None:
        """Start it and wait until it is ready."""
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
            creationflags=_NEW_GROUP,
        )
        # In a thread, because a blocking read from a pipe cannot be interrupted when the user cancels.
        self._reader = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
        self._reader.start()
        self._head = self._read()

    def run(self) -> None:
        """Run it once."""
        self._token.raise_if_cancelled()
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._failed() from error
        self._runs.append(self._read())

    def result(self, megapixels: float) -> Result:
        """Summarise the runs."""

        def median(name: str) -> float:
            return float(statistics.median(run[name] for run in self._runs))

        peak, started = self._runs[0]["peak_bytes"], self._head["started_bytes"]
        return Result(
            self._way,
            self._head["describe"],
            megapixels,
            len(self._runs),
            median("seconds"),
            median("network_s"),
            median("first_tile_s") if "first_tile_s" in self._runs[0] else None,
            None if peak is None or started is None else peak - started,
        )

    def _listen(self, process: subprocess.Popen[str]) -> None:
        """Queue its output, line by line, and "" at the end."""
        assert process.stdout is not None
        for line in process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _read(self) -> dict[str, Any]:
        while True:
            self._token.raise_if_cancelled()
            try:
                line = self._lines.get(timeout=POLL_S)
            except queue.Empty:
                continue
            if not line:
                raise self._failed()
            record: dict[str, Any] = json.loads(line)
            return record

    def _failed(self) -> DeviceError:
        return DeviceError(f"Measuring '{self._way.name}' failed.", hint="Its own message stands above.")
