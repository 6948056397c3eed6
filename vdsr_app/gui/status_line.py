"""The status line: device, what is running and the time left, colours under the pointer, scores."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QStyle,
    QStyleOptionButton,
    QStylePainter,
    QToolButton,
    QWidget,
)

from vdsr_app.gui.icons import icon
from vdsr_app.gui.parts import ICON_GAP_PX
from vdsr_app.gui.sections import GROUP_GAP, SECTION_GAP, ElidedLabel, plain_tooltip, text_label
from vdsr_app.gui.texts import hex_color, menu_text
from vdsr_app.gui.theme import set_role, tokens_in_use

Rgba = tuple[int, int, int, int]
_PROGRESS_WIDTH = 96
_LEAST_LINK_PX = 56


@dataclass(frozen=True, slots=True)
class Activity:
    """What is running in the "Upscale" workspace.

    Attributes:
        text: what it is, its progress and the time left.
        fraction: share done in [0, 1], or None while unknown.
        cancel: words for the button that stops it.
        subject: what `text` is about, shown where the picture is not on screen; empty if `text` says it.
    """

    text: str
    fraction: float | None = None
    cancel: str = ""
    subject: str = ""


class StatusLine(QWidget):
    """One row; its parts are hidden while they have nothing to say.

    Signals:
        cancel_requested: the user wants to stop what is running.
        training_requested: the user wants to see the training run.
        batch_requested: the user wants to see the running batch.
    """

    cancel_requested = Signal()
    training_requested = Signal()
    batch_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._shown_activity: Activity | None = None
        self._note = ""
        self._in_upscale = True
        self._scores_shown = ("", "")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        set_role(self, "bar")
        self._device = ElidedLabel(mode=Qt.TextElideMode.ElideRight)
        set_role(self._device, "quiet")
        self._device.setAccessibleName(self.tr("Running on"))
        self._activity = ElidedLabel(mode=Qt.TextElideMode.ElideRight)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setFixedWidth(_PROGRESS_WIDTH)
        self._bar.setRange(0, 1000)
        self._bar.setAccessibleName(self.tr("Progress"))
        self._cancel = QToolButton()
        self._cancel.setIcon(icon("close"))
        set_role(self._cancel, "small")
        self._cancel.clicked.connect(self.cancel_requested)
        self._training = _Link("school-outline", self.tr("Show the run"))
        self._training.clicked.connect(self.training_requested)
        self._batch = _Link("image-multiple-outline", self.tr("Show the batch"))
        self._batch.clicked.connect(self.batch_requested)
        self._place = text_label()
        self._left = _Swatch(self.tr("Colour of the left half"))
        self._right = _Swatch(self.tr("Colour of the right half"))
        self._scores = ElidedLabel(mode=Qt.TextElideMode.ElideRight)
        row = QHBoxLayout(self)
        row.setContentsMargins(GROUP_GAP + 4, 2, GROUP_GAP + 4, 2)
        row.setSpacing(GROUP_GAP)
        row.addWidget(self._device)
        row.addSpacing(GROUP_GAP)
        row.addWidget(self._bar)
        row.addWidget(self._cancel)
        row.addWidget(self._activity, 1)
        row.addSpacing(GROUP_GAP)
        row.addWidget(self._batch)
        row.addWidget(self._training)
        row.addSpacing(GROUP_GAP)
        for widget in (self._place, self._left, self._right):
            row.addWidget(widget)
        row.addSpacing(SECTION_GAP - GROUP_GAP)
        row.addWidget(self._scores)
        self.setFixedHeight(30)
        self.show_device("")
        self.show_activity(None)
        self.show_cursor(None, None, None)
        self.show_scores("", "")
        self.show_training("")
        self.show_batch("")

    def show_device(self, text: str) -> None:
        """Show what the network runs on."""
        self._device.setText(text)
        self._device.explain(self.tr("What the network runs on") if text else "")
        self._device.setVisible(bool(text))

    def set_in_upscale(self, in_upscale: bool) -> None:
        """Set whether the "Upscale" workspace is shown; elsewhere, text about its picture names it or is hidden."""
        self._in_upscale = in_upscale
        self._say_activity()
        self._say_scores()

    def show_activity(self, activity: Activity | None) -> None:
        """Show what is running, or nothing."""
        self._shown_activity = activity
        self._say_activity()

    def show_note(self, text: str) -> None:
        """Set a short text, shown in place of the activity while nothing is running."""
        self._note = text
        self._say_activity()

    def show_training(self, text: str) -> None:
        """Show that a run is training; "" for none."""
        self._training.say(text)

    def show_batch(self, text: str) -> None:
        """Show that a batch is running; "" for none."""
        self._batch.say(text)

    def show_cursor(self, place: tuple[int, int] | None, left: Rgba | None, right: Rgba | None) -> None:
        """Show the pixel under the pointer and its colour in both halves."""
        self._place.setVisible(place is not None)
        if place is not None:
            self._place.setText(f"x {place[0]}  y {place[1]}")
        self._left.show_color(left)
        self._right.show_color(right)

    def show_scores(self, text: str, explanation: str) -> None:
        """Show PSNR and SSIM; "" for none."""
        self._scores_shown = (text, explanation)
        self._say_scores()

    def _say_activity(self) -> None:
        activity = self._shown_activity
        self._bar.setVisible(activity is not None)
        self._cancel.setVisible(activity is not None)
        if activity is None:
            self._activity.setText(self._note if self._in_upscale else "")
            return
        subject = "" if self._in_upscale else activity.subject
        self._activity.setText(" · ".join(filter(None, (subject, activity.text))))
        self._bar.setValue(round(1000 * (activity.fraction or 0.0)))
        cancel = activity.cancel or self.tr("Cancel")
        self._cancel.setAccessibleName(cancel)
        # In other workspaces the key is for what runs there, or leaves a field; it must not end hours of other work.
        tip = self.tr("{cancel} (Esc)").format(cancel=cancel) if self._in_upscale else cancel
        self._cancel.setToolTip(plain_tooltip(tip))

    def _say_scores(self) -> None:
        text, explanation = self._scores_shown
        self._scores.setText(text)
        self._scores.explain(explanation)
        self._scores.setVisible(bool(text) and self._in_upscale)


class _Link(QPushButton):
    """A link to what is running in another workspace; its text is elided if it does not fit."""

    def __init__(self, icon_name: str, tip: str) -> None:
        super().__init__()
        self._tip = tip
        self.setIcon(icon(icon_name, "accent"))
        self.setAutoDefault(False)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        set_role(self, "link")

    def say(self, text: str) -> None:
        """Show this text; "" hides the link."""
        self.setText(menu_text(text))
        self.setAccessibleName(text)
        self.setToolTip(plain_tooltip(" — ".join(part for part in (text, self._tip) if part)))
        self.setVisible(bool(text))

    def minimumSizeHint(self) -> QSize:
        """Room for the icon and a little more."""
        return QSize(_LEAST_LINK_PX, super().minimumSizeHint().height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the icon and the text, elided if necessary."""
        option = QStyleOptionButton()
        self.initStyleOption(option)
        room = self.style().subElementRect(QStyle.SubElement.SE_PushButtonContents, option, self).width()
        room -= option.iconSize.width() + ICON_GAP_PX
        option.text = self.fontMetrics().elidedText(option.text, Qt.TextElideMode.ElideRight, room)
        painter = QStylePainter(self)
        painter.drawControl(QStyle.ControlElement.CE_PushButton, option)
        painter.end()


