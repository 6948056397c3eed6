"""The list of all runs, and the actions on the selected ones."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QItemSelectionModel, QModelIndex, QPersistentModelIndex, QPoint, QRect, Qt, Signal
from PySide6.QtGui import QAction, QColor, QKeyEvent, QKeySequence, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QMenu,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from vdsr_app.gui.icons import icon
from vdsr_app.gui.parts import allow_button, page_head, plain, press_by_return, primary
from vdsr_app.gui.sections import GROUP_GAP, PANE_GAP, SECTION_GAP
from vdsr_app.gui.texts import name_keys, printable
from vdsr_app.gui.theme import set_role, tokens_in_use
from vdsr_app.gui.training.words import count, date_text, gain_text, percent, state_look
from vdsr_trainer.runs import RunInfo, RunState

_ALIVE = (RunState.RUNNING, RunState.PAUSED)
_NAME, _STATE, _PROGRESS, _DATE, _GAIN = range(5)
_INFO = Qt.ItemDataRole.UserRole
_PERCENT = Qt.ItemDataRole.UserRole + 1
_SPOKEN = Qt.ItemDataRole.AccessibleTextRole


class RunsPanel(QWidget):
    """The list with its buttons; only emits signals.

    Signals:
        new_requested: the user wants to train another network.
        open_requested: RunInfo.
        resume_requested: RunInfo.
        use_requested: RunInfo.
        export_requested: RunInfo, and whether to export as ONNX.
        renamed: RunInfo and the new title.
        duplicate_requested: RunInfo.
        delete_requested: list of RunInfo.
        compare_requested: list of RunInfo.
        folder_requested: RunInfo.
    """

    new_requested = Signal()
    open_requested = Signal(object)
    resume_requested = Signal(object)
    use_requested = Signal(object)
    export_requested = Signal(object, bool)
    renamed = Signal(object, str)
    duplicate_requested = Signal(object)
    delete_requested = Signal(object)
    compare_requested = Signal(object)
    folder_requested = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        set_role(self, "pane")
        self.new_button = primary(self.tr("New training"), "plus")
        self.new_button.clicked.connect(self.new_requested)
        press_by_return(self.new_button)
        head = QHBoxLayout()
        head.addLayout(page_head(self.tr("Your training runs")), 1)
        head.addWidget(self.new_button, 0, Qt.AlignmentFlag.AlignTop)
        self.list = _RunList()
        self._make_actions()
        column = QVBoxLayout(self)
        column.setContentsMargins(PANE_GAP, PANE_GAP, PANE_GAP, SECTION_GAP)
        column.setSpacing(SECTION_GAP)
        column.addLayout(head)
        column.addWidget(self.list, 1)
        column.addLayout(self._build_buttons())
        self.list.itemSelectionChanged.connect(self._show_allowed)
        self.list.itemActivated.connect(self._on_open)
        self.list.customContextMenuRequested.connect(self._on_menu_requested)
        self.list.itemChanged.connect(self._on_item_changed)
        self._show_allowed()

    @property
    def selected(self) -> list[RunInfo]:
        """The selected runs, in list order."""
        items = sorted(self.list.selectedItems(), key=self.list.indexOfTopLevelItem)
        return [item.data(_NAME, _INFO) for item in items]

    def show_runs(self, runs: Sequence[RunInfo]) -> None:
        """Show these runs, keeping the selection; does nothing while a name is being edited."""
        if self.list.state() == QAbstractItemView.State.EditingState:
            return
        chosen = {run.folder for run in self.selected}
        current = self.list.currentItem()
        at = None if current is None else current.data(_NAME, _INFO).folder
        old = [run.folder for run in self._all()]
        self.list.blockSignals(True)
        if old != [run.folder for run in runs]:
            self.list.clear()
            self.list.addTopLevelItems([QTreeWidgetItem() for _ in runs])
        for item, run in zip(self._items(), runs, strict=True):
            _fill(item, run)
            item.setSelected(run.folder in chosen)
            if run.folder == at:
                self.list.setCurrentItem(item, _NAME, QItemSelectionModel.SelectionFlag.NoUpdate)
        if not self.list.selectedItems() and runs:
            self.list.setCurrentItem(self._items()[0])
        self.list.blockSignals(False)
        self._show_allowed()

    def select(self, folder: Path) -> None:
        """Select one run."""
        for item in self._items():
            if item.data(_NAME, _INFO).folder == folder:
                self.list.setCurrentItem(item)

    def _make_actions(self) -> None:
        self._rename = self._action(self.tr("Rename"), "rename-outline", "F2", self._on_rename)
        self._duplicate = self._action(self.tr("Duplicate…"), "content-duplicate", "Ctrl+D", self._on_duplicate)
        self._weights = self._action(self.tr("Export weights…"), "export-variant", "", self._on_export_weights)
        self._onnx = self._action(self.tr("Export as ONNX…"), "export-variant", "", self._on_export_onnx)
        self._folder = self._action(self.tr("Show folder"), "folder-open-outline", "", self._on_folder)
        self._delete = self._action(self.tr("Delete…"), "delete-outline", "Del", self._on_delete)
        if sys.platform == "darwin":  # MacBooks have no Del; the menu shows the first shortcut
            self._delete.setShortcuts([QKeySequence("Backspace"), QKeySequence("Del")])

    def _action(self, text: str, icon_name: str, keys: str, slot: object) -> QAction:
        action = QAction(icon(icon_name), text, self.list)
        if keys:
            action.setShortcut(QKeySequence(keys))
        action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        action.triggered.connect(slot)
        self.list.addAction(action)
        return action

    def _build_buttons(self) -> QHBoxLayout:
        self._open = plain(self.tr("Open"), "chart-line")
        self._resume = plain(self.tr("Resume"), "play-outline")
        self._use = plain(self.tr("Use now"), "image-size-select-large")
        self._compare = plain(self.tr("Compare"), "chart-multiple")
        more = plain(self.tr("More"), "dots-horizontal")
        menu = QMenu(more)
        menu.setToolTipsVisible(True)
        menu.addActions([self._rename, self._duplicate, self._folder])
        menu.addSeparator()
        menu.addActions([self._weights, self._onnx])
        menu.addSeparator()
        menu.addAction(self._delete)
        more.setMenu(menu)
        self._more, self._menu = more, menu
        self._open.clicked.connect(self._on_open)
        self._resume.clicked.connect(self._on_resume)
        self._use.clicked.connect(self._on_use)
        self._compare.clicked.connect(self._on_compare)
        row = QHBoxLayout()
        row.setSpacing(GROUP_GAP)
        for button in (self._open, self._resume, self._use, self._compare, more):
            row.addWidget(button)
        row.addStretch(1)
        return row

    def _show_allowed(self) -> None:
        runs = self.selected
        one = runs[0] if len(runs) == 1 else None
        select_one = self.tr("Select one run")
        allow_button(self._open, one is not None, select_one, self.tr("Show its curves (Enter)"))
        resumable = one is not None and one.state in (RunState.STOPPED, RunState.FAILED)
        busy = any(run.state in _ALIVE for run in self._all())
        why = self.tr("Only a stopped run can be resumed") if one is not None else select_one
        if resumable and busy:
            resumable, why = False, self.tr("Another run is training; stop it first")
        allow_button(self._resume, resumable, why, self.tr("Continue where it ended"))
        usable = one is not None and one.weights is not None and one.state not in _ALIVE
        why = self.tr("This run has no result yet") if one is not None else select_one
        allow_button(self._use, usable, why, self.tr("Enlarge pictures with it"))
        for action in (self._weights, self._onnx):
            action.setEnabled(usable)
            action.setToolTip("" if usable else why)
        select_several = name_keys(self.tr("Select several runs, with Ctrl or Shift"))
        allow_button(self._compare, len(runs) > 1, select_several, self.tr("Show them in one plot"))
        allow_button(self._more, bool(runs), select_one, self.tr("Rename, duplicate, export, delete"))
        for action in (self._rename, self._duplicate, self._folder):
            action.setEnabled(one is not None)
            action.setToolTip("" if one is not None else select_one)
        alive = any(run.state in _ALIVE for run in runs)
        self._delete.setEnabled(bool(runs) and not alive)
        self._delete.setToolTip(self.tr("Stop it first") if alive else "")

    def _all(self) -> list[RunInfo]:
        return [item.data(_NAME, _INFO) for item in self._items()]

    def _items(self) -> list[QTreeWidgetItem]:
        rows = range(self.list.topLevelItemCount())
        return [item for row in rows if (item := self.list.topLevelItem(row)) is not None]

    def _one(self) -> RunInfo | None:
        runs = self.selected
        return runs[0] if len(runs) == 1 else None

    def _on_menu_requested(self, place: QPoint) -> None:
        if self.selected:
            self._menu.popup(self.list.viewport().mapToGlobal(place))

    def _on_open(self) -> None:
        if (run := self._one()) is not None:
            self.open_requested.emit(run)

    def _on_resume(self) -> None:
        if (run := self._one()) is not None:
            self.resume_requested.emit(run)

    def _on_use(self) -> None:
        if (run := self._one()) is not None:
            self.use_requested.emit(run)

    def _on_export_weights(self) -> None:
        if (run := self._one()) is not None:
            self.export_requested.emit(run, False)

    def _on_export_onnx(self) -> None:
        if (run := self._one()) is not None:
            self.export_requested.emit(run, True)

    def _on_compare(self) -> None:
        if len(self.selected) > 1:
            self.compare_requested.emit(self.selected)

    def _on_rename(self) -> None:
        items = self.list.selectedItems()
        typing = self.list.state() == QAbstractItemView.State.EditingState
        if len(items) == 1 and not typing:
            self.list.editItem(items[0], _NAME)

    def _on_duplicate(self) -> None:
        if (run := self._one()) is not None:
            self.duplicate_requested.emit(run)

    def _on_folder(self) -> None:
        if (run := self._one()) is not None:
            self.folder_requested.emit(run)

    def _on_delete(self) -> None:
        if self.selected:
            self.delete_requested.emit(self.selected)

    def _on_item_changed(self, item: QTreeWidgetItem, column: int) -> None:
        run: RunInfo = item.data(_NAME, _INFO)
        title = item.text(_NAME).strip()
        if column != _NAME or title == printable(run.title):
            return
        if title:
            self.renamed.emit(run, title)
        else:
            item.setText(_NAME, printable(run.title))


class _RunList(QTreeWidget):
    """A list with uniform row heights in which only names can be edited."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName(self.tr("Training runs"))
        self.setHeaderLabels(
            [self.tr("Name"), self.tr("State"), self.tr("Progress"), self.tr("Started"), self.tr("Gain over bicubic")]
        )
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setAllColumnsShowFocus(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setItemDelegateForColumn(_PROGRESS, _ProgressDelegate(self))
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionsMovable(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        for column, width in ((_STATE, 112), (_PROGRESS, 148), (_DATE, 148), (_GAIN, 140)):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Interactive)
            header.resizeSection(column, width)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Open the current run on Enter."""
        # The Return that ends editing a name arrives here too.
        typing = self.state() == QAbstractItemView.State.EditingState
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentItem() is not None and not typing:
            self.itemActivated.emit(self.currentItem(), 0)
        else:
            super().keyPressEvent(event)


class _ProgressDelegate(QStyledItemDelegate):
    """A slim progress bar followed by the percentage."""

    _BAR_WIDTH = 64

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        super().paint(painter, option, index)
        percent_done = index.data(_PERCENT)
        if percent_done is None:
            return
        tokens = tokens_in_use()
        box: QRect = option.rect
        bar = QRect(box.left() + 11, box.center().y() - 2, self._BAR_WIDTH, 5)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(tokens.pressed))
        painter.drawRoundedRect(bar, 2.5, 2.5)
        bar.setWidth(round(self._BAR_WIDTH * percent_done / 100))
        painter.setBrush(QColor(tokens.accent))
        painter.drawRoundedRect(bar, 2.5, 2.5)
        painter.setPen(QColor(tokens.text))
        words = box.adjusted(self._BAR_WIDTH + 19, 0, 0, -1)
        painter.drawText(words, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, f"{percent_done} %")
        painter.restore()


def _fill(item: QTreeWidgetItem, run: RunInfo) -> None:
    word, icon_name, color = state_look(run.state)
    item.setData(_NAME, _INFO, run)
    item.setText(_NAME, printable(run.title))
    item.setText(_STATE, word)
    item.setIcon(_STATE, icon(icon_name, color, inverts=False))
    done = None if run.state is RunState.DAMAGED else percent(run.step, run.steps)
    item.setData(_PROGRESS, _PERCENT, done)
    item.setData(_PROGRESS, _SPOKEN, None if done is None else f"{done} %")  # it has no text: the delegate draws it
    item.setToolTip(_PROGRESS, f"{count(run.step)} / {count(run.steps)}")
    item.setText(_DATE, date_text(run.created))
    item.setText(_GAIN, gain_text(run))
    item.setToolTip(_NAME, "")
    item.setToolTip(_STATE, printable(run.reason))
    item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
