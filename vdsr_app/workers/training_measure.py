"""Dry runs in a child process: what a step of each preset costs on this machine."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path

from PySide6.QtCore import QObject, QProcess, QTemporaryDir, Signal, Slot

from vdsr_app.core.atomic import write_atomically
from vdsr_app.errors import SaveError
from vdsr_app.workers.messages import ErrorReport
from vdsr_app.workers.training_launch import child_environment, reported_error
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.config_file import to_toml
from vdsr_trainer.events import Measured, from_json
from vdsr_trainer.presets import PRESETS

logger = logging.getLogger(__name__)

_DETAILS_BYTES = 8192


@dataclass(frozen=True, slots=True)
class _Part:
    """One child: its arguments, and the name for its results, or "" if it names them itself."""

    arguments: tuple[str, ...]
    name: str


class MeasureProcess(QObject):
    """Runs `vdsr train --measure` and reads its events; lives in the window's thread.

    Unmodified presets are measured by one child, modified ones by a child each, one after the other: in parallel they
    would slow each other down.

    Signals:
        measured: Measured.
        failed: ErrorReport; the rest is not measured.
        finished: nothing more follows; emitted after the last result, after `failed`, and after a cancel.
    """

    measured = Signal(object)
    failed = Signal(object)
    finished = Signal()

    def __init__(self, command: list[str], parent: QObject | None = None) -> None:
        """Start nothing yet; `command` is the one that starts `vdsr train`."""
        super().__init__(parent)
        self._command = command
        self._parts: deque[_Part] = deque()
        self._part = _Part((), "")
        self._folder: QTemporaryDir | None = None
        self._process: QProcess | None = None
        self._errors = b""

    def start(self, configs: dict[str, TrainConfig]) -> None:
        """Measure these configurations by their names; a measurement in progress is aborted without a signal."""
        self._give_up()
        self._folder = QTemporaryDir()
        if not self._folder.isValid():
            what = f"There is no place for temporary files: {self._folder.errorString()}."
            self._fail(ErrorReport(what, hint="Free some space, then try again."))
            return
        stock = [name for name, config in configs.items() if _is_stock(name, config)]
        if stock:
            self._parts.append(_Part(("--presets", *stock), ""))
        for i, (name, config) in enumerate(configs.items()):
            if name not in stock:
                path = Path(self._folder.filePath(f"{i}.toml"))
                try:
                    write_atomically(path, to_toml(_without_data(config)).encode())
                except SaveError as error:
                    self._fail(ErrorReport(error.what, str(path), "Free some space, then try again."))
                    return
                self._parts.append(_Part(("--config", str(path)), name))
        self._next()

    def cancel(self) -> None:
        """Stop measuring; `finished` is emitted from within this call."""
        if self._process is not None:
            self._give_up()
            self.finished.emit()

    def close(self) -> None:
        """Stop measuring without a signal, and wait until the child is gone."""
        self._give_up()

    def _next(self) -> None:
        if not self._parts:
            self._folder = None
            self.finished.emit()
            return
        self._part = self._parts.popleft()
        self._errors = b""
        process = QProcess(self)
        self._process = process
        program, *arguments = self._command
        process.setProgram(program)
        process.setArguments([*arguments, "--measure", *self._part.arguments, "--json"])
        process.setProcessEnvironment(child_environment())
        process.setStandardInputFile(QProcess.nullDevice())
        process.readyReadStandardOutput.connect(self._on_output)
        process.readyReadStandardError.connect(self._on_error_output)
        process.errorOccurred.connect(self._on_error)
        process.finished.connect(self._on_finished)
        process.start()

    def _give_up(self) -> None:
        self._parts.clear()
        process, self._process = self._process, None
        if process is not None:
            # Killed, not asked to end: a dry run has nothing to save, and on Windows a console program cannot be asked.
            process.blockSignals(True)
            process.kill()
            process.waitForFinished(5000)
            process.deleteLater()
        self._folder = None

    @Slot()
    def _on_output(self) -> None:
        process = self._process
        while process is not None and process is self._process and process.canReadLine():
            event = from_json(bytes(process.readLine().data()).decode("utf-8", "replace"))
            if isinstance(event, Measured):
                self.measured.emit(replace(event, preset=self._part.name) if self._part.name else event)

    @Slot()
    def _on_error_output(self) -> None:
        if self._process is not None:
            self._errors = (self._errors + bytes(self._process.readAllStandardError().data()))[-_DETAILS_BYTES:]

    @Slot(QProcess.ProcessError)
    def _on_error(self, error: QProcess.ProcessError) -> None:
        # Every other error is followed by `finished`.
        if error is QProcess.ProcessError.FailedToStart and self._process is not None:
            self._fail(
                ErrorReport(
                    f"The training could not be started: {self._process.errorString()}.",
                    self._process.program(),
                    "Install the program again.",
                )
            )

    @Slot(int, QProcess.ExitStatus)
    def _on_finished(self, code: int, status: QProcess.ExitStatus) -> None:
        if self._process is None:
            return
        self._on_output()
        self._on_error_output()
        if self._process is None:
            return  # a receiver of the last result has cancelled
        if code == 0 and status is QProcess.ExitStatus.NormalExit:
            self._process.deleteLater()
            self._process = None
            self._next()
            return
        said = self._errors.decode("utf-8", "replace").strip()
        self._fail(ErrorReport(reported_error(said) or "The dry run ended unexpectedly.", details=said))

    def _fail(self, report: ErrorReport) -> None:
        logger.warning("The dry run failed: %s %s", report.what, report.details)
        self._give_up()
        self.failed.emit(report)
        self.finished.emit()


def _without_data(config: TrainConfig) -> TrainConfig:
    """`config` without what a dry run, which uses synthetic patches, ignores."""
    return replace(config, data=(), validation="", exclude=(), start_from="")


def _is_stock(name: str, config: TrainConfig) -> bool:
    return name in PRESETS and _without_data(config) == PRESETS[name]
