"""Building blocks of pages: buttons, choice cards, folds, scrolling pages, questions."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QHelpEvent, QKeySequence, QPaintEvent, QShortcut, QWheelEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStyle,
    QStyleOptionButton,
    QStyleOptionComboBox,
    QStylePainter,
    QToolButton,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from vdsr_app.gui.icons import IconLabel, icon
from vdsr_app.gui.sections import GROUP_GAP, PANE_GAP, SECTION_GAP, plain_tooltip, text_label
from vdsr_app.gui.theme import set_role

ICON_SIZE = QSize(22, 16)
"""Icon size in a button with text; wider than the icon, because Qt leaves almost no gap between the two."""
ICON_GAP_PX = 4
_AROUND_ENTRY_PX = 48
"""Check mark, margins and scroll bar beside the text in an opened list."""
TEXT_WIDTH = 760
"""Maximum width of a column of text and controls; longer lines are hard to read."""


class Page(QScrollArea):
    """A page that scrolls if the window is small.

    Attributes:
        body: layout to fill.
    """

    def __init__(self, title: str = "", lead: str = "", *, width: int = TEXT_WIDTH) -> None:
        super().__init__()
        set_role(self, "pane")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        content = QWidget()
        column = QWidget()
        column.setMaximumWidth(width)
        row = QHBoxLayout(content)
        row.setContentsMargins(PANE_GAP, PANE_GAP, PANE_GAP, PANE_GAP)
        row.addWidget(column, 1)
        row.addStretch(0)
        self.body = QVBoxLayout(column)
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.setSpacing(SECTION_GAP)
        if title:
            self.body.addLayout(page_head(title, lead))
        self.setWidget(content)


def page_head(title: str, lead: str = "") -> QVBoxLayout:
    """Create a page's title and the sentence below it."""
    column = QVBoxLayout()
    column.setSpacing(4)
    column.addWidget(text_label(title, "title"))
    if lead:
        column.addWidget(text_label(lead, "quiet", wrap=True))
    return column


def primary(text: str, icon_name: str = "") -> QPushButton:
    """Create the filled button, of which a screen has only one."""
    button = plain(text)
    if icon_name:
        button.setIcon(icon(icon_name, "on_accent"))
        button.setIconSize(ICON_SIZE)
    set_role(button, "primary")
    return button


def plain(text: str, icon_name: str = "", tip: str = "") -> QPushButton:
    """Create a secondary button."""
    button = QPushButton(text)
    button.setAutoDefault(False)
    if icon_name:
        button.setIcon(icon(icon_name))
        button.setIconSize(ICON_SIZE)
    button.setToolTip(tip)
    return button


class SteadyButton(QPushButton):
    """A button with changing text that is always as wide as its longest text needs."""

    def __init__(self, *words: str) -> None:
        """Show the first of `words`."""
        super().__init__(words[0])
        self._all_words = words
        self.setAutoDefault(False)
        self.setIconSize(ICON_SIZE)

    def sizeHint(self) -> QSize:
        """The size that fits the longest text."""
        option = QStyleOptionButton()
        self.initStyleOption(option)
        inside = QSize()
        for words in self._all_words:
            inside = inside.expandedTo(self.fontMetrics().size(Qt.TextFlag.TextShowMnemonic, words))
        inside += QSize(self.iconSize().width() + ICON_GAP_PX, 0)
        return self.style().sizeFromContents(QStyle.ContentsType.CT_PushButton, option, inside, self)

    def minimumSizeHint(self) -> QSize:
        """The same: text is not cut off."""
        return self.sizeHint()


def press_by_return(button: QPushButton) -> None:
    """Let Return and Enter press a button that has the focus, which not every desktop does by default."""
    for key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
        shortcut = QShortcut(QKeySequence(key), button, context=Qt.ShortcutContext.WidgetShortcut)
        shortcut.setAutoRepeat(False)
        shortcut.activated.connect(button.click)


def link(text: str, tip: str = "") -> QPushButton:
    """Create a button that looks like a link."""
    button = plain(text, tip=tip)
    button.setCursor(Qt.CursorShape.PointingHandCursor)
    set_role(button, "link")
    return button


def icon_button(icon_name: str, name: str) -> QToolButton:
    """Create a small button without text; its tooltip shows its name."""
    button = QToolButton()
    button.setIcon(icon(icon_name))
    button.setToolTip(name)
    button.setAccessibleName(name)
    return button


def allow_button(button: QPushButton, allowed: bool, reason: str, tip: str = "") -> None:
    """Enable a button, or disable it and say why."""
    button.setEnabled(allowed)
    button.setToolTip(tip if allowed else reason)


def can_be_pressed(button: QPushButton) -> bool:
    """Whether a button is enabled and not hidden on its page, whether or not that page is in front."""
    return button.isEnabled() and not button.isHidden()


