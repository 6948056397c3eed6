"""Which pictures a batch has, and what it will do with each: the same for one that runs and one that only plans."""

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
"""Tells what is known of a source, as `plan.probe_source` does."""


class Survey:
    """Finds the pictures of one batch and has each decided on; remembers both, also from call to call.

    Attributes:
        outputs: what stands where results are to go.
    """

    def __init__(self, options: BatchOptions, journal: JournalView | None, probe: Prober) -> None:
        """Nothing is read yet.

        Args:
            options: what to do.
            journal: of the output folder, None where there is none.
            probe: looks at a source.

        Raises:
            UsageError: the template cannot be used, or the wished size is none.
        """
        self.outputs = KnownOutputs(options.settings, journal)
        self._planner = Planner(options, self.outputs)
        self._scanner = Scanner(options.output, recursive=options.recursive)
        self.outputs.scanner = self._scanner
        self._probe = probe
        self._before: set[Path] = set()

    def go_on_from(self, items: Sequence[Item], *, retry_failed: bool) -> list[Item]:
        """Take in the pictures of a batch that was begun before; they are not found once more.

        Args:
            items: as its journal has them.
            retry_failed: what failed is done again.

        Returns:
            They, as they are from now on: what was at work is queued, since nobody knows how far it came.
        """
        again = (State.WORKING, State.FAILED) if retry_failed else (State.WORKING,)
        items = [replace(item, state=State.QUEUED, note="") if item.state in again else item for item in items]
        self._planner.go_on_from(items)
        self._before = {item.source for item in items}
        return items

    def find(self, inputs: Sequence[Path], token: CancelToken) -> list[Found]:
        """The pictures of some files and folders that were not found before, in the order in which to decide on them.

        Raises:
            Cancelled: through `token`.
        """
        found = [each for each in self._scanner.scan(inputs, token) if each.path not in self._before]
        return self._planner.expect(found)

    def decide(self, found: Found) -> Item:
        """Decide on a picture that was found."""
        return self._planner.plan(found, self._probe(found.path))

    def look_again(self, item: Item) -> Item:
        """Decide anew on a picture, as time has passed."""
        if stamp_of(item.source) != item.facts.stamp or item.target is None:
            return self._planner.plan_again(item, self._probe(item.source))
        return self._planner.check_again(item)
