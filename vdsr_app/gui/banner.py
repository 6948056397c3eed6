"""Messages above the picture: what happened, and one action to take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QHideEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QToolButton, QWidget

from vdsr_app.gui.icons import IconLabel, icon
from vdsr_app.gui.texts import report_details, report_text
from vdsr_app.gui.theme import set_role
from vdsr_app.workers.messages import ErrorReport

SUCCESS_MS = 12_000
"""A success message disappears after this time; errors and notices stay."""
MAX_ERRORS = 3
"""More would crowd out the picture; the latest are the ones the user can still act on."""


class BannerKind(StrEnum):
    """Severity of a message; conveyed by icon and wording too, never by colour alone."""

    ERROR = "error"
    NOTICE = "notice"
    SUCCESS = "success"


_ICONS = {
    BannerKind.ERROR: ("alert-circle-outline", "bad"),
    BannerKind.NOTICE: ("information-outline", "caution"),
    BannerKind.SUCCESS: ("check-circle-outline", "good"),
}


@dataclass(frozen=True, slots=True)
class _Message:
    """A message on display; see `Banner.show_message`."""

    kind: BannerKind
    text: str
    details: str
    action: tuple[str, Callable[[], None]] | None
    topic: str


class Banner(QFrame):
    """Shows the latest message below the most recent undismissed errors; hidden while there is none.

    Signals:
        dismissed: the user closed it, or its last message expired or was withdrawn.
    """

    dismissed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, "banner")
        self._messages: list[_Message] = []
        self._details = ""
        self._action: Callable[[], None] | None = None
        self._icon = IconLabel()
        self._text = QLabel()
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._action_button = QPushButton()
        self._copy_button = QPushButton(self.tr("Copy details"))
        self._close_button = QToolButton()
        self._close_button.setIcon(icon("close"))
        self._close_button.setToolTip(self.tr("Dismiss this message"))
        self._close_button.setAccessibleName(self.tr("Dismiss this message"))
        self._action_button.clicked.connect(self._on_action)
        self._copy_button.clicked.connect(self._on_copy)
        self._close_button.clicked.connect(self.dismiss)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 8, 8, 8)
        row.setSpacing(8)
        for widget in (self._icon, self._text, self._action_button, self._copy_button, self._close_button):
            row.addWidget(widget, 1 if widget is self._text else 0)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._on_success_seen)
        self.hide()

    @property
    def text(self) -> str:
        """The messages shown, one per line, or an empty string."""
        return "" if self.isHidden() else self._text.text()

    def show_message(
        self,
        kind: BannerKind,
        text: str,
        *,
        details: str = "",
        action: tuple[str, Callable[[], None]] | None = None,
        topic: str = "",
    ) -> None:
        """Add a message; it replaces all except errors, and errors with the same text or topic.

        Args:
            kind: its severity.
            text: one or two sentences; shown as plain text.
            details: what "Copy details" copies; without them there is no such button.
            action: text and callback of an extra button.
            topic: for `dismiss_about`.
        """
        kept = [m for m in self._messages if m.kind is BannerKind.ERROR and m.text != text]
        kept = [m for m in kept if not topic or m.topic != topic]
        room = MAX_ERRORS - (kind is BannerKind.ERROR)
        self._show([*kept[-room:], _Message(kind, text, details, action, topic)])

    def show_report(
        self, report: ErrorReport, topic: str = "", action: tuple[str, Callable[[], None]] | None = None
    ) -> None:
        """Show an error; `action` is the text and callback of an extra button."""
        text, details = report_text(report), report_details(report)
        self.show_message(BannerKind.ERROR, text, details=details, action=action, topic=topic)

    def dismiss(self) -> None:
        """Remove all messages."""
        self._messages.clear()
        self._timer.stop()
        self.hide()
        self.dismissed.emit()

    def dismiss_about(self, *topics: str) -> None:
        """Remove the messages on these topics."""
        self._keep([m for m in self._messages if m.topic not in topics])

    def showEvent(self, event: QShowEvent) -> None:
        """Time a success from when it becomes visible, not from when it was posted in another workspace."""
        super().showEvent(event)
        if self._dismisses_itself() and not event.spontaneous():
            self._timer.start(SUCCESS_MS)

    def hideEvent(self, event: QHideEvent) -> None:
        """Stop the timer of a success while it is not visible."""
        super().hideEvent(event)
        if not event.spontaneous():
            self._timer.stop()

    def _show(self, messages: list[_Message]) -> None:
        self._messages = messages
        kind = messages[0].kind  # an error, if there is one
        action = messages[-1].action
        self._details = "\n\n".join(m.details for m in messages if m.details)
        self._action = None if action is None else action[1]
        self.setProperty("kind", kind.value)
        set_role(self, "banner")
        self._icon.set_icon(*_ICONS[kind])
        text = "\n".join(m.text for m in messages)
        self._text.setText(text)
        self.setAccessibleName(text)
        self._action_button.setVisible(action is not None)
        self._action_button.setText("" if action is None else action[0])
        self._copy_button.setVisible(bool(self._details))
        self._timer.stop()
        self.show()
        if self._dismisses_itself() and self.isVisible():
            self._timer.start(SUCCESS_MS)

    def _keep(self, messages: list[_Message]) -> None:
        if messages and messages != self._messages:
            self._show(messages)
        elif not messages and self._messages:
            self.dismiss()

    def _dismisses_itself(self) -> bool:
        return bool(self._messages) and self._messages[-1].kind is BannerKind.SUCCESS

    def _on_success_seen(self) -> None:
        self._keep([m for m in self._messages if m.kind is not BannerKind.SUCCESS])

    def _on_action(self) -> None:
        if self._action is not None:
            self._action()

    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText(self._details)
