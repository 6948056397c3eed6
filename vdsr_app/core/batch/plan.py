"""What a batch will do with each picture, decided before any is read: name, size, model and disk space, or why not.

`Planner` decides without accessing files. What it must know about them comes from `probe_source` and from an `Outputs`,
which `core.batch.outputs` implements from disk and journal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from vdsr_app.core import image_io
from vdsr_app.core.batch.items import Item, SourceFacts, Stamp, State, Totals
from vdsr_app.core.batch.needs import disk_bytes, memory_bytes, scratch_bytes
from vdsr_app.core.batch.options import BatchOptions, Existing
from vdsr_app.core.batch.scan import Found
from vdsr_app.core.formats import MAX_SIDE_PX, USUAL_SUFFIX, WRITABLE_TITLES
from vdsr_app.core.job import TargetSize
from vdsr_app.core.model_choice import choose_model, photo_installed
from vdsr_app.core.naming import NameFacts, NameTemplate, collision_key
from vdsr_app.errors import VdsrError


class Outputs(Protocol):
    """What exists at the paths of results."""

    def exists(self, path: Path) -> bool:
        """Whether anything of that name exists."""

    def is_current(self, path: Path, item: Item) -> bool | None:
        """Whether the file there was made from this source, as it is now, with these settings.

        False if this program made it from another state of the source or with other settings, or has not finished it;
        None if it was made by another program or from another picture, or has been changed since.
        """

    def is_of_another(self, path: Path, source: Path) -> bool:
        """Whether the file there is a result, unchanged since, of a picture other than `source`."""

    def is_source(self, path: Path) -> bool:
        """Whether the file there is one of the sources, under whatever name."""

    def maker_of(self, path: Path) -> Path | None:
        """The other file that this one was made from, if it is a result that has not been changed since; else None."""


class Planner:
    """Plans the pictures of one batch, including those added later."""

    def __init__(self, options: BatchOptions, outputs: Outputs) -> None:
        """Create a planner with nothing planned yet.

        Raises:
            UsageError: the template cannot be used.
        """
        self._options = options
        self._outputs = outputs
        self._template = NameTemplate(options.template)
        self._ending = USUAL_SUFFIX[options.file_format]
        self._has_photo = photo_installed()
        self._stems: Counter[tuple[str, str]] = Counter()
        self._taken: dict[str, Path] = {}
        self._sources: set[str] = set()
        self._makers: dict[Path, Path] = {}
        self._next = 0

    def resume_from(self, items: Iterable[Item]) -> None:
        """Take over what was planned before: taken names, and numbers."""
        for item in items:
            self._next = max(self._next, item.number + 1)
            if item.output == item.source:  # skipped for being the result of another picture
                continue
            self._note(Found(item.source, _below(item.output.parent, self._options.output)))
            self._taken[_key(item.output)] = item.source

    def expect(self, found: Sequence[Found]) -> list[Found]:
        """Register pictures to be planned, so that names that would collide are told apart.

        Returns:
            The pictures in planning order: results that an earlier batch made from one of the sources come last, so
            that every batch gives the others the same names and numbers.
        """
        sources, results = [], []
        for each in found:
            maker = None if each.given else self._outputs.maker_of(each.path)
            if maker is not None and self._outputs.is_source(maker):
                self._makers[each.path] = maker
                results.append(each)
            else:
                self._note(each)
                sources.append(each)
        return sources + results

    def plan(self, found: Found, facts: SourceFacts) -> Item:
        """Decide on one picture that was passed to `expect`."""
        number, self._next = self._next, self._next + 1
        settings = self._options.settings
        model = choose_model(settings.model, facts.compression, has_photo=self._has_photo).name
        target, error = _target(self._options, facts)
        if (maker := self._makers.get(found.path)) is not None:
            note = f"It is the result of {maker.name}."
            return Item(number, found.path, found.path, facts, target, model, state=State.SKIPPED, note=note)
        output, note = self._output(found, number, model, target)
        item = Item(number, found.path, output, facts, target, model, note=note)
        if facts.error or error:
            return replace(item, state=State.FAILED, note=facts.error or error)
        item = replace(item, disk_bytes=disk_bytes(self._options, facts, item.output_px))
        return self._check_existing(item)

    def plan_again(self, item: Item, facts: SourceFacts) -> Item:
        """Decide again on a picture whose source has changed; only `check_again` may change its name."""
        model = choose_model(self._options.settings.model, facts.compression, has_photo=self._has_photo).name
        target, error = _target(self._options, facts)
        item = replace(item, facts=facts, target=target, model=model, state=State.QUEUED, note=item.note)
        if facts.error or error:
            return replace(item, state=State.FAILED, note=facts.error or error)
        item = replace(item, disk_bytes=disk_bytes(self._options, facts, item.output_px))
        return self.check_again(item)

    def check_again(self, item: Item) -> Item:
        """Check again whether anything is in the way of a picture's result, as time has passed."""
        if self._options.existing is Existing.RENAME and self._outputs.exists(item.output):
            if self._outputs.is_current(item.output, item) is False:
                return item  # started by this same batch before it was killed
            found = Found(item.source, _below(item.output.parent, self._options.output))
            output, note = self._output(found, item.number, item.model, item.target)
            return replace(item, output=output, note=note)
        return self._check_existing(item)

    def _note(self, found: Found) -> None:
        self._stems[_stem_key(found)] += 1
        self._sources.add(_key(found.path))

    def _output(self, found: Found, number: int, model: str, target: TargetSize | None) -> tuple[Path, str]:
        """A path that no other picture of the batch has, and why its name is not the plain one, or ""."""
        source = found.path
        facts = NameFacts.of(source, model, self._options.settings.target, target, number + 1)
        folder, note = self._options.output / found.folder, ""
        if self._stems[_stem_key(found)] > 1:
            note = "Others here differ only in their type, so the type is added to the name."
            facts = replace(facts, name=f"{facts.name}_{facts.type}")
        output, copy = folder / self._template.fill(facts, self._ending), 1
        while self._is_taken(output, source):
            note = f"Another picture or file has the name {output.name}, so it gets a number."
            copy += 1
            output = folder / self._template.fill(facts, self._ending, copy)
        self._taken[_key(output)] = source
        return output, note

    def _is_taken(self, output: Path, source: Path) -> bool:
        if _key(output) in self._taken:
            return True
        match self._options.existing:
            case Existing.SKIP:  # an earlier batch's result from another picture of the same name has equal rights
                return self._outputs.is_of_another(output, source)
            case Existing.RENAME:
                return self._outputs.exists(output)
            case Existing.OVERWRITE:
                return False

    def _check_existing(self, item: Item) -> Item:
        """Skip or fail a picture whose result would harm an existing file."""
        maker = self._taken.get(_key(item.source))
        if maker is not None and maker != item.source:
            return replace(item, state=State.SKIPPED, note=f"It is named like the result of {maker.name}.")
        if not self._outputs.exists(item.output):
            return item
        current = self._outputs.is_current(item.output, item)
        match self._options.existing, current:
            case Existing.SKIP, True:
                return replace(item, state=State.SKIPPED, note="It is already done.")
            case Existing.SKIP, False:
                return replace(item, note="The source or the settings have changed, so it is made again.")
            case Existing.SKIP, None:
                note = f"A file {item.output.name} already exists, and was not made by this program."
                return replace(item, state=State.SKIPPED, note=note)
            case _, None if _key(item.output) in self._sources or self._outputs.is_source(item.output):
                note = "The result would replace a source. Choose another folder or another template."
                return replace(item, state=State.FAILED, note=note)
            case _:
                return item


