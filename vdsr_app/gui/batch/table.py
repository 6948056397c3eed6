"""Table model of a batch's pictures: thumbnail, name, result, sizes, state, time."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path

import numpy as np
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QSize, Qt, Signal
from PySide6.QtGui import QGuiApplication, QPainter, QPixmap

from vdsr_app.core.batch.items import Item, State
from vdsr_app.gui.icons import icon
from vdsr_app.gui.qimage import wrap_rgba
from vdsr_app.gui.sections import plain_tooltip
from vdsr_app.gui.texts import duration_text, number, printable

Index = QModelIndex | QPersistentModelIndex

THUMBNAIL_PX = 28
_STATE_SIZE = QSize(16, 16)
_MOST_THUMBNAILS = 600
"""Most thumbnails kept at a time, as a list may have ten thousand pictures."""

_ICONS = {
    State.QUEUED: ("clock-outline", "quiet"),
    State.WORKING: ("progress-clock", "accent"),
    State.DONE: ("check", "good"),
    State.SKIPPED: ("debug-step-over", "quiet"),
    State.FAILED: ("alert-circle-outline", "bad"),
}
_PAUSED_ICON = ("pause", "quiet")


class Column(IntEnum):
    """Columns, in order."""

    NAME = 0
    RESULT = 1
    SIZE = 2
    STATE = 3
    TIME = 4


class BatchTable(QAbstractTableModel):
    """Model with one row per item.

    Signals:
        thumbnail_requested: Path of a picture that is in view and has no thumbnail yet.
    """

    thumbnail_requested = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._items: list[Item] = []
        self._rows: dict[int, int] = {}
        self._folder = Path()
        self._percent: dict[int, int] = {}
        self._paused = False
        self._thumbnails: dict[Path, QPixmap] = {}

    @property
    def items(self) -> Sequence[Item]:
        """All rows."""
        return self._items

    def show_items(self, items: Sequence[Item], folder: Path) -> None:
        """Replace all rows.

        Args:
            items: the new rows.
            folder: of the results; their names are shown relative to it.
        """
        self.beginResetModel()
        self._items, self._folder = list(items), folder.absolute()
        self._rows = {item.number: row for row, item in enumerate(self._items)}
        self._percent.clear()
        self.endResetModel()

    def update_items(self, items: Sequence[Item]) -> None:
        """Update the states of pictures, and add those that are new."""
        new = [item for item in items if item.number not in self._rows]
        if new:
            first = len(self._items)
            self.beginInsertRows(QModelIndex(), first, first + len(new) - 1)
            self._items.extend(new)
            self._rows.update({item.number: first + at for at, item in enumerate(new)})
            self.endInsertRows()
        for item in items:
            row = self._rows[item.number]
            self._items[row] = item
            self._percent.pop(item.number, None)
            self.dataChanged.emit(self.index(row, 0), self.index(row, len(Column) - 1))

    def show_progress(self, item_number: int, percent: int) -> None:
        """Show the progress of a picture being processed."""
        row = self._rows.get(item_number)
        if row is not None and self._items[row].state is State.WORKING and self._percent.get(item_number) != percent:
            self._percent[item_number] = percent
            self.dataChanged.emit(self.index(row, Column.STATE), self.index(row, Column.STATE))

    def show_paused(self, paused: bool) -> None:
        """Show whether the pictures being processed are paused."""
        self._paused = paused
        for row, item in enumerate(self._items):
            if item.state is State.WORKING:
                self.dataChanged.emit(self.index(row, Column.STATE), self.index(row, Column.STATE))

    def show_thumbnail(self, path: Path, rgba: np.ndarray) -> None:
        """Show the thumbnail of a picture."""
        while len(self._thumbnails) >= _MOST_THUMBNAILS:
            del self._thumbnails[next(iter(self._thumbnails))]
        self._thumbnails[path] = _square(QPixmap.fromImage(wrap_rgba(np.ascontiguousarray(rgba)).copy()))
        if self._items:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._items) - 1, 0))

    def forget_thumbnail(self, path: Path) -> None:
        """Drop a thumbnail that will not arrive; it is requested again when the picture is next in view."""
        self._thumbnails.pop(path, None)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        """Number of pictures."""
        return 0 if parent.isValid() else len(self._items)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        """Number of columns."""
        return 0 if parent.isValid() else len(Column)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Column headings."""
        if orientation is Qt.Orientation.Vertical or role != Qt.ItemDataRole.DisplayRole:
            return None
        heads = (self.tr("Picture"), self.tr("Result"), self.tr("Size"), self.tr("State"), self.tr("Time"))
        return heads[section]

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """What a cell shows."""
        item, column = self._items[index.row()], Column(index.column())
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(item, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tooltip(self._tooltip(item, column))
        if role == Qt.ItemDataRole.DecorationRole:
            if column is Column.STATE:
                # As a pixmap: an icon would be scaled up to the size of the thumbnails.
                stands = self._paused and item.state is State.WORKING
                return icon(*(_PAUSED_ICON if stands else _ICONS[item.state])).pixmap(_STATE_SIZE, _ratio())
            if column is Column.NAME:
                return self._thumbnail(item.source)
        if role == Qt.ItemDataRole.TextAlignmentRole and column is Column.TIME:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def _text(self, item: Item, column: Column) -> str:
        match column:
            case Column.NAME:
                return printable(item.source.name)
            case Column.RESULT:
                if not item.has_output:
                    return ""
                inside = item.output.is_relative_to(self._folder)
                return printable(str(item.output.relative_to(self._folder)) if inside else item.output.name)
            case Column.SIZE:
                source = f"{item.facts.width} × {item.facts.height}" if item.facts.width else ""  # noqa: RUF001
                target = "" if item.target is None else f"{item.target.width} × {item.target.height}"  # noqa: RUF001
                return f"{source} → {target}" if source and target else source
            case Column.STATE:
                return self._state(item)
            case Column.TIME:
                if not item.seconds:
                    return ""
                if item.seconds < 10:
                    return self.tr("{seconds} s").format(seconds=number(item.seconds, 1))
                return duration_text(item.seconds)

    def _state(self, item: Item) -> str:
        words = {
            State.QUEUED: self.tr("Waiting"),
            State.WORKING: self.tr("Paused") if self._paused else self.tr("Working"),
            State.DONE: self.tr("Done"),
            State.SKIPPED: self.tr("Skipped"),
            State.FAILED: self.tr("Failed"),
        }[item.state]
        percent = self._percent.get(item.number)
        if item.state is State.WORKING and percent is not None:
            return f"{words}, {percent} %"
        return f"{words}: {printable(item.note)}" if item.note else words

    def _tooltip(self, item: Item, column: Column) -> str:
        match column:
            case Column.NAME:
                return printable(str(item.source))
            case Column.RESULT:
                return printable(str(item.output)) if item.has_output else ""
            case Column.STATE:
                return printable(item.note)
            case _:
                return ""

    def _thumbnail(self, path: Path) -> QPixmap:
        if path not in self._thumbnails:
            self._thumbnails[path] = _square(QPixmap())
            self.thumbnail_requested.emit(path)
        return self._thumbnails[path]


def _ratio() -> float:
    """Device pixels per logical pixel."""
    app = QGuiApplication.instance()
    return app.devicePixelRatio() if isinstance(app, QGuiApplication) else 1.0


def _square(picture: QPixmap) -> QPixmap:
    """A picture centred in a square, so that the names beside the thumbnails line up."""
    ratio = _ratio()
    side = round(THUMBNAIL_PX * ratio)
    square = QPixmap(side, side)
    square.fill(Qt.GlobalColor.transparent)
    if not picture.isNull():
        small = picture.scaled(
            side, side, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
        painter = QPainter(square)
        painter.drawPixmap((side - small.width()) // 2, (side - small.height()) // 2, small)
        painter.end()
    square.setDevicePixelRatio(ratio)
    return square
