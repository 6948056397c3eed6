"""Scale factor and target size: one setting, shown in two ways that follow each other."""

from __future__ import annotations

import math

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QValidator
from PySide6.QtWidgets import QHBoxLayout

from vdsr_app.core.job import MAX_SCALE, MIN_SCALE, Target, TargetKind
from vdsr_app.gui.calm import CalmDoubleSpinBox
from vdsr_app.gui.parts import Choice
from vdsr_app.gui.scale_slider import ScaleSlider
from vdsr_app.gui.sections import GROUP_GAP, Section, indent_number, text_label
from vdsr_app.gui.targets import feasible, limits, measure
from vdsr_app.gui.texts import result_size_text, scale_text, size_text

DEBOUNCE_MS = 150
"""A drag of the slider is one change, not fifty."""

_KINDS = (
    TargetKind.WIDTH,
    TargetKind.HEIGHT,
    TargetKind.LONG_SIDE,
    TargetKind.SHORT_SIDE,
    TargetKind.MEGAPIXELS,
)


class ScalePanel(Section):
    """Slider, factor and size box.

    Signals:
        target_changed: the `Target` the user chose, once they have paused for a moment.
        measure_chosen: the TargetKind by which the user wants to see and set the size.
    """

    target_changed = Signal(object)
    measure_chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._factor = _FactorBox()
        self.set_head(self.tr("Scale"), self._factor)
        self._target = Target()
        self._measure = _KINDS[0]
        self._source: tuple[int, int] | None = None
        self._is_opening = False
        self._factor.setAccessibleName(self.tr("Scale factor as a number"))
        self._factor.setToolTip(self.tr("Scale factor, 1.0 to 8.0"))
        self._slider = ScaleSlider()
        self._kind = Choice(self.tr("Dimension of the target size"))
        self._kind.setToolTip(self.tr("Which dimension of the result to set"))
        for kind, words in zip(_KINDS, self._kind_words(), strict=True):
            self._kind.addItem(words, kind)
        self._value = _NumberBox()
        self._value.setAccessibleName(self.tr("Target size"))
        self._value.setKeyboardTracking(False)
        indent_number(self._value)
        self._value.setRange(0, 0)
        self._value.setSpecialValueText("–")  # noqa: RUF001 - while there is no picture
        self._facts = text_label(role="caption")
        row = QHBoxLayout()
        row.setSpacing(GROUP_GAP)
        row.addWidget(self._kind, 1)
        row.addWidget(self._value, 1)
        self.body.addWidget(self._slider)
        self.body.addLayout(row)
        self.body.addWidget(self._facts)
        self._debounce = QTimer(self)
        self._debounce.setSingleShot(True)
        self._debounce.setInterval(DEBOUNCE_MS)
        self._debounce.timeout.connect(self._on_paused)
        self._slider.moved.connect(self._on_factor_changed)
        self._factor.valueChanged.connect(self._on_factor_changed)
        self._kind.currentIndexChanged.connect(self._on_kind_changed)
        self._value.valueChanged.connect(self._on_value_changed)
        self._show()

    @property
    def target(self) -> Target:
        """The chosen target as far as the picture can reach it, even before `target_changed` is emitted."""
        return self._target

    def settle(self) -> None:
        """Emit a pending change now, including one that is typed but not entered."""
        for box in (self._factor, self._value):
            box.interpretText()
        if self._debounce.isActive():
            self._debounce.stop()
            self._on_paused()

    def show_target(self, target: Target, source: tuple[int, int] | None) -> None:
        """Show a target for a picture of that width and height; emits nothing, and drops a pending change."""
        self._debounce.stop()
        self._source = source
        self._target = target if source is None else feasible(target, *source)
        if target.kind in _KINDS:
            self._measure = target.kind
        self._show_measure()
        self._show()

    def show_measure(self, measure: TargetKind) -> None:
        """Show the size of a factor in this measure; a target that is a size keeps its own. Emits nothing."""
        self._measure = measure
        if self._target.kind is TargetKind.SCALE:
            self._show_measure()
            self._show()

    def show_opening(self, is_opening: bool) -> None:
        """Set whether a picture is being read, so that the user only has to wait."""
        self._is_opening = is_opening
        if self._source is None:
            self._show()

    def _kind_words(self) -> tuple[str, ...]:
        return (
            self.tr("Width"),
            self.tr("Height"),
            self.tr("Long side"),
            self.tr("Short side"),
            self.tr("Megapixels"),
        )

    def _chosen_kind(self) -> TargetKind:
        return TargetKind(self._kind.currentData())  # Qt returns a StrEnum as a plain str

    def _show_measure(self) -> None:
        blocked = self._kind.blockSignals(True)
        self._kind.setCurrentIndex(_KINDS.index(self._measure))
        self._kind.blockSignals(blocked)

    def _on_kind_changed(self) -> None:
        self._measure = self._chosen_kind()
        self._show()
        self.measure_chosen.emit(self._measure)

    def _on_factor_changed(self, scale: float) -> None:
        self._request(Target(TargetKind.SCALE, scale))

    def _on_value_changed(self, value: float) -> None:
        self._request(Target(self._chosen_kind(), value))

    def _request(self, target: Target) -> None:
        self._target = target if self._source is None else feasible(target, *self._source)
        self._show()
        self._debounce.start()

    def _on_paused(self) -> None:
        self.target_changed.emit(self._target)

    def _show(self) -> None:
        """Show the target in all controls; none of them emits a signal."""
        for widget in (self._factor, self._slider, self._kind, self._value):
            widget.setEnabled(self._source is not None)
        if self._source is None:
            waits = self.tr("Its size can be set once the picture is open")
            self._facts.setText(waits if self._is_opening else self.tr("Open a picture to set its size"))
            self._show_factor(self._target.value if self._target.kind is TargetKind.SCALE else MIN_SCALE)
            return
        size = self._target.size_for(*self._source)
        self._show_factor(size.scale)
        self._show_value(measure(self._chosen_kind(), size.width, size.height))
        self._facts.setText(f"{size_text(*self._source)}  →  {result_size_text(size)}")

    def _show_factor(self, scale: float) -> None:
        self._slider.set_scale(scale)
        blocked = self._factor.blockSignals(True)
        self._factor.setValue(scale)
        self._factor.blockSignals(blocked)

    def _show_value(self, value: float) -> None:
        if self._source is None:
            return
        kind = self._chosen_kind()
        least, most = limits(kind, *self._source)
        is_area = kind is TargetKind.MEGAPIXELS
        decimals = 0 if not is_area else 2 if least >= 0.1 else 6
        unit = 10.0**decimals
        blocked = self._value.blockSignals(True)
        self._value.setSpecialValueText("")
        self._value.setDecimals(decimals)
        self._value.setSingleStep(0.1 if is_area else 10)
        self._value.setSuffix(self.tr(" Mpx") if is_area else self.tr(" px"))
        self._value.setRange(
            math.ceil(least * unit) / unit, max(math.floor(most * unit), math.ceil(least * unit)) / unit
        )
        self._value.setValue(value)
        self._value.blockSignals(blocked)


