"""All actions of the window, each defined once: text, icon, shortcut."""

from __future__ import annotations

import sys

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QActionGroup, QKeySequence

from vdsr_app.gui.icons import icon

Shortcut = str | QKeySequence.StandardKey


class Actions(QObject):
    """The actions as attributes; menus and buttons share them."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.open = self._make(self.tr("Open…"), "folder-open-outline", QKeySequence.StandardKey.Open)
        self.open_folder = self._make(self.tr("Upscale a folder…"), "image-multiple-outline", "Ctrl+Shift+O")
        self.save = self._make(self.tr("Save result as…"), "content-save-outline", "Ctrl+Shift+S")
        # The usual shortcut for saving works, too.
        self.save.setShortcuts([self.save.shortcut(), QKeySequence(QKeySequence.StandardKey.Save)])
        self.quit = self._make(self.tr("Quit"), "exit-to-app", "Ctrl+Q")
        self.quit.setMenuRole(QAction.MenuRole.QuitRole)

        self.copy = self._make(self.tr("Copy result"), "content-copy", QKeySequence.StandardKey.Copy)
        self.paste = self._make(self.tr("Paste picture or file"), "content-paste", QKeySequence.StandardKey.Paste)
        self.settings = self._make(self.tr("Settings…"), "cog-outline", "Ctrl+,")
        self.settings.setMenuRole(QAction.MenuRole.PreferencesRole)

        self.wipe = self._make(self.tr("Wipe"), "compare", "W", checkable=True)
        self.side = self._make(self.tr("Side by side"), "view-split-vertical", "S", checkable=True)
        self.single = self._make(self.tr("Single, hold Space for the left half"), "image-outline", "D", checkable=True)
        self.modes = self._group(self.wipe, self.side, self.single)
        self.swap = self._make(self.tr("Swap the halves"), "swap-horizontal", "X")
        self.fit = self._make(self.tr("Fit to window"), "fit-to-page-outline", "0", checkable=True)
        self.zoom_100 = self._make(self.tr("100 %"), "", "1", checkable=True)
        self.zoom_200 = self._make(self.tr("200 %"), "", "2", checkable=True)
        self.zoom_400 = self._make(self.tr("400 %"), "", "4", checkable=True)
        self.zoom_800 = self._make(self.tr("800 %"), "", "8", checkable=True)
        self.zoom_in = self._make(self.tr("Zoom in"), "magnify-plus-outline", "+")
        self.zoom_out = self._make(self.tr("Zoom out"), "magnify-minus-outline", "-")
        self.smooth = self._make(self.tr("Smooth above 100 %"), "blur", "I", checkable=True)
        self.open_reference = self._make(self.tr("Open reference…"), "image-check-outline", "Ctrl+Shift+R")
        self.close_reference = self._make(self.tr("Close reference"), "close", "")
        self.inspector = self._make(self.tr("Inspector"), "dock-right", "Ctrl+I", checkable=True)
        # On macOS F11 shows the desktop. Not StandardKey.FullScreen, which differs between Linux desktops.
        full_screen = "Ctrl+Meta+F" if sys.platform == "darwin" else "F11"
        self.full_screen = self._make(self.tr("Full screen"), "fullscreen", full_screen, checkable=True)

        self.run = self._make(self.tr("Upscale now"), "play-outline", "F5")
        self.cancel = self._make(self.tr("Cancel"), "stop-circle-outline", "Esc")

        self.batch_pause = self._make(self.tr("Pause the batch"), "pause", "F6")
        self.batch_retry = self._make(self.tr("Retry failed pictures"), "refresh", "Shift+F5")
        self.batch_report = self._make(self.tr("Save batch report…"), "content-save-outline", "Ctrl+R")
        self.batch_folder = self._make(self.tr("Open results folder"), "folder-open-outline", "")
        self.batch_clear = self._make(self.tr("Clear the batch"), "close", "")

        self.train_new = self._make(self.tr("New training…"), "plus", "Ctrl+T")
        self.train_runs = self._make(self.tr("Show runs"), "format-list-bulleted", "Ctrl+Shift+T")
        self.train_pause = self._make(self.tr("Pause training"), "pause", "")
        self.train_stop = self._make(self.tr("Stop training and save"), "content-save-check-outline", "")
        self.train_folder = self._make(self.tr("Open runs folder"), "folder-open-outline", "")

        self.guide = self._make(self.tr("User guide"), "help-circle-outline", QKeySequence.StandardKey.HelpContents)
        self.log_folder = self._make(self.tr("Open the log folder"), "text-box-outline", "")
        self.system_info = self._make(self.tr("Copy system information"), "clipboard-text-outline", "")
        self.about = self._make(self.tr("About VDSR Studio"), "information-outline", "")
        self.about.setMenuRole(QAction.MenuRole.AboutRole)

    def zooms(self) -> dict[float, QAction]:
        """Actions for fixed zooms, by percentage."""
        return {100.0: self.zoom_100, 200.0: self.zoom_200, 400.0: self.zoom_400, 800.0: self.zoom_800}

    def of_the_view(self) -> tuple[QAction, ...]:
        """Actions that only concern the display of the picture."""
        return (
            *self.modes.actions(),
            *(self.swap, self.fit, *self.zooms().values(), self.zoom_in, self.zoom_out, self.smooth),
            *(self.inspector, self.open_reference),
        )

    def _make(self, text: str, icon_name: str, shortcut: Shortcut, *, checkable: bool = False) -> QAction:
        action = QAction(text, self)
        if icon_name:
            action.setIcon(icon(icon_name))
        if shortcut:
            action.setShortcut(QKeySequence(shortcut))
        action.setCheckable(checkable)
        # A menu has room for either the icon or the check mark.
        action.setIconVisibleInMenu(not checkable)
        action.setToolTip(tooltip(action))
        return action

    def _group(self, *actions: QAction) -> QActionGroup:
        group = QActionGroup(self)
        for action in actions:
            group.addAction(action)
        return group


def tooltip(action: QAction, reason: str = "") -> str:
    """Return an action's text, its shortcut, and why it is disabled now."""
    words = action.text().rstrip("…")
    keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
    words = f"{words} ({keys})" if keys else words
    return f"{words}: {reason}" if reason else words


def allow(action: QAction, allowed: bool, reason: str) -> None:
    """Enable an action, or disable it and say why."""
    action.setEnabled(allowed)
    action.setToolTip(tooltip(action, "" if allowed else reason))
