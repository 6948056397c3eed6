"""Tells, outside of the window, that something long has ended."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QSystemTrayIcon, QWidget

_SHOWN_MS = 20_000


def notify(window: QWidget, title: str, text: str) -> None:
    """Light the window's button in the task bar and show a message of the desktop; nothing while it is in front."""
    if window.isActiveWindow():
        return
    QApplication.alert(window)
    if QSystemTrayIcon.isSystemTrayAvailable() and QSystemTrayIcon.supportsMessages():
        icon = QSystemTrayIcon(window.windowIcon(), window)
        icon.messageClicked.connect(window.activateWindow)
        icon.show()
        icon.showMessage(title, text)
        QTimer.singleShot(_SHOWN_MS, icon, icon.deleteLater)
