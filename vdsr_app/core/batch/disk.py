"""A disk that is full is waited for, and said so once."""

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
"""Room that is left on a disk: other programs live on it too."""

_LOOK_AGAIN_S = 1.0
"""How often a full disk is looked at."""

_TRY_AGAIN_S = 5.0
"""How long a result that found no room is kept before it is written once more."""


class DiskWatch:
    """Waits for room; may be used from several threads."""

    def __init__(self, tell: Callable[[WaitsForRoom | FoundRoom], None], token: CancelToken) -> None:
        """Nothing is waited for yet.

        Args:
            tell: called when a waiting begins, and when it is over.
            token: ends it.
        """
        self._tell = tell
        self._token = token
        self._lock = threading.Lock()
        self._waits = False

    def is_full(self, folder: Path) -> bool:
        """Whether there is no room to speak of; False too where the system does not tell."""
        free = free_bytes(folder)
        return free is not None and free < _SPARE_BYTES

    def has_room(self, folder: Path, needed_bytes: int) -> bool:
        """Whether a disk has so much room and some to spare; True too where the system does not tell."""
        free = free_bytes(folder)
        return free is None or free >= needed_bytes + _SPARE_BYTES

    def wait_for_room(self, folder: Path, needed_bytes: int) -> None:
        """Return when a disk has so much room and some to spare; at once where the system does not tell.

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
        """Return when what found no room may be tried again; whoever tries calls `found_room` if it went well.

        How much is free says little here: the half-written file is gone again, and a quota is not told at all.

        Raises:
            Cancelled: through the token.
        """
        self._begin(folder, needed_bytes, free_bytes(folder) or 0, reason)
        self._rest(_TRY_AGAIN_S)
        while (free := free_bytes(folder)) is not None and free < needed_bytes + _SPARE_BYTES:
            self._begin(folder, needed_bytes, free, reason)  # room was found for another meanwhile
            self._rest(_LOOK_AGAIN_S)

    def found_room(self) -> None:
        """Something was written, or can be: what waiting there was is over."""
        with self._lock:
            waited, self._waits = self._waits, False
        if waited:
            self._tell(FoundRoom())

    def _begin(self, folder: Path, needed_bytes: int, free: int, reason: str) -> None:
        with self._lock:
            told, self._waits = self._waits, True
        if not told:
            logger.warning("%s: %d bytes are needed, %d are free. %s", folder, needed_bytes, free, reason)
            self._tell(WaitsForRoom(folder, needed_bytes + _SPARE_BYTES, free))

    def _rest(self, seconds: float) -> None:
        """Do nothing for so long, but hear a cancel."""
        waiting, until = threading.Event(), time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._token.raise_if_cancelled()
            waiting.wait(min(left, POLL_S))
