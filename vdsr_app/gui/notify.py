"""Notifies the user outside the window that long-running work has ended."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QSystemTrayIcon, QWidget

_SHOWN_MS = 20_000


def notify(window: QWidget, title: str, text: str) -> None:
    """Flash the window's task bar button and show a desktop notification, unless the window is active."""
    if window.isActiveWindow():
        return
    QApplication.alert(window)
    if QSystemTrayIcon.isSystemTrayAvailable() and QSystemTrayIcon.supportsMessages():
        icon = QSystemTrayIcon(window.windowIcon(), window)
        icon.messageClicked.connect(window.activateWindow)
        icon.show()
        icon.showMessage(title, text)
        QTimer.singleShot(_SHOWN_MS, icon, icon.deleteLater)
