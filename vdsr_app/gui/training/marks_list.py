"""The events of a run as sentences below its plots."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QSize, Qt
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from vdsr_app.gui.icons import IconLabel
from vdsr_app.gui.sections import GROUP_GAP, text_label
from vdsr_app.gui.theme import set_role
from vdsr_app.gui.training.plot_model import Mark
from vdsr_app.gui.training.plot_ticks import count_text

_SHOWN = 2


class MarksList(QWidget):
    """The newest marks of a run, and all of them on demand; hidden if there are none."""

    def __init__(self) -> None:
        super().__init__()
        self._marks: tuple[Mark, ...] = ()
        self._all = False
        self._rows = QVBoxLayout()
        self._rows.setSpacing(2)
        self._more = QPushButton()
        set_role(self._more, "link")
        self._more.clicked.connect(self._on_more)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 4, 4)
        column.setSpacing(2)
        column.addLayout(self._rows)
        column.addWidget(self._more, 0, Qt.AlignmentFlag.AlignLeft)
        self.hide()

    @property
    def lines(self) -> tuple[str, ...]:
        """All marks as text, the newest first."""
        return tuple(mark_line(mark) for mark in reversed(self._marks))

    def show_marks(self, marks: tuple[Mark, ...]) -> None:
        """Show other marks."""
        if marks != self._marks:
            self._marks = marks
            self._fill()

    def sizeHint(self) -> QSize:
        """As high as its lines need at the current width."""
        hint = super().sizeHint()
        return QSize(hint.width(), self.heightForWidth(self.width()) if self.hasHeightForWidth() else hint.height())

    def _on_more(self) -> None:
        self._all = not self._all
        self._fill()

    def _fill(self) -> None:
        while (item := self._rows.takeAt(0)) is not None:
            if (row := item.widget()) is not None:
                row.hide()
                row.deleteLater()
        shown = len(self._marks) if self._all else _SHOWN
        for mark in list(reversed(self._marks))[:shown]:
            self._rows.addWidget(_row(mark))
        rest = len(self._marks) - _SHOWN
        self._more.setVisible(rest > 0)
        self._more.setText(self.tr("Show fewer") if self._all else self.tr("Show {count} more").format(count=rest))
        self.setVisible(bool(self._marks))


def mark_line(mark: Mark) -> str:
    """One mark as text: "Step 8,000: …"."""
    words = QCoreApplication.translate("TrainingMarks", "Step {step}: {text}")
    return words.format(step=count_text(mark.x), text=mark.text)


def _row(mark: Mark) -> QWidget:
    row = QWidget()
    line = QHBoxLayout(row)
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(GROUP_GAP)
    sign = IconLabel("alert-outline" if mark.caution else "play-circle-outline", "caution" if mark.caution else "quiet")
    words = text_label(mark_line(mark), "" if mark.caution else "quiet", wrap=True)
    words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    line.addWidget(sign, 0, Qt.AlignmentFlag.AlignTop)
    line.addWidget(words, 1)
    return row
