"""The dialog that shows the model card of a run."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QTextBrowser, QVBoxLayout, QWidget

from vdsr_app.gui.guide_dialog import lay_out
from vdsr_app.gui.sections import PANE_GAP, SECTION_GAP


class CardDialog(QDialog):
    """The model card as formatted text; its links are not followed."""

    def __init__(self, path: Path, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("Model card"))
        self.resize(720, min(620, self.screen().availableGeometry().height() - 80))
        text = QTextBrowser()
        text.setOpenLinks(False)
        text.setAccessibleName(self.tr("Model card"))
        try:
            text.setMarkdown(path.read_text("utf-8", "replace"))
            lay_out(text.document())
        except OSError as error:
            text.setPlainText(self.tr("The card cannot be read: {why}").format(why=error.strerror or error))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.close)
        column = QVBoxLayout(self)
        column.setContentsMargins(PANE_GAP, PANE_GAP, PANE_GAP, PANE_GAP)
        column.setSpacing(SECTION_GAP)
        column.addWidget(text)
        column.addWidget(buttons)
