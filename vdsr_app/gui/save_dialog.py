"""Asks where to save, with every way to lose a file made explicit."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QStandardPaths, Qt
from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from vdsr_app.core.job import FileFormat, SaveOptions, Target
from vdsr_app.core.naming import SUFFIXES, format_of, output_name, refuse_overwriting_a_source
from vdsr_app.core.picture import Picture
from vdsr_app.errors import SaveError, UsageError
from vdsr_app.gui.export_panel import DEEP
from vdsr_app.gui.exporter import SaveRequest
from vdsr_app.gui.texts import file_name

translate = QCoreApplication.translate

PASTED_NAME = "pasted.png"


def suggested_path(picture: Picture, model: str, target: Target, file_format: FileFormat, fallback: str) -> Path:
    """Where a result is offered to be saved: beside its source.

    Args:
        picture: the source; a pasted one has no place of its own.
        model: name of the model.
        target: wished size.
        file_format: decides the ending.
        fallback: folder for a picture without a place, or an empty string for the person's pictures.
    """
    source = picture.source.path
    name = output_name(source or Path(PASTED_NAME), model, target, file_format)
    if source is not None and os.access(source.parent, os.W_OK):
        return source.parent / name
    if fallback and Path(fallback).is_dir():
        return Path(fallback) / name
    pictures = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.PicturesLocation)
    return Path(pictures if Path(pictures).is_dir() else Path.home()) / name


def request_for(path: Path, options: SaveOptions) -> SaveRequest:
    """What to write for a chosen name: a known ending decides the format, else that of `options` is appended."""
    wished = options.format or FileFormat.PNG
    try:
        chosen = format_of(path)
    except UsageError:
        chosen = wished
        path = path.with_name(path.name + SUFFIXES[wished])
    return SaveRequest(path, replace(options, format=chosen, bits=options.bits if chosen in DEEP else None))


def ask_where(parent: QWidget, suggested: Path, options: SaveOptions, source: Path | None) -> SaveRequest | None:
    """Ask for a name until one is given that loses nothing unasked, or the person gives up."""
    wished = options.format or FileFormat.PNG
    while True:
        chosen, _ = QFileDialog.getSaveFileName(
            parent,
            translate("SaveDialog", "Save the result as"),
            str(suggested),
            f"{wished.value.upper()} (*{SUFFIXES[wished]});;" + translate("SaveDialog", "All files") + " (*)",
            # The dialog knows neither the ending that is appended nor the source; so it is asked below, once.
            options=QFileDialog.Option.DontConfirmOverwrite,
        )
        if not chosen:
            return None
        request = request_for(Path(chosen), options)
        if _may_write(parent, request.path, source):
            return request
        suggested = request.path


def _may_write(parent: QWidget, path: Path, source: Path | None) -> bool:
    if source is not None:
        try:
            refuse_overwriting_a_source(path, [source])
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
            translate("SaveDialog", "{name} exists already.").format(name=file_name(path)),
            translate("SaveDialog", "Saving under this name replaces it."),
            translate("SaveDialog", "Replace"),
        )
    return True


def _confirm(parent: QWidget, text: str, explanation: str, yes: str) -> bool:
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Warning)
    box.setWindowTitle(translate("SaveDialog", "Replace a file?"))
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(text)
    box.setInformativeText(explanation)
    replace_button = box.addButton(yes, QMessageBox.ButtonRole.DestructiveRole)
    other = box.addButton(translate("SaveDialog", "Choose another name"), QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(other)
    box.setEscapeButton(other)
    box.exec()
    box.deleteLater()
    return box.clickedButton() is replace_button
