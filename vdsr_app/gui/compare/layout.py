"""Layout of the comparison view: caption bar, focus frame, canvas, captions. Pure geometry.

Two units meet here. Qt lays out widgets in *logical* pixels; pictures live on a canvas of *device* pixels, which are
smaller on a scaled screen, and not always by a whole factor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRect, QRectF

from vdsr_app.gui.compare.geometry import Box, Size

BAR_HEIGHT = 28
"""Height of the caption bar in logical pixels; labels never cover the picture."""
FRAME_WIDTH = 2
"""Logical pixels around the canvas reserved for the focus ring, so that it never covers the picture either."""
CAPTION_MARGIN = 12
"""Logical pixels between a caption and the edge of the view."""
CAPTION_GAP = 12
"""Logical pixels between a caption and the split."""


@dataclass(frozen=True, slots=True)
class ViewLayout:
    """The parts of a view.

    Attributes:
        width: logical pixels.
        height: logical pixels.
        ratio: device pixels per logical pixel; 1.25 or 1.5 on many screens.
    """

    width: int
    height: int
    ratio: float

    @property
    def bar(self) -> QRectF:
        """Caption bar in logical pixels."""
        return QRectF(0, 0, self.width, BAR_HEIGHT)

    @property
    def frame(self) -> QRectF:
        """Canvas and the focus ring around it, in logical pixels."""
        return QRectF(0, BAR_HEIGHT, self.width, self.height - BAR_HEIGHT)

    @property
    def canvas(self) -> Box:
        """Canvas in device pixels relative to the view's corner; at least one pixel."""
        left, top = math.ceil(FRAME_WIDTH * self.ratio), math.ceil((BAR_HEIGHT + FRAME_WIDTH) * self.ratio)
        right = math.floor((self.width - FRAME_WIDTH) * self.ratio)
        bottom = math.floor((self.height - FRAME_WIDTH) * self.ratio)
        return Box(left, top, max(1, right - left), max(1, bottom - top))

    def on_canvas(self, point: QPointF) -> tuple[float, float]:
        """Convert a logical point of the view to device pixels of the canvas."""
        return point.x() * self.ratio - self.canvas.x, point.y() * self.ratio - self.canvas.y

    def to_logical(self, x: float, y: float) -> QPointF:
        """Convert a point of the canvas to logical pixels of the view."""
        return QPointF((x + self.canvas.x) / self.ratio, (y + self.canvas.y) / self.ratio)

    def to_logical_x(self, x: float) -> float:
        """Convert a column of the canvas to logical pixels of the view."""
        return (x + self.canvas.x) / self.ratio

    def dirty_box(self, rect: QRect) -> Box | None:
        """Canvas pixels that a logical rectangle touches, or None."""
        left, top = math.floor(rect.x() * self.ratio) - 1, math.floor(rect.y() * self.ratio) - 1
        right = math.ceil((rect.x() + rect.width()) * self.ratio) + 1
        bottom = math.ceil((rect.y() + rect.height()) * self.ratio) + 1
        box = Box(left, top, right - left, bottom - top).moved(-self.canvas.x, -self.canvas.y)
        return box.intersected(Box(0, 0, self.canvas.width, self.canvas.height))

    def update_rect(self, box: Box) -> QRect:
        """The logical rectangle to repaint in order to update the canvas pixels `box`."""
        moved = box.moved(self.canvas.x, self.canvas.y)
        left, top = math.floor(moved.x / self.ratio), math.floor(moved.y / self.ratio)
        right, bottom = math.ceil(moved.right / self.ratio), math.ceil(moved.bottom / self.ratio)
        return QRect(left, top, right - left, bottom - top)

    def captions_at_split(self, widths: Size, split_x: float) -> tuple[QRectF, QRectF]:
        """Boxes of both captions, one on each side of the split; they stay whole when the split nears an edge.

        Args:
            widths: widths of the left and the right text in logical pixels.
            split_x: logical column of the split.
        """
        most = max(0.0, self.width / 2 - CAPTION_MARGIN - CAPTION_GAP)
        left, right = (min(float(width), most) for width in widths)
        low, high = CAPTION_MARGIN + left + CAPTION_GAP, self.width - CAPTION_MARGIN - right - CAPTION_GAP
        middle = min(max(split_x, low), max(low, high))
        return (
            QRectF(middle - CAPTION_GAP - left, 0, left, BAR_HEIGHT),
            QRectF(middle + CAPTION_GAP, 0, right, BAR_HEIGHT),
        )

    def caption_over(self, pane: Box, width: int) -> QRectF:
        """Box of a caption centred above a pane of the canvas."""
        left, right = self.to_logical_x(pane.x), self.to_logical_x(pane.right)
        fitting = min(float(width), max(0.0, right - left - 2 * CAPTION_MARGIN))
        return QRectF((left + right - fitting) / 2, 0, fitting, BAR_HEIGHT)
