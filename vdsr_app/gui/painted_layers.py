"""Tiles of unfinished network layers: painted into a copy of bicubic, or on their own until there is one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from weakref import WeakKeyDictionary

from PySide6.QtCore import QObject, Signal

from vdsr_app.core.pyramid import MipPyramid
from vdsr_app.gui.pyramid_copy import PyramidCopy
from vdsr_app.workers.messages import LayerSpec, TileBlock


class _EarlyTiles:
    """Network tiles that arrived before bicubic.

    Attributes:
        pyramid: only these tiles, in place; transparent elsewhere.
        blocks: the same tiles, as they arrived.
        blocks_bytes: memory of `blocks`.
    """

    def __init__(self, width: int, height: int) -> None:
        self.pyramid = MipPyramid.empty(width, height)
        self.blocks: list[TileBlock] = []
        self.blocks_bytes = 0

    def write(self, block: TileBlock) -> None:
        self.pyramid.write(block.x, block.y, block.rgba)
        self.blocks.append(block)
        self.blocks_bytes += block.rgba.nbytes

    @property
    def pyramid_bytes(self) -> int:
        """Memory the pyramid takes so far: the system allocates none where nothing was written."""
        return min(4 * self.blocks_bytes // 3, self.pyramid.nbytes)


class PaintedLayers(QObject):
    """Network layers, with the tiles that have arrived so far.

    Signals:
        completed: `shown` has a layer that it did not have before.
    """

    completed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._copies: dict[LayerSpec, PyramidCopy] = {}
        self._early: dict[LayerSpec, _EarlyTiles] = {}
        # Keyed by all pyramids still shown, including those of former sizes, which go when the new ones arrive.
        self._taken_bytes: WeakKeyDictionary[MipPyramid, int] = WeakKeyDictionary()

    @property
    def nbytes(self) -> int:
        """Memory of everything painted, for this size or a former one that is still shown."""
        copied = sum(copy.copied_bytes for copy in self._copies.values() if not copy.ready)
        blocks = sum(tiles.blocks_bytes for tiles in self._early.values())
        return sum(self._taken_bytes.values()) + copied + blocks

    def begin(self, spec: LayerSpec, bicubic: MipPyramid, tiles: Iterable[TileBlock] = ()) -> None:
        """Paint a layer into a copy of bicubic, starting with the tiles that have already arrived."""
        copy = PyramidCopy(bicubic, tiles, self)
        copy.completed.connect(self._on_copy_completed)
        self._copies[spec] = copy

    def begin_early(self, specs: Iterable[LayerSpec], width: int, height: int) -> None:
        """Paint these layers, of this size in pixels, before there is a bicubic to paint into."""
        self._early = {spec: _EarlyTiles(width, height) for spec in specs}

    def set_bicubic(self, bicubic: MipPyramid) -> None:
        """From now on, paint what was begun early into a copy of bicubic, including the tiles so far."""
        for spec, tiles in self._early.items():
            self.begin(spec, bicubic, tiles.blocks)

    def write(self, spec: LayerSpec, block: TileBlock) -> bool:
        """Write a tile into its layer.

        Returns:
            Whether it is now in the layer's `shown` or `early`; if not, it waits for the copy to be complete.
        """
        early, copy = self._early.get(spec), self._copies.get(spec)
        written = copy is not None and copy.write(block)
        if early is not None:
            early.write(block)
            self._taken_bytes[early.pyramid] = early.pyramid_bytes
        return written or early is not None

    def shown(self, spec: LayerSpec) -> MipPyramid | None:
        """Return the layer painted over bicubic, or None until bicubic has been copied."""
        copy = self._copies.get(spec)
        return copy.pyramid if copy is not None and copy.ready else None

    def early(self, spec: LayerSpec) -> MipPyramid | None:
        """Return the tiles alone, or None once they are in `shown`."""
        return self._early[spec].pyramid if spec in self._early else None

    def keep(self, specs: Collection[LayerSpec]) -> None:
        """Drop all layers except these."""
        for spec in {*self._copies, *self._early} - set(specs):
            self.drop(spec)

    def drop(self, spec: LayerSpec) -> None:
        """Drop a layer, if there is anything of it."""
        self._early.pop(spec, None)
        copy = self._copies.pop(spec, None)
        if copy is not None:
            copy.stop()
            copy.deleteLater()

    def _on_copy_completed(self) -> None:
        for spec, copy in self._copies.items():
            if copy.ready:
                self._taken_bytes[copy.pyramid] = copy.pyramid.nbytes
                self._early.pop(spec, None)
        self.completed.emit()
