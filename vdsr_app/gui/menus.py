"""The menu bar."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QMenuBar

from vdsr_app.gui.actions import Actions
from vdsr_app.gui.texts import menu_text


class Menus(QObject):
    """Fills a menu bar; maintains the list of recent files.

    Signals:
        recent_chosen: the `Path` of a recent file.
        recent_cleared: the user wants the list cleared.
    """

    recent_chosen = Signal(object)
    recent_cleared = Signal()

    def __init__(self, bar: QMenuBar, actions: Actions) -> None:
        super().__init__(bar)
        self._bar = bar
        self._recent = QMenu(self.tr("Open recent"), bar)
        self._workspaces = QMenu(self.tr("Workspace"), bar)
        a = actions
        self._add(self.tr("&File"), [a.open, a.open_folder, self._recent, None, a.save, None, a.quit])
        self._add(self.tr("&Edit"), [a.copy, a.paste, None, a.settings])
        self._add(
            self.tr("&View"),
            [
                *(a.wipe, a.side, a.single, a.swap, None),
                *(a.fit, a.zoom_100, a.zoom_200, a.zoom_400, a.zoom_800, a.zoom_in, a.zoom_out, a.smooth, None),
                *(a.open_reference, a.close_reference, None, self._workspaces, a.inspector, a.full_screen),
            ],
        )
        self._add(
            self.tr("&Run"),
            [a.run, a.cancel, None, a.batch_pause, a.batch_retry, None, a.batch_report, a.batch_folder, a.batch_clear],
        )
        self._add(
            self.tr("&Train"), [a.train_new, a.train_runs, None, a.train_pause, a.train_stop, None, a.train_folder]
        )
        self._add(self.tr("&Help"), [a.guide, None, a.log_folder, a.system_info, None, a.about])

    def offer_workspaces(self, actions: Sequence[QAction]) -> None:
        """Add the workspaces to the "View" menu; call once."""
        # In a submenu: with all of them "View" would be taller than a small screen.
        self._workspaces.addActions(list(actions))

    def show_recent(self, paths: Sequence[str]) -> None:
        """Offer these files, newest first."""
        self._recent.clear()
        for number, path in enumerate(paths, start=1):
            mark = f"&{number}  " if number < 10 else ""
            action = self._recent.addAction(mark + menu_text(Path(path).name))
            action.setToolTip(menu_text(path))
            action.setData(path)
            action.triggered.connect(self._on_recent_triggered)
        if paths:
            self._recent.addSeparator()
            self._recent.addAction(self.tr("Clear this list")).triggered.connect(self.recent_cleared)
        self._recent.menuAction().setVisible(bool(paths))

    def _add(self, title: str, items: Sequence[QAction | QMenu | None]) -> None:
        menu = self._bar.addMenu(title)
        menu.setToolTipsVisible(True)
        for item in items:
            if item is None:
                menu.addSeparator()
            elif isinstance(item, QMenu):
                menu.addMenu(item)
            else:
                menu.addAction(item)

    def _on_recent_triggered(self) -> None:
        action = self.sender()
        if isinstance(action, QAction):
            self.recent_chosen.emit(Path(action.data()))
