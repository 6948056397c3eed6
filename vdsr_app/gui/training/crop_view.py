"""The comparison view for a small crop, enlarged to the whole multiple that nearly fits."""

from __future__ import annotations

import math

from PySide6.QtGui import QResizeEvent

from vdsr_app.gui.compare.view import CompareMode, CompareView

MIN_HEIGHT_PX = 200

_CAPTIONS_PX = 30
_NEARLY = 0.85
"""Share of each side that must be in view to use the next larger zoom."""


class CropView(CompareView):
    """Zooms to the whole multiple that nearly fits, which keeps pixels crisp, until the user chooses a zoom."""

    def __init__(self) -> None:
        super().__init__()
        self._filled_percent = 0.0
        self.setMinimumHeight(MIN_HEIGHT_PX)

    def fill(self, *, anew: bool = False) -> None:
        """Adjust the zoom to the size.

        Args:
            anew: override a zoom that the user chose, as for another crop.
        """
        if not (anew or self.fits or abs(self.zoom_percent - self._filled_percent) < 0.01):
            return
        self.zoom_to_fit()
        right = self._scene.right or self._scene.left
        if right is not None and self.mode is not CompareMode.SIDE and self.zoom_percent >= 100:
            larger = 100 * (math.floor(self.zoom_percent / 100 + 1e-6) + 1)
            width, height = right.size
            room = min(self.width() / width, (self.height() - _CAPTIONS_PX) / height)
            if 100 * room * self.devicePixelRatioF() >= _NEARLY * larger:
                self.set_zoom(larger)
        self._filled_percent = self.zoom_percent

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Adjust the zoom to the new size."""
        super().resizeEvent(event)
        self.fill()
