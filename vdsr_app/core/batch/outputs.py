"""What exists at the paths of results, according to disk and journal."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from vdsr_app.core.batch.items import Item, Stamp
from vdsr_app.core.batch.journal import digest_of, recipe_of
from vdsr_app.core.batch.journal_view import JournalView, Made, stamp_of
from vdsr_app.core.batch.scan import Scanner
from vdsr_app.core.identity import same_file
from vdsr_app.core.job import UpscaleSettings
from vdsr_app.core.models import find_model, model_digest


class KnownOutputs:
    """The `Outputs` of a real batch.

    Attributes:
        scanner: has found the sources; None until set.
    """

    def __init__(self, settings: UpscaleSettings, journal: JournalView | None = None) -> None:
        """Store the settings; access no file yet.

        Args:
            settings: of the batch.
            journal: of its output folder; without one, nothing there counts as made by this program.
        """
        self._settings = settings
        self._journal = journal
        self._digests: dict[str, str] = {}
        self._last_read: tuple[Path, Stamp | None, bytes] | None = None
        self.scanner: Scanner | None = None

    def exists(self, path: Path) -> bool:
        """See `plan.Outputs`."""
        return os.path.lexists(path)

    def is_source(self, path: Path) -> bool:
        """See `plan.Outputs`."""
        return self.scanner is not None and self.scanner.has_found(path)

    def maker_of(self, path: Path) -> Path | None:
        """See `plan.Outputs`."""
        made = self._result_at(path)
        return made.source if made is not None and made.source != path else None

    def is_of_another(self, path: Path, source: Path) -> bool:
        """See `plan.Outputs`. Paths of sources are not enough, as folders get moved: contents are compared too."""
        made = self._result_at(path)
        return made is not None and not self._is_same_picture(made, source)

    def is_current(self, path: Path, item: Item) -> bool | None:
        """See `plan.Outputs`. The source's content is read if only its time or path has changed."""
        if self._journal is None:
            return None
        if self._journal.was_interrupted_at(path):
            return False
        made = self._result_at(path)
        if made is None or not self._is_same_picture(made, item.source):
            return None
        stamp = item.facts.stamp
        if made.recipe != self.recipe(item) or stamp is None or stamp.size != made.stamp.size:
            return False
        if stamp == made.stamp and item.source == made.source and made.digest:
            return True
        try:
            return self._digest(item.source) == made.digest
        except OSError:
            return False

    def recipe(self, item: Item) -> str:
        """See `journal.recipe_of`; a model counts as its file was at the first call.

        Raises:
            WeightsError: there is no such model, or its file cannot be read.
        """
        if item.model not in self._digests:
            self._digests[item.model] = model_digest(find_model(item.model).path)
        return recipe_of(replace(self._settings, model=""), self._digests[item.model])

    def _result_at(self, path: Path) -> Made | None:
        """How the file there was made, if it is a result that has not been changed since."""
        made = None if self._journal is None else self._journal.made(path)
        return made if made is not None and made.result == stamp_of(path) else None

    def _is_same_picture(self, made: Made, source: Path) -> bool:
        """Whether a result was made from `source`, in whatever state, or from a copy of it elsewhere."""
        if made.source == source:
            return True
        try:
            if os.path.exists(made.source) and same_file(made.source, source):
                return True
            return source.stat().st_size == made.stamp.size and self._digest(source) == made.digest
        except OSError:  # planning reports that it cannot be read
            return True

    def _digest(self, source: Path) -> bytes:
        """Digest of a source, cached for consecutive calls on the same file in the same state."""
        stamp, last = stamp_of(source), self._last_read
        if last is None or last[:2] != (source, stamp):
            last = self._last_read = source, stamp, digest_of(source)
        return last[2]
