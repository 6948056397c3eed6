"""The list of the wizard's steps at the left, each with its state."""

from __future__ import annotations

from enum import IntEnum

from PySide6.QtCore import QCoreApplication, QSize, Qt, Signal
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from vdsr_app.gui.icons import LARGE_PX, icon
from vdsr_app.gui.parts import ICON_SIZE, link
from vdsr_app.gui.sections import SECTION_GAP
from vdsr_app.gui.theme import set_role

translate = QCoreApplication.translate
WIDTH = 168
_ICON_SIZE = QSize(LARGE_PX + 8, LARGE_PX)


class Step(IntEnum):
    """The wizard's steps in order."""

    PICTURES = 0
    CHECK = 1
    RECIPE = 2
    RUN = 3
    RESULT = 4


def step_title(step: Step) -> str:
    """Name of a step."""
    return {
        Step.PICTURES: translate("StepList", "Pictures"),
        Step.CHECK: translate("StepList", "Check"),
        Step.RECIPE: translate("StepList", "Recipe"),
        Step.RUN: translate("StepList", "Run"),
        Step.RESULT: translate("StepList", "Result"),
    }[step]


class StepList(QWidget):
    """One button per step, and a link back to the list of runs.

    Signals:
        chosen: Step.
        home_requested: the user wants to see all runs.
    """

    chosen = Signal(object)
    home_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        set_role(self, "bar")
        self.setFixedWidth(WIDTH)
        self._buttons: dict[Step, QPushButton] = {}
        column = QVBoxLayout(self)
        column.setContentsMargins(12, SECTION_GAP, 12, SECTION_GAP)
        column.setSpacing(4)
        for step in Step:
            button = QPushButton()
            button.setCheckable(True)
            button.setAutoExclusive(True)
            button.setAutoDefault(False)
            button.setProperty("step", int(step))
            button.setIconSize(_ICON_SIZE)
            set_role(button, "step")
            button.clicked.connect(self._on_clicked)
            self._buttons[step] = button
            column.addWidget(button)
        column.addStretch(1)
        self.home = link(self.tr("All training runs"), self.tr("Back to the list; a run keeps training"))
        self.home.setIcon(icon("arrow-left", "accent"))
        self.home.setIconSize(ICON_SIZE)
        self.home.clicked.connect(self.home_requested)
        column.addWidget(self.home, 0, Qt.AlignmentFlag.AlignLeading)

    def button(self, step: Step) -> QPushButton:
        """The button of a step."""
        return self._buttons[step]

    def show_step(self, step: Step, *, current: bool, done: bool, why_not: str) -> None:
        """Show the state of one step.

        Args:
            step: the step.
            current: whether its page is shown.
            done: whether it is done.
            why_not: why it cannot be opened, or "".
        """
        button = self._buttons[step]
        if current:
            name, color, state = f"numeric-{step + 1}-circle", "accent", self.tr("now")
        elif done:
            name, color, state = "check-circle-outline", "good", self.tr("done")
        else:
            name, color, state = f"numeric-{step + 1}-circle-outline", "quiet", self.tr("to do")
        button.setIcon(icon(name, color))
        button.setText(step_title(step))
        button.setAccessibleName(f"{step_title(step)}, {state}")
        button.setChecked(current)
        button.setEnabled(current or not why_not)
        button.setToolTip("" if current else why_not)

    def _on_clicked(self) -> None:
        button = self.sender()
        if isinstance(button, QPushButton):
            self.chosen.emit(Step(button.property("step")))
