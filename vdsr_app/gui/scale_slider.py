"""A slider for the scale factor, with marks at common factors."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QStyle, QStyleOptionSlider, QVBoxLayout, QWidget

from vdsr_app.core.job import MAX_SCALE, MIN_SCALE
from vdsr_app.gui.calm import CalmSlider
from vdsr_app.gui.texts import scale_text
from vdsr_app.gui.theme import tokens_in_use

STEPS_PER_UNIT = 10
TICKS = (2, 3, 4)
_LABELS = (int(MIN_SCALE), *TICKS, 6, int(MAX_SCALE))
_MARKS_HEIGHT = 20
_TICK_PX = 4
_LABEL_PX = 11


class ScaleSlider(QWidget):
    """Selects a factor from 1.0 to 8.0 in steps of 0.1.

    Signals:
        moved: the factor that the user chose; not emitted by `set_scale`.
    """

    moved = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.slider = _ClickSlider()
        self.slider.setRange(round(MIN_SCALE * STEPS_PER_UNIT), round(MAX_SCALE * STEPS_PER_UNIT))
        self.slider.setSingleStep(1)
        self.slider.setPageStep(STEPS_PER_UNIT // 2)
        self.slider.setAccessibleName(self.tr("Scale factor"))
        self.slider.setToolTip(self.tr("Scale factor; arrow keys change it by 0.1"))
        self.slider.valueChanged.connect(self._on_value_changed)
        self.setFocusProxy(self.slider)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.slider)
        column.addWidget(_Marks(self.slider))

    @property
    def scale(self) -> float:
        """The factor at the handle, a multiple of 0.1."""
        return self.slider.value() / STEPS_PER_UNIT

    def set_scale(self, scale: float) -> None:
        """Move the handle to the nearest step without emitting a signal."""
        blocked = self.slider.blockSignals(True)
        self.slider.setValue(round(scale * STEPS_PER_UNIT))
        self.slider.blockSignals(blocked)
        self.slider.update()

    def _on_value_changed(self, value: int) -> None:
        self.slider.setAccessibleDescription(scale_text(value / STEPS_PER_UNIT))
        self.moved.emit(value / STEPS_PER_UNIT)


class _ClickSlider(CalmSlider):
    """A slider whose handle jumps to a click instead of moving a page towards it."""

    def handle_rect(self) -> QRect:
        option = QStyleOptionSlider()
        self.initStyleOption(option)
        part = QStyle.SubControl.SC_SliderHandle
        return self.style().subControlRect(QStyle.ComplexControl.CC_Slider, option, part, self)

    def center_of(self, value: int) -> float:
        """X coordinate of the handle's centre at `value`."""
        handle = self.handle_rect().width()
        span = self.width() - handle
        share = (value - self.minimum()) / (self.maximum() - self.minimum())
        if self.layoutDirection() == Qt.LayoutDirection.RightToLeft:
            share = 1 - share
        return handle / 2 + share * span

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and not self.handle_rect().contains(event.position().toPoint()):
            handle = self.handle_rect().width()
            share = (event.position().x() - handle / 2) / max(1, self.width() - handle)
            if self.layoutDirection() == Qt.LayoutDirection.RightToLeft:
                share = 1 - share
            self.setValue(self.minimum() + round(share * (self.maximum() - self.minimum())))
        super().mousePressEvent(event)


class _Marks(QWidget):
    """Ticks and numbers below the groove."""

    def __init__(self, slider: _ClickSlider) -> None:
        super().__init__()
        self._slider = slider
        self.setFixedHeight(_MARKS_HEIGHT)

    def sizeHint(self) -> QSize:
        return QSize(self._slider.sizeHint().width(), _MARKS_HEIGHT)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        tokens = tokens_in_use()
        font = QFont(self.font())
        font.setPixelSize(_LABEL_PX)
        painter.setFont(font)
        for factor in _LABELS:
            center = self._slider.center_of(factor * STEPS_PER_UNIT)
            if factor in TICKS:
                painter.setPen(QColor(tokens.quiet))
                painter.drawLine(round(center), 0, round(center), _TICK_PX - 1)
            painter.setPen(QColor(tokens.text if factor in TICKS else tokens.quiet))
            painter.drawText(self._label_rect(center), Qt.AlignmentFlag.AlignCenter, str(factor))
        painter.end()

    def _label_rect(self, center: float) -> QRect:
        width = 24
        left = min(max(round(center) - width // 2, -width // 2 + 4), self.width() - width // 2 - 4)
        return QRect(left, _TICK_PX, width, _MARKS_HEIGHT - _TICK_PX)
