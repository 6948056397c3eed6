"""Waiting for space on a full disk, reported once per wait."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from vdsr_app.control import POLL_S, CancelToken
from vdsr_app.core.batch.events import FoundRoom, WaitsForRoom
from vdsr_app.core.disk_space import free_bytes

logger = logging.getLogger(__name__)

_SPARE_BYTES = 32 << 20
"""Space to leave free on a disk, for other programs."""

_LOOK_AGAIN_S = 1.0
"""Interval at which a full disk is checked."""

_TRY_AGAIN_S = 5.0
"""Delay before work that ran out of disk space is tried again."""


class DiskWatch:
    """Waits for disk space; safe to use from several threads."""

    def __init__(self, tell: Callable[[WaitsForRoom | FoundRoom], None], token: CancelToken) -> None:
        """Create an idle watch.

        Args:
            tell: called when a wait begins and when it is over.
            token: cancels a wait.
        """
        self._tell = tell
        self._token = token
        self._lock = threading.Lock()
        self._waits = False

    def is_full(self, folder: Path) -> bool:
        """Whether the disk has hardly any free space; also False if the system does not report it."""
        free = free_bytes(folder)
        return free is not None and free < _SPARE_BYTES

    def has_room(self, folder: Path, needed_bytes: int) -> bool:
        """Whether `needed_bytes` and a reserve are free; also True if the system does not report free space."""
        free = free_bytes(folder)
        return free is None or free >= needed_bytes + _SPARE_BYTES

    def wait_for_room(self, folder: Path, needed_bytes: int) -> None:
        """Return once `needed_bytes` and a reserve are free; at once if the system does not report free space.

        Raises:
            Cancelled: through the token.
        """
        waited = False
        while (free := free_bytes(folder)) is not None and free < needed_bytes + _SPARE_BYTES:
            waited = True
            self._begin(folder, needed_bytes, free, "")
            self._rest(_LOOK_AGAIN_S)
        if waited:
            self.found_room()

    def wait_to_try_again(self, folder: Path, needed_bytes: int, reason: str) -> None:
        """Return when work that ran out of space may be tried again; the caller calls `found_room` on success.

        Free space alone says little here: the half-written file is gone again, and quotas are not reported at all.

        Raises:
            Cancelled: through the token.
        """
        self._begin(folder, needed_bytes, free_bytes(folder) or 0, reason)
        self._rest(_TRY_AGAIN_S)
        while (free := free_bytes(folder)) is not None and free < needed_bytes + _SPARE_BYTES:
            self._begin(folder, needed_bytes, free, reason)  # another thread may have ended the wait meanwhile
            self._rest(_LOOK_AGAIN_S)

    def found_room(self) -> None:
        """End the wait, if there is one: something was or can be written."""
        with self._lock:
            waited, self._waits = self._waits, False
        if waited:
            self._tell(FoundRoom())

    def _begin(self, folder: Path, needed_bytes: int, free: int, reason: str) -> None:
        with self._lock:
            waited, self._waits = self._waits, True
        if not waited:
            logger.warning("%s: %d bytes are needed, %d are free. %s", folder, needed_bytes, free, reason)
            self._tell(WaitsForRoom(folder, needed_bytes + _SPARE_BYTES, free))

    def _rest(self, seconds: float) -> None:
        """Sleep, but respond to a cancel."""
        waiting, until = threading.Event(), time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._token.raise_if_cancelled()
            waiting.wait(min(left, POLL_S))
