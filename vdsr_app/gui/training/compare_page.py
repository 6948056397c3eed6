"""The page that compares several runs in one plot."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from vdsr_app.gui.parts import page_head, plain
from vdsr_app.gui.sections import PANE_GAP, SECTION_GAP
from vdsr_app.gui.settings import SettingsStore
from vdsr_app.gui.theme import set_role
from vdsr_app.gui.training.save_curves import SaveCurvesButton
from vdsr_trainer.history import RunHistory


class ComparePage(QWidget):
    """The curves of the runs selected in the list.

    Signals:
        back_requested: the user wants to return to the list.

    Attributes:
        save: button that writes the curves.
    """

    back_requested = Signal()

    def __init__(self, store: SettingsStore) -> None:
        super().__init__()
        # Imported late because it loads pyqtgraph.
        from vdsr_app.gui.training.runs_plot import RunsPlot

        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        set_role(self, "pane")
        self.back = plain(self.tr("Back to the list"), "arrow-left")
        self.back.clicked.connect(self.back_requested)
        head = QHBoxLayout()
        head.addLayout(
            page_head(
                self.tr("Runs side by side"), self.tr("How well each did on its held-out pictures, step by step.")
            ),
            1,
        )
        self._store = store
        self._plot = RunsPlot()
        self._plot.choice_changed.connect(self._on_choice_changed)
        self.save = SaveCurvesButton(store, self._plot.save_png, self._plot.save_csv)
        self.save.subject = self.tr("runs")
        head.addWidget(self.save, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self.back, 0, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout(self)
        column.setContentsMargins(PANE_GAP, PANE_GAP, PANE_GAP, PANE_GAP)
        column.setSpacing(SECTION_GAP)
        column.addLayout(head)
        column.addWidget(self._plot, 1)

    def show_runs(self, runs: Sequence[tuple[str, RunHistory]]) -> None:
        """Plot these histories, each under its title."""
        self._plot.set_runs(runs)
        self._plot.show_choice(self._store.current.runs_measure, by_time=self._store.current.runs_by_time)
        self.back.setFocus()

    def _on_choice_changed(self, measure: str, by_time: bool) -> None:
        self._store.update(runs_measure=measure, runs_by_time=by_time)
