"""Table view of a batch: its columns share the width, and the less important ones give way when it is small."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QModelIndex, QSize, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHeaderView, QTreeView

from vdsr_app.gui.batch.table import THUMBNAIL_PX, BatchTable, Column

_TIME_PX = 68
_LEAST_NAME_PX = 120
_LEAST_STATE_PX = 220
"""Room for the beginning of why a picture failed; all of it is shown for the selected row."""
_LEAST_SIZE_PX = 96
_NAME_SHARE = 0.3
_NAME_SHARE_ALONE = 0.4
"""Used while the result's name is hidden."""


class PictureView(QTreeView):
    """Always shows picture and state, then as space allows size, time and the result's name.

    Signals:
        chosen_changed: the text of the selected row may have changed.
    """

    chosen_changed = Signal()

    def __init__(self, table: BatchTable) -> None:
        super().__init__()
        self._table = table
        self._size_px = _LEAST_SIZE_PX
        self.setModel(table)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setIconSize(QSize(THUMBNAIL_PX, THUMBNAIL_PX))
        self.setAccessibleName(self.tr("Pictures of the batch"))
        header = self.header()
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(24)
        header.resizeSection(Column.TIME, _TIME_PX)
        header.setSectionResizeMode(Column.STATE, QHeaderView.ResizeMode.Stretch)
        table.modelReset.connect(self._measure_all)
        table.rowsInserted.connect(self._on_rows_inserted)
        table.dataChanged.connect(self._on_data_changed)
        self.selectionModel().selectionChanged.connect(self.chosen_changed)

    @property
    def chosen_words(self) -> str:
        """Name, state and all hidden columns of the selected row; "" if none is selected."""
        rows = self.selectionModel().selectedRows()
        if not rows:
            return ""
        row = rows[0].row()
        columns = [c for c in Column if c in (Column.NAME, Column.STATE) or self.isColumnHidden(c)]
        texts = (str(self._table.data(self._table.index(row, column))) for column in columns)
        return " · ".join(text for text in texts if text)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Distribute the width among the columns."""
        super().resizeEvent(event)
        self._share_width()

    def changeEvent(self, event: QEvent) -> None:
        """Measure again: rows may have arrived before the window's style and font."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._measure_all()

    def _share_width(self) -> None:
        header, width = self.header(), self.viewport().width()
        fixed, shown = 0, {Column.NAME, Column.STATE}
        for column, least in ((Column.SIZE, self._size_px), (Column.TIME, _TIME_PX)):
            if fixed + least + _LEAST_NAME_PX + _LEAST_STATE_PX <= width:
                shown.add(column)
                fixed += least
        if len(shown) == len(Column) - 1 and fixed + 2 * _LEAST_NAME_PX + _LEAST_STATE_PX <= width:
            shown.add(Column.RESULT)
        for column in Column:
            self.setColumnHidden(column, column not in shown)
        header.resizeSection(Column.SIZE, self._size_px)
        free, names = width - fixed, 2 if Column.RESULT in shown else 1
        share = (_NAME_SHARE if names == 2 else _NAME_SHARE_ALONE) * free
        name_px = max(_LEAST_NAME_PX, round(min(share, (free - _LEAST_STATE_PX) / names)))
        for column in (Column.NAME, Column.RESULT):
            header.resizeSection(column, name_px)
        self.chosen_changed.emit()

    def _measure_all(self) -> None:
        self._size_px = _LEAST_SIZE_PX
        self._on_rows_inserted(QModelIndex(), 0, self._table.rowCount() - 1)

    def _on_rows_inserted(self, _parent: QModelIndex, first: int, last: int) -> None:
        """Widen the size column so that no size is cut off, as none could be read then."""
        metrics, table = self.fontMetrics(), self._table
        rows = {str(table.data(table.index(row, Column.SIZE))): row for row in range(first, last + 1)}
        if rows:
            # The size hint includes the style's own margins.
            widest = table.index(rows[max(rows, key=metrics.horizontalAdvance)], Column.SIZE)
            self._size_px = max(self._size_px, self.sizeHintForIndex(widest).width())
        self._share_width()

    def _on_data_changed(self, first: QModelIndex, last: QModelIndex) -> None:
        if any(first.row() <= index.row() <= last.row() for index in self.selectionModel().selectedRows()):
            self.chosen_changed.emit()
