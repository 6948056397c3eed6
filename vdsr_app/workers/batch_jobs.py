"""What the threads of a batch do: plain functions, run in a worker's thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vdsr_app.control import PauseGate
from vdsr_app.core.batch import (
    Batch,
    BatchEvent,
    BatchOptions,
    BatchReport,
    Plan,
    SourceFacts,
    Unfinished,
    plan_of,
    probe_source,
    unfinished,
    write_report,
)
from vdsr_app.core.batch.journal_view import stamp_of
from vdsr_app.workers.preload import load_network
from vdsr_app.workers.runner import JobContext


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """A request to run a batch; see `BatchService.start`, and `preload.load_network` for `on_fitting`."""

    inputs: tuple[Path, ...]
    options: BatchOptions
    resume: bool
    retry_failed: bool
    on_fitting: Callable[[bool], None]


class Handle:
    """Access to a batch that runs in another thread."""

    def __init__(self) -> None:
        self._batch: Batch | None = None
        self._early: list[Sequence[Path]] = []
        self._lock = threading.Lock()

    @property
    def planned(self) -> bool:
        """Whether all pictures of the batch are known and have been reported."""
        return self._batch is not None and self._batch.planned

    def attach(self, batch: Batch) -> None:
        """Connect a batch that is about to run."""
        with self._lock:
            for inputs in self._early:
                batch.add(inputs)
            self._batch = batch

    def add(self, inputs: Sequence[Path]) -> bool:
        """Add files and folders; False if the batch has ended."""
        with self._lock:
            if self._batch is None:
                self._early.append(inputs)
                return True
        return self._batch.add(inputs)


Run = Callable[
    [BatchRequest, Handle, PauseGate, dict[Path, SourceFacts], Callable[[BatchEvent], None], JobContext], BatchReport
]


def run(
    request: BatchRequest,
    handle: Handle,
    pause: PauseGate,
    facts: dict[Path, SourceFacts],
    tell: Callable[[BatchEvent], None],
    context: JobContext,
) -> BatchReport:
    """Run a batch to its end."""
    settings = request.options.settings
    load_network(settings.device, settings.precision, context.token, request.on_fitting)
    batch = Batch(request.options, tell, context.token, pause=pause, probe=_remembering(facts))
    if request.inputs:
        batch.add(request.inputs)
    handle.attach(batch)
    return batch.run(resume=request.resume, retry_failed=request.retry_failed)


def plan(inputs: tuple[Path, ...], options: BatchOptions, facts: dict[Path, SourceFacts], context: JobContext) -> Plan:
    """Plan all pictures in files and folders."""
    batch = Batch(options, lambda event: None, context.token, probe=_remembering(facts))
    batch.add(inputs)
    return plan_of(batch.plan(), options)


def look_for(folder: Path, context: JobContext) -> Unfinished | None:
    """The batch that a folder holds, if any."""
    return unfinished(folder)


def report(folder: Path, path: Path, context: JobContext) -> Path:
    """Write the outcome of the last batch in a folder."""
    write_report(folder, path)
    return path


def _remembering(facts: dict[Path, SourceFacts]) -> Callable[[Path], SourceFacts]:
    """A probe that reads no header twice while the file is unchanged: every change of an option makes a new plan."""

    def probe(path: Path) -> SourceFacts:
        known = facts.get(path)
        # What could not be read is tried again: a network drive may be back, or a permission granted.
        if known is None or known.error or known.stamp is None or stamp_of(path) != known.stamp:
            known = facts[path] = probe_source(path)
        return known

    return probe
