"""Key figures of a run."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QLabel, QLayout, QVBoxLayout, QWidget

from vdsr_app.gui.sections import GROUP_GAP, SECTION_GAP, text_label
from vdsr_app.gui.texts import bytes_text
from vdsr_app.gui.training.plot_ticks import count_text, share_text, short_text
from vdsr_app.gui.training.words import about, preparing_short, speed
from vdsr_trainer.history import RunHistory

_CELL_PX = 112
_NOTHING = "–"  # noqa: RUF001


class RunFactsPanel(QWidget):
    """Memory, waiting, speed, learning rate, step and time left, in as many rows as the width requires."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._step = _Fact(self.tr("Step"))
        self._left = _Fact(self.tr("Time left"))
        self._speed = _Fact(self.tr("Speed"))
        self._rate = _Fact(self.tr("Learning rate"))
        self._memory = _Fact(self.tr("Memory"))
        self._device = _Fact(self.tr("GPU memory"))
        self._waiting = _Fact(self.tr("Waiting for data"))
        # What is shown nowhere else comes first: with little room, the last ones are below the fold.
        self._facts = (
            *(self._memory, self._device, self._waiting),
            *(self._speed, self._rate, self._step, self._left),
        )
        self._waiting.setToolTip(self.tr("Share of the time in which the network waits for patches"))
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)
        self._grid.setHorizontalSpacing(SECTION_GAP)
        self._grid.setVerticalSpacing(GROUP_GAP)
        self._has_device = False
        self._placed: tuple[int, tuple[_Fact, ...]] = (0, ())
        self.show_history(None)

    def show_history(self, history: RunHistory | None) -> None:
        """Show the latest figures of a run, or dashes."""
        latest = None if history is None else history.latest
        self._step.say(self._step_text(history))
        self._left.say(self._left_text(history))
        has_device = latest is not None and latest.device_memory_bytes > 0
        if latest is None:
            for fact in (self._speed, self._rate, self._memory, self._device, self._waiting):
                fact.say(_NOTHING)
        else:
            self._speed.say(speed(latest.samples_per_second))
            self._rate.say(short_text(latest.rate))
            self._memory.say(bytes_text(latest.memory_bytes) if latest.memory_bytes else _NOTHING)
            self._device.say(bytes_text(latest.device_memory_bytes) if has_device else _NOTHING)
            self._waiting.say(share_text(latest.data_wait_share))
        self._device.setVisible(has_device)
        self._has_device = has_device
        self._arrange()

    def minimumSizeHint(self) -> QSize:
        """Room for one column."""
        return QSize(_CELL_PX, self._grid.minimumSize().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Adapt the number of columns to the width."""
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        shown = tuple(fact for fact in self._facts if self._has_device or fact is not self._device)
        columns = min(len(shown), max(1, (self.width() + SECTION_GAP) // (_CELL_PX + SECTION_GAP)))
        if (columns, shown) == self._placed:
            return
        self._placed = columns, shown
        for fact in self._facts:
            self._grid.removeWidget(fact)
        for index, fact in enumerate(shown):
            self._grid.addWidget(fact, index // columns, index % columns)
        for column in range(len(self._facts)):
            self._grid.setColumnStretch(column, 1 if column < columns else 0)
        self.updateGeometry()

    def _step_text(self, history: RunHistory | None) -> str:
        if history is None or history.started is None:
            return _NOTHING
        steps = self.tr("{step} of {steps}")
        return steps.format(step=count_text(history.step), steps=count_text(history.started.steps))

    def _left_text(self, history: RunHistory | None) -> str:
        if history is None:
            return _NOTHING
        if history.failed is not None:
            return self.tr("failed")
        if history.finished is not None:
            return self.tr("finished") if history.finished.complete else self.tr("stopped")
        if history.preparing is not None:
            percent = 100 * history.preparing.done // max(1, history.preparing.total)
            return self.tr("{what}, {percent} %").format(what=preparing_short(history.preparing), percent=percent)
        if history.latest is None or history.latest.seconds_left is None:
            return _NOTHING
        return about(history.latest.seconds_left)


class _Fact(QWidget):
    """A caption and its value; it never shrinks, so that its neighbours do not move."""

    def __init__(self, caption: str) -> None:
        super().__init__()
        self._caption = caption
        self._value = QLabel()
        self._value.setTextFormat(text_label().textFormat())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(1)
        column.addWidget(text_label(caption, "caption"))
        column.addWidget(self._value)

    def say(self, text: str) -> None:
        self._value.setText(text)
        self._value.setMinimumWidth(max(self._value.minimumWidth(), self._value.sizeHint().width()))
        self.setAccessibleName(f"{self._caption}: {text}")
