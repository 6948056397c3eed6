"""The plot that compares several runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from vdsr_app.core.atomic import write_atomically
from vdsr_app.gui.sections import GROUP_GAP, text_label
from vdsr_app.gui.texts import number
from vdsr_app.gui.training.live_plot import LivePlot
from vdsr_app.gui.training.plot_figure import save_figure
from vdsr_app.gui.training.plot_head import PlotSpec
from vdsr_app.gui.training.plot_overlay import labels_width
from vdsr_app.gui.training.plot_ticks import count_text, decibel_text
from vdsr_app.gui.training.runs_content import (
    HOUR_S,
    MEAN_GAIN,
    all_scales,
    pace_s,
    runs_content,
    runs_csv,
    shared_scales,
    time_unit,
)
from vdsr_app.gui.training.words import scale_key_text
from vdsr_trainer.history import RunHistory

_LABELS_PX = 150


class RunsPlot(QWidget):
    """Mean gain over bicubic, or PSNR at one scale factor, of several runs against steps or time.

    Attributes:
        plot: the plot.

    Signals:
        choice_changed: what the user compares by: a scale factor or "", and whether against time.
    """

    choice_changed = Signal(str, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._runs: tuple[tuple[str, RunHistory], ...] = ()
        self._measure_key = MEAN_GAIN
        self._measure = QComboBox()
        self._against = QComboBox()
        self._note = text_label(role="quiet", wrap=True)
        self.plot = LivePlot(self._spec(None))
        self._build()
        self.set_runs(())

    def set_runs(self, runs: Sequence[tuple[str, RunHistory]]) -> None:
        """Show other runs, or the same ones after they grew; colours follow their order.

        Args:
            runs: displayed titles and histories.
        """
        self._runs = tuple(runs)
        with QSignalBlocker(self._measure):
            self._measure.clear()
            self._measure.addItem(self.tr("Gain over bicubic"), MEAN_GAIN)
            for scale in all_scales(self._runs):
                words = self.tr("PSNR at {scale}").format(scale=scale_key_text(scale))
                self._measure.addItem(words, scale)
            self._measure.setCurrentIndex(max(0, self._measure.findData(self._measure_key)))
        self._show()

    def show_choice(self, measure: str, *, by_time: bool) -> None:
        """Compare by a scale factor if the runs have it, or "" for the mean gain over bicubic; emits nothing."""
        self._measure_key = measure
        with QSignalBlocker(self._against):
            self._against.setCurrentIndex(self._against.findData(by_time))
        self.set_runs(self._runs)

    def save_png(self, path: Path) -> None:
        """Write the plot as a picture on a light background.

        Raises:
            SaveError: the file cannot be written.
        """
        save_figure(path, [self.plot], 1, [self._note.text()] if self._note.text() else ())

    def save_csv(self, path: Path) -> None:
        """Write all runs, with every scale factor, as a table.

        Raises:
            SaveError: the file cannot be written.
        """
        write_atomically(path, runs_csv(self._runs).encode())

    def _build(self) -> None:
        self._measure.setAccessibleName(self.tr("What is compared"))
        self._measure.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self._against.addItem(self.tr("Steps"), False)
        self._against.addItem(self.tr("Time"), True)
        self._against.setAccessibleName(self.tr("Against steps or time"))
        self._against.setToolTip(self.tr("Time is steps at the mean pace of each run, without pauses"))
        bar = QHBoxLayout()
        bar.setSpacing(GROUP_GAP)
        bar.addWidget(self._measure)
        against: QLabel = text_label(self.tr("against"), "quiet")
        bar.addWidget(against)
        bar.addWidget(self._against)
        bar.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GROUP_GAP)
        column.addLayout(bar)
        column.addWidget(self.plot, 1)
        column.addWidget(self._note)
        self._measure.currentIndexChanged.connect(self._on_measure_chosen)
        self._against.currentIndexChanged.connect(self._on_chosen)

    def _on_measure_chosen(self) -> None:
        self._measure_key = self._measure.currentData()
        self._on_chosen()

    def _on_chosen(self) -> None:
        self.plot.reset()
        self._show()
        self.choice_changed.emit(self._measure_key, self._against.currentData())

    def _unit_s(self) -> float | None:
        return time_unit(self._runs) if self._against.currentData() else None

    def _show(self) -> None:
        unit = self._unit_s()
        spec = self._spec(unit)
        if _words(spec) != _words(self.plot.spec):
            self.plot.set_spec(spec)
        content = runs_content(self._runs, self._measure.currentData(), unit)
        self.plot.set_empty_text(self._missing())
        self.plot.set_right_width(min(labels_width([series.label for series in content.series]), _LABELS_PX))
        self.plot.show_content(content)
        self._note.setText(self._left_out(unit))
        self._note.setVisible(bool(self._note.text()))

    def _spec(self, unit_s: float | None) -> PlotSpec:
        scale = self._measure.currentData() or MEAN_GAIN
        if scale != MEAN_GAIN:
            title, y_title = self._measure.currentText(), self.tr("PSNR (dB)")
        else:
            scales = ", ".join(scale_key_text(scale) for scale in shared_scales(self._runs))
            y_title = self.tr("Gain (dB)")
            title = self.tr("Gain over bicubic")
            title = self.tr("{title}, mean of {scales}").format(title=title, scales=scales) if scales else title
        if unit_s is None:
            x_title = self.tr("Steps")
        else:
            x_title = self.tr("Time (h)") if unit_s == HOUR_S else self.tr("Time (min)")
        return PlotSpec(title, x_title, y_title, self._x_text, y_text=decibel_text, whole_x=unit_s is None)

    def _x_text(self, x: float) -> str:
        unit = self._unit_s()
        if unit is None:
            return self.tr("Step {step}").format(step=count_text(x))
        if unit == HOUR_S:
            return self.tr("{hours} h").format(hours=number(x, 2))
        return self.tr("{minutes} min").format(minutes=number(x, 1))

    def _missing(self) -> str:
        if not self._runs:
            return self.tr("Choose the runs to compare")
        if not any(history.psnr_db for _, history in self._runs):
            return self.tr("None of these runs has been validated yet")
        if self._measure.currentData() == MEAN_GAIN and not shared_scales(self._runs):
            return self.tr("These runs have no scale factor in common; compare the PSNR at one")
        return self.tr("The time that these runs took is not known; compare by steps")

    def _left_out(self, unit_s: float | None) -> str:
        """Text that names the runs that are not drawn, and why."""
        unknown = [title for title, history in self._runs if unit_s is not None and pace_s(history) is None]
        scale = self._measure.currentData()
        wanted = shared_scales(self._runs) if scale == MEAN_GAIN else [scale]
        empty = [title for title, history in self._runs if not set(wanted) & set(history.psnr_db)]
        parts = []
        if empty:
            parts.append(self.tr("No values: {titles}.").format(titles=", ".join(empty)))
        unknown = [title for title in unknown if title not in empty]
        if unknown:
            parts.append(self.tr("Time unknown: {titles}.").format(titles=", ".join(unknown)))
        return " ".join(parts)


def _words(spec: PlotSpec) -> tuple[str, str, str]:
    return spec.title, spec.x_title, spec.y_title
