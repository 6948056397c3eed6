"""The log of a run's events, which must record the last ones even when the disk is full."""

from __future__ import annotations

import logging
from pathlib import Path
from types import TracebackType

from vdsr_app.core.atomic import is_out_of_room, save_error
from vdsr_trainer.events import Event, to_json
from vdsr_trainer.run_files import EVENTS_NAME, RESERVE_NAME

logger = logging.getLogger(__name__)

_RESERVE_BYTES = 16_384


class RunLog:
    """Appends one line per event. A line that the disk has no room for is lost, but never the run.

    A small reserve file is kept beside it and deleted when the disk is full, so that there is room to say so.

    Args:
        run: folder of the run.

    Raises:
        SaveError: the log cannot be opened.
    """

    def __init__(self, run: Path) -> None:
        self._reserve = run / RESERVE_NAME
        path = run / EVENTS_NAME
        try:
            # Unbuffered: an event is on its way to the disk whatever happens to this process.
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise save_error(path, error) from error
        self._begin_line = self._file.tell() > 0
        self._make_reserve()

    def write(self, event: Event) -> None:
        """Append one event."""
        line = (to_json(event) + "\n").encode()
        if self._begin_line:
            # A process that was killed may have left half a line.
            line = b"\n" + line
        if self._append(line):
            self._begin_line = False

    def close(self) -> None:
        """Close the file and delete the reserve."""
        self._file.close()
        self._reserve.unlink(missing_ok=True)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except OSError as failure:
            logger.warning("The log of events could not be closed: %s", failure)

    def _append(self, line: bytes) -> bool:
        for last in (False, True):
            try:
                written = self._file.write(line)
            except OSError as error:
                if last or not is_out_of_room(error) or not self._spend_reserve():
                    logger.warning("An event could not be written down: %s", error)
                    self._begin_line = True
                    return False
            else:
                if written == len(line):
                    return True
                line = b"\n" + line.lstrip(b"\n")  # truncated by a full disk: once more, on a new line
                self._spend_reserve()
        self._begin_line = True
        return False

    def _make_reserve(self) -> None:
        try:
            self._reserve.write_bytes(bytes(_RESERVE_BYTES))
        except OSError as error:
            logger.warning("There is no reserve for last words: %s", error)

    def _spend_reserve(self) -> bool:
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return True
