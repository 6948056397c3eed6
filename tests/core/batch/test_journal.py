"""Journal: files damaged by a disk or by hand, files of earlier versions, and the compression of sources."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from vdsr_app.core.batch import unfinished
from vdsr_app.core.batch.items import Item, SourceFacts, Stamp
from vdsr_app.core.batch.journal import Journal
from vdsr_app.core.batch.journal_view import FILE_NAME, JournalView, reading
from vdsr_app.core.batch.options import BatchOptions
from vdsr_app.core.compression import Compression
from vdsr_app.core.formats import SourceFormat
from vdsr_app.core.job import TargetSize
from vdsr_app.errors import SaveError

FACTS = SourceFacts(Stamp(5, 5), 8, 8, 8, False, None)
ITEM = Item(0, Path("/in/a.png"), Path("/out/a.png"), FACTS, TargetSize(16, 16, 2.0), "vdsr")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    journal = Journal(tmp_path)
    journal.begin(BatchOptions(tmp_path))
    journal.add_inputs([Path("/in")])
    journal.add([ITEM])
    journal.close()
    return tmp_path


@pytest.mark.parametrize(
    ("change", "ask"),
    [
        ("UPDATE items SET state = 'queuee'", JournalView.counts),
        ("UPDATE items SET state = x'a0'", JournalView.counts),
        ("UPDATE items SET output = 1.5", lambda view: list(view.items())),
        ("UPDATE items SET compression = 'webp much'", lambda view: list(view.items())),
        ("UPDATE facts SET value = '[1]' WHERE name = 'inputs'", JournalView.inputs),
        ("UPDATE facts SET value = '7' WHERE name = 'inputs'", JournalView.inputs),
        ("UPDATE facts SET value = '' WHERE name = 'inputs'", JournalView.inputs),
    ],
)
def test_reading_invalid_values_raises_a_plain_error(
    folder: Path, change: str, ask: Callable[[JournalView], object]
) -> None:
    with contextlib.closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        connection.execute(change)
        connection.commit()
    with reading(folder) as view:
        assert view is not None
        with pytest.raises(SaveError, match=r"damaged.*Delete it"):
            ask(view)


def test_source_compression_round_trips(tmp_path: Path) -> None:
    kinds = [None, Compression(SourceFormat.JPEG, 75), Compression(SourceFormat.WEBP, 0)]
    items = [replace(ITEM, number=i, facts=replace(FACTS, compression=each)) for i, each in enumerate(kinds)]
    journal = Journal(tmp_path)
    journal.begin(BatchOptions(tmp_path))
    journal.add(items)
    assert [item.facts.compression for item in journal.items()] == kinds
    journal.close()


def test_text_with_names_that_are_not_unicode_round_trips(tmp_path: Path) -> None:
    item = replace(ITEM, model="/models/caf\udce9.safetensors", note="A file caf\udce9.png already exists.")
    journal = Journal(tmp_path)
    journal.begin(BatchOptions(tmp_path))
    journal.add([item])
    assert list(journal.items()) == [item]
    journal.close()


def test_reads_jpeg_quality_numbers_of_earlier_versions(folder: Path) -> None:
    with contextlib.closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        connection.execute("ALTER TABLE items RENAME COLUMN compression TO jpeg_quality")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = replace(sql, 'jpeg_quality TEXT', 'jpeg_quality INTEGER')"
            " WHERE name = 'items'"
        )
        connection.commit()
    with contextlib.closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        connection.execute("UPDATE items SET jpeg_quality = 75")
        connection.commit()
        assert connection.execute("SELECT typeof(jpeg_quality) FROM items").fetchone() == ("integer",)
    journal = Journal(folder)
    (item,) = journal.items()
    assert item.facts.compression == Compression(SourceFormat.JPEG, 75)
    changed = replace(item, facts=replace(item.facts, compression=Compression(SourceFormat.WEBP, 60)))
    journal.add([changed])
    assert list(journal.items()) == [changed]
    journal.close()


def test_unfinished_ignores_options_nested_too_deeply(folder: Path) -> None:
    with contextlib.closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        connection.execute("UPDATE facts SET value = ? WHERE name = 'options'", ("[" * 100_000,))
        connection.commit()
    assert unfinished(folder) is None


@pytest.mark.parametrize("byte", [b"\x01", b"\xc9"])
def test_damaged_table_name_is_reported_and_the_journal_is_put_aside(folder: Path, byte: bytes) -> None:
    file = folder / FILE_NAME
    file.write_bytes(file.read_bytes().replace(b"TABLE facts", b"TABLE " + byte + b"acts"))
    with pytest.raises(SaveError, match="damaged") as caught:
        unfinished(folder)
    assert caught.value.words.isprintable()
    Journal(folder).close()
    assert unfinished(folder) is None
    assert file.with_suffix(".bak").exists()


def test_writing_to_a_damaged_page_raises_a_plain_error(folder: Path) -> None:
    file = folder / FILE_NAME
    with contextlib.closing(sqlite3.connect(file)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'items'").fetchone()
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(file.read_bytes())
    content[(page - 1) * page_bytes : page * page_bytes] = b"\xff" * page_bytes
    file.write_bytes(content)
    journal = Journal(folder)
    with contextlib.closing(journal), pytest.raises(SaveError, match="damaged"):
        journal.add([ITEM])


@pytest.mark.parametrize(
    ("setting", "words"),
    [("max_page_count = 1", r"full\. Free some space"), ("query_only = ON", r"readonly database\. Check the disk")],
)
def test_failure_to_write_gives_a_hint_that_fits_its_cause(folder: Path, setting: str, words: str) -> None:
    journal = Journal(folder)
    with contextlib.closing(journal):
        journal._connection.execute(f"PRAGMA {setting}")
        with pytest.raises(SaveError, match=words):
            journal.add([replace(ITEM, number=number, note="x" * 1000) for number in range(100)])
