"""One held-out crop as the network renders it at each validation, beside bicubic or the original."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from vdsr_app.errors import UnreadablePictureError
from vdsr_app.gui.calm import CalmSlider
from vdsr_app.gui.compare.view import CompareMode, Layer
from vdsr_app.gui.icons import SMALL_PX, IconLabel, icon
from vdsr_app.gui.parts import Choice
from vdsr_app.gui.sections import GROUP_GAP, text_label
from vdsr_app.gui.training.crop_files import CropFiles
from vdsr_app.gui.training.crop_view import MIN_HEIGHT_PX, CropView
from vdsr_app.gui.training.plot_ticks import count_text
from vdsr_trainer.history import RunHistory
from vdsr_trainer.run_files import CROPS_NAME


class CropPanel(QWidget):
    """The reference left of the wipe, the network's result at the slider's step on its right.

    It follows the newest step until the user moves the slider back, and again once the slider is at the newest step.

    Attributes:
        view: the comparison view.
        slider: one position per validation.

    Signals:
        left_chosen: reference that the user chose, "bicubic" or "original".
        side_chosen: whether the user wants both side by side.
    """

    left_chosen = Signal(str)
    side_chosen = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._history: RunHistory | None = None
        self._files: CropFiles | None = None
        self._crops: tuple[tuple[int, str], ...] = ()
        self._step: int | None = None
        self._fit_next = True
        self.view = CropView()
        self.slider = CalmSlider()
        self._left = Choice(self.tr("Left half of the crop shows"))
        self._side = QToolButton()
        self._newest = QPushButton(self.tr("Newest"))
        self._where = text_label()
        self._trouble = text_label(wrap=True)
        self._trouble_row = QWidget()
        self._nothing = text_label(role="quiet", wrap=True)
        self._stack = QStackedWidget()
        self._build()
        self._show()

    @property
    def follows(self) -> bool:
        """Whether each new crop is shown as it arrives."""
        return self._step is None

    @property
    def words(self) -> str:
        """What is wrong with the files, or what it is waiting for; empty while it shows a crop without problems."""
        if self._stack.currentWidget() is self.view:
            return "" if self._trouble_row.isHidden() else self._trouble.text()
        return self._nothing.text()

    def set_run(self, folder: Path | None, history: RunHistory | None) -> None:
        """Show the crops of another run, or of none.

        Args:
            folder: the run folder.
            history: the run's history; call `refresh` when it has grown.
        """
        self._history = history
        self._files = None if folder is None else CropFiles(folder)
        self._step, self._fit_next = None, True
        self.refresh()

    def show_left(self, name: str) -> None:
        """Show "bicubic" or "original" at the left; emits nothing."""
        if name == self._left.currentData():
            return
        with QSignalBlocker(self._left):
            self._left.setCurrentIndex(self._left.findData(name))
        self._show()

    def show_side(self, side: bool) -> None:
        """Show both side by side or with a wipe; emits nothing."""
        if side != self._side.isChecked():
            with QSignalBlocker(self):
                self._side.setChecked(side)

    def refresh(self) -> None:
        """Pick up new crops from the history."""
        self._crops = () if self._history is None or self._files is None else tuple(self._history.crops)
        steps = [step for step, _ in self._crops]
        if self._step is not None:
            # If the run was rolled back, the newest crop that remains up to the chosen step.
            known = [step for step in steps if step <= self._step]
            self._step = known[-1] if known and known[-1] != steps[-1] else None
        self._show()

    def sizeHint(self) -> QSize:
        """A nearly square view plus its controls."""
        return QSize(300, MIN_HEIGHT_PX + 120)

    def _build(self) -> None:
        self._left.addItem(self.tr("Bicubic"), "bicubic")
        self._left.addItem(self.tr("Original"), "original")
        self._left.setToolTip(self.tr("Left half shows"))
        self._side.setCheckable(True)
        self._side.setIcon(icon("view-split-vertical"))
        self._side.setIconSize(QSize(SMALL_PX, SMALL_PX))
        self._side.setToolTip(self.tr("Side by side"))
        self._side.setAccessibleName(self.tr("Crops side by side"))
        self._side.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._nothing.setMargin(GROUP_GAP)
        self._nothing.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        self.slider.setAccessibleName(self.tr("Step of the crop"))
        self._stack.addWidget(self._nothing)
        self._stack.addWidget(self.view)
        self._lay_out()
        self._left.currentIndexChanged.connect(self._on_left_chosen)
        self._side.toggled.connect(self._on_side_toggled)
        self.view.mode_changed.connect(self._on_mode_changed)
        self.slider.valueChanged.connect(self._on_slider_moved)
        self._newest.clicked.connect(self._on_newest)

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(GROUP_GAP)
        head.addWidget(text_label(self.tr("Held-out crop"), "plot-title"), 1)
        head.addWidget(self._left)
        head.addWidget(self._side)
        trouble = QHBoxLayout(self._trouble_row)
        trouble.setContentsMargins(0, 0, 0, 0)
        trouble.setSpacing(GROUP_GAP)
        trouble.addWidget(IconLabel("alert-outline", "caution"), 0, Qt.AlignmentFlag.AlignTop)
        trouble.addWidget(self._trouble, 1)
        foot = QHBoxLayout()
        foot.setSpacing(GROUP_GAP)
        foot.addWidget(self._where, 1)
        foot.addWidget(self._newest)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GROUP_GAP)
        column.addLayout(head)
        column.addWidget(self._stack, 1)
        column.addWidget(self._trouble_row)
        column.addWidget(self.slider)
        column.addLayout(foot)

    def _show(self) -> None:
        index = self._index()
        several = len(self._crops) > 1
        with QSignalBlocker(self.slider):
            self.slider.setRange(0, max(0, len(self._crops) - 1))
            self.slider.setPageStep(max(1, len(self._crops) // 10))
            self.slider.setValue(max(0, index))
        self.slider.setEnabled(several)
        tip = self.tr("Steps through the validations") if several else self.tr("There is only one validation so far")
        self.slider.setToolTip(tip)
        self._newest.setEnabled(not self.follows)
        followed = self.tr("The newest crop is already shown")
        self._newest.setToolTip(followed if self.follows else self.tr("Show the newest crop, and each new one"))
        self._where.setText(self._where_text(index))
        self.slider.setAccessibleDescription(self._where.text())
        self._show_layers(index)

    def _show_layers(self, index: int) -> None:
        troubles: list[str] = []
        left = right = None
        if index >= 0:
            step, file = self._crops[index]
            label = self.tr("Step {step}").format(step=count_text(step))
            right = self._layer(label, file, troubles)
            left = self._layer(self._left.currentText(), f"{CROPS_NAME}/{self._left.currentData()}.png", troubles)
            self._nothing.setText("\n".join(troubles))
        elif self._history is None:
            self._nothing.setText(self.tr("No run is shown"))
        else:
            self._nothing.setText(self.tr("The first crop comes after the first validation"))
        self._trouble.setText("\n".join(troubles))
        there = left is not None or right is not None
        self._trouble_row.setVisible(bool(troubles) and there)
        self.view.set_layers(left, right)
        self._stack.setCurrentWidget(self.view if there else self._nothing)
        if there and self._fit_next:
            self._fit_next = False
            self.view.fill(anew=True)

    def _layer(self, label: str, file: str, troubles: list[str]) -> Layer | None:
        if self._files is None:
            return None
        try:
            return Layer(label, self._files.read(file))
        except UnreadablePictureError as error:
            words = self.tr("There is no crop for “{label}”. {reason}")
            troubles.append(words.format(label=label, reason=error.what))
            return None

    def _index(self) -> int:
        """Index of the crop that is shown, -1 without any."""
        if self._step is None:
            return len(self._crops) - 1
        return next(i for i, (step, _) in enumerate(self._crops) if step == self._step)

    def _where_text(self, index: int) -> str:
        if index < 0 or self._history is None:
            return ""
        step, started = count_text(self._crops[index][0]), self._history.started
        if started is None:
            return self.tr("Step {step}").format(step=step)
        return self.tr("Step {step} of {steps}").format(step=step, steps=count_text(started.steps))

    def _on_left_chosen(self) -> None:
        self._show()
        self.left_chosen.emit(self._left.currentData())

    def _on_slider_moved(self, index: int) -> None:
        self._step = None if index == len(self._crops) - 1 else self._crops[index][0]
        self._show()

    def _on_newest(self) -> None:
        self._step = None
        self._show()

    def _on_side_toggled(self, side: bool) -> None:
        self.view.set_mode(CompareMode.SIDE if side else CompareMode.WIPE)
        self.view.fill()
        self.side_chosen.emit(side)

    def _on_mode_changed(self, mode: CompareMode) -> None:
        side = mode is CompareMode.SIDE
        if side != self._side.isChecked():
            with QSignalBlocker(self._side):
                self._side.setChecked(side)
            self.side_chosen.emit(side)
