"""Asks for the name of a file to write, and confirms every loss of an existing one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from vdsr_app.core.naming import refuse_overwriting_source
from vdsr_app.errors import SaveError
from vdsr_app.gui.parts import ask
from vdsr_app.gui.texts import file_name

translate = QCoreApplication.translate


def with_ending(path: Path, ending: str) -> Path:
    """Append `ending` ("." and lower-case letters) to the path, unless it already has it in any letter case."""
    return path if path.suffix.lower() == ending else path.with_name(path.name + ending)


def ask_for_name(
    parent: QWidget,
    title: str,
    suggested: Path,
    kinds: str,
    complete: Callable[[Path], Path],
    source: Path | None = None,
) -> Path | None:
    """Ask for a name until one is given that overwrites nothing unconfirmed, or the user cancels.

    Args:
        parent: parent window of the dialogs.
        title: title of the dialog.
        suggested: initial path.
        kinds: name filters in the syntax of `QFileDialog`.
        complete: returns the path to write for a chosen one, with its suffix if that was left out.
        source: the open picture.

    Returns:
        The complete path, or None.
    """
    while True:
        chosen, _ = QFileDialog.getSaveFileName(
            parent,
            title,
            str(suggested),
            kinds,
            # The dialog knows neither the suffix to be appended nor the source; so it is confirmed below, once.
            options=QFileDialog.Option.DontConfirmOverwrite,
        )
        if not chosen:
            return None
        path = complete(Path(chosen))
        if _may_write(parent, path, source):
            return path
        suggested = path


def _may_write(parent: QWidget, path: Path, source: Path | None) -> bool:
    if source is not None:
        try:
            refuse_overwriting_source(path, [source])
        except SaveError:
            return _confirm(
                parent,
                translate("SaveDialog", "{name} is the picture you opened.").format(name=file_name(path)),
                translate(
                    "SaveDialog",
                    "Saving under this name replaces the original with the result. The original cannot be restored.",
                ),
                translate("SaveDialog", "Replace the original"),
            )
    if path.exists():
        return _confirm(
            parent,
            translate("SaveDialog", "{name} already exists.").format(name=file_name(path)),
            translate("SaveDialog", "Saving under this name replaces it."),
            translate("SaveDialog", "Replace"),
        )
    return True


def _confirm(parent: QWidget, text: str, explanation: str, yes: str) -> bool:
    title, other = translate("SaveDialog", "Replace a file?"), translate("SaveDialog", "Choose another name")
    return ask(parent, title, text, explanation, yes, other, QMessageBox.Icon.Warning)
