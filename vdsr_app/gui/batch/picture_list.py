"""The pictures of a batch, the buttons that add them, and the drop zone shown while there are none."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from vdsr_app.gui.batch.picture_view import PictureView
from vdsr_app.gui.batch.table import BatchTable
from vdsr_app.gui.parts import allow_button, plain, press_by_return
from vdsr_app.gui.sections import GROUP_GAP, PANE_GAP, SECTION_GAP, text_label
from vdsr_app.gui.texts import breakable
from vdsr_app.gui.theme import set_role


class PictureList(QWidget):
    """Buttons at the top, and below them the table or a drop zone.

    Attributes:
        table: the rows.
        clear: the button that empties the list.

    Signals:
        paths_chosen: list of Paths that the user chose to add.
        clear_requested: the user wants to empty the list.
    """

    paths_chosen = Signal(object)
    clear_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.table = BatchTable()
        self._is_empty = True
        self._view = PictureView(self.table)
        self._chosen = text_label(role="quiet", wrap=True)
        self._words = text_label(role="quiet", wrap=True)
        self._pages = QStackedWidget()
        self._add_files = plain(self.tr("Add pictures…"), "plus")
        self._add_folder = plain(self.tr("Add folder…"), "folder-open-outline")
        self.clear = plain(self.tr("Clear"), "close")
        self._lay_out()
        self.setFocusProxy(self._add_folder)
        self._add_files.clicked.connect(self._on_add_files)
        self._add_folder.clicked.connect(self._on_add_folder)
        self.clear.clicked.connect(self.clear_requested)
        self._view.chosen_changed.connect(self._show_chosen)
        for button in (self._add_files, self._add_folder):
            press_by_return(button)
        self.set_drop_hint(None)

    @property
    def adding_has_focus(self) -> bool:
        """Whether one of the add buttons has keyboard focus."""
        return self._add_folder.hasFocus() or self._add_files.hasFocus()

    def hold_focus(self) -> None:
        """Take keyboard focus where an accidental key press does nothing, as far as there is such a place."""
        (self._add_folder if self._is_empty else self._view).setFocus()

    def show_empty(self, empty: bool) -> None:
        """Show the drop zone or the table."""
        self._is_empty = empty
        self._pages.setCurrentIndex(0 if empty else 1)

    def allow_clear(self, allowed: bool) -> None:
        """Set whether the list can be emptied now."""
        allow_button(self.clear, allowed, self.tr("There is nothing to clear"))

    def set_drop_hint(self, words: str | None) -> None:
        """Say what a drop would do, also over the table; None shows the usual invitation."""
        self._words.setText(words or self.tr("Drop folders or pictures here"))
        self._pages.setCurrentIndex(0 if words is not None or self._is_empty else 1)

    def _lay_out(self) -> None:
        bar = QWidget()
        bar.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        set_role(bar, "bar")
        buttons = QHBoxLayout(bar)
        buttons.setContentsMargins(PANE_GAP, GROUP_GAP, PANE_GAP, GROUP_GAP)
        buttons.setSpacing(GROUP_GAP)
        for button in (self._add_files, self._add_folder, self.clear):
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
            inside.setSpacing(GROUP_GAP)
            inside.addWidget(shown, 1)
            self._pages.addWidget(holder)
        inside.addWidget(self._chosen)
        self._show_chosen()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(bar)
        column.addWidget(self._pages, 1)

    def _show_chosen(self) -> None:
        """Show the texts of the selected row, also for screen readers; its cells may be cut off."""
        words = self._view.chosen_words
        self._chosen.setText(breakable(words))
        self._chosen.setVisible(bool(words))

    def _on_add_files(self) -> None:
        chosen, _ = QFileDialog.getOpenFileNames(self, self.tr("Add pictures"))
        self.paths_chosen.emit([Path(name) for name in chosen])

    def _on_add_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self.tr("Add a folder"))
        self.paths_chosen.emit([Path(chosen)] if chosen else [])
