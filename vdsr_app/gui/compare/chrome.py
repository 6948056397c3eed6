"""Draw everything in the comparison view but the pictures: captions, handle, drop hint, focus ring, empty canvas.

All painters use logical pixels of the view unless a function says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPainterPath, QPalette, QPen

from vdsr_app.gui.compare.layout import BAR_HEIGHT, FRAME_WIDTH

GRIP_RADIUS = 13
"""Radius of the handle's round grip in logical pixels."""
TWIN_RADIUS = 10
"""Logical pixels from the centre of the cross in the other pane to the ends of its arms."""
TWIN_HOLE = 4
"""Logical pixels from the centre of that cross to where its arms begin."""

_CAPTION_SIZE_PX = 12
_HINT_SIZE_PX = 15
_RADIUS = 6
_CENTERED = Qt.AlignmentFlag.AlignCenter
_CAPTION_FLAGS = (
    Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignAbsolute
).value | Qt.TextFlag.TextSingleLine.value


@dataclass(frozen=True, slots=True)
class Caption:
    """A label in the bar.

    Attributes:
        text: as the user chose or named it; shown literally.
        box: area it may fill, in logical pixels.
        quiet: whether it is a hint rather than a label.
    """

    text: str
    box: QRectF
    quiet: bool = False


def caption_font(base: QFont) -> QFont:
    """Font of captions."""
    font = QFont(base)
    font.setPixelSize(_CAPTION_SIZE_PX)
    font.setWeight(QFont.Weight.Medium)
    return font


def draw_captions(painter: QPainter, width: int, captions: Sequence[Caption], palette: QPalette) -> None:
    """Draw the caption bar over the whole width of the view."""
    painter.fillRect(QRectF(0, 0, width, BAR_HEIGHT), palette.color(QPalette.ColorRole.Window))
    font = caption_font(painter.font())
    painter.setFont(font)
    metrics = QFontMetricsF(font)
    for caption in captions:
        color = QColor(palette.color(QPalette.ColorRole.WindowText))
        color.setAlphaF(0.62 if caption.quiet else 1.0)
        painter.setPen(color)
        # One pixel of tolerance: text measured and drawn at different scales may differ by a fraction.
        text = metrics.elidedText(caption.text, Qt.TextElideMode.ElideMiddle, caption.box.width() + 1)
        painter.drawText(caption.box.adjusted(0, 0, 2, 0), _CAPTION_FLAGS, text)


def draw_split_line(painter: QPainter, x: int, top: int, bottom: int, core_px: int) -> None:
    """Draw the wipe's line: light, with a dark edge on each side, so that it is visible on any picture.

    Args:
        painter: in *device* pixels of the canvas.
        x: first column of the right layer.
        top: first row of the line.
        bottom: row below the line.
        core_px: width of the light core, and of each dark edge.
    """
    left = x - core_px // 2
    painter.fillRect(left - core_px, top, 3 * core_px, bottom - top, QColor(0, 0, 0, 110))
    painter.fillRect(left, top, core_px, bottom - top, QColor(255, 255, 255))


def draw_grip(painter: QPainter, grip: QPointF, accent: QColor | None) -> None:
    """Draw the round grip of the wipe's handle.

    Args:
        painter: in logical pixels.
        grip: its centre.
        accent: ring colour while the view has keyboard focus, else None.
    """
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(accent, 2) if accent is not None else QPen(QColor(0, 0, 0, 110), 1))
    painter.setBrush(QColor(255, 255, 255))
    painter.drawEllipse(grip, GRIP_RADIUS - 1, GRIP_RADIUS - 1)
    chevrons = QPainterPath()
    for side in (-1, 1):
        chevrons.moveTo(grip + QPointF(side * 3.5, -4))
        chevrons.lineTo(grip + QPointF(side * 7.5, 0))
        chevrons.lineTo(grip + QPointF(side * 3.5, 4))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    pen = QPen(QColor(0x3A, 0x3A, 0x3A), 1.75)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    painter.drawPath(chevrons)


