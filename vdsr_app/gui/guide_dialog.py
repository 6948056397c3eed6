"""The user guide, in its own window that may stay open beside the pictures."""

from __future__ import annotations

import logging

from PySide6.QtCore import QUrl
from PySide6.QtGui import (
    QTextBlockFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
    QTextTable,
)
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QTextBrowser, QVBoxLayout, QWidget

from vdsr_app.gui.sections import SECTION_GAP
from vdsr_app.gui.texts import name_keys
from vdsr_app.paths import resources_dir

logger = logging.getLogger(__name__)

_HEADING_PX = {1: 20, 2: 15}
_HEADING_MARGINS = {1: 4, 2: 16}


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
            text.setMarkdown(name_keys(path.read_text(encoding="utf-8")))
            lay_out(text.document())
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


def lay_out(document: QTextDocument) -> None:
    """Set the heading sizes and all spacing, which Markdown leaves open."""
    cursor = QTextCursor(document)
    cursor.beginEditBlock()
    block = document.begin()
    while block.isValid():
        cursor.setPosition(block.position())
        layout = block.blockFormat()
        level = layout.headingLevel()
        in_table = cursor.currentTable() is not None
        layout.setTopMargin(_HEADING_MARGINS.get(level, 0))
        listed = block.textList() is not None
        ends_list = listed and block.next().textList() is None
        layout.setBottomMargin(8 if ends_list or not (listed or in_table) else 2)
        layout.setLineHeight(120, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
        cursor.setBlockFormat(layout)
        if level:
            cursor.select(QTextCursor.SelectionType.BlockUnderCursor)
            heading = cursor.charFormat()
            heading.clearProperty(QTextFormat.Property.FontSizeAdjustment.value)
            heading.setProperty(QTextFormat.Property.FontPixelSize.value, _HEADING_PX.get(level, 13))
            cursor.setCharFormat(heading)
        block = block.next()
    for table in document.rootFrame().childFrames():
        if isinstance(table, QTextTable):
            look = table.format()
            look.setBorder(0)
            look.setCellPadding(3)
            look.setCellSpacing(0)
            table.setFormat(look)
    cursor.endEditBlock()
