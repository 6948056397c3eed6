"""Answers the window's questions, which otherwise wait for the user."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QMessageBox


def answer(monkeypatch: pytest.MonkeyPatch, text: str, *, tick: bool = False) -> list[str]:
    """Press this button in all following questions; returns the list of their texts."""
    asked: list[str] = []

    def press(box: QMessageBox) -> int:
        asked.append(box.text())
        if tick:
            box.checkBox().setChecked(True)
        next(button for button in box.buttons() if button.text().replace("&", "") == text).click()
        return 0

    monkeypatch.setattr(QMessageBox, "exec", lambda box: press(box))
    return asked
