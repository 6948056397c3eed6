"""Strip below the table: progress of the current picture and the batch, and the buttons of a running batch."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from vdsr_app.core.batch.events import Progress
from vdsr_app.gui.icons import icon
from vdsr_app.gui.parts import SteadyButton, plain
from vdsr_app.gui.sections import GROUP_GAP, PANE_GAP, ElidedLabel, text_label
from vdsr_app.gui.texts import bytes_text, duration_text, pictures_text
from vdsr_app.gui.theme import set_role

_STEPS = 1000


class RunStrip(QWidget):
    """Two progress bars, one for the current picture and one for the batch.

    Signals:
        pause_requested: the user wants to pause or continue the batch.
        cancel_requested: the user wants to stop the batch.
    """

    pause_requested = Signal()
    cancel_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        set_role(self, "bar")
        self._name = ElidedLabel()
        self._picture, self._batch = _bar(self.tr("This picture")), _bar(self.tr("The batch"))
        self._words = ElidedLabel(mode=Qt.TextElideMode.ElideRight)
        self._waits = text_label(wrap=True)
        self._pause = SteadyButton(self.tr("Pause"), self.tr("Continue"))
        self._cancel = plain(self.tr("Cancel"), "stop-circle-outline")
        bars = QGridLayout()
        bars.setHorizontalSpacing(GROUP_GAP)
        bars.setVerticalSpacing(6)
        bars.setColumnStretch(0, 1)
        bars.addWidget(self._name, 0, 0)
        bars.addWidget(self._picture, 1, 0)
        bars.addWidget(self._words, 2, 0)
        bars.addWidget(self._batch, 3, 0)
        row = QHBoxLayout()
        row.setSpacing(GROUP_GAP)
        row.addLayout(bars, 1)
        row.addSpacing(GROUP_GAP)
        row.addWidget(self._pause, 0, Qt.AlignmentFlag.AlignBottom)
        row.addWidget(self._cancel, 0, Qt.AlignmentFlag.AlignBottom)
        column = QVBoxLayout(self)
        column.setContentsMargins(PANE_GAP, 12, PANE_GAP, 12)
        column.addWidget(self._waits)
        column.addLayout(row)
        self.setFocusProxy(self._pause)
        self._pause.clicked.connect(self.pause_requested)
        self._cancel.clicked.connect(self.cancel_requested)
        self._paused = False
        self._progress: Progress | None = None
        self.begin()

    @property
    def can_cancel(self) -> bool:
        """Whether the batch is not already being stopped."""
        return self._cancel.isEnabled()

    def begin(self) -> None:
        """Show a batch that has just started."""
        self._picture.setValue(0)
        self._batch.setValue(0)
        self._name.setText(self.tr("Starting…"))
        self._progress = None
        self._cancel.setEnabled(True)
        self.show_paused(False)
        self.show_waiting(None)

    def show_fitting(self, fitting: bool) -> None:
        """Say whether the first picture is waiting while the network is tuned for this processor."""
        if self._progress is None and self.can_cancel:
            words = (
                self.tr("Tuning the network for this processor (first run only)") if fitting else self.tr("Starting…")
            )
            self._name.setText(words)

    def show_progress(self, progress: Progress, name: str) -> None:
        """Show the progress; `name` is that of the current picture."""
        if name:
            self._name.setText(name)
        self._picture.setValue(_share(progress.done_px, progress.total_px))
        self._batch.setValue(_share(progress.batch_done_px, progress.batch_px))
        self._progress = progress
        self._show_words()

    def show_paused(self, paused: bool) -> None:
        """Show whether the user has paused the batch."""
        self._paused = paused
        self._pause.setText(self.tr("Continue") if paused else self.tr("Pause"))
        self._pause.setIcon(icon("play-outline" if paused else "pause"))
        self._show_words()

    def show_waiting(self, room: tuple[int, int] | None) -> None:
        """Say that the disk is full, with the bytes needed and free; None if it is not."""
        self._waits.setVisible(room is not None)
        if room is not None:
            self._waits.setText(
                self.tr("The disk is full: {needed} needed, {free} free. It continues when there is space.").format(
                    needed=bytes_text(room[0]), free=bytes_text(room[1])
                )
            )

    def show_ending(self) -> None:
        """Show that the batch is being stopped."""
        self._cancel.setEnabled(False)
        self._name.setText(self.tr("Stopping…"))

    def _show_words(self) -> None:
        progress = self._progress
        if progress is None:
            self._words.setText(self.tr("Paused") if self._paused else "")
            return
        # The most important part comes first: the end is cut off if there is little room.
        parts = [f"{100 * progress.batch_done_px // max(1, progress.batch_px)} %"]
        if self._paused:
            parts.insert(0, self.tr("Paused"))
        elif progress.left_s is not None:
            parts.append(self.tr("{time} left").format(time=duration_text(progress.left_s)))
        parts.append(
            self.tr("{done} of {pictures}").format(done=progress.files_done, pictures=pictures_text(progress.files))
        )
        parts.append(self.tr("{time} elapsed").format(time=duration_text(progress.elapsed_s)))
        self._words.setText(" · ".join(parts))


def _bar(name: str) -> QProgressBar:
    bar = QProgressBar()
    bar.setTextVisible(False)
    bar.setRange(0, _STEPS)
    bar.setAccessibleName(name)
    return bar


def _share(done: int, total: int) -> int:
    return _STEPS * done // max(1, total)
