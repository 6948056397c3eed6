"""Asks where to save a result."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QStandardPaths
from PySide6.QtWidgets import QWidget

from vdsr_app.core.formats import DEEP, USUAL_SUFFIX, WRITABLE_TITLES, format_for_path
from vdsr_app.core.job import FileFormat, SaveOptions, Target
from vdsr_app.core.naming import output_name
from vdsr_app.core.picture import Picture
from vdsr_app.errors import SaveError
from vdsr_app.gui.exporter import SaveRequest
from vdsr_app.gui.save_name import ask_for_name

translate = QCoreApplication.translate

PASTED_NAME = "pasted.png"


def suggested_path(
    picture: Picture,
    model: str,
    target: Target,
    file_format: FileFormat,
    fallback: str,
    *,
    is_sample: bool = False,
) -> Path:
    """Suggest where to save a result: beside its source.

    Args:
        picture: the source; a pasted one has no folder of its own.
        model: name of the model.
        target: requested size.
        file_format: determines the suffix.
        fallback: folder for a picture without one, or an empty string for the user's pictures folder.
        is_sample: whether the source is the program's sample, which has a name but no folder where results belong.
    """
    source = picture.source.path
    name = output_name(source or Path(PASTED_NAME), model, target, file_format)
    if source is not None and not is_sample and os.access(source.parent, os.W_OK):
        return source.parent / name
    if fallback and Path(fallback).is_dir():
        return Path(fallback) / name
    pictures = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.PicturesLocation)
    return Path(pictures if Path(pictures).is_dir() else Path.home()) / name


def request_for(path: Path, options: SaveOptions) -> SaveRequest:
    """Return what to write for a chosen name: a known suffix sets the format, else that of `options` is appended."""
    file_format = options.format_or_default
    try:
        chosen = format_for_path(path)
    except SaveError:
        chosen = file_format
        path = path.with_name(path.name + USUAL_SUFFIX[file_format])
    return SaveRequest(path, replace(options, format=chosen, bits=options.bits if chosen in DEEP else None))


def ask_where(parent: QWidget, suggested: Path, options: SaveOptions, source: Path | None) -> SaveRequest | None:
    """Ask for a name until one is given that overwrites nothing unconfirmed, or the user cancels."""
    file_format = options.format_or_default
    path = ask_for_name(
        parent,
        translate("SaveDialog", "Save the result as"),
        suggested,
        f"{WRITABLE_TITLES[file_format]} (*{USUAL_SUFFIX[file_format]});;"
        + translate("SaveDialog", "All files")
        + " (*)",
        lambda chosen: request_for(chosen, options).path,
        source,
    )
    return None if path is None else request_for(path, options)