def probe_source(path: Path) -> SourceFacts:
    """What is known about a file without decoding it; never raises, and never blocks on a pipe."""
    try:
        stamp = Stamp.of(path.stat())
    except (OSError, ValueError):
        stamp = None
    try:
        info = image_io.probe(path)
    except VdsrError as error:
        return SourceFacts(stamp, error=error.words)
    except Exception as error:  # one header that its reader trips over must not abort the plan of all others
        return SourceFacts(stamp, error=f"Its header cannot be read ({type(error).__name__}).")
    return SourceFacts(stamp, info.width, info.height, info.bits, info.has_alpha, image_io.compression_of(path))


def totals(items: Iterable[Item], options: BatchOptions) -> Totals:
    """Totals of planned pictures."""
    states: Counter[State] = Counter()
    pixels = room = scratch = memory = 0
    for item in items:
        states[item.state] += 1
        if item.state in (State.QUEUED, State.WORKING):
            pixels += item.output_px
            room += item.disk_bytes
            scratch = max(scratch, scratch_bytes(options, item))
            memory = max(memory, memory_bytes(options, item.facts, item.output_px))
    return Totals(
        states.total(),
        states[State.QUEUED] + states[State.WORKING],
        states[State.SKIPPED] + states[State.DONE],
        states[State.FAILED],
        pixels,
        room + scratch,
        memory,
    )


def _target(options: BatchOptions, facts: SourceFacts) -> tuple[TargetSize | None, str]:
    """Size of a result, and why it cannot be made, or ""."""
    if facts.error:
        return None, ""
    try:
        target = options.settings.target.size_for(facts.width, facts.height)
    except VdsrError as error:
        return None, error.words
    limit = MAX_SIDE_PX[options.file_format]
    if max(target.width, target.height) > limit:
        name = WRITABLE_TITLES[options.file_format]
        return target, (
            f"{name} allows at most {limit:,} pixels per side, but the result is {target.width:,} x {target.height:,}. "
            "Choose PNG or TIFF, or a smaller scale."
        )
    return target, ""


def _stem_key(found: Found) -> tuple[str, str]:
    return collision_key(str(found.folder)), collision_key(found.path.stem)


def _key(path: Path) -> str:
    return collision_key(str(path))


def _below(folder: Path, output: Path) -> Path:
    return folder.relative_to(output) if folder.is_relative_to(output) else Path()


def in_chunks(found: Iterable[Found], size: int) -> Iterator[list[Found]]:
    """Split into lists of at most `size`, in order."""
    chunk: list[Found] = []
    for each in found:
        chunk.append(each)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
