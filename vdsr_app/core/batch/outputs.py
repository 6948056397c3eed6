"""What stands where results are to go, by the disk and the journal."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from vdsr_app.core.batch.items import Item
from vdsr_app.core.batch.journal import digest_of, recipe_of
from vdsr_app.core.batch.journal_view import JournalView, stamp_of
from vdsr_app.core.batch.scan import Scanner
from vdsr_app.core.job import UpscaleSettings
from vdsr_app.core.models import find_model


class KnownOutputs:
    """The `Outputs` of a real batch.

    Attributes:
        scanner: knows the sources.
    """

    def __init__(self, settings: UpscaleSettings, journal: JournalView | None = None) -> None:
        """Look at no file yet.

        Args:
            settings: of the batch.
            journal: of its output folder; without one nothing there counts as made by this program.
        """
        self._settings = settings
        self._journal = journal
        self._digests: dict[str, str] = {}
        self.scanner: Scanner | None = None

    def exists(self, path: Path) -> bool:
        """See `plan.Outputs`."""
        return os.path.lexists(path)

    def is_source(self, path: Path) -> bool:
        """See `plan.Outputs`."""
        return self.scanner is not None and self.scanner.has_found(path)

    def maker_of(self, path: Path) -> Path | None:
        """See `plan.Outputs`."""
        made = None if self._journal is None else self._journal.made(path)
        return made.source if made is not None and made.source != path and made.result == stamp_of(path) else None

    def is_current(self, path: Path, item: Item) -> bool | None:
        """See `plan.Outputs`; the source's content is read where its time alone has changed."""
        if self._journal is None:
            return None
        if self._journal.was_interrupted_at(path):
            return False
        made = self._journal.made(path)
        if made is None or stamp_of(path) != made.result:
            return None
        stamp = item.facts.stamp
        if made.recipe != self.recipe(item) or stamp is None or stamp.size != made.stamp.size:
            return False
        if stamp == made.stamp and item.source == made.source and made.digest:
            return True
        try:
            return digest_of(item.source) == made.digest
        except OSError:
            return False

    def recipe(self, item: Item) -> str:
        """See `journal.recipe_of`."""
        if item.model not in self._digests:
            with find_model(item.model).path.open("rb") as file:
                self._digests[item.model] = hashlib.file_digest(file, "sha256").hexdigest()
        return recipe_of(replace(self._settings, model=""), self._digests[item.model])