class Card(QPushButton):
    """One of several choices, with a title, a sentence and a quiet line."""

    def __init__(self, title: str, words: str, tag: str = "") -> None:
        super().__init__()
        set_role(self, "card")
        self.setCheckable(True)
        self.setAutoExclusive(True)
        self.setAutoDefault(False)
        self._title = title
        self._words = words
        head = QHBoxLayout()
        head.setSpacing(GROUP_GAP)
        head.addWidget(text_label(title, "head"))
        if tag:
            head.addWidget(text_label(tag, "tag"))
        head.addStretch(1)
        self._cost = text_label(role="quiet", wrap=True)
        column = self._column = QVBoxLayout(self)
        column.setContentsMargins(SECTION_GAP - 2, 12, SECTION_GAP - 2, 12)
        column.setSpacing(4)
        column.addLayout(head)
        column.addWidget(text_label(words, wrap=True))
        column.addStretch(1)
        column.addWidget(self._cost)
        for label in self.findChildren(QLabel):
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.show_cost("")

    @property
    def cost(self) -> str:
        """Text of the quiet line."""
        return self._cost.text()

    def show_cost(self, text: str) -> None:
        """Set the quiet line."""
        self._cost.setText(text)
        self.setAccessibleName(self._title)
        self.setAccessibleDescription(f"{self._words} {text}".strip())

    def hasHeightForWidth(self) -> bool:
        """True, because the sentence wraps."""
        return True

    def heightForWidth(self, width: int) -> int:
        """The height that the text needs."""
        return self._column.totalHeightForWidth(width)

    def sizeHint(self) -> QSize:
        """The size of the text."""
        return self._column.totalSizeHint()

    def minimumSizeHint(self) -> QSize:
        """Narrow enough for two side by side in a small window."""
        return QSize(180, self._column.totalMinimumSize().height())


class Fold(QWidget):
    """A heading that opens and closes what is below it.

    Attributes:
        body: layout to fill.

    Signals:
        toggled: whether it is open now.
    """

    toggled = Signal(bool)

    def __init__(self, title: str, *, opened: bool = False) -> None:
        super().__init__()
        self._head = QPushButton(title)
        self._head.setCheckable(True)
        self._head.setAutoDefault(False)
        self._head.setIconSize(ICON_SIZE)
        set_role(self._head, "fold")
        self._content = QWidget()
        self.body = QVBoxLayout(self._content)
        self.body.setContentsMargins(0, GROUP_GAP, 0, 0)
        self.body.setSpacing(SECTION_GAP)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._head, 0, Qt.AlignmentFlag.AlignLeading)
        column.addWidget(self._content)
        self._head.toggled.connect(self._on_toggled)
        self._head.setChecked(opened)
        self._on_toggled(opened)

    def set_open(self, opened: bool) -> None:
        """Show or hide the body."""
        self._head.setChecked(opened)

    def set_title(self, title: str) -> None:
        """Change the text of the heading."""
        self._head.setText(title)

    def _on_toggled(self, opened: bool) -> None:
        self._head.setIcon(icon("chevron-down" if opened else "chevron-right"))
        self._content.setVisible(opened)
        self.toggled.emit(opened)


class Note(QWidget):
    """An icon and a sentence side by side; hidden while it has nothing to say."""

    def __init__(self, icon_name: str = "information-outline", color: str = "quiet") -> None:
        super().__init__()
        self._icon = IconLabel(icon_name, color)
        self._words = text_label(wrap=True)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GROUP_GAP)
        row.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._words, 1)
        self.hide()

    @property
    def text(self) -> str:
        """The sentence, or "" while it is hidden."""
        return "" if self.isHidden() else self._words.text()

    def say(self, text: str, icon_name: str = "", color: str = "quiet") -> None:
        """Show a sentence; "" hides the note."""
        self._words.setText(text)
        if icon_name:
            self._icon.set_icon(icon_name, color)
        self.setVisible(bool(text))


class ElidedBox(QComboBox):
    """A combo box that elides the current text if it does not fit, and shows it in full in the tooltip."""

    def event(self, event: QEvent) -> bool:
        """Show elided text in the tooltip."""
        if (
            isinstance(event, QHelpEvent)
            and event.type() == QEvent.Type.ToolTip
            and self._shown() != self.currentText()
        ):
            parts = (self.currentText(), self.toolTip())
            QToolTip.showText(event.globalPos(), plain_tooltip(" — ".join(part for part in parts if part)), self)
            return True
        return super().event(event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the box and the text, elided if necessary."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        option.currentText = self._shown()
        painter = QStylePainter(self)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
        painter.end()

    def _shown(self) -> str:
        """The current text, elided to the width available."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        field = QStyle.SubControl.SC_ComboBoxEditField
        room = self.style().subControlRect(QStyle.ComplexControl.CC_ComboBox, option, field, self)
        return self.fontMetrics().elidedText(self.currentText(), Qt.TextElideMode.ElideRight, room.width())


class Choice(ElidedBox):
    """A combo box that the wheel does not change while the page is scrolled."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll the page, not the list."""
        event.ignore()


def widen_list(box: QComboBox) -> None:
    """Make the list that a narrow box opens as wide as its longest entry."""
    # Not from the column's size hint: some styles return the same width for all entries.
    metrics = box.view().fontMetrics()
    widest = max((metrics.horizontalAdvance(box.itemText(i)) for i in range(box.count())), default=0)
    box.view().setMinimumWidth(widest + _AROUND_ENTRY_PX)


def question(
    parent: QWidget, title: str, text: str, more: str, icon: QMessageBox.Icon = QMessageBox.Icon.Question
) -> QMessageBox:
    """Create a question without buttons; names in it are shown as plain text."""
    box = QMessageBox(parent)
    box.setIcon(icon)
    box.setWindowTitle(title)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(text)
    box.setInformativeText(more)
    return box


def ask(
    parent: QWidget,
    title: str,
    text: str,
    more: str,
    yes: str,
    no: str = "",
    icon: QMessageBox.Icon = QMessageBox.Icon.Question,
) -> bool:
    """Ask before something irreversible; the safe answer, `no` or else "Cancel", is the default."""
    box = question(parent, title, text, more, icon)
    sure = box.addButton(yes, QMessageBox.ButtonRole.DestructiveRole)
    if no:
        keep = box.addButton(no, QMessageBox.ButtonRole.RejectRole)
    else:
        keep = box.addButton(QMessageBox.StandardButton.Cancel)
    box.setDefaultButton(keep)
    box.setEscapeButton(keep)
    box.exec()
    box.deleteLater()
    return box.clickedButton() is sure
