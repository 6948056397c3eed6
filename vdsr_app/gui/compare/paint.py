"""Draw the pixels of the comparison view: levels of a pyramid, and a checkerboard under transparency.

All painters passed to this module use device pixels of the canvas.
"""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPoint, QPointF, QRect, QRectF
from PySide6.QtGui import QBrush, QColor, QImage, QPainter

from vdsr_app.core.pyramid import MipPyramid, Rgba
from vdsr_app.gui.compare.geometry import Box, Size
from vdsr_app.gui.compare.plan import DrawOp, Sampling, nearest_indices
from vdsr_app.gui.qimage import wrap_rgba

_Format = QImage.Format

CHECKER_COLORS = QColor(0xB2, 0xB2, 0xB2), QColor(0x9A, 0x9A, 0x9A)
"""Neutral grays, both well away from black and white, so that white and black edges are visible on either."""


class LayerPainter:
    """Executes a plan. Reads the pyramids' memory in place, and keeps one buffer as large as the canvas."""

    def __init__(self) -> None:
        self._buffer = QImage(1, 1, _Format.Format_RGB32)

    def draw(self, painter: QPainter, op: DrawOp, pyramid: MipPyramid) -> None:
        """Draw one operation of the plan; nothing outside `op.clip` is touched."""
        match op.sampling:
            case Sampling.COPY:
                image = wrap_rgba(pyramid.levels[op.level], _true_format(pyramid, op.level), op.source)
                painter.drawImage(QPoint(op.clip.x, op.clip.y), image)
            case Sampling.NEAREST:
                image = wrap_rgba(_enlarged(pyramid.levels[op.level], op), _true_format(pyramid, op.level))
                painter.drawImage(QPoint(op.clip.x, op.clip.y), image)
            case Sampling.SMOOTH:
                self._draw_smooth(painter, op, pyramid)

    def _draw_smooth(self, painter: QPainter, op: DrawOp, pyramid: MipPyramid) -> None:
        """Interpolate in a buffer whose red and blue are swapped, where Qt is three times as fast.

        Qt has fast bilinear code for BGRA memory only. Interpolation treats all channels alike, so source and buffer
        are both *labelled* BGRA, and only the finished buffer is drawn under its true format.
        """
        called = _Format.Format_ARGB32_Premultiplied if pyramid.has_alpha else _Format.Format_RGB32
        source_called = _Format.Format_ARGB32 if _is_straight(pyramid, op.level) else called
        # Only the part that is read: for coordinates beyond ten thousand Qt takes a path ten times as slow.
        source = wrap_rgba(pyramid.levels[op.level], source_called, op.source)
        used = QRect(0, 0, op.clip.width, op.clip.height)
        if not self._buffer.rect().contains(used):
            self._buffer = QImage(self._buffer.size().expandedTo(used.size()), called)
        self._buffer.reinterpretAsFormat(called)
        inner = QPainter(self._buffer)
        inner.setCompositionMode(QPainter.CompositionMode.CompositionMode_Source)
        inner.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        inner.setClipRect(used)
        inner.drawImage(_target(op), source, QRectF(source.rect()))
        inner.end()
        true = _Format.Format_RGBA8888_Premultiplied if pyramid.has_alpha else _Format.Format_RGBX8888
        self._buffer.reinterpretAsFormat(true)
        painter.drawImage(QPoint(op.clip.x, op.clip.y), self._buffer, used)


def draw_checkerboard(painter: QPainter, box: Box, corner: Size, cell_px: int) -> None:
    """Fill a box with squares of `cell_px` that stay fixed on the screen, however the picture moves.

    Args:
        painter: in device pixels.
        box: area to fill.
        corner: origin of the pattern, the corner of the pane, so that both panes have the same one.
        cell_px: side of a square.
    """
    tile = QImage(2 * cell_px, 2 * cell_px, _Format.Format_RGB32)
    tile.fill(CHECKER_COLORS[0])
    cells = QPainter(tile)
    cells.fillRect(cell_px, 0, cell_px, cell_px, CHECKER_COLORS[1])
    cells.fillRect(0, cell_px, cell_px, cell_px, CHECKER_COLORS[1])
    cells.end()
    painter.setBrushOrigin(QPointF(*corner))
    painter.fillRect(QRect(*box), QBrush(tile))


def _is_straight(pyramid: MipPyramid, level: int) -> bool:
    return pyramid.has_alpha and level == 0


def _true_format(pyramid: MipPyramid, level: int) -> QImage.Format:
    if not pyramid.has_alpha:
        return _Format.Format_RGBX8888
    return _Format.Format_RGBA8888 if _is_straight(pyramid, level) else _Format.Format_RGBA8888_Premultiplied


def _target(op: DrawOp) -> QRectF:
    """Where `op.source` lands, in device pixels relative to the corner of `op.clip`."""
    x, y = op.origin[0] - op.clip.x, op.origin[1] - op.clip.y
    across, down = op.step
    return QRectF(x + op.source.x * across, y + op.source.y * down, op.source.width * across, op.source.height * down)


def _enlarged(level: Rgba, op: DrawOp) -> Rgba:
    """The device pixels of `op.clip`, each a copy of the level's pixel under its centre."""
    columns = nearest_indices(op.clip.x, op.clip.right, op.origin[0], op.step[0], level.shape[1])
    rows = nearest_indices(op.clip.y, op.clip.bottom, op.origin[1], op.step[1], level.shape[0])
    words = level.view(np.uint32)[:, :, 0]  # a pixel is one word: (H, W)
    used = words[rows[0] : rows[-1] + 1].take(columns, axis=1)
    squares = used.take(rows - rows[0], axis=0)
    enlarged: Rgba = squares.view(np.uint8).reshape(op.clip.height, op.clip.width, 4)
    return enlarged
