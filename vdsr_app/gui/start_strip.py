"""The strip below the sample picture, shown until the user opens their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeySequence, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLayout, QPushButton, QVBoxLayout, QWidget

from vdsr_app.gui.icons import IconLabel, icon
from vdsr_app.gui.sections import GROUP_GAP, PANE_GAP, SECTION_GAP, plain_tooltip, text_label
from vdsr_app.gui.texts import file_name, menu_text
from vdsr_app.gui.theme import set_role

RECENT_SHOWN = 3
_NAME_CHARS = 22


class StartStrip(QWidget):
    """An invitation, a button, and recently opened files.

    Signals:
        open_requested: the user wants to choose a file.
        recent_chosen: the `Path` of a recent file.
    """

    open_requested = Signal()
    recent_chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        set_role(self, "bar")
        self._recent = _RecentRow()
        self._recent.chosen.connect(self.recent_chosen)
        words = QVBoxLayout()
        words.setSpacing(4)
        words.addWidget(text_label(self.tr("Drop a picture, a folder or a model here"), "head", wrap=True))
        words.addWidget(self._recent)
        button = QPushButton(self.tr("Open picture…"))
        button.setIcon(icon("folder-open-outline", "on_accent"))
        keys = QKeySequence(QKeySequence.StandardKey.Open).toString(QKeySequence.SequenceFormat.NativeText)
        button.setToolTip(self.tr("Choose a picture file ({keys})").format(keys=keys))
        set_role(button, "primary")
        button.clicked.connect(self.open_requested)
        row = QHBoxLayout(self)
        row.setContentsMargins(PANE_GAP, SECTION_GAP, PANE_GAP, SECTION_GAP)
        row.setSpacing(SECTION_GAP)
        row.addWidget(IconLabel("image-plus-outline", "quiet", 32))
        row.addLayout(words, 1)
        row.addWidget(button, 0, Qt.AlignmentFlag.AlignVCenter)

    def show_recent(self, paths: Sequence[str]) -> None:
        """Offer up to three files, as many as fit."""
        self._recent.show_paths(paths[:RECENT_SHOWN])


class _RecentRow(QWidget):
    """Text, then links; those that do not fit are hidden."""

    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._words = text_label(role="quiet")
        self._links: list[QPushButton] = []
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(GROUP_GAP)
        self._row.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)
        self._row.addWidget(self._words)
        self._row.addStretch(1)
        self.show_paths([])

    def show_paths(self, paths: Sequence[str]) -> None:
        for link in self._links:
            self._row.removeWidget(link)
            link.deleteLater()
        self._links = [self._link(path) for path in paths]
        for place, link in enumerate(self._links, start=1):
            self._row.insertWidget(place, link)
        sample = self.tr("This is a sample; drag the line to compare.")
        self._words.setText(self.tr("Open again:") if paths else sample)
        self._words.setWordWrap(not paths)
        self._row.setStretchFactor(self._words, 0 if paths else 1000)  # the sentence has the row to itself
        self._hide_overflowing_links()

    def minimumSizeHint(self) -> QSize:
        return QSize(self._words.minimumSizeHint().width(), self.sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._hide_overflowing_links()

    def _link(self, path: str) -> QPushButton:
        name = file_name(path)
        if len(name) > _NAME_CHARS:
            name = f"{name[: _NAME_CHARS // 2]}…{name[-_NAME_CHARS // 2 + 1 :]}"
        link = QPushButton(menu_text(name))
        link.setProperty("path", path)
        link.setToolTip(plain_tooltip(path))
        link.setAccessibleName(self.tr("Open {name}").format(name=file_name(path)))
        link.setCursor(Qt.CursorShape.PointingHandCursor)
        set_role(link, "link")
        link.clicked.connect(self._on_clicked)
        return link

    def _hide_overflowing_links(self) -> None:
        left = self.width() - self._words.sizeHint().width()
        for link in self._links:
            left -= link.sizeHint().width() + GROUP_GAP
            link.setVisible(left >= 0)

    def _on_clicked(self) -> None:
        link = self.sender()
        if isinstance(link, QPushButton):
            self.chosen.emit(Path(link.property("path")))
