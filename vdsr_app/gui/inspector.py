"""The right pane: scale, model, export, facts; it scrolls on a small screen."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from vdsr_app.gui.export_panel import ExportPanel
from vdsr_app.gui.model_list import ModelList
from vdsr_app.gui.model_panel import ModelPanel
from vdsr_app.gui.picture_panel import PicturePanel
from vdsr_app.gui.scale_panel import ScalePanel
from vdsr_app.gui.sections import PANE_GAP
from vdsr_app.gui.theme import set_role

WIDTH = 312


class Inspector(QScrollArea):
    """All panels in a column.

    Attributes:
        scale: scale factor and target size.
        model: which model makes the result.
        export: how the result is written.
        picture: facts about the source.
    """

    def __init__(self, models: ModelList) -> None:
        super().__init__()
        set_role(self, "pane")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setFixedWidth(WIDTH)
        self.setAccessibleName(self.tr("Inspector"))
        self.scale = ScalePanel()
        self.model = ModelPanel(models)
        self.export = ExportPanel()
        self.picture = PicturePanel()
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(PANE_GAP - 4, PANE_GAP - 4, PANE_GAP - 4, PANE_GAP - 4)
        column.setSpacing(PANE_GAP)
        for panel in (self.scale, self.model, self.export, self.picture):
            column.addWidget(panel)
        column.addStretch(1)
        self.setWidget(content)
