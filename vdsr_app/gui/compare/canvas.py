"""Compose a repaint of the comparison view from its scene: which parts are drawn, where, and in what order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from PySide6.QtCore import QPointF, QRect, QRectF
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPalette, QRegion

from vdsr_app.gui.compare.chrome import (
    Caption,
    caption_font,
    draw_captions,
    draw_drop_hint,
    draw_empty,
    draw_focus_ring,
    draw_grip,
    draw_split_line,
    draw_twin,
)
from vdsr_app.gui.compare.geometry import Box
from vdsr_app.gui.compare.layout import ViewLayout
from vdsr_app.gui.compare.paint import LayerPainter, draw_checkerboard
from vdsr_app.gui.compare.plan import Side
from vdsr_app.gui.compare.scene import CompareScene

CHECKER_CELL_PX = 8
"""Side of a checkerboard cell in logical pixels, the same at every zoom."""

_MID_GRAY_LIGHT = QColor(0x6E, 0x6E, 0x6E)
_MID_GRAY_DARK = QColor(0x3C, 0x3C, 0x3C)


@dataclass(frozen=True, slots=True)
class Look:
    """Everything besides the scene that determines how a repaint looks.

    Attributes:
        palette: colours of the theme.
        canvas_color: colour around the picture.
        focused: whether keyboard focus is shown.
        shows_grip: whether the wipe's handle has its grip; hidden during a drag to uncover the pixels below.
        twin: point of the other pane that corresponds to the mouse position (logical pixels), or None.
        drop_hint: what a drop would do, or None while nothing is dragged over the view.
        empty_text: text of a canvas without layers.
    """

    palette: QPalette
    canvas_color: QColor
    focused: bool
    shows_grip: bool
    twin: QPointF | None
    drop_hint: str | None
    empty_text: str


def default_canvas_color(palette: QPalette) -> QColor:
    """A neutral mid-gray that suits a light or a dark theme."""
    dark = palette.color(QPalette.ColorRole.Window).lightnessF() < 0.5
    return _MID_GRAY_DARK if dark else _MID_GRAY_LIGHT


def captions_for(scene: CompareScene, layout: ViewLayout, font: QFont) -> dict[Side, Caption]:
    """The visible labels and their boxes: beside the split, or centred above their pane."""
    metrics = QFontMetricsF(caption_font(font))
    split_x = scene.split_x
    left, right = scene.left, scene.right
    if split_x is not None and left is not None and right is not None:
        widths = round(metrics.horizontalAdvance(left.label) + 1), round(metrics.horizontalAdvance(right.label) + 1)
        boxes = layout.captions_at_split(widths, layout.to_logical_x(split_x))
        return {Side.LEFT: Caption(left.label, boxes[0]), Side.RIGHT: Caption(right.label, boxes[1])}
    captions = {}
    for side, pane, _ in scene.shown():
        layer = scene.layer(side)
        if layer is not None:
            width = round(metrics.horizontalAdvance(layer.label) + 1)
            captions[side] = Caption(layer.label, layout.caption_over(pane, width))
    return captions


def grip_center(scene: CompareScene, layout: ViewLayout) -> QPointF | None:
    """Centre of the wipe's handle in logical pixels, or None without a wipe."""
    split_x, placement = scene.split_x, scene.placement
    seen = None if placement is None else placement.visible_box
    if split_x is None or seen is None:
        return None
    middle = (seen.y + seen.height / 2 + layout.canvas.y) / layout.ratio
    return QPointF(layout.to_logical_x(split_x), middle)


class ViewPainter:
    """Paints a view; keeps a buffer that speeds up the next repaint."""

    def __init__(self) -> None:
        self._layers = LayerPainter()

    def paint(self, painter: QPainter, region: QRegion, scene: CompareScene, layout: ViewLayout, look: Look) -> None:
        """Repaint `region` (logical pixels).

        Args:
            painter: active on the view and clipped to `region`.
            region: area to repaint.
            scene: what to show.
            layout: where the parts of the view are.
            look: how they look.
        """
        painter.fillRect(layout.frame, look.canvas_color)
        painter.save()
        self._to_device_pixels(painter, layout)
        for rect in cast("Iterable[QRect]", region):
            dirty = layout.dirty_box(rect)
            if dirty is not None:
                self._paint_pictures(painter, scene, dirty, max(1, round(CHECKER_CELL_PX * layout.ratio)))
        _paint_line(painter, scene, max(1, round(layout.ratio)))
        painter.restore()
        _paint_chrome(painter, scene, layout, look)

    def _to_device_pixels(self, painter: QPainter, layout: ViewLayout) -> None:
        """Make one unit one device pixel, with the origin at the canvas's corner.

        On a screen scaled by 1.5 a widget may start in the middle of a device pixel; pictures snap to the nearest whole
        one.
        """
        painter.scale(1 / layout.ratio, 1 / layout.ratio)
        corner = painter.deviceTransform().map(QPointF(0, 0))
        painter.translate(round(corner.x()) - corner.x(), round(corner.y()) - corner.y())
        painter.translate(layout.canvas.x, layout.canvas.y)

    def _paint_pictures(self, painter: QPainter, scene: CompareScene, dirty: Box, cell_px: int) -> None:
        for op, pyramid in scene.plan(dirty):
            layer = scene.layer(op.side)
            if layer is not None and pyramid.has_alpha and pyramid is layer.pyramids[0]:
                pane = scene.panes[-1 if op.side is Side.RIGHT else 0]
                draw_checkerboard(painter, op.clip, (pane.x, pane.y), cell_px)
            self._layers.draw(painter, op, pyramid)


def _paint_line(painter: QPainter, scene: CompareScene, core_px: int) -> None:
    split_x, placement = scene.split_x, scene.placement
    seen = None if placement is None else placement.visible_box
    if split_x is not None and seen is not None:
        draw_split_line(painter, split_x, seen.y, seen.bottom, core_px)


def _paint_chrome(painter: QPainter, scene: CompareScene, layout: ViewLayout, look: Look) -> None:
    accent = look.palette.color(QPalette.ColorRole.Accent)
    inside = QRectF(layout.frame)
    if scene.picture is None and look.drop_hint is None:
        draw_empty(painter, inside, look.empty_text, look.canvas_color)
    grip = grip_center(scene, layout)
    if look.twin is not None:
        draw_twin(painter, look.twin)
    if grip is not None and look.shows_grip and look.drop_hint is None:
        draw_grip(painter, grip, accent if look.focused else None)
    if look.drop_hint is not None:
        draw_drop_hint(painter, inside, look.drop_hint, look.palette)
    if look.focused:
        draw_focus_ring(painter, layout.frame, accent)
    captions = list(captions_for(scene, layout, painter.font()).values())
    draw_captions(painter, layout.width, captions, look.palette)
