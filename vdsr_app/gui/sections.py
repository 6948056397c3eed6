"""Building blocks of all panes: sections with headings, rows of a label and a control, labels, separators, gaps."""

from __future__ import annotations

import html

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractSpinBox, QFormLayout, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from vdsr_app.gui.theme import set_role

GROUP_GAP = 8
SECTION_GAP = 16
PANE_GAP = 24
ROW_LABEL_WIDTH = 72


class Section(QWidget):
    """A heading, an optional widget at its right, and a body below.

    Attributes:
        body: layout to fill.
    """

    def __init__(self) -> None:
        super().__init__()
        self._head = QHBoxLayout()
        self._head.setContentsMargins(0, 0, 0, 0)
        self.body = QVBoxLayout()
        self.body.setSpacing(GROUP_GAP)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GROUP_GAP)
        column.addLayout(self._head)
        column.addLayout(self.body)

    def set_head(self, title: str, beside: QWidget | None = None) -> None:
        """Fill the heading; call once."""
        self._head.addWidget(text_label(title, "head"), 1)
        if beside is not None:
            self._head.addWidget(beside)


def rows_layout() -> QFormLayout:
    """Create a layout of rows: a quiet label, and a control that takes the remaining width."""
    form = QFormLayout()
    form.setContentsMargins(0, 0, 0, 0)
    form.setHorizontalSpacing(GROUP_GAP)
    form.setVerticalSpacing(GROUP_GAP)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter)
    return form


def add_row(form: QFormLayout, label: str, control: QWidget) -> None:
    """Append a row; the label becomes the control's accessible name."""
    words = text_label(label, "quiet")
    words.setMinimumWidth(ROW_LABEL_WIDTH)
    words.setBuddy(control)
    if not control.accessibleName():
        control.setAccessibleName(label)
    form.addRow(words, control)


def text_label(text: str = "", role: str = "", *, wrap: bool = False) -> QLabel:
    """Create a label that shows its text as plain text."""
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setText(text)
    label.setWordWrap(wrap)
    if role:
        set_role(label, role)
    return label


def indent_number(box: QAbstractSpinBox) -> None:
    """Keep a number off its box's edge, which padding in the style sheet does not do for spin boxes."""
    box.lineEdit().setTextMargins(6, 0, 0, 0)


class ElidedLabel(QLabel):
    """A line that is elided in the middle or at an end if it does not fit; the tooltip shows it in full."""

    def __init__(self, text: str = "", mode: Qt.TextElideMode = Qt.TextElideMode.ElideMiddle) -> None:
        super().__init__()
        self._mode = mode
        self._explanation = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setText(text)

    def setText(self, text: str) -> None:
        """Show another text."""
        super().setText(text)
        self._show_tooltip_if_cut()

    def explain(self, text: str) -> None:
        """Set the tooltip's explanation of the text; "" for none."""
        self._explanation = text
        self._show_tooltip_if_cut()

    def minimumSizeHint(self) -> QSize:
        """Almost any width will do."""
        return QSize(24, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Check whether the text still fits."""
        super().resizeEvent(event)
        self._show_tooltip_if_cut()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the text, elided if necessary."""
        painter = QPainter(self)
        shown = self.fontMetrics().elidedText(self.text(), self._mode, self.width())
        self.style().drawItemText(
            painter,
            self.rect().adjusted(1, 0, 0, 0),
            int(self.alignment()),
            self.palette(),
            self.isEnabled(),
            shown,
            self.foregroundRole(),
        )
        painter.end()

    def _show_tooltip_if_cut(self) -> None:
        cut = self.fontMetrics().horizontalAdvance(self.text()) > self.width()
        parts = (self.text() if cut else "", self._explanation)
        self.setToolTip(plain_tooltip(" — ".join(part for part in parts if part)))


def plain_tooltip(text: str) -> str:
    """Escape `text` for a tooltip, where Qt would interpret markup."""
    return html.escape(text) if "<" in text else text


def upright_line() -> QWidget:
    """Create a thin separator between two panes side by side."""
    separator = _separator()
    separator.setFixedWidth(1)
    return separator


def level_line() -> QWidget:
    """Create a thin separator between two panes, one above the other."""
    separator = _separator()
    separator.setFixedHeight(1)
    return separator


def _separator() -> QWidget:
    separator = QWidget()
    separator.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
    set_role(separator, "line")
    return separator
