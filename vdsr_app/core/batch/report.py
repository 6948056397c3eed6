"""Outcome of a batch, picture by picture, as a table for other programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from vdsr_app.core.atomic import write_atomically
from vdsr_app.core.batch.items import Item
from vdsr_app.core.batch.journal_view import reading

COLUMNS = ("source", "output", "state", "note", "width", "height", "output_width", "output_height", "model", "seconds")
REPORT_HEADER = (",".join(COLUMNS) + "\r\n").encode("utf-8-sig")
"""Start of every report; its byte order mark tells spreadsheets that it is UTF-8."""


def write_report(folder: Path, path: Path) -> None:
    """Write the outcome of the last batch in an output folder as CSV, atomically.

    The file is UTF-8 and begins with `REPORT_HEADER`. Names that are not valid Unicode are escaped.

    Raises:
        SaveError: `path` cannot be written, or the journal cannot be read.
        UsageError: a batch is running there.
    """
    with reading(folder) as journal:
        write_atomically(path, _table(() if journal is None else journal.items()))


def _table(items: Iterable[Item]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for item in items:
        target = item.target
        writer.writerow(
            (
                _shown(str(item.source)),
                _shown(str(item.output)) if item.has_output else "",
                item.state.value,
                _shown(item.note),
                *((item.facts.width, item.facts.height) if item.facts.width else ("", "")),
                *(("", "") if target is None else (target.width, target.height)),
                _shown(item.model),
                f"{item.seconds:.3f}" if item.seconds else "",
            )
        )
    return text.getvalue().encode("utf-8-sig")


def _shown(text: str) -> str:
    """A name, or text that may hold one, made encodable and safe from being taken for a formula by a spreadsheet."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return f"'{text}" if text[:1] in "=+-@" else text
