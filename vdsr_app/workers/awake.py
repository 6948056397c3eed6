"""Keeps the computer from going to sleep during long work, where the system allows it."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys

logger = logging.getLogger(__name__)

_ES_CONTINUOUS, _ES_SYSTEM_REQUIRED = 0x80000000, 0x00000001


class KeepAwake:
    """Keeps the computer, but not its screen, from going to sleep by itself between `begin` and `end`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Ask the system; no error if it cannot. On Windows the request belongs to the calling thread."""
        if sys.platform == "win32":
            import ctypes

            ctypes.windll.kernel32.SetThreadExecutionState(_ES_CONTINUOUS | _ES_SYSTEM_REQUIRED)
            return
        command = _command()
        if command is None or self._process is not None:
            return
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            logger.info("The computer cannot be kept awake: %s", error)

    def end(self) -> None:
        """Allow sleep again."""
        if sys.platform == "win32":
            import ctypes

            ctypes.windll.kernel32.SetThreadExecutionState(_ES_CONTINUOUS)
            return
        if self._process is not None:
            process, self._process = self._process, None
            assert process.stdin is not None
            process.stdin.close()
            process.terminate()
            process.wait()


def _command() -> list[str] | None:
    """Command of a process that keeps the computer awake; it ends with this program, however that ends."""
    if sys.platform == "darwin":
        return ["caffeinate", "-i", "-w", str(os.getpid())]
    if shutil.which("systemd-inhibit") is None:
        return None
    # `cat` ends when this program's end of the pipe is closed.
    return ["systemd-inhibit", "--what=sleep:idle", "--who=VDSR Studio", "--why=A batch is running", "cat"]
