"""The recipe's details: every setting, in groups, each validated as it is typed."""

from __future__ import annotations

import math

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFocusEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from vdsr_app.errors import ConfigError
from vdsr_app.gui.calm import CalmSlider
from vdsr_app.gui.parts import Choice, Note, link
from vdsr_app.gui.sections import GROUP_GAP, SECTION_GAP, text_label
from vdsr_app.gui.theme import set_role
from vdsr_app.gui.training.draft import Draft
from vdsr_app.gui.training.recipe_fields import (
    FieldKind,
    FieldSpec,
    counts,
    duration_fields,
    field_groups,
    from_text,
    in_words,
    to_text,
)
from vdsr_app.gui.training.words import about

_SHORTEST_S = 60.0
_LONGEST_S = 172_800.0
_SLIDER_STEPS = 400
_LABEL_WIDTH = 112
_FIELD_WIDTH = 168


class RecipeDetails(QWidget):
    """The fields of all settings of a draft.

    Signals:
        changed: the faults may have changed.
    """

    changed = Signal()

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self._draft = draft
        self._fields: dict[str, _Field] = {}
        self._duration = _Duration(draft)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SECTION_GAP)
        column.addWidget(text_label(self.tr("How long"), "head"))
        column.addWidget(self._duration)
        column.addLayout(self._grid(duration_fields()))
        for title, specs in field_groups().items():
            column.addWidget(text_label(title, "head"))
            column.addLayout(self._grid(specs))
        self._reset = link(self.tr("Back to the preset"), self.tr("Undo all changes to the details"))
        self._reset.clicked.connect(self._on_reset)
        column.addWidget(self._reset, 0, Qt.AlignmentFlag.AlignLeading)
        draft.recipe_changed.connect(self.refresh)
        self.refresh()

    @property
    def faults(self) -> list[str]:
        """What is wrong, one sentence per field."""
        return [field.fault for field in self._fields.values() if field.fault]

    def field(self, key: str) -> QWidget:
        """The control of a setting."""
        return self._fields[key].control

    def refresh(self) -> None:
        """Show the draft's values, but leave text that is being typed."""
        for field in self._fields.values():
            field.refresh()
        epochs = bool(self._draft.config.epochs)
        self._fields["steps"].setVisible(not epochs)
        self._fields["epochs"].setVisible(epochs)
        self._duration.refresh()
        self._reset.setVisible(self._draft.is_touched or bool(self.faults))
        self.changed.emit()

    def forget_faults(self) -> None:
        """Discard invalid input: every field shows the draft's value again."""
        for field in self._fields.values():
            field.forget()
        self.refresh()

    def _grid(self, specs: tuple[FieldSpec, ...]) -> QGridLayout:
        """Lay out fields in two columns."""
        grid = QGridLayout()
        grid.setHorizontalSpacing(SECTION_GAP)
        grid.setVerticalSpacing(GROUP_GAP)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        for place, spec in enumerate(specs):
            field = _Field(spec, self._draft)
            field.changed.connect(self._on_field_changed)
            self._fields[spec.key] = field
            # Both durations share one cell, as one of them is always hidden.
            row, side = (0, 0) if spec.key == "epochs" else divmod(place, 2)
            grid.addWidget(field, row, side, Qt.AlignmentFlag.AlignTop)
        return grid

    def _on_field_changed(self) -> None:
        for field in self._fields.values():
            field.try_again()
        self._reset.setVisible(self._draft.is_touched or bool(self.faults))
        self.changed.emit()

    def _on_reset(self) -> None:
        self._draft.reset()
        self.forget_faults()


