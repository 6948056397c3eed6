"""Asks what shall become of a file that is being saved when the window is closed."""

from __future__ import annotations

from enum import Enum, auto

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from vdsr_app.gui.texts import file_name

translate = QCoreApplication.translate


class CloseAnswer(Enum):
    """What the person wants."""

    WAIT = auto()
    QUIT = auto()
    STAY = auto()


def ask_about_saving(parent: QWidget, path: str) -> CloseAnswer:
    """Ask; `path` is the file that is not finished."""
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle(translate("CloseDialog", "Quit VDSR Studio?"))
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(translate("CloseDialog", "{name} is not saved yet.").format(name=file_name(path)))
    box.setInformativeText(
        translate("CloseDialog", "Quitting now gives it up; an earlier file of that name stays as it is.")
    )
    wait = box.addButton(translate("CloseDialog", "Save, then quit"), QMessageBox.ButtonRole.AcceptRole)
    leave = box.addButton(translate("CloseDialog", "Quit now"), QMessageBox.ButtonRole.DestructiveRole)
    stay = box.addButton(translate("CloseDialog", "Stay"), QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(wait)
    box.setEscapeButton(stay)
    box.exec()
    box.deleteLater()
    clicked = box.clickedButton()
    if clicked is wait:
        return CloseAnswer.WAIT
    return CloseAnswer.QUIT if clicked is leave else CloseAnswer.STAY
