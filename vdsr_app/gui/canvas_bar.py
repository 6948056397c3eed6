"""The bar above the picture: comparison mode, layers of the halves, zoom."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLayout, QSizePolicy, QToolButton, QWidget

from vdsr_app.gui.actions import Actions
from vdsr_app.gui.icons import SMALL_PX
from vdsr_app.gui.layer_picker import LayerPicker
from vdsr_app.gui.model_list import ModelList
from vdsr_app.gui.sections import GROUP_GAP, text_label
from vdsr_app.gui.texts import number
from vdsr_app.gui.theme import set_role

_ZOOM_TEXT_WIDTH = 56


class CanvasBar(QWidget):
    """Mode buttons, layer picker, zoom buttons; the fixed zooms are hidden if the window is narrow.

    Attributes:
        picker: the layer picker.
    """

    def __init__(self, actions: Actions, models: ModelList) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        set_role(self, "bar")
        # When space is short, the picture shrinks instead of the bar, which would jump with each message.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.picker = LayerPicker(models, actions.swap)
        self._zoom = text_label(role="quiet")
        self._zoom.setMinimumWidth(_ZOOM_TEXT_WIDTH)
        self._zoom.setAlignment(Qt.AlignmentFlag.AlignTrailing | Qt.AlignmentFlag.AlignVCenter)
        self._zoom.setToolTip(self.tr("Screen pixels per result pixel"))
        modes = (actions.wipe, actions.side, actions.single)
        self._fixed_zooms = QWidget()
        self._fixed_zooms.setLayout(_buttons((actions.zoom_100, actions.zoom_200, actions.zoom_400), "zoom"))
        row = QHBoxLayout(self)
        row.setContentsMargins(GROUP_GAP, GROUP_GAP, GROUP_GAP, GROUP_GAP)
        row.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)
        row.setSpacing(GROUP_GAP)
        row.addLayout(_buttons(modes, "segment"))
        row.addStretch(1)
        row.addWidget(self.picker, 100)
        row.addStretch(1)
        row.addWidget(self._zoom)
        row.addLayout(_buttons((actions.fit,), "segment"))
        row.addWidget(self._fixed_zooms)
        self._row = row

    def minimumSizeHint(self) -> QSize:
        """Room for everything but the fixed zooms."""
        full = self._row.minimumSize()
        spared = 0 if self._fixed_zooms.isHidden() else self._fixed_zooms.minimumSizeHint().width() + GROUP_GAP
        return QSize(full.width() - spared, full.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show the fixed zooms if there is room for them."""
        super().resizeEvent(event)
        needed = self.minimumSizeHint().width() + GROUP_GAP + self._fixed_zooms.minimumSizeHint().width()
        self._fixed_zooms.setVisible(self.width() >= needed)

    def show_zoom(self, percent: float) -> None:
        """Show the zoom: device pixels per output pixel, in percent."""
        text = f"{number(percent, 1 if percent < 10 else 0)} %"
        self._zoom.setText(text)
        self._zoom.setAccessibleName(self.tr("Zoom {percent}").format(percent=text))


def _buttons(actions: Iterable[QAction], role: str) -> QHBoxLayout:
    """A group of buttons for actions; one without an icon shows the first word of its text, which fits."""
    group = QHBoxLayout()
    group.setContentsMargins(0, 0, 0, 0)
    group.setSpacing(2)
    for action in actions:
        button = QToolButton()
        if action.icon().isNull():
            # Set on the action: the button's own text is lost as soon as the action changes.
            action.setIconText(action.text().split()[0])
        button.setDefaultAction(action)
        button.setIconSize(QSize(SMALL_PX, SMALL_PX))
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setAccessibleName(action.text())
        set_role(button, role if action.icon().isNull() else "segment")
        group.addWidget(button)
    return group
