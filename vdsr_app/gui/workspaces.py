"""The window's workspaces, and the switch between them."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QStackedWidget, QToolButton, QVBoxLayout, QWidget

from vdsr_app.gui.actions import tooltip
from vdsr_app.gui.icons import LARGE_PX, icon
from vdsr_app.gui.sections import GROUP_GAP
from vdsr_app.gui.theme import set_role


class Workspaces(QWidget):
    """Pages, one of which is shown; with a single page there is no switch.

    Signals:
        changed: another page is shown.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._pages = QStackedWidget()
        self._actions = QActionGroup(self)
        self._switch = QWidget()
        self._switch.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        set_role(self._switch, "bar")
        self._switch.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)  # so that it does not jump
        self._buttons = QHBoxLayout(self._switch)
        self._buttons.setContentsMargins(GROUP_GAP, GROUP_GAP, GROUP_GAP, 0)
        self._buttons.setSpacing(GROUP_GAP // 2)
        self._buttons.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._switch)
        column.addWidget(self._pages, 1)
        self._switch.hide()

    def add(self, title: str, icon_name: str, page: QWidget, number: int) -> QAction:
        """Add a page at the end.

        Args:
            title: text of its button.
            icon_name: icon of its button.
            page: what is shown.
            number: the key that shows it, with Ctrl; independent of the other pages.

        Returns:
            The action that shows it.
        """
        count = self._pages.addWidget(page) + 1
        action = QAction(icon(icon_name), title, self)
        action.setCheckable(True)
        action.setIconVisibleInMenu(False)  # the check mark takes its place
        action.setChecked(count == 1)
        action.setShortcut(f"Ctrl+{number}")
        action.setToolTip(tooltip(action))
        action.setData(page)
        action.triggered.connect(self._on_triggered)
        self._actions.addAction(action)
        self.addAction(action)
        button = QToolButton()
        button.setDefaultAction(action)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setIconSize(QSize(LARGE_PX + 8, LARGE_PX))
        set_role(button, "workspace")
        self._buttons.insertWidget(count - 1, button)
        self._switch.setVisible(self._pages.count() > 1)
        return action

    @property
    def current(self) -> QWidget | None:
        """The page shown, or None if there are none."""
        return self._pages.currentWidget()

    def show_page(self, page: QWidget) -> None:
        """Show a page that was added."""
        for action in self._actions.actions():
            action.setChecked(action.data() is page)
        if page is not self.current:
            self._pages.setCurrentWidget(page)
            self.changed.emit()

    def _on_triggered(self) -> None:
        action = self._actions.checkedAction()
        if action is not None:
            self.show_page(action.data())
