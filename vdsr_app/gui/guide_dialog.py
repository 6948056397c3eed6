"""The user guide, in a window of its own that may stay open beside the pictures."""

from __future__ import annotations

import logging

from PySide6.QtCore import QUrl
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QTextBrowser, QVBoxLayout, QWidget

from vdsr_app.gui.sections import SECTION_GAP
from vdsr_app.paths import resources_dir

logger = logging.getLogger(__name__)


class GuideDialog(QDialog):
    """Shows `resources/guide.md`."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("User guide"))
        self.resize(640, 620)
        text = QTextBrowser()
        text.setAccessibleName(self.tr("User guide"))
        text.setOpenLinks(False)
        text.anchorClicked.connect(self._on_anchor_clicked)
        self._text = text
        path = resources_dir() / "guide.md"
        try:
            text.setMarkdown(path.read_text(encoding="utf-8"))
        except OSError as error:
            logger.error("The user guide cannot be read: %s", error)
            text.setPlainText(self.tr("The user guide is missing. Install the program again."))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.close)
        column = QVBoxLayout(self)
        column.setContentsMargins(SECTION_GAP, SECTION_GAP, SECTION_GAP, SECTION_GAP)
        column.setSpacing(SECTION_GAP)
        column.addWidget(text)
        column.addWidget(buttons)

    def _on_anchor_clicked(self, url: QUrl) -> None:
        self._text.scrollToAnchor(url.fragment())
