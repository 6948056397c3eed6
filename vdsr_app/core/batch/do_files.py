"""Where pictures are processed: in this process, or anywhere else with the interface of `core.pipeline.run_files`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from vdsr_app.control import CancelToken, PauseGate
from vdsr_app.core.engines import Engines
from vdsr_app.core.pipeline import FileEvent, FileJob, NoRoomCallback, PipelineReport, run_files


class DoFiles(Protocol):
    """Processes pictures as `core.pipeline.run_files` does, wherever that is."""

    def __call__(
        self,
        jobs: Iterable[FileJob],
        on_event: Callable[[FileEvent], None],
        token: CancelToken,
        *,
        pause: PauseGate,
        on_no_room: NoRoomCallback,
    ) -> PipelineReport:
        """See `core.pipeline.run_files`."""


def run_locally(engines: Engines) -> DoFiles:
    """Return a `DoFiles` that works in this process."""

    def do_files(
        jobs: Iterable[FileJob],
        on_event: Callable[[FileEvent], None],
        token: CancelToken,
        *,
        pause: PauseGate,
        on_no_room: NoRoomCallback,
    ) -> PipelineReport:
        return run_files(jobs, engines, on_event, token, pause=pause, on_no_room=on_no_room)

    return do_files