class _Swatch(QWidget):
    """A small square in a colour, and its hex code."""

    _SIZE_PX = 12

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._color: Rgba | None = None
        self.setToolTip(name)

    def show_color(self, color: Rgba | None) -> None:
        self.setVisible(color is not None)
        if color != self._color:
            self._color = color
            self.setAccessibleName("" if color is None else f"{self._name}: {hex_color(color)}")
            self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:
        text = "#888888" if self._color is None else hex_color(self._color)
        metrics = self.fontMetrics()
        widest = max(metrics.horizontalAdvance(text), metrics.horizontalAdvance("#888888"))
        return QSize(self._SIZE_PX + 6 + widest, metrics.height())

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, _event: QPaintEvent) -> None:
        if self._color is None:
            return
        painter = QPainter(self)
        tokens = tokens_in_use()
        square = QRect(0, (self.height() - self._SIZE_PX) // 2, self._SIZE_PX, self._SIZE_PX)
        painter.fillRect(square, QColor(*self._color[:3]))
        painter.setPen(QColor(tokens.outline))
        painter.drawRect(square.adjusted(0, 0, -1, -1))
        painter.setPen(QColor(tokens.text))
        words = self.rect().adjusted(self._SIZE_PX + 6, 0, 0, 0)
        painter.drawText(words, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, hex_color(self._color))
        painter.end()
