"""Plots as one picture for a report: always in the light theme, at twice the pixel density."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QPoint, Qt
from PySide6.QtGui import QImage, QImageWriter, QPainter, QRegion
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from vdsr_app.core.atomic import write_atomically
from vdsr_app.errors import SaveError
from vdsr_app.gui.sections import PANE_GAP, SECTION_GAP, text_label
from vdsr_app.gui.theme import LIGHT, palette_for, style_sheet
from vdsr_app.gui.training.live_plot import LivePlot

PIXEL_RATIO = 2
_PLOT_SIZE = (620, 330)


def save_figure(path: Path, plots: Sequence[LivePlot], columns: int, lines: Sequence[str] = ()) -> None:
    """Write plots to a PNG as they are shown, including their zoom.

    Args:
        path: file to write.
        plots: the plots, row by row.
        columns: number of plots per row.
        lines: text below the plots.

    Raises:
        SaveError: the file cannot be written.
    """
    image = _draw(plots, columns, lines)
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    if not QImageWriter(buffer, QByteArray(b"png")).write(image):
        raise SaveError("The plots could not be written as PNG.", path=path, hint="Try again, or save the numbers.")
    write_atomically(path, bytes(buffer.data().data()))


def _draw(plots: Sequence[LivePlot], columns: int, lines: Sequence[str]) -> QImage:
    figure = QWidget()
    # Laid out and rendered, but never shown on the screen.
    figure.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen)
    figure.setPalette(palette_for(LIGHT))
    figure.setStyleSheet(style_sheet(LIGHT))
    column = QVBoxLayout(figure)
    column.setContentsMargins(PANE_GAP, PANE_GAP, PANE_GAP, PANE_GAP)
    column.setSpacing(SECTION_GAP)
    grid = QGridLayout()
    grid.setSpacing(SECTION_GAP)
    column.addLayout(grid)
    for index, plot in enumerate(plots):
        twin = plot.twin(LIGHT, PIXEL_RATIO)
        twin.setFixedSize(*_PLOT_SIZE)
        grid.addWidget(twin, index // columns, index % columns)
    for line in lines:
        column.addWidget(text_label(line, wrap=True))
    figure.show()
    figure.resize(figure.sizeHint())
    image = QImage(figure.size() * PIXEL_RATIO, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(PIXEL_RATIO)
    image.fill(Qt.GlobalColor.white)
    painter = QPainter(image)
    figure.render(painter, QPoint(), QRegion(), QWidget.RenderFlag.DrawChildren)
    painter.end()
    figure.hide()
    figure.deleteLater()
    return image
