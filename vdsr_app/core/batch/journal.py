"""On-disk record of what a batch has done and still has to do: a kill at any moment loses only the picture in progress.

One SQLite file, hidden in the output folder. Table `items` holds the current batch, or the last one. Two tables persist
from batch to batch: `made` records which source, in which state, and which settings each result was made from; `begun`
records files about to be renamed into place, so that a result renamed just before a kill can be told apart from a file
that somebody else put there. The file is locked while a batch runs, so two batches never write into one folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from vdsr_app.core.batch.items import Item
from vdsr_app.core.batch.journal_rows import options_to_json, row_of, to_bytes, to_path
from vdsr_app.core.batch.journal_view import (
    FILE_NAME,
    FORMAT,
    FORMATS,
    LOCK_WAIT_S,
    JournalView,
    Made,
    journal_error,
    stamp_of,
)
from vdsr_app.core.batch.options import BatchOptions, settings_to_json
from vdsr_app.core.formats import LOSSY
from vdsr_app.core.job import SaveOptions, UpscaleSettings
from vdsr_app.errors import SaveError, UsageError

logger = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS items (
    number INTEGER PRIMARY KEY, source BLOB NOT NULL, output BLOB NOT NULL,
    size INTEGER, mtime_ns INTEGER,
    width INTEGER, height INTEGER, bits INTEGER, has_alpha INTEGER, compression TEXT,
    out_width INTEGER, out_height INTEGER, scale REAL,
    model TEXT, state TEXT NOT NULL, note TEXT NOT NULL, disk_bytes INTEGER, seconds REAL
);
CREATE INDEX IF NOT EXISTS items_by_state ON items (state, number);
CREATE TABLE IF NOT EXISTS made (
    output BLOB PRIMARY KEY, source BLOB NOT NULL, size INTEGER, mtime_ns INTEGER, digest BLOB, recipe TEXT NOT NULL,
    out_size INTEGER, out_mtime_ns INTEGER
);
CREATE TABLE IF NOT EXISTS begun (output BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER);
"""


