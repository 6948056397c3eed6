"""Selects what each half of the view shows."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QToolButton, QWidget

from vdsr_app.gui.model_list import ModelList
from vdsr_app.gui.parts import ElidedBox, widen_list
from vdsr_app.gui.sections import GROUP_GAP
from vdsr_app.workers.messages import LayerKind, LayerSpec

_INTERPOLATIONS = (LayerKind.ORIGINAL, LayerKind.BILINEAR, LayerKind.BICUBIC, LayerKind.LANCZOS)
_MIN_WIDTH = 104
_MAX_WIDTH = 152


class LayerPicker(QWidget):
    """Two lists of layers, and a button that swaps them.

    Signals:
        left_chosen: the `LayerSpec` that the user chose for the left half.
        right_chosen: the same for the right half.
        reference_requested: the user wants to choose a reference file.
    """

    left_chosen = Signal(object)
    right_chosen = Signal(object)
    reference_requested = Signal()

    def __init__(self, models: ModelList, swap: QAction) -> None:
        super().__init__()
        self._models = models
        self._reference: Path | None = None
        self._left = self._box(self.tr("Left half shows"))
        self._right = self._box(self.tr("Right half shows"))
        self._shown = {self._left: LayerSpec(LayerKind.BICUBIC), self._right: LayerSpec(LayerKind.BICUBIC)}
        button = QToolButton()
        button.setDefaultAction(swap)
        button.setAccessibleName(swap.toolTip())
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GROUP_GAP // 2)
        row.addWidget(self._left, 1)
        row.addWidget(button)
        row.addWidget(self._right, 1)
        self.setMaximumWidth(2 * _MAX_WIDTH + 44)
        self._left.activated.connect(self._on_left_activated)
        self._right.activated.connect(self._on_right_activated)
        models.changed.connect(self._fill)
        self._fill()

    def show_layers(self, left: LayerSpec, right: LayerSpec) -> None:
        """Set the layers of the halves; emits nothing."""
        self._shown = {self._left: left, self._right: right}
        for box, spec in self._shown.items():
            self._select(box, spec)

    def show_reference(self, path: Path | None) -> None:
        """Offer a reference file, or none."""
        self._reference = path
        self._fill()

    def _box(self, name: str) -> QComboBox:
        box = ElidedBox()
        box.setAccessibleName(name)
        box.setToolTip(name)
        box.setMinimumWidth(_MIN_WIDTH)
        box.setMaximumWidth(_MAX_WIDTH)
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        return box

    def _fill(self) -> None:
        for box in (self._left, self._right):
            blocker = QSignalBlocker(box)
            box.clear()
            for kind in _INTERPOLATIONS:
                self._add(box, LayerSpec(kind))
            for model in self._models.models:
                self._add(box, LayerSpec(LayerKind.MODEL, model=model.name))
            if self._reference is not None:
                self._add(box, LayerSpec(LayerKind.REFERENCE, reference=self._reference))
            box.addItem(self.tr("Open reference…"))
            self._select(box, self._shown[box])
            widen_list(box)
            blocker.unblock()

    def _add(self, box: QComboBox, spec: LayerSpec) -> None:
        box.addItem(self._models.label(spec), spec)

    def _select(self, box: QComboBox, spec: LayerSpec) -> None:
        # QComboBox.findData compares Python values by identity, so search here.
        index = next((i for i in range(box.count()) if box.itemData(i) == spec), -1)
        box.setCurrentIndex(index)

    def _on_left_activated(self, index: int) -> None:
        self._choose(self._left, index)

    def _on_right_activated(self, index: int) -> None:
        self._choose(self._right, index)

    def _choose(self, box: QComboBox, index: int) -> None:
        spec = box.itemData(index)
        if spec is None:
            self._select(box, self._shown[box])
            self.reference_requested.emit()
        elif box is self._left:
            self.left_chosen.emit(spec)
        else:
            self.right_chosen.emit(spec)
