"""Copies a pyramid for the screen a few rows at a time, so that the window never waits for it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal

from vdsr_app.core.pyramid import MipPyramid
from vdsr_app.workers.messages import TileBlock

_STEP_BYTES = 1 << 20
"""Copied between two passes of the event loop; takes a millisecond or two, allocation of the memory included."""


class PyramidCopy(QObject):
    """Copies a pyramid while the event loop runs, then accepts tiles.

    Tiles that arrive before the copy is complete wait for it.

    Attributes:
        pyramid: the copy; fit to be shown once `ready`.
        ready: whether all pixels have been copied.

    Signals:
        completed: the copy is complete and includes all tiles that were waiting.
    """

    completed = Signal()

    def __init__(self, source: MipPyramid, tiles: Iterable[TileBlock] = (), parent: QObject | None = None) -> None:
        """Start copying.

        Args:
            source: what to copy; it must not change.
            tiles: those that have already arrived.
            parent: owner.
        """
        super().__init__(parent)
        self.pyramid = MipPyramid([np.empty_like(level) for level in source.levels], source.has_alpha)
        self.ready = False
        self._source = source
        self._level = 0
        self._row = 0
        self._waiting = list(tiles)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._copy_some)
        self._timer.start(0)

    @property
    def copied_bytes(self) -> int:
        """Memory the copy takes so far: the system allocates none where nothing was copied."""
        levels = self.pyramid.levels
        done = sum(level.nbytes for level in levels[: self._level])
        return done + (levels[self._level].strides[0] * self._row if self._level < len(levels) else 0)

    def write(self, block: TileBlock) -> bool:
        """Write a tile into the copy.

        Returns:
            False if it has to wait for the copy to be complete.
        """
        if not self.ready:
            self._waiting.append(block)
            return False
        self.pyramid.write(block.x, block.y, block.rgba)
        return True

    def stop(self) -> None:
        """Stop copying; an incomplete copy releases its memory at once, because nothing shows it."""
        self._timer.stop()
        self._waiting.clear()
        if not self.ready:
            self.pyramid.levels.clear()

    def _copy_some(self) -> None:
        left = _STEP_BYTES
        while left > 0 and self._level < len(self.pyramid.levels):
            source, target = self._source.levels[self._level], self.pyramid.levels[self._level]
            rows = max(1, left // source.strides[0])
            target[self._row : self._row + rows] = source[self._row : self._row + rows]
            left -= rows * source.strides[0]
            self._row += rows
            if self._row >= source.shape[0]:
                self._level, self._row = self._level + 1, 0
        if self._level == len(self.pyramid.levels):
            self._finish()

    def _finish(self) -> None:
        self._timer.stop()
        self.ready = True
        for block in self._waiting:
            self.pyramid.write(block.x, block.y, block.rgba)
        self._waiting.clear()
        self.completed.emit()
