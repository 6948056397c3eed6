"""The four plots of a training run, with a shared x range and cursor."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QGridLayout, QScrollArea, QVBoxLayout, QWidget

from vdsr_app.core.atomic import write_atomically
from vdsr_app.gui.sections import GROUP_GAP
from vdsr_app.gui.training.live_plot import LivePlot
from vdsr_app.gui.training.marks_list import MarksList
from vdsr_app.gui.training.plot_figure import save_figure
from vdsr_app.gui.training.plot_head import PlotSpec
from vdsr_app.gui.training.plot_model import Range
from vdsr_app.gui.training.plot_overlay import labels_width
from vdsr_app.gui.training.plot_ticks import count_text, decibel_text
from vdsr_app.gui.training.run_content import (
    gradient_content,
    loss_content,
    marks_of,
    psnr_content,
    rate_content,
)
from vdsr_app.gui.training.run_curves import RunCurves
from vdsr_trainer.history import RunHistory

_FRAME_MS = 50
"""Minimum time between redraws: 20 per second."""
_TWO_COLUMNS_PX = 560
_NARROW_PX = 360
"""Below this width the curves need the room more than the labels beside them."""
_HEIGHTS_PX = {1: (248, 190), 2: (212, 164)}
"""By number of columns: minimum heights of large and small plots, below which they scroll."""
_LABELS_PX = 112
"""Most room for the end labels."""


class RunPlots(QWidget):
    """Loss, PSNR, learning rate and gradient of one run.

    Signals:
        redrawn: the plots show the whole history.
    """

    redrawn = Signal()

    def __init__(self, title_of: Callable[[str], str] = str, parent: QWidget | None = None) -> None:
        """Show no run yet; `title_of` gives the displayed title of a model by its name."""
        super().__init__(parent)
        self._title_of = title_of
        self._curves: RunCurves | None = None
        self._targets: Mapping[str, Mapping[str, float]] | None = None
        self._due = True
        self._drawn_at = 0.0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._redraw)
        self._make_plots()
        self.marks = MarksList()
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(GROUP_GAP)
        self._columns = 0
        self._narrow = False
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GROUP_GAP)
        column.addLayout(self._grid, 1)
        column.addWidget(self.marks)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(body)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        self._arrange(2)

    @property
    def plots(self) -> tuple[LivePlot, ...]:
        """All four, in reading order."""
        return self.loss, self.psnr, self.rate, self.gradient

    def set_history(self, history: RunHistory | None, targets: Mapping[str, Mapping[str, float]] | None = None) -> None:
        """Show another run, from its start to its newest step.

        Args:
            history: the run, or None.
            targets: model name -> scale factor as text -> PSNR in dB, for dotted lines; None takes the history's.
        """
        self._curves = None if history is None else RunCurves(history)
        self._targets = targets
        for plot in self.plots:
            plot.show_cursor(None)
            plot.set_x_range(None)
        self._ask()

    def refresh(self) -> None:
        """Draw the grown history soon, at most 20 times per second and not while hidden."""
        self._ask()

    def save_png(self, path: Path) -> None:
        """Write all plots as one picture on a light background.

        Raises:
            SaveError: the file cannot be written.
        """
        self._draw(narrow=False)
        save_figure(path, self.plots, 2, self.marks.lines)
        self._draw(narrow=self._narrow)

    def save_csv(self, path: Path) -> None:
        """Write every value as a table.

        Raises:
            SaveError: the file cannot be written.
        """
        history = RunHistory() if self._curves is None else self._curves.history
        write_atomically(path, history.to_csv().encode())

    def showEvent(self, event: QShowEvent) -> None:
        """Catch up with what happened while hidden."""
        super().showEvent(event)
        if self._due:
            self._ask()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Use one column if there is no room for two."""
        super().resizeEvent(event)
        self._arrange(2 if self.width() >= _TWO_COLUMNS_PX else 1)
        if self._narrow != (self.width() < _NARROW_PX):
            self._narrow = not self._narrow
            self._ask()

    def _make_plots(self) -> None:
        def step_text(x: float) -> str:
            return self.tr("Step {step}").format(step=count_text(x))

        steps = self.tr("Steps")
        loss = self.tr("Mean squared error")
        self.loss = LivePlot(PlotSpec(self.tr("Loss"), steps, loss, step_text, log=True))
        psnr = self.tr("PSNR (dB)")
        self.psnr = LivePlot(PlotSpec(self.tr("PSNR"), steps, psnr, step_text, y_text=decibel_text))
        rate = self.tr("Learning rate")
        self.rate = LivePlot(PlotSpec(rate, steps, rate, step_text))
        norm, clipped = self.tr("L2 norm"), self.tr("Clipped (%)")
        self.gradient = LivePlot(PlotSpec(self.tr("Gradient"), steps, norm, step_text, right_title=clipped, log=True))
        for plot in self.plots:
            plot.pointed.connect(self._on_pointed)
            plot.x_range_chosen.connect(self._on_x_range_chosen)

    def _arrange(self, columns: int) -> None:
        if columns == self._columns:
            return
        self._columns = columns
        for plot in self.plots:
            self._grid.removeWidget(plot)
        for index, plot in enumerate(self.plots):
            large = plot in (self.loss, self.psnr)
            plot.setMinimumHeight(_HEIGHTS_PX[columns][0 if large else 1])
            self._grid.addWidget(plot, index // columns, index % columns)
            self._grid.setRowStretch(index // columns, 3 if large else 2)
        if columns > 1:
            for plot in (self.loss, self.rate):
                plot.set_right_width(0.0)
        self._ask()
        for row in range(4 // columns, 4):
            self._grid.setRowStretch(row, 0)
        for column in range(2):
            self._grid.setColumnStretch(column, 1 if column < columns else 0)

    def _ask(self) -> None:
        self._due = True
        if self.isVisible() and not self._timer.isActive():
            waited_ms = 1000 * (time.monotonic() - self._drawn_at)
            self._timer.start(max(0, round(_FRAME_MS - waited_ms)))

    def _redraw(self) -> None:
        if self.isVisible() and self._due:
            self._draw(narrow=self._narrow)
            self._drawn_at = time.monotonic()

    def _draw(self, *, narrow: bool) -> None:
        self._due = False
        curves = self._curves if self._curves is not None else RunCurves(RunHistory())
        curves.update()
        history = curves.history
        self._update_empty_texts(history)
        psnr = psnr_content(history, history.targets if self._targets is None else self._targets, self._title_of)
        names = [series.label for series in psnr.series]
        if not narrow:
            names += [level.label for level in psnr.levels]
        width = min(labels_width(names), _LABELS_PX)
        # Stacked plots share their edges, unless that leaves the others too little room.
        with_room = (self.psnr, self.gradient) if self._columns > 1 else self.plots
        for plot in with_room:
            plot.set_right_width(width if plot is self.psnr or not narrow else 0.0)
        self.loss.show_content(loss_content(curves))
        self.psnr.show_content(psnr)
        self.rate.show_content(rate_content(curves))
        self.gradient.show_content(gradient_content(curves))
        self.marks.show_marks(marks_of(history))
        self.redrawn.emit()

    def _update_empty_texts(self, history: RunHistory) -> None:
        reports = self.tr("The first values come after the first steps, within seconds")
        validation = self.tr("The first values come after the first validation")
        if self._curves is None:
            reports = validation = self.tr("No run is shown")
        elif history.preparing is not None and history.preparing.total:
            words = {
                "pictures": self.tr("The first values come after the pictures are read: {done} of {total}"),
                "teacher": self.tr("The first values come after the teacher has learned: step {done} of {total}"),
                "answers": self.tr("The first values come after the teacher has seen each picture: {done} of {total}"),
            }[history.preparing.what]
            done, total = count_text(history.preparing.done), count_text(history.preparing.total)
            reports = validation = words.format(done=done, total=total)
        for plot in self.plots:
            plot.set_empty_text(validation if plot is self.psnr else reports)

    def _on_pointed(self, x: float | None) -> None:
        for plot in self.plots:
            if plot is not self.sender():
                plot.show_cursor(x)

    def _on_x_range_chosen(self, x_range: Range | None) -> None:
        for plot in self.plots:
            if plot is not self.sender():
                plot.set_x_range(x_range)
