"""What the workspace shows before there are any runs."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from vdsr_app.gui.icons import IconLabel
from vdsr_app.gui.parts import press_by_return, primary
from vdsr_app.gui.sections import GROUP_GAP, PANE_GAP, SECTION_GAP, text_label
from vdsr_app.gui.theme import set_role

_WIDTH = 520


class Invitation(QWidget):
    """An introduction and one button.

    Attributes:
        button: asks to choose pictures.

    Signals:
        choose_requested: the user wants to choose pictures.
    """

    choose_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        set_role(self, "pane")
        self.button = primary(self.tr("Choose pictures…"), "folder-image")
        self.button.clicked.connect(self.choose_requested)
        press_by_return(self.button)
        words = self.tr(
            "The network that comes with the program has learned from all kinds of pictures. Show it a folder of "
            "your own, and it learns to enlarge pictures like those better."
        )
        column = QVBoxLayout()
        column.setSpacing(GROUP_GAP)
        column.addStretch(2)
        column.addWidget(IconLabel("school-outline", "accent", 48))
        column.addSpacing(GROUP_GAP)
        column.addWidget(text_label(self.tr("Teach it your kind of picture"), "title"))
        column.addWidget(text_label(words, wrap=True))
        column.addSpacing(SECTION_GAP)
        row = QHBoxLayout()
        row.setSpacing(SECTION_GAP)
        row.addWidget(self.button)
        row.addWidget(text_label(self.tr("or drop a folder here"), "quiet"))
        row.addStretch(1)
        column.addLayout(row)
        column.addSpacing(PANE_GAP)
        for icon_name, sentence in (
            (
                "timer-outline",
                self.tr(
                    "It takes from minutes to a night; you see how long before it starts, and can stop at any time."
                ),
            ),
            ("chart-line", self.tr("It is judged by pictures it has never seen, so you can trust the curves.")),
            ("lock-outline", self.tr("Nothing leaves this computer, and your pictures are only read.")),
        ):
            column.addLayout(_promise(icon_name, sentence))
        column.addStretch(3)
        inner = QWidget()
        inner.setMaximumWidth(_WIDTH)
        inner.setLayout(column)
        outer = QHBoxLayout(self)
        outer.setContentsMargins(PANE_GAP, SECTION_GAP, PANE_GAP, SECTION_GAP)
        outer.addStretch(1)
        outer.addWidget(inner, 100)
        outer.addStretch(1)


def _promise(icon_name: str, sentence: str) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(GROUP_GAP)
    row.addWidget(IconLabel(icon_name, "quiet"), 0, Qt.AlignmentFlag.AlignTop)
    row.addWidget(text_label(sentence, "quiet", wrap=True), 1)
    return row