class _Field(QWidget):
    """Label, control and unit, with the fault below."""

    changed = Signal()

    def __init__(self, spec: FieldSpec, draft: Draft) -> None:
        super().__init__()
        self._spec = spec
        self._draft = draft
        self.fault = ""
        label = text_label(spec.label, "quiet")
        label.setMinimumWidth(_LABEL_WIDTH)
        self.control: Choice | QLineEdit = self._choice() if spec.choices else self._line()
        self.control.setAccessibleName(spec.label)
        self.control.setAccessibleDescription(spec.tip)
        label.setBuddy(self.control)
        self._explained = (label, self.control)
        row = QHBoxLayout()
        row.setSpacing(GROUP_GAP)
        row.addWidget(label)
        row.addWidget(self.control)
        if spec.unit:
            row.addWidget(text_label(spec.unit, "quiet"))
        row.addStretch(1)
        self._note = Note("alert-circle-outline", "bad")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self._note)

    def refresh(self) -> None:
        """Show the draft's value, unless the field holds invalid input."""
        if self.fault:
            return
        used = counts(self._spec, self._draft.config)
        self.setEnabled(used)
        for widget in self._explained:
            widget.setToolTip(self._spec.tip if used else self.tr("The chosen method does not use it"))
        text = to_text(self._spec, self._draft.config)
        if isinstance(self.control, Choice):
            self.control.setCurrentIndex(self.control.findData(text))
        elif not self.control.hasFocus():
            self.control.setText(text)

    def forget(self) -> None:
        """Discard invalid input."""
        self._set_fault("")
        if isinstance(self.control, QLineEdit):
            self.control.setText(to_text(self._spec, self._draft.config))

    def try_again(self) -> None:
        """Take invalid input if it is valid by now, as what is allowed may depend on other settings."""
        if not self.fault:
            return
        if isinstance(self.control, Choice):
            self._try(from_text(self._spec, self.control.currentData()))
        else:
            self._take(self.control.text())

    def _choice(self) -> Choice:
        control = Choice(self._spec.label)
        for value, words in self._spec.choices.items():
            control.addItem(words, value)
        control.setMinimumWidth(_FIELD_WIDTH)
        control.activated.connect(self._on_activated)
        return control

    def _line(self) -> QLineEdit:
        control = _Line()
        control.setFixedWidth(_FIELD_WIDTH if self._spec.kind is FieldKind.SCALES else _FIELD_WIDTH // 2)
        control.textEdited.connect(self._on_edited)
        control.left.connect(self.refresh)
        return control

    def _on_activated(self, index: int) -> None:
        if isinstance(self.control, Choice):
            self._try(from_text(self._spec, self.control.itemData(index)))
            self.changed.emit()

    def _on_edited(self, text: str) -> None:
        self._take(text)
        self.changed.emit()

    def _take(self, text: str) -> None:
        try:
            value = from_text(self._spec, text)
        except ValueError as error:
            self._set_fault(str(error))
        else:
            self._try(value)

    def _try(self, value: object) -> None:
        former, self.fault = self.fault, ""
        try:
            self._draft.set_value(**{self._spec.key: value})
        except ConfigError as error:
            self._set_fault(in_words(self._spec, error.words))
        else:
            if former:
                self._set_fault("")

    def _set_fault(self, text: str) -> None:
        self.fault = text
        self._note.say(text)
        self.control.setProperty("wrong", bool(text))
        set_role(self.control, "field")


class _Line(QLineEdit):
    """A line edit that signals when it loses the keyboard focus."""

    left = Signal()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.left.emit()


class _Duration(QWidget):
    """A slider for the training time, enabled once the cost of a step is known."""

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self._draft = draft
        self._moves = False
        self._slider = CalmSlider()
        self._slider.setRange(0, _SLIDER_STEPS)
        self._slider.setPageStep(_SLIDER_STEPS // 20)
        self._slider.setAccessibleName(self.tr("How long it learns"))
        self._words = text_label()
        self._words.setMinimumWidth(_LABEL_WIDTH)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SECTION_GAP)
        row.addWidget(self._slider, 1)
        row.addWidget(self._words)
        self._slider.valueChanged.connect(self._on_moved)

    def refresh(self) -> None:
        """Show the draft's duration."""
        measured, cost = self._draft.measured_now(), self._draft.cost(self._draft.preset)
        epochs = self._draft.config.epochs
        self._slider.setEnabled(measured is not None and not epochs)
        tip = self.tr("Longer is better, with diminishing returns")
        why_not = self.tr("“Passes” decides how long it learns") if epochs else self.tr("It is not measured yet")
        self._slider.setToolTip(tip if self._slider.isEnabled() else why_not)
        if cost is None:
            self._words.setText(self.tr("not measured yet"))
            return
        self._words.setText(about(cost[0]))
        share = math.log(max(cost[0], _SHORTEST_S) / _SHORTEST_S) / math.log(_LONGEST_S / _SHORTEST_S)
        self._slider.blockSignals(True)
        if not self._slider.isSliderDown() and not self._moves:
            self._slider.setValue(round(_SLIDER_STEPS * share))
        self._slider.blockSignals(False)

    def _on_moved(self, value: int) -> None:
        steps = self._draft.steps_in(_SHORTEST_S * (_LONGEST_S / _SHORTEST_S) ** (value / _SLIDER_STEPS))
        if steps is None:
            return
        digits = 10 ** max(0, math.floor(math.log10(steps)) - 1)
        # The steps are rounded more coarsely than the keyboard moves the slider, which must not be moved back.
        self._moves = True
        self._draft.set_value(steps=min(100_000_000, max(1, round(steps / digits) * digits)))
        self._moves = False
