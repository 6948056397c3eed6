"""The bar above the picture: how it is compared, what the halves show, how large."""

from __future__ import annotations

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QHBoxLayout, QLabel, QToolButton, QWidget

from vdsr_app.gui.actions import Actions
from vdsr_app.gui.layer_picker import LayerPicker
from vdsr_app.gui.model_list import ModelList
from vdsr_app.gui.sections import GROUP_GAP, text_label
from vdsr_app.gui.texts import number
from vdsr_app.gui.theme import set_role

ZOOM_LABEL_WIDTH = 56


class CanvasBar(QWidget):
    """Mode buttons, layer picker, zoom buttons.

    Attributes:
        picker: the layer picker.
    """

    def __init__(self, actions: Actions, models: ModelList) -> None:
        super().__init__()
        set_role(self, "bar")
        self.picker = LayerPicker(models, actions.swap)
        self._zoom = text_label(role="quiet")
        self._zoom.setAccessibleName(self.tr("Zoom"))
        self._zoom.setMinimumWidth(ZOOM_LABEL_WIDTH)
        self._zoom.setAlignment(self._zoom.alignment() | _trailing())
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 8, 8, 8)
        row.setSpacing(GROUP_GAP)
        row.addLayout(_button_group([(actions.wipe, ""), (actions.side, ""), (actions.single, "")]))
        row.addStretch(1)
        row.addWidget(self.picker, 6)
        row.addStretch(1)
        row.addWidget(self._zoom)
        zoom_actions = ((actions.fit, ""), (actions.zoom_100, "100"), (actions.zoom_200, "200"), (actions.zoom_400, "400"))
        row.addLayout(_button_group(zoom_actions))

    @property
    def zoom_label(self) -> QLabel:
        """Where the zoom stands in words."""
        return self._zoom

    def show_zoom(self, percent: float) -> None:
        """Tell the zoom: output pixels to device pixels."""
        self._zoom.setText(f"{number(percent, 1 if percent < 10 else 0)} %")
