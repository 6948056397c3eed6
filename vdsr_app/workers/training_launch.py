"""Starting a training process that outlives the window, and describing one that ended badly."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QProcessEnvironment

from vdsr_app import paths
from vdsr_app.core.atomic import save_error
from vdsr_app.errors import TrainingError
from vdsr_app.workers.messages import ErrorReport
from vdsr_trainer.run_files import OUTPUT_NAME

logger = logging.getLogger(__name__)

_TAIL_BYTES = 8192
_ENVIRONMENT = {paths.CHILD_VARIABLE: "1"}
if sys.platform == "win32":
    # No console window, and no Ctrl+C from a console that the window may have been started from.
    _WINDOWS_FLAGS = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _WINDOWS_FLAGS = 0


class DetachedProcess:
    """A process in a session of its own, so that nothing that ends the window ends it.

    Its standard error goes to `output.log` in the run's folder. Its standard output is discarded: the event log has
    everything in it.

    Attributes:
        run: folder of the run.
    """

    def __init__(self, command: Sequence[str], run: Path) -> None:
        """Start the process.

        Args:
            command: program and arguments.
            run: folder of the run.

        Raises:
            SaveError: the folder cannot be written.
            TrainingError: the program cannot be started.
        """
        self.run = run
        path = run / OUTPUT_NAME
        try:
            log = path.open("wb")  # for this part of the run only
        except OSError as error:
            raise save_error(path, error) from error
        with log:
            try:
                # Not QProcess.startDetached: with redirected output, PySide does not return the process id.
                self._process = subprocess.Popen(
                    list(command),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    env={**os.environ, **_ENVIRONMENT},
                    start_new_session=True,  # POSIX: neither Ctrl+C nor the end of the terminal reaches it
                    creationflags=_WINDOWS_FLAGS,
                )
            except OSError as error:
                raise TrainingError(
                    f"The training could not be started: {error.strerror or error}.",
                    path=command[0],
                    hint="Install the program again.",
                ) from error
        logger.info("A training process was started, number %d.", self._process.pid)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def lives(self) -> bool:
        """Whether it is still running. Asking also reaps a process that has ended."""
        return self._process.poll() is None

    def leave(self) -> None:
        """Let it continue on its own when this program ends."""
        if self.lives:
            # Python warns about an object destroyed while its process runs, unless it believes the process has ended.
            self._process.returncode = 0


def child_environment() -> QProcessEnvironment:
    """This process's environment, for a child whose output is read."""
    environment = QProcessEnvironment.systemEnvironment()
    for name, value in _ENVIRONMENT.items():
        environment.insert(name, value)
    return environment


def crash_report(run: Path) -> ErrorReport:
    """Report on a process that ended without giving a reason, with the end of what it printed in the details."""
    if not run.is_dir():
        return ErrorReport(
            "The folder of the training run is gone.",
            str(run),
            "What was in it is lost, unless you moved it: then move it back.",
        )
    said = output_tail(run)
    if reason := reported_error(said):
        return ErrorReport(reason, str(run), details=said)
    return ErrorReport(
        "The training ended unexpectedly.",
        str(run),
        "Resume it: it continues from its last checkpoint. If it happens again, copy the details and report them.",
        said or "The training process printed nothing. It may have been ended by the system or by hand.",
    )


def reported_error(output: str) -> str:
    """The last error that a command named in its output, as one sentence or more; "" if it named none."""
    lines = [line.removeprefix("error: ") for line in output.splitlines() if line.startswith("error: ")]
    return lines[-1] if lines else ""


def output_tail(run: Path) -> str:
    """The last lines that the training process of a run printed to standard error; "" if there are none."""
    try:
        with (run / OUTPUT_NAME).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            data = file.read(_TAIL_BYTES)
    except OSError:
        return ""
    if size > _TAIL_BYTES:
        data = data.partition(b"\n")[2]
    return data.decode("utf-8", "replace").strip()
