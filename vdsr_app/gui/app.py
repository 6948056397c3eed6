"""Start-up and shutdown of the application: everything that happens once per process."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QCoreApplication, QObject, Signal
from PySide6.QtWidgets import QApplication

from vdsr_app import __version__
from vdsr_app.core.atomic import remove_unfinished
from vdsr_app.gui.main_window import MainWindow
from vdsr_app.gui.settings import SettingsStore, settings_path
from vdsr_app.gui.system_signals import SystemSignals
from vdsr_app.gui.theme import ThemeManager
from vdsr_app.workers.upscale import UpscaleService

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT_MS = 2500
"""Including the rest of the shutdown, the program ends within three seconds."""


def run(paths: Sequence[Path] = ()) -> int:
    """Show the window until it is closed.

    Args:
        paths: one file to open, or several files or a folder for the batch.

    Returns:
        The exit status of the process.
    """
    QCoreApplication.setApplicationName("VDSR Studio")
    QCoreApplication.setApplicationVersion(__version__)
    app = QApplication([sys.argv[0]])
    app.setDesktopFileName("vdsr-studio")
    store = SettingsStore(settings_path())
    theme = ThemeManager(app)
    theme.apply(store.current.theme)
    service = UpscaleService()
    window = MainWindow(service, store, theme, paths)
    faults = _Faults(window)
    signals = SystemSignals(app)
    signals.received.connect(window.close_without_asking)
    window.first_painted.connect(window.start)
    window.show()
    gc.freeze()  # nearly all objects live until exit; full collections would scan them while all threads wait
    status = app.exec()
    signals.close()
    faults.close()
    ended = service.close(CLOSE_TIMEOUT_MS)
    ended = window.batch.close(CLOSE_TIMEOUT_MS if ended else 0) and ended
    if not (window.training.close(CLOSE_TIMEOUT_MS if ended else 0) and ended):
        logger.info("A worker did not end in time; the process is left at once")
        remove_unfinished()
        logging.shutdown()
        os._exit(status)
    return status


class _Faults(QObject):
    """Reports uncaught exceptions in the log and the banner."""

    _caught = Signal(object)

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._caught.connect(window.report_exception)
        self._former = sys.excepthook
        sys.excepthook = self._on_exception

    def close(self) -> None:
        """Restore the previous exception hook."""
        sys.excepthook = self._former

    def _on_exception(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        logger.critical("An exception that nobody caught", exc_info=(kind, error, trace))
        self._caught.emit(error)
