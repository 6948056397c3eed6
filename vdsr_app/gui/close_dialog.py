"""Questions asked on closing the window: what to do about unfinished saving, renaming, training or batches."""

from __future__ import annotations

from enum import Enum, auto

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QCheckBox, QMessageBox, QWidget

from vdsr_app.gui.parts import question
from vdsr_app.gui.texts import file_name, printable

translate = QCoreApplication.translate


class CloseAnswer(Enum):
    """The user's choice."""

    WAIT = auto()
    QUIT = auto()
    STAY = auto()


def ask_about_saving(parent: QWidget, path: str) -> CloseAnswer:
    """Ask whether to wait until the file at `path` is saved."""
    return _ask_whether_to_wait(
        parent,
        translate("CloseDialog", "{name} is not saved yet.").format(name=file_name(path)),
        translate("CloseDialog", "Quitting now cancels this; an existing file of that name is kept."),
    )


def ask_about_renaming(parent: QWidget) -> CloseAnswer:
    """Ask whether to wait until the new name of a run is on disk."""
    return _ask_whether_to_wait(
        parent,
        translate("CloseDialog", "The new name of a training run is not saved yet."),
        translate("CloseDialog", "Quitting now discards it; the run keeps its old name."),
    )


def _ask_whether_to_wait(parent: QWidget, text: str, more: str) -> CloseAnswer:
    box = _question(parent, text, more)
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


class TrainingAnswer(Enum):
    """The user's choice about a run that is training."""

    KEEP_TRAINING = auto()
    SAVE = auto()
    STAY = auto()


def ask_about_training(parent: QWidget, title: str) -> tuple[TrainingAnswer, bool]:
    """Ask what to do about the run of that title.

    Returns:
        The answer, and whether to remember it.
    """
    box = _question(
        parent,
        translate("CloseDialog", "“{name}” is still training.").format(name=printable(title)),
        translate("CloseDialog", "It can continue without the window; start the program again to see its progress."),
    )
    remember = QCheckBox(translate("CloseDialog", "Always do this"))
    remember.setToolTip(translate("CloseDialog", "You can change this again below the curves of a run"))
    box.setCheckBox(remember)
    keep_training = box.addButton(translate("CloseDialog", "Keep training"), QMessageBox.ButtonRole.AcceptRole)
    save = box.addButton(translate("CloseDialog", "Save and stop"), QMessageBox.ButtonRole.DestructiveRole)
    stay = box.addButton(translate("CloseDialog", "Stay"), QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(keep_training)
    box.setEscapeButton(stay)
    box.exec()
    box.deleteLater()
    clicked = box.clickedButton()
    if clicked is stay or clicked is None:
        return TrainingAnswer.STAY, False
    answer = TrainingAnswer.SAVE if clicked is save else TrainingAnswer.KEEP_TRAINING
    return answer, remember.isChecked()


def ask_about_batch(parent: QWidget, paused: bool) -> bool:
    """Ask whether a running or paused batch may be stopped."""
    box = _question(
        parent,
        translate("CloseDialog", "A batch is paused.") if paused else translate("CloseDialog", "A batch is running."),
        translate("CloseDialog", "Finished results are kept, and it can be resumed when you start the program again."),
    )
    leave = box.addButton(translate("CloseDialog", "Stop and quit"), QMessageBox.ButtonRole.AcceptRole)
    stay = box.addButton(translate("CloseDialog", "Stay"), QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(stay)
    box.setEscapeButton(stay)
    box.exec()
    box.deleteLater()
    return box.clickedButton() is leave


def _question(parent: QWidget, text: str, more: str) -> QMessageBox:
    return question(parent, translate("CloseDialog", "Quit VDSR Studio?"), text, more)
