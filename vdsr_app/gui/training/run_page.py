"""Fourth step: the run in progress and the actions on it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QScrollArea, QVBoxLayout, QWidget

from vdsr_app.gui.icons import IconLabel
from vdsr_app.gui.model_list import ModelList
from vdsr_app.gui.parts import Choice, Note, ask, link
from vdsr_app.gui.sections import GROUP_GAP, PANE_GAP, SECTION_GAP, ElidedLabel, text_label, upright_line
from vdsr_app.gui.settings import SettingsStore
from vdsr_app.gui.texts import report_details, report_text
from vdsr_app.gui.theme import set_role
from vdsr_app.gui.training.save_curves import SaveCurvesButton
from vdsr_app.gui.training.watch import RunWatch
from vdsr_app.gui.training.words import percent, speed, state_look, time_left
from vdsr_app.workers.training import TrainingService
from vdsr_trainer.runs import RunState

_SIDE_WIDTH = 300


class RunPage(QWidget):
    """State, progress, plots, a held-out crop and facts; pause, stop, discard, resume.

    Attributes:
        ends: choice of what happens to the run when the window closes; placed among the buttons below.
        save: button that writes the curves.

    Signals:
        notified: message, and whether it is good news.
        failed: ErrorReport of a file that could not be written.
    """

    notified = Signal(str, bool)
    failed = Signal(object)

    def __init__(self, watch: RunWatch, service: TrainingService, store: SettingsStore, models: ModelList) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        set_role(self, "pane")
        self._watch = watch
        self._service = service
        self._store = store
        self._models = models
        self._shown: object = None
        self.ends = self._build_ends()
        self._folder: Path | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(PANE_GAP, SECTION_GAP, PANE_GAP, SECTION_GAP)
        column.setSpacing(GROUP_GAP + 4)
        column.addLayout(self._build_head())
        column.addWidget(self._build_trouble())
        column.addLayout(self._build_body(), 1)
        watch.changed.connect(self.refresh)
        watch.state_changed.connect(self._on_state_changed)
        store.changed.connect(self._show_remembered)
        self._show_remembered()
        self._plots.loss.log_changed.connect(lambda on: store.update(loss_log=on))
        self._plots.gradient.log_changed.connect(lambda on: store.update(gradient_log=on))
        self._crop.left_chosen.connect(lambda name: store.update(crop_left=name))
        self._crop.side_chosen.connect(lambda on: store.update(crop_side=on))
        self.refresh()

    def refresh(self) -> None:
        """Show the current state of the run."""
        watch = self._watch
        self._title.setText(watch.title)
        self.save.subject = watch.title
        self._show_state()
        self._show_trouble()
        if self._shown is not watch.history or self._folder != watch.folder:
            self._shown, self._folder = watch.history, watch.folder
            self._plots.set_history(watch.history)
            self._crop.set_run(watch.folder, watch.history)
            self._facts.show_history(watch.history)
        elif self.isVisible():
            self._plots.refresh()
            self._crop.refresh()
            self._facts.show_history(watch.history)

    def showEvent(self, event: QShowEvent) -> None:
        """Catch up with what happened while the page was hidden."""
        super().showEvent(event)
        self.refresh()

    def confirm_discard(self) -> bool:
        """Ask, then end and delete the run; return whether it was confirmed."""
        sure = ask(
            self,
            self.tr("Discard this run?"),
            self.tr("“{name}” will be stopped and deleted.").format(name=self._watch.title),
            self.tr("What it has learned is lost: its weights, curves and checkpoints. Your pictures are not touched."),
            self.tr("Discard"),
        )
        if sure:
            self._watch.discard()
        return sure

    def _show_remembered(self) -> None:
        settings = self._store.current
        self._show_end_choice()
        self._plots.loss.set_log(settings.loss_log)
        self._plots.gradient.set_log(settings.gradient_log)
        self._crop.show_left(settings.crop_left)
        self._crop.show_side(settings.crop_side)

    def _build_head(self) -> QVBoxLayout:
        self._title = ElidedLabel()
        set_role(self._title, "title")
        self._icon = IconLabel()
        self._state = ElidedLabel(mode=Qt.TextElideMode.ElideRight)
        self._numbers = text_label(role="quiet")
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setRange(0, 1000)
        self._bar.setAccessibleName(self.tr("Progress of the run"))
        # The plots are built later, so they are looked up on saving.
        self.save = SaveCurvesButton(
            self._store, lambda path: self._plots.save_png(path), lambda path: self._plots.save_csv(path)
        )
        self.save.notified.connect(self.notified)
        self.save.failed.connect(self.failed)
        first = QHBoxLayout()
        first.setSpacing(GROUP_GAP)
        first.addWidget(self._title, 1)
        first.addWidget(self.save)
        second = QHBoxLayout()
        second.setSpacing(GROUP_GAP)
        second.addWidget(self._icon)
        second.addWidget(self._state, 1)
        second.addWidget(self._numbers)
        column = QVBoxLayout()
        column.setSpacing(GROUP_GAP - 2)
        column.addLayout(first)
        column.addLayout(second)
        column.addWidget(self._bar)
        return column

    def _build_trouble(self) -> QWidget:
        self._trouble = QWidget()
        self._trouble_words = Note("alert-circle-outline", "bad")
        self._copy = link(self.tr("Copy details"))
        self._copy.clicked.connect(self._on_copy)
        row = QHBoxLayout(self._trouble)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._trouble_words, 1)
        row.addWidget(self._copy, 0, Qt.AlignmentFlag.AlignTop)
        return self._trouble

    def _build_body(self) -> QHBoxLayout:
        # Imported late because they load pyqtgraph, for which the first window should not wait.
        from vdsr_app.gui.training.crop_panel import CropPanel
        from vdsr_app.gui.training.run_facts import RunFactsPanel
        from vdsr_app.gui.training.run_plots import RunPlots

        self._plots = RunPlots(self._models.title)
        for area in self._plots.findChildren(QScrollArea):
            set_role(area, "pane")
        self._crop = CropPanel()
        self._facts = RunFactsPanel()
        side = QWidget()
        inside = QVBoxLayout(side)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(SECTION_GAP)
        inside.addWidget(self._crop, 1)
        inside.addWidget(self._facts)
        scroll = QScrollArea()
        set_role(scroll, "pane")
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setFixedWidth(_SIDE_WIDTH)
        scroll.setWidget(side)
        row = QHBoxLayout()
        row.setSpacing(SECTION_GAP)
        row.addWidget(self._plots, 1)
        row.addWidget(upright_line())
        row.addWidget(scroll)
        return row

    def _build_ends(self) -> QWidget:
        self._ends_label = text_label(self.tr("When the window closes"), "quiet")
        self._ends = Choice(self.tr("When the window closes"))
        for words, value in (
            (self.tr("ask me"), "ask"),
            (self.tr("keep training"), "go on"),
            (self.tr("save and stop"), "save"),
        ):
            self._ends.addItem(words, value)
        self._ends.activated.connect(self._on_end_chosen)
        whole = QWidget()
        row = QHBoxLayout(whole)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GROUP_GAP)
        row.addWidget(self._ends_label)
        row.addWidget(self._ends)
        return whole

    def _show_state(self) -> None:
        watch = self._watch
        _, icon_name, color = state_look(watch.state or RunState.RUNNING)
        self._icon.set_icon(icon_name, color)
        self._state.setText(watch.state_text())
        step, steps = watch.history.step, watch.steps
        self._bar.setValue(1000 * step // steps if steps else 0)
        parts = [self.tr("{percent} %").format(percent=percent(step, steps))]
        latest = watch.history.latest
        if latest is not None and watch.state is RunState.RUNNING:
            if latest.seconds_left is not None:
                parts.append(time_left(latest.seconds_left))
            parts.append(speed(latest.samples_per_second))
        self._numbers.setText(" · ".join(parts))
        self.save.setEnabled(bool(watch.history.steps))
        self.save.setToolTip(
            self.tr("As a picture or as a table of numbers")
            if watch.history.steps
            else self.tr("There is no curve yet")
        )

    def _show_trouble(self) -> None:
        watch = self._watch
        words = ""
        if watch.report is not None and not watch.alive:
            words = report_text(watch.report)
        elif watch.state is RunState.FAILED and watch.history.failed is not None:
            words = watch.history.failed.message
        elif watch.state is RunState.DAMAGED and watch.info is not None:
            words = watch.info.reason
        self._trouble_words.say(words, "alert-circle-outline", "bad")
        self._trouble.setVisible(bool(words))

    def _show_end_choice(self) -> None:
        self._ends.setCurrentIndex(self._ends.findData(self._store.current.training_end))

    def _on_end_chosen(self, index: int) -> None:
        choice = self._ends.itemData(index)
        self._store.update(training_end=choice)
        self._send_end_choice()

    def _send_end_choice(self) -> None:
        if self._watch.alive:
            self._service.set_when_window_ends("save" if self._store.current.training_end == "save" else "go on")

    def _on_state_changed(self, state: RunState) -> None:
        # "go on" is the default of a run; sending it could undo the choice made in another window.
        if state is RunState.RUNNING and self._store.current.training_end == "save":
            self._send_end_choice()

    def _on_copy(self) -> None:
        watch = self._watch
        if watch.report is not None:
            text = report_details(watch.report)
        else:
            text = f"{self._trouble_words.text}\n{watch.folder}"
        QGuiApplication.clipboard().setText(text)
        self.notified.emit(self.tr("The details are on the clipboard."), True)
