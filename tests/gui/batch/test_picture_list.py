"""Batch picture list: columns at several window widths, and the selected row in full."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QTreeView
from pytestqt.qtbot import QtBot

from vdsr_app.core.batch.items import Item, SourceFacts, State
from vdsr_app.core.job import TargetSize
from vdsr_app.gui.batch.picture_list import PictureList
from vdsr_app.gui.batch.table import Column

NOTE = "The name of this file is the name of the result of another picture, which is made first."


def item(number: int, state: State, note: str = "", width: int = 288) -> Item:
    facts, size = SourceFacts(None, width, 288), TargetSize(2 * width, 576, 2.0)
    return Item(number, Path(f"/in/{number}.png"), Path(f"/out/{number}_vdsr_x2.png"), facts, size, "vdsr", state, note)


ITEMS = [item(0, State.DONE), item(1, State.FAILED, NOTE), item(2, State.QUEUED, width=12_000)]


@pytest.fixture
def pictures(qtbot: QtBot) -> PictureList:
    made = PictureList()
    qtbot.addWidget(made)
    with qtbot.waitExposed(made):
        made.show()
    made.table.show_items(ITEMS, Path("/out"))
    made.show_empty(False)
    return made


def table_of(pictures: PictureList) -> QTreeView:
    return pictures.findChildren(QTreeView)[0]


def shown(qtbot: QtBot, pictures: PictureList, width: int) -> set[Column]:
    """Return the columns that are visible, side by side and uncut, in a window of that width."""
    pictures.resize(width, 400)
    table = table_of(pictures)
    qtbot.waitUntil(lambda: table.header().length() == table.viewport().width())
    return {column for column in Column if not table.isColumnHidden(column)}


def test_narrow_list_hides_columns_to_make_room_for_state(qtbot: QtBot, pictures: PictureList) -> None:
    orders = [shown(qtbot, pictures, width) for width in range(1400, 400, -20)]
    assert orders[0] == set(Column)
    assert all({Column.NAME, Column.STATE} <= columns for columns in orders)
    assert Column.RESULT not in orders[-1]
    assert all(Column.RESULT not in columns or len(columns) == len(Column) for columns in orders)
    table = table_of(pictures)
    failed = table.fontMetrics().horizontalAdvance("Failed: " + NOTE[:12])
    assert table.columnWidth(Column.STATE) > failed


def test_visible_size_is_not_cut_off(qtbot: QtBot, pictures: PictureList) -> None:
    assert Column.SIZE in shown(qtbot, pictures, 1400)
    table = table_of(pictures)
    text = str(pictures.table.data(pictures.table.index(2, Column.SIZE)))
    assert table.columnWidth(Column.SIZE) > table.fontMetrics().horizontalAdvance(text)


def test_size_is_not_cut_off_after_font_change(qtbot: QtBot, pictures: PictureList) -> None:
    table = table_of(pictures)
    font = table.font()
    font.setPixelSize(2 * table.fontInfo().pixelSize())
    table.setFont(font)
    assert Column.SIZE in shown(qtbot, pictures, 1800)
    text = str(pictures.table.data(pictures.table.index(2, Column.SIZE)))
    assert table.columnWidth(Column.SIZE) > table.fontMetrics().horizontalAdvance(text)


def test_column_widths_match_for_list_filled_before_or_after_showing(qtbot: QtBot) -> None:
    early, late = PictureList(), PictureList()
    for made in (early, late):
        qtbot.addWidget(made)
    early.table.show_items(ITEMS, Path("/out"))
    early.show_empty(False)
    for made in (early, late):
        made.resize(1400, 400)
        with qtbot.waitExposed(made):
            made.show()
    late.table.show_items(ITEMS, Path("/out"))
    late.show_empty(False)
    assert shown(qtbot, early, 1400) == shown(qtbot, late, 1400)
    early_widths, late_widths = ([table_of(made).columnWidth(c) for c in Column] for made in (early, late))
    assert early_widths == late_widths


def test_selected_row_is_shown_in_full_with_hidden_columns(qtbot: QtBot, pictures: PictureList) -> None:
    shown(qtbot, pictures, 420)
    table = table_of(pictures)
    table.setFocus()
    QTest.keyClick(table, Qt.Key.Key_Home)
    QTest.keyClick(table, Qt.Key.Key_Down)
    reported = pictures._chosen
    assert reported.isVisible()
    assert reported.text().startswith("1.png · 1_vdsr_x2.png · 288 × 288 → 576 × 576 · Failed: The name of")  # noqa: RUF001
    pictures.table.update_items([item(1, State.DONE)])
    assert reported.text().endswith("Done")
    pictures.table.show_items([], Path("/out"))
    assert not reported.isVisible()
