"""Entry point: sets up logging, chooses between the window and a command, and imports the rest late."""

from __future__ import annotations

import copy
import difflib
import faulthandler
import io
import logging
import logging.handlers
import multiprocessing
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from vdsr_app import paths

EXIT_FAILED, EXIT_USAGE = 1, 2
LOG_NAME = "vdsr.log"
LOG_MAX_BYTES, LOG_BACKUPS = 1_000_000, 3

logger = logging.getLogger("vdsr_app")


def main(argv: Sequence[str] | None = None) -> int:
    """Run VDSR Studio.

    Args:
        argv: arguments after the program's name, those of the process if None. A command or an option goes to the
            command line; nothing, or pictures and folders, to the window; all after `--` is taken as pictures.

    Returns:
        Exit status: 0 all went well, 1 something failed, 2 wrong usage, 130 stopped by the user.
    """
    multiprocessing.freeze_support()
    if paths.CHILD_VARIABLE in os.environ:
        _set_up_child_output()
    # Before numpy is imported: its matrix products here are small, and after each its threads would spin for a while
    # on the cores that the network runs on. That alone cost a quarter of the speed.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    configure_logging()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or _is_path(arguments[0]) or arguments[0] == "--":
        return _open_window(arguments)
    # Only now: importing the commands takes longer than the window should wait for.
    from vdsr_app import cli

    if arguments[0] in cli.COMMANDS or arguments[0].startswith("-"):
        return cli.main(arguments)
    if os.path.lexists(arguments[0]):
        return _open_window(arguments)
    return _refuse(
        f"'{arguments[0]}' is neither a command nor a file.", _nearest(arguments[0], cli.COMMANDS), EXIT_USAGE
    )


def configure_logging() -> None:
    """Log to a rotating file, and warnings to the terminal; only the latter if no file can be written."""
    # A full disk or a closed terminal is no reason to fill the other one with tracebacks from logging itself.
    logging.raiseExceptions = False
    handlers: list[logging.Handler] = []
    if sys.stderr is not None:  # a windowed program on Windows has none
        terminal = logging.StreamHandler()
        terminal.setLevel(logging.WARNING)
        # Decoders' warnings about a damaged file are for the log; the user gets one plain error instead.
        terminal.addFilter(lambda record: record.name.startswith(("vdsr_", "__main__")))
        terminal.setFormatter(_TerminalFormatter("%(levelname)s: %(message)s"))
        handlers.append(terminal)
    try:
        paths.log_dir().mkdir(parents=True, exist_ok=True)
        file = _LogFile(
            paths.log_dir() / LOG_NAME,
            maxBytes=LOG_MAX_BYTES,
            backupCount=LOG_BACKUPS,
            encoding="utf-8",
            errors="backslashreplace",
        )
    except (OSError, RuntimeError):  # RuntimeError: there is no home folder
        pass
    else:
        file.setFormatter(_HomelessFormatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
        handlers.append(file)
    logging.basicConfig(handlers=handlers)  # of other packages, warnings and above
    for package in ("vdsr_app", "vdsr_trainer"):
        logging.getLogger(package).setLevel(logging.INFO)
    sys.excepthook = _log_crash


class _LogFile(logging.handlers.RotatingFileHandler):
    """Keeps writing to the same file while it cannot be renamed: on Windows, while another process has it open."""

    def doRollover(self) -> None:  # noqa: N802 - the base class's name
        """See the base class, which would shift the old logs and drop the oldest before its rename fails."""
        if self.stream is not None:
            self.stream.close()
            self.stream = None
        try:
            os.replace(self.baseFilename, self._spare)
            super().doRollover()
        except OSError:
            if not os.path.exists(self.baseFilename):  # an old log is open in a viewer
                os.replace(self._spare, self.baseFilename)
            self.maxBytes = os.path.getsize(self.baseFilename) + LOG_MAX_BYTES
            self.stream = self._open()
        else:
            self.maxBytes = LOG_MAX_BYTES

    def rotate(self, source: str, dest: str) -> None:
        """See the base class; the source already has its spare name."""
        os.replace(self._spare, dest)

    @property
    def _spare(self) -> str:
        return self.baseFilename + ".old"


class _TerminalFormatter(logging.Formatter):
    """Leaves the traceback of a warning to the log: the user can carry on, and one sentence is enough."""

    def format(self, record: logging.LogRecord) -> str:
        if record.levelno <= logging.WARNING:
            record = copy.copy(record)
            record.exc_info = record.exc_text = None
        return super().format(record)


class _HomelessFormatter(logging.Formatter):
    """Writes `~` for the user's home folder, so that a log can be shared."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        parts = re.split(r"[\\/]+", os.path.expanduser("~").rstrip("\\/"))
        if len(parts) < 2:  # there is none, or it is a whole drive
            return text
        # System errors double each backslash of a Windows path, and Qt uses slashes instead.
        home = r"[\\/]+".join(re.escape(part) for part in parts)
        return re.sub(home, "~", text, flags=re.IGNORECASE if sys.platform == "win32" else 0)


def _log_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logger.critical("VDSR Studio ran into an unexpected error.", exc_info=(kind, error, trace))


def _set_up_child_output() -> None:
    """Write UTF-8 whatever the system's encoding, and a traceback after a crash within a native library."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    if sys.stderr is not None:
        faulthandler.enable()


def _is_path(argument: str) -> bool:
    """Whether this can only be a path: no command contains a dot or a separator."""
    return not argument.startswith("-") and any(mark in argument for mark in (".", os.sep, os.altsep or os.sep))


def _open_window(arguments: Sequence[str]) -> int:
    files = arguments[1:] if arguments[:1] == ["--"] else arguments
    options = [argument for argument in files if argument.startswith("-")] if files is arguments else []
    if options:
        return _refuse(
            f"The window takes no options such as {options[0]}.",
            f"To enlarge without a window: vdsr upscale {' '.join(arguments)}",
            EXIT_USAGE,
        )
    # Standard library only: neither check loads Qt, which would end the process without a helpful message.
    from vdsr_app.qt_libraries import has_screen, missing_libraries

    if not has_screen():
        return _refuse(
            "There is no screen to open a window on (neither DISPLAY nor WAYLAND_DISPLAY is set).",
            "Without a window: vdsr upscale PICTURE, or vdsr --help.",
            EXIT_FAILED,
        )
    missing = missing_libraries()
    if missing is not None:
        return _refuse(str(missing), "", EXIT_FAILED)
    from vdsr_app.gui.app import run

    # Absolute, as they are remembered and shown to file managers.
    return run([Path(file).absolute() for file in files])


def _nearest(word: str, commands: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(word, commands, n=1)
    return f"Did you mean: vdsr {nearest[0]}" if nearest else "vdsr --help lists the commands."


def _refuse(what: str, hint: str, status: int) -> int:
    if sys.stderr is not None:
        sys.stderr.write(f"error: {what}\n" + (f"{hint}\n" if hint else ""))
    return status


if __name__ == "__main__":
    sys.exit(main())