class Journal(JournalView):
    """The journal of one output folder, open and locked. Safe to use from any thread."""

    def __init__(self, folder: Path) -> None:
        """Open the journal in `folder`, creating the folder if needed.

        Raises:
            SaveError: the folder cannot be created or written.
            UsageError: another batch is writing into this folder.
        """
        self._folder = folder.absolute()
        self._file = folder / FILE_NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SaveError(
                f"The folder cannot be made: {error.strerror}.", path=folder, hint="Choose another folder."
            ) from error
        try:
            connection = self._open()
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            connection = self._open_after(error)
        super().__init__(folder, connection)

    def close(self) -> None:
        """Release the folder."""
        with self._lock:
            # In exclusive locking mode SQLite keeps its rollback journal; it goes with the lock, at the next access.
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("PRAGMA locking_mode = NORMAL")
                self._connection.execute("SELECT 1 FROM facts").fetchone()
            self._connection.close()

    def begin(self, options: BatchOptions) -> None:
        """Start a batch: discard what is left of an earlier one, but keep the record of results."""
        with self._writing() as connection:
            connection.execute("DELETE FROM items")
            connection.execute("DELETE FROM facts")
            value = json.dumps(options_to_json(options))
            connection.executemany("INSERT INTO facts VALUES (?, ?)", [("options", value), ("unfinished", "yes")])

    def add_inputs(self, inputs: Sequence[Path]) -> None:
        """Record files and folders to be planned."""
        known = [*self.inputs(), *inputs]
        value = json.dumps([to_bytes(path, self._folder).hex() for path in known])
        with self._writing() as connection:
            connection.execute("INSERT OR REPLACE INTO facts VALUES ('inputs', ?)", (value,))

    def end(self) -> None:
        """Record that all pictures of the batch are planned and have an outcome."""
        with self._writing() as connection:
            connection.execute("DELETE FROM facts WHERE name = 'unfinished'")

    def add(self, items: Iterable[Item]) -> None:
        """Record planned pictures."""
        with self._writing() as connection:
            connection.executemany(
                f"INSERT OR REPLACE INTO items VALUES ({', '.join('?' * 18)})",
                [row_of(item, self._folder) for item in items],
            )

    def begin_work(self, item: Item) -> None:
        """Record that work on a picture begins."""
        self.add([item])

    def begin_rename(self, item: Item, finished: Path) -> None:
        """Record that a picture's result is complete and about to be renamed into place, which keeps its stamp."""
        stamp = stamp_of(finished)
        if stamp is None:
            return
        with self._writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO begun VALUES (?, ?, ?)",
                (to_bytes(item.output, self._folder), stamp.size, stamp.mtime_ns),
            )

    def settle(self, item: Item, made: Made | None = None) -> None:
        """Record a picture's outcome and, for a finished one, how it was made, in one transaction."""
        with self._writing() as connection:
            connection.execute(
                f"INSERT OR REPLACE INTO items VALUES ({', '.join('?' * 18)})", row_of(item, self._folder)
            )
            connection.execute("DELETE FROM begun WHERE output = ?", (to_bytes(item.output, self._folder),))
            if made is not None:
                connection.execute(
                    "INSERT OR REPLACE INTO made VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        to_bytes(item.output, self._folder),
                        to_bytes(made.source, self._folder),
                        made.stamp.size,
                        made.stamp.mtime_ns,
                        made.digest,
                        made.recipe,
                        made.result.size,
                        made.result.mtime_ns,
                    ),
                )

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            # A write-ahead log needs shared memory, which network drives lack; this works everywhere.
            for setting in ("locking_mode = EXCLUSIVE", "journal_mode = DELETE", "synchronous = NORMAL"):
                connection.execute(f"PRAGMA {setting}")
            connection.execute("BEGIN EXCLUSIVE")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, *FORMATS):
                raise sqlite3.DatabaseError(f"journal of format {version}")
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            if version == 1:
                connection.execute("DELETE FROM begun")
            if version in (1, 2):
                self._shorten_paths(connection)
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection

    def _shorten_paths(self, connection: sqlite3.Connection) -> None:
        """Convert the absolute paths of earlier formats to relative ones, if the folder has not been moved since."""
        columns = {"items": ("source", "output"), "made": ("source", "output"), "begun": ("output",)}
        for table, column in ((table, column) for table, names in columns.items() for column in names):
            rows = connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall()
            short = [(to_bytes(to_path(name), self._folder), row) for row, name in rows]
            connection.executemany(f"UPDATE OR REPLACE {table} SET {column} = ? WHERE rowid = ?", short)

    def _open_after(self, error: Exception) -> sqlite3.Connection:
        """Replace a damaged journal with a new one; raise an explanation if that cannot help."""
        explained = journal_error(self._folder, error)
        if isinstance(explained, UsageError):
            raise explained from error
        if isinstance(error, sqlite3.OperationalError):
            raise SaveError(
                f"The folder cannot be written: {error}.", path=self._folder, hint="Choose another folder."
            ) from error
        logger.warning("The journal of %s cannot be read and is put aside.", self._folder, exc_info=error)
        try:
            os.replace(self._file, self._file.with_suffix(".bak"))
            return self._open()
        except (OSError, sqlite3.Error) as failure:
            raise SaveError(
                "The journal of this folder is damaged.", path=self._file, hint="Delete it, then start again."
            ) from failure

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction, rolled back on any exception.

        Raises:
            SaveError: the disk is full or failed, or the file is damaged.
        """
        with self._lock:
            try:
                self._connection.execute("BEGIN")
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.OperationalError):
                    full = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL
                    hint = "Free some space." if full else "Check the disk or the network, then resume the batch."
                    raise SaveError(f"The journal cannot be written: {error}.", path=self._file, hint=hint) from error
                if isinstance(error, sqlite3.DatabaseError):
                    raise journal_error(self._folder, error) from error
                raise


def recipe_of(settings: UpscaleSettings, model_digest: str) -> str:
    """Digest of everything but the source that determines a result: equal digests, equal results.

    Args:
        settings: for this picture. The tile size is ignored, as it leaves no trace in the result, and so are options
            that the file format does not use.
        model_digest: of the model's weight file.
    """
    save = replace(settings.save, format=settings.save.format_or_default)
    if save.format not in LOSSY:
        save = replace(save, quality=SaveOptions().quality)
    content = settings_to_json(replace(settings, save=save)) | {"tile_px": None, "model": model_digest}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def digest_of(path: Path) -> bytes:
    """Short digest of a file's content.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
