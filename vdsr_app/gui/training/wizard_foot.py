"""The buttons below a page of the wizard: back at the left, the others at the right."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from vdsr_app.gui.parts import allow_button, plain, primary
from vdsr_app.gui.sections import GROUP_GAP, PANE_GAP, text_label
from vdsr_app.gui.theme import set_role

Way = tuple[str, str, str]
"""Name of the action, text of its button, and why it is not possible now, or ""."""

_OTHERS = 2
_NOT_BY_ACCIDENT = ("stop",)


class WizardFoot(QWidget):
    """One primary button, up to two others, and back.

    Signals:
        pressed: name of the action, which may be "back".
    """

    pressed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        set_role(self, "pane")
        line = QWidget()
        line.setFixedHeight(1)
        line.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        set_role(line, "line")
        self.back = plain(self.tr("Back"), "arrow-left")
        self.back.setProperty("way", "back")
        self._why = text_label(role="quiet")
        self._why.setAlignment(Qt.AlignmentFlag.AlignTrailing | Qt.AlignmentFlag.AlignVCenter)
        self._others = [plain("") for _ in range(_OTHERS)]
        self.primary = primary("")
        row = QHBoxLayout()
        row.setContentsMargins(PANE_GAP, 12, PANE_GAP, 12)
        row.setSpacing(GROUP_GAP)
        row.addWidget(self.back)
        self._beside: QWidget | None = None
        self._row = row
        row.addWidget(self._why, 1)
        for button in (*self._others, self.primary):
            row.addWidget(button)
        for button in (self.back, *self._others, self.primary):
            button.clicked.connect(self._on_clicked)
            button.installEventFilter(self)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(line)
        column.addLayout(row)

    @property
    def shown(self) -> list[QPushButton]:
        """The visible buttons, from left to right."""
        return [button for button in (self.back, *self._others, self.primary) if not button.isHidden()]

    def show_buttons(
        self, *, primary: Way, others: Sequence[Way] = (), back: bool = False, beside: bool = False
    ) -> None:
        """Show these buttons; `beside` shows the extra control of one page at the left."""
        if self._beside is not None:
            self._beside.setVisible(beside)
        had_focus = self.hasFocus() or any(button.hasFocus() for button in (self.back, *self._others, self.primary))
        if had_focus:
            # Otherwise Qt would pass the focus to some control at the other end of the window.
            self.setFocus()
        self.back.setVisible(back)
        for button, way in zip(self._others, [*others, *[None] * _OTHERS][:_OTHERS], strict=True):
            button.setVisible(way is not None)
            if way is not None:
                _show(button, way)
        _show(self.primary, primary)
        self._why.setText(primary[2])
        if had_focus:
            self.focus_primary()

    def set_beside(self, widget: QWidget) -> None:
        """Add an extra control for one page at the left."""
        self._beside = widget
        self._row.insertWidget(0, widget)

    def focus_primary(self) -> None:
        """Focus the primary button, unless it is disabled or would stop the run."""
        if self.primary.isEnabled() and self.primary.property("way") not in _NOT_BY_ACCIDENT:
            self.primary.setFocus()
        else:
            self.setFocus()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let Return press the focused button, as usual in a wizard; not every desktop does so by default."""
        if not (isinstance(event, QKeyEvent) and isinstance(watched, QPushButton)):
            return super().eventFilter(watched, event)
        if event.type() != QEvent.Type.KeyPress or event.key() not in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            return False
        if not event.isAutoRepeat():
            watched.click()
        return True

    def _on_clicked(self) -> None:
        self.pressed.emit(self.sender().property("way"))


def _show(button: QPushButton, way: Way) -> None:
    name, words, why = way
    button.setProperty("way", name)
    button.setText(words)
    allow_button(button, not why, why)