class _NumberBox(CalmDoubleSpinBox):
    """A spin box that takes a point or a comma as decimal separator in any locale; integers keep their grouping."""

    def valueFromText(self, text: str) -> float:
        """Parse what was typed."""
        return super().valueFromText(self._in_the_language(text))

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        """Accept anything that may become a number."""
        state = super().validate(self._in_the_language(text), position)[0]
        return state, text, position

    def _in_the_language(self, text: str) -> str:
        """Use the locale's decimal separator: otherwise the other one counts as a group separator, or is lost."""
        sign = self.locale().decimalPoint()
        return text.replace(".", sign).replace(",", sign) if self.decimals() else text


class _FactorBox(_NumberBox):
    """The factor as a number: one decimal, or two if one would round it."""

    def __init__(self) -> None:
        super().__init__()
        self.setRange(MIN_SCALE, MAX_SCALE)
        self.setSingleStep(0.1)
        self.setDecimals(2)
        self.setKeyboardTracking(False)
        self.setFixedWidth(84)
        indent_number(self)

    def textFromValue(self, value: float) -> str:
        """Format the factor with its multiplication sign."""
        return scale_text(round(value, 2))

    def valueFromText(self, text: str) -> float:
        """Parse the typed factor, with or without the multiplication sign."""
        value, understood = self.locale().toDouble(self._in_the_language(text.rstrip("×x ").strip()))  # noqa: RUF001
        return value if understood else self.value()

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        """Accept anything that may become a number."""
        state = super().validate(text.rstrip("×x "), position)[0]  # noqa: RUF001
        return state, text, position
