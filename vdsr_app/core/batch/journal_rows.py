"""Items and options as the journal stores them.

Paths below the journal's folder are stored relative to it, so that the folder can be moved.
"""

from __future__ import annotations

import os
from pathlib import Path

from vdsr_app.core.batch.items import Item, SourceFacts, Stamp, State
from vdsr_app.core.batch.options import BatchOptions, Existing, settings_from_json, settings_to_json
from vdsr_app.core.compression import Compression
from vdsr_app.core.formats import SourceFormat
from vdsr_app.core.job import TargetSize


def row_of(item: Item, folder: Path) -> tuple[object, ...]:
    """Column values for table `items`, in order, for the journal of `folder`."""
    facts, target = item.facts, item.target
    stamp = facts.stamp
    return (
        item.number,
        to_bytes(item.source, folder),
        to_bytes(item.output, folder),
        None if stamp is None else stamp.size,
        None if stamp is None else stamp.mtime_ns,
        facts.width,
        facts.height,
        facts.bits,
        facts.has_alpha,
        None if facts.compression is None else str(facts.compression),
        None if target is None else target.width,
        None if target is None else target.height,
        None if target is None else target.scale,
        _stored_text(item.model),
        str(item.state),
        _stored_text(item.note),
        item.disk_bytes,
        item.seconds,
    )


def item_of(row: tuple[object, ...], folder: Path) -> Item:
    """Inverse of `row_of`; `folder` is where the journal is now."""
    number, source, output, size, mtime_ns, width, height, bits, has_alpha, compression = row[:10]
    out_width, out_height, scale, model, state, note, disk_bytes, seconds = row[10:]
    stamp = None if size is None else Stamp(size, mtime_ns)  # type: ignore[arg-type]
    facts = SourceFacts(stamp, width, height, bits, bool(has_alpha), _compression(compression))  # type: ignore[arg-type]
    target = None if out_width is None else TargetSize(out_width, out_height, scale)  # type: ignore[arg-type]
    return Item(
        number,  # type: ignore[arg-type]
        to_path(source, folder),  # type: ignore[arg-type]
        to_path(output, folder),  # type: ignore[arg-type]
        facts,
        target,
        _text(model),
        State(state),  # type: ignore[arg-type]
        _text(note),
        disk_bytes,  # type: ignore[arg-type]
        seconds,  # type: ignore[arg-type]
    )


def _stored_text(text: str) -> str | bytes:
    """Text as SQLite takes it: as bytes if it names a file whose name is not valid Unicode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return os.fsencode(text)
    return text


def _text(stored: object) -> str:
    """Inverse of `_stored_text`."""
    return os.fsdecode(stored) if isinstance(stored, bytes) else str(stored)


def _compression(stored: object) -> Compression | None:
    """Parse a stored compression; journals of earlier versions have a plain number for JPEG."""
    if stored is None:
        return None
    return Compression(SourceFormat.JPEG, stored) if isinstance(stored, int) else Compression.parse(str(stored))


def options_to_json(options: BatchOptions) -> dict[str, object]:
    """Options as plain values, without the output folder, which is the journal's own."""
    return {
        "settings": settings_to_json(options.settings),
        "recursive": options.recursive,
        "template": options.template,
        "existing": str(options.existing),
    }


def options_from_json(folder: Path, content: dict[str, object]) -> BatchOptions:
    """Inverse of `options_to_json`.

    Raises:
        KeyError, TypeError, ValueError, UsageError: `content` is not of that form.
    """
    return BatchOptions(
        folder,
        settings_from_json(content["settings"]),  # type: ignore[arg-type]
        bool(content["recursive"]),
        str(content["template"]),
        Existing(str(content["existing"])),
    )


def to_bytes(path: Path, folder: Path | None = None) -> bytes:
    """A path in the system's encoding, which need not be valid text; relative if it lies below `folder`."""
    return os.fsencode(path.relative_to(folder) if folder is not None and path.is_relative_to(folder) else path)


def to_path(name: bytes, folder: Path = Path()) -> Path:
    """Inverse of `to_bytes`."""
    return folder / os.fsdecode(name)
