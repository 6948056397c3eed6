"""The pictures of a batch, how they are added, and what stands there while there is none."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QStackedWidget,
    QTreeView,
    QVBoxLayout,
    QWidget,
)

from vdsr_app.gui.batch.table import THUMBNAIL_PX, BatchTable, Column
from vdsr_app.gui.parts import allow_button, plain, press_by_return
from vdsr_app.gui.sections import GROUP_GAP, PANE_GAP, SECTION_GAP, text_label
from vdsr_app.gui.theme import set_role

_COLUMN_SHARE = 0.3
_LEAST_COLUMN_PX = 110


class PictureList(QWidget):
    """Buttons above, and below them the table or a place to drop pictures on.

    Attributes:
        table: the rows.

    Signals:
        paths_chosen: list of Paths that the person chose to add.
        clear_wanted: the person wants the list to be empty.
    """

    paths_chosen = Signal(object)
    clear_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.table = BatchTable()
        self._is_empty = True
        self._view = QTreeView()
        self._words = text_label(role="quiet", wrap=True)
        self._pages = QStackedWidget()
        self._add_files = plain(self.tr("Add pictures…"), "plus")
        self._add_folder = plain(self.tr("Add folder…"), "folder-open-outline")
        self._clear = plain(self.tr("Clear"), "close")
        self._set_up_view()
        self._lay_out()
        self.setFocusProxy(self._add_folder)
        self._add_files.clicked.connect(self._on_add_files)
        self._add_folder.clicked.connect(self._on_add_folder)
        self._clear.clicked.connect(self.clear_wanted)
        for button in (self._add_files, self._add_folder):
            press_by_return(button)
        self.set_drop_hint(None)

    @property
    def adding_has_focus(self) -> bool:
        """Whether the keyboard is at one of the buttons that add."""
        return self._add_folder.hasFocus() or self._add_files.hasFocus()

    def show_empty(self, empty: bool) -> None:
        """Show the place to drop pictures on, or the table."""
        self._is_empty = empty
        self._pages.setCurrentIndex(0 if empty else 1)

    def allow_clear(self, allowed: bool) -> None:
        """Whether the list can be emptied now."""
        allow_button(self._clear, allowed, self.tr("There is nothing to clear now"))

    def set_drop_hint(self, words: str | None) -> None:
        """Say what a drop would do, also over the table; None is the invitation."""
        self._words.setText(words or self.tr("Drop folders or pictures here"))
        self._pages.setCurrentIndex(0 if words is not None or self._is_empty else 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Share the width among the columns of words."""
        super().resizeEvent(event)
        header = self._view.header()
        free = self._view.viewport().width() - header.sectionSize(Column.SIZE) - header.sectionSize(Column.TIME)
        for column in (Column.NAME, Column.RESULT):
            header.resizeSection(column, max(_LEAST_COLUMN_PX, round(_COLUMN_SHARE * free)))

    def _set_up_view(self) -> None:
        view = self._view
        view.setModel(self.table)
        view.setRootIsDecorated(False)
        view.setUniformRowHeights(True)
        view.setIconSize(QSize(THUMBNAIL_PX, THUMBNAIL_PX))
        view.setAccessibleName(self.tr("Pictures of the batch"))
        header = view.header()
        header.setStretchLastSection(False)
        header.resizeSection(Column.SIZE, 196)
        header.resizeSection(Column.TIME, 68)
        header.setSectionResizeMode(Column.STATE, QHeaderView.ResizeMode.Stretch)

    def _lay_out(self) -> None:
        bar = QWidget()
        bar.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        set_role(bar, "bar")
        buttons = QHBoxLayout(bar)
        buttons.setContentsMargins(PANE_GAP, GROUP_GAP, PANE_GAP, GROUP_GAP)
        buttons.setSpacing(GROUP_GAP)
        for button in (self._add_files, self._add_folder, self._clear):
            buttons.addWidget(button)
        buttons.addStretch(1)
        zone = QFrame()
        set_role(zone, "dropzone")
        self._words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        QVBoxLayout(zone).addWidget(self._words)
        for shown in (zone, self._view):
            holder = QWidget()
            holder.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
            set_role(holder, "pane")
            inside = QVBoxLayout(holder)
            inside.setContentsMargins(PANE_GAP, SECTION_GAP, PANE_GAP, SECTION_GAP)
            inside.addWidget(shown)
            self._pages.addWidget(holder)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(bar)
        column.addWidget(self._pages, 1)

    def _on_add_files(self) -> None:
        chosen, _ = QFileDialog.getOpenFileNames(self, self.tr("Add pictures"))
        self.paths_chosen.emit([Path(name) for name in chosen])

    def _on_add_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self.tr("Add a folder"))
        self.paths_chosen.emit([Path(chosen)] if chosen else [])
