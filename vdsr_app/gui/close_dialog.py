"""Asks what shall become of a file that is being saved when the window is closed."""

from __future__ import annotations

from enum import Enum, auto

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from vdsr_app.gui.texts import file_name


class CloseAnswer(Enum):
    """What the person wants."""

    WAIT = auto()
    QUIT = auto()
    STAY = auto()


def ask_about_saving(parent: QWidget, path: str) -> CloseAnswer:
    """Ask; `path` is the file that is not finished."""
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle(_tr("Quit VDSR Studio?"))
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(_tr("{name} is not saved yet.").format(name=file_name(path)))
    box.setInformativeText(_tr("Quitting now gives it up; an earlier file of that name stays as it is."))
    wait = box.addButton(_tr("Save, then quit"), QMessageBox.ButtonRole.AcceptRole)
    leave = box.addButton(_tr("Quit now"), QMessageBox.ButtonRole.DestructiveRole)
    stay = box.addButton(_tr("Stay"), QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(wait)
    box.setEscapeButton(stay)
    box.exec()
    box.deleteLater()
    clicked = box.clickedButton()
    if clicked is wait:
        return CloseAnswer.WAIT
    return CloseAnswer.QUIT if clicked is leave else CloseAnswer.STAY


def _tr(text: str) -> str:
    return QCoreApplication.translate("CloseDialog", text)