def draw_twin(painter: QPainter, point: QPointF) -> None:
    """Mark the counterpart of the mouse position in the other pane: a cross that leaves its centre pixel visible."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    arms = [
        QLineF(point + direction * TWIN_HOLE, point + direction * TWIN_RADIUS)
        for direction in (QPointF(1, 0), QPointF(-1, 0), QPointF(0, 1), QPointF(0, -1))
    ]
    for color, width in ((QColor(0, 0, 0, 140), 3.0), (QColor(255, 255, 255), 1.25)):
        painter.setPen(QPen(color, width))
        painter.drawLines(arms)


def draw_focus_ring(painter: QPainter, frame: QRectF, accent: QColor) -> None:
    """Draw the focus ring around the canvas, in the space reserved for it."""
    half = FRAME_WIDTH / 2
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    painter.setPen(QPen(accent, FRAME_WIDTH, j=Qt.PenJoinStyle.MiterJoin))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(frame.adjusted(half, half, -half, -half))


def draw_drop_hint(painter: QPainter, canvas: QRectF, text: str, palette: QPalette) -> None:
    """Highlight the canvas and say what a drop would do."""
    accent = palette.color(QPalette.ColorRole.Accent)
    wash = QColor(accent)
    wash.setAlphaF(0.28)
    painter.fillRect(canvas, wash)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(accent, 3))
    painter.drawRoundedRect(canvas.adjusted(8, 8, -8, -8), _RADIUS, _RADIUS)
    _draw_pill(painter, canvas.center(), text, palette.color(QPalette.ColorRole.Accent), canvas.width() - 48)


def draw_empty(painter: QPainter, canvas: QRectF, text: str, canvas_color: QColor) -> None:
    """Fill a canvas without layers: an outline icon of a picture and a muted line of text."""
    ink = QColor(255, 255, 255, 150) if canvas_color.lightnessF() < 0.55 else QColor(0, 0, 0, 140)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(ink, 1.5, j=Qt.PenJoinStyle.RoundJoin, c=Qt.PenCapStyle.RoundCap))
    icon = QRectF(0, 0, 44, 34)
    icon.moveCenter(canvas.center() - QPointF(0, 18))
    painter.drawRoundedRect(icon, 4, 4)
    painter.drawEllipse(icon.topLeft() + QPointF(12, 11), 3.5, 3.5)
    hills = [(1, 28), (13, 19), (20, 25), (31, 13), (43, 25)]
    painter.drawPolyline([icon.topLeft() + QPointF(x, y) for x, y in hills])
    font = QFont(painter.font())
    font.setPixelSize(13)
    painter.setFont(font)
    shown = QFontMetricsF(font).elidedText(text, Qt.TextElideMode.ElideMiddle, max(0.0, canvas.width() - 32))
    painter.drawText(QRectF(canvas.x(), icon.bottom() + 10, canvas.width(), 24), _CENTERED, shown)


def _draw_pill(painter: QPainter, center: QPointF, text: str, fill: QColor, widest: float) -> None:
    font = QFont(painter.font())
    font.setPixelSize(_HINT_SIZE_PX)
    font.setWeight(QFont.Weight.DemiBold)
    painter.setFont(font)
    metrics = QFontMetricsF(font)
    shown = metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, max(0.0, widest))
    box = QRectF(0, 0, metrics.horizontalAdvance(shown) + 40, 40)
    box.moveCenter(center)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(fill)
    painter.drawRoundedRect(box, _RADIUS, _RADIUS)
    light = 0.299 * fill.redF() + 0.587 * fill.greenF() + 0.114 * fill.blueF()
    painter.setPen(QColor(0x1B, 0x1B, 0x1B) if light > 0.6 else QColor(255, 255, 255))
    painter.drawText(box, _CENTERED, shown)
