"""Which pictures a batch has and what it will do with each: shared by running and by planning only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from vdsr_app.control import CancelToken
from vdsr_app.core.batch.items import Item, SourceFacts, State
from vdsr_app.core.batch.journal_view import JournalView, stamp_of
from vdsr_app.core.batch.options import BatchOptions
from vdsr_app.core.batch.outputs import KnownOutputs
from vdsr_app.core.batch.plan import Planner
from vdsr_app.core.batch.scan import Found, Scanner

Prober = Callable[[Path], SourceFacts]
"""Returns what is known about a source, as `plan.probe_source` does."""


class Survey:
    """Finds the pictures of one batch and decides on each; remembers both across calls.

    Attributes:
        outputs: what exists at the paths of results.
    """

    def __init__(self, options: BatchOptions, journal: JournalView | None, probe: Prober) -> None:
        """Create a survey without reading anything yet.

        Args:
            options: what to do.
            journal: of the output folder, None if there is none.
            probe: inspects a source.

        Raises:
            UsageError: the template cannot be used.
        """
        self.outputs = KnownOutputs(options.settings, journal)
        self._planner = Planner(options, self.outputs)
        self._scanner = Scanner(options.output, recursive=options.recursive)
        self.outputs.scanner = self._scanner
        self._probe = probe
        self._before: set[Path] = set()

    def resume_from(self, items: Sequence[Item], *, retry_failed: bool) -> list[Item]:
        """Take over the pictures of a batch begun earlier; they are not found again.

        Args:
            items: as recorded in its journal.
            retry_failed: whether failed pictures are tried again.

        Returns:
            The pictures as they are from now on: those in progress are queued again, as how far they came is unknown.
        """
        again = (State.WORKING, State.FAILED) if retry_failed else (State.WORKING,)
        items = [replace(item, state=State.QUEUED, note="") if item.state in again else item for item in items]
        self._planner.resume_from(items)
        self._before = {item.source for item in items}
        return items

    def find(self, inputs: Sequence[Path], token: CancelToken) -> list[Found]:
        """The pictures in files and folders that were not found before, in the order in which to decide on them.

        Raises:
            Cancelled: through `token`.
        """
        found = [each for each in self._scanner.scan(inputs, token) if each.path not in self._before]
        return self._planner.expect(found)

    def decide(self, found: Found) -> Item:
        """Decide on a picture that was found."""
        return self._planner.plan(found, self._probe(found.path))

    def look_again(self, item: Item) -> Item:
        """Decide again on a picture, as time has passed."""
        if stamp_of(item.source) != item.facts.stamp or item.target is None:
            return self._planner.plan_again(item, self._probe(item.source))
        return self._planner.check_again(item)
