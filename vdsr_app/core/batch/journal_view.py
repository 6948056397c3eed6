"""Read access to the journal of an output folder without holding it: a batch may begin there at any moment."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vdsr_app.core.batch.items import Item, Stamp, State
from vdsr_app.core.batch.journal_rows import item_of, options_from_json, to_bytes, to_path
from vdsr_app.core.batch.options import BatchOptions
from vdsr_app.errors import SaveError, UsageError, VdsrError

logger = logging.getLogger(__name__)

FILE_NAME = ".vdsr-batch.sqlite3"
FORMAT = 3
FORMATS = (1, 2, FORMAT)
"""Supported formats. In format 1, `begun` described the file that was there before; before 3, paths were absolute."""

LOCK_WAIT_S = 1.0
"""How long to wait for a reader, which locks the file only during a query; a batch locks it until its end."""


@dataclass(frozen=True, slots=True)
class Made:
    """How a result was made.

    Attributes:
        source: file that it was made from.
        stamp: state of the source.
        digest: of the source's content.
        recipe: see `journal.recipe_of`.
        result: state of the result when it was finished.
    """

    source: Path
    stamp: Stamp
    digest: bytes
    recipe: str
    result: Stamp


class JournalView:
    """Queries on an open journal. Safe to use from any thread.

    Every query raises a `UsageError` if a batch has begun to write into the folder meanwhile, and a `SaveError` if the
    file cannot be read.
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        """Wrap an open connection to the journal of `folder`; the caller closes it."""
        self._folder = folder.absolute()
        self._lock = threading.Lock()
        self._connection = connection

    def options(self) -> BatchOptions | None:
        """The options of the batch in the journal; None if there is none or another version wrote them."""
        rows = self._rows("SELECT value FROM facts WHERE name = 'options'")
        try:
            return options_from_json(self._folder, json.loads(rows[0][0])) if rows else None
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError, UsageError):
            logger.warning("The options of the batch in %s cannot be read.", self._folder, exc_info=True)
            return None

    def inputs(self) -> list[Path]:
        """The input files and folders of the batch."""
        rows = self._rows("SELECT value FROM facts WHERE name = 'inputs'")
        with self._malformed_as_damage():
            return [to_path(bytes.fromhex(each), self._folder) for each in json.loads(rows[0][0])] if rows else []

    @property
    def unfinished(self) -> bool:
        """Whether a batch was started and did not run to its end."""
        return bool(self._rows("SELECT 1 FROM facts WHERE name = 'unfinished'"))

    def items(self, *states: State) -> Iterator[Item]:
        """The pictures of the batch, in order: those in one of `states`, or all."""
        wanted = states or tuple(State)
        marks, last = ", ".join("?" * len(wanted)), -1
        while True:
            rows = self._rows(
                f"SELECT * FROM items WHERE state IN ({marks}) AND number > ? ORDER BY number LIMIT 500",
                (*(str(state) for state in wanted), last),
            )
            if not rows:
                return
            last = rows[-1][0]
            with self._malformed_as_damage():
                items = [item_of(row, self._folder) for row in rows]
            yield from items

    def counts(self) -> dict[State, int]:
        """Number of pictures in each state."""
        rows = self._rows("SELECT state, COUNT(*) FROM items GROUP BY state")
        with self._malformed_as_damage():
            found = {State(state): count for state, count in rows}
        return {state: found.get(state, 0) for state in State}

    def made(self, output: Path) -> Made | None:
        """How a result was made; None if it was not made by a batch in this folder."""
        rows = self._rows_of("made", output)
        if not rows:
            return None
        with self._malformed_as_damage():
            _, source, size, mtime_ns, digest, recipe, out_size, out_mtime_ns = rows[0]
            place = to_path(source, self._folder)
        return Made(place, Stamp(size, mtime_ns), digest, recipe, Stamp(out_size, out_mtime_ns))

    def was_interrupted_at(self, output: Path) -> bool:
        """Whether the file there now is a result that was renamed into place but never recorded as finished."""
        if self._rows("PRAGMA user_version") == [(1,)]:
            return False
        rows = self._rows_of("begun", output)
        return bool(rows) and stamp_of(output) == Stamp(*rows[0][1:])

    def _rows_of(self, table: str, output: Path) -> list[tuple[Any, ...]]:
        """Rows of a table for a result, which earlier formats store under its absolute path."""
        names = (to_bytes(output, self._folder), to_bytes(output))
        return self._rows(f"SELECT * FROM {table} WHERE output IN (?, ?) ORDER BY length(output)", names)

    def _rows(self, question: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._connection.execute(question, values).fetchall()
            except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                raise journal_error(self._folder, error) from error

    @contextlib.contextmanager
    def _malformed_as_damage(self) -> Iterator[None]:
        """Treat malformed values as damage too: SQLite returns whatever it finds."""
        try:
            yield
        except (TypeError, ValueError, RecursionError) as error:
            raise journal_error(self._folder, error) from error


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[JournalView | None]:
    """Open the journal of a folder for reading only; yields None if there is none of a supported format.

    Raises:
        UsageError: a batch is writing into this folder.
        SaveError: the file cannot be read.
    """
    file = folder / FILE_NAME
    if not os.path.exists(file):
        yield None
        return
    with contextlib.closing(sqlite3.connect(file, timeout=LOCK_WAIT_S, check_same_thread=False)) as connection:
        connection.isolation_level = None  # autocommit, so that the file is free between queries
        yield JournalView(folder, connection) if _is_journal(folder, connection) else None


def _is_journal(folder: Path, connection: sqlite3.Connection) -> bool:
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if isinstance(error, sqlite3.OperationalError):
            raise journal_error(folder, error) from error
        version = None
    if version not in (0, *FORMATS):
        logger.warning("The journal of %s cannot be read.", folder)
    return version in FORMATS


def journal_error(folder: Path, error: Exception) -> VdsrError:
    """Why the journal of `folder` cannot be read, as an error for the user.

    Args:
        folder: of the journal.
        error: from SQLite, or from parsing a stored value.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # primary result code, without the extended bits
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return UsageError(
            "Another batch is writing into this folder.",
            hint=f"Wait until it has ended, or choose another folder than {folder}.",
        )
    # For a damaged file, messages of SQLite and Python quote fragments of it, which mean nothing to the user.
    if not isinstance(error, sqlite3.OperationalError) or not str(error).isprintable():
        return SaveError(
            "The journal of this folder is damaged.", path=folder / FILE_NAME, hint="Delete it, then start again."
        )
    return SaveError(
        f"The journal of this folder cannot be read: {error}.", path=folder / FILE_NAME, hint="Choose another folder."
    )


def stamp_of(path: Path) -> Stamp | None:
    """State of a file, None if it does not exist."""
    try:
        return Stamp.of(path.stat())
    except (OSError, ValueError):
        return None
