"""What stands below the sample picture until the person opens their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from vdsr_app.gui.icons import IconLabel, icon
from vdsr_app.gui.sections import GROUP_GAP, PANE_GAP, SECTION_GAP, plain_tooltip, text_label
from vdsr_app.gui.texts import file_name, menu_text
from vdsr_app.gui.theme import set_role

RECENT_SHOWN = 3
_NAME_CHARS = 24


class StartStrip(QWidget):
    """An invitation, a button, and the files opened last.

    Signals:
        open_wanted: the person wants to choose a file.
        recent_chosen: the `Path` of a recent file.
    """

    open_wanted = Signal()
    recent_chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        set_role(self, "bar")
        words = QVBoxLayout()
        words.setSpacing(4)
        words.addWidget(text_label(self.tr("Drop a picture or a model here"), "head"))
        self._recent_row = QHBoxLayout()
        self._recent_row.setSpacing(GROUP_GAP)
        self._recent_row.addWidget(text_label(self.tr("This is a sample; drag the line to compare."), "quiet"))
        self._recent_row.addStretch(1)
        words.addLayout(self._recent_row)
        self._links: list[QPushButton] = []
        button = QPushButton(self.tr("Open picture…"))
        button.setIcon(icon("folder-open-outline", "on_accent"))
        button.setToolTip(self.tr("Choose a picture file (Ctrl+O)"))
        set_role(button, "primary")
        button.clicked.connect(self.open_wanted)
        row = QHBoxLayout(self)
        row.setContentsMargins(PANE_GAP, SECTION_GAP, PANE_GAP, SECTION_GAP)
        row.setSpacing(SECTION_GAP)
        row.addWidget(IconLabel("image-plus-outline", "quiet", 32))
        row.addLayout(words, 1)
        row.addWidget(button, 0, Qt.AlignmentFlag.AlignVCenter)

    def show_recent(self, paths: Sequence[str]) -> None:
        """Offer up to three files."""
        for link in self._links:
            link.deleteLater()
        self._links = []
        for path in paths[:RECENT_SHOWN]:
            name = file_name(path)
            short = name if len(name) <= _NAME_CHARS else f"{name[: _NAME_CHARS // 2]}…{name[-_NAME_CHARS // 3 :]}"
            link = QPushButton(menu_text(short))
            link.setProperty("path", path)
            link.setToolTip(plain_tooltip(path))
            link.setAccessibleName(self.tr("Open {name}").format(name=name))
            link.setCursor(Qt.CursorShape.PointingHandCursor)
            set_role(link, "link")
            link.clicked.connect(self._on_link_clicked)
            self._recent_row.insertWidget(self._recent_row.count() - 1, link)
            self._links.append(link)

    def _on_link_clicked(self) -> None:
        link = self.sender()
        if isinstance(link, QPushButton):
            self.recent_chosen.emit(Path(link.property("path")))
