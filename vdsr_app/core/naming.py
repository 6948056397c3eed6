"""Where results go: names from templates, and the guard against a result overwriting its own source."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from string import Formatter

from vdsr_app.core.formats import USUAL_SUFFIX
from vdsr_app.core.identity import same_file
from vdsr_app.core.job import FileFormat, Target, TargetKind, TargetSize
from vdsr_app.core.models import is_file_name
from vdsr_app.errors import SaveError, UsageError

DEFAULT_TEMPLATE = "{name}_{model}_{target}"
MAX_NAME_BYTES = 255


@dataclass(frozen=True, slots=True)
class PlannedOutput:
    """A source and the path of its result."""

    source: Path
    output: Path


def target_text(target: Target) -> str:
    """Short form of a target for file names: "x2", "6000w", "24Mpx"."""
    unit = {
        TargetKind.WIDTH: "w",
        TargetKind.HEIGHT: "h",
        TargetKind.LONG_SIDE: "long",
        TargetKind.SHORT_SIDE: "short",
        TargetKind.MEGAPIXELS: "Mpx",
    }
    return f"x{target.value:g}" if target.kind is TargetKind.SCALE else f"{target.value:g}{unit[target.kind]}"


@dataclass(frozen=True, slots=True)
class NameFacts:
    """What the fields of a template stand for.

    Attributes:
        name: name of the source without its suffix.
        model: name of the model.
        target: short form of the requested size, "x2" or "6000w".
        scale: resulting scale factor, to three decimals.
        width: columns of the result.
        height: rows of the result.
        number: number of the picture in its batch, from 1.
        folder: name of the folder that contains the source.
        type: suffix of the source without the dot, in lower case.
    """

    name: str
    model: str
    target: str
    scale: float = 2.0
    width: int = 0
    height: int = 0
    number: int = 1
    folder: str = ""
    type: str = ""

    @classmethod
    def of(cls, source: Path, model: str, target: Target, size: TargetSize | None = None, number: int = 1) -> NameFacts:
        """The facts of one picture.

        Args:
            source: path of the picture; the file itself is not accessed.
            model: name of an installed model, or the path of a weight file.
            target: requested size.
            size: size of the result; None if it is unknown, or the template does not use it.
            number: number of the picture in its batch, from 1.
        """
        scale, width, height = (1.0, 0, 0) if size is None else (round(size.scale, 3), size.width, size.height)
        return cls(
            source.stem,
            model_text(model),
            target_text(target),
            scale,
            width,
            height,
            number,
            source.parent.name,
            _kind(source),
        )


_FIELDS = tuple(field.name for field in fields(NameFacts))
_NUMBERS = ("number", "width", "height")
_TARGET = re.compile(r"x[\d.]+|[\d.]+(?:w|h|long|short|Mpx)")
_COPY = re.compile(r"-\d+$")
_FORBIDDEN = frozenset('<>:"/\\|?*') | {chr(code) for code in range(32)}


class NameTemplate:
    """Template for the names of results, without suffix: "{name}_{model}_{target}".

    Fields are those of `NameFacts`; numbers may be padded, as in "{number:04}".
    """

    def __init__(self, text: str) -> None:
        """Parse a template.

        Raises:
            UsageError: an unknown field, a character that file names cannot have on every system, or an empty template.
        """
        self.text = text
        try:
            self._parts = list(Formatter().parse(text))
        except ValueError as error:
            raise UsageError(f"'{text}' cannot be read as a template.", hint="Each { needs its }.") from error
        for literal, name, spec, conversion in self._parts:
            bad = sorted(set(literal) & _FORBIDDEN)
            if bad:
                raise UsageError(
                    f"A file name cannot hold {bad[0]!r} everywhere.", hint="Leave it out of the template."
                )
            if name is None:
                continue
            if name not in _FIELDS or conversion:
                known = ", ".join(f"{{{field}}}" for field in _FIELDS)
                raise UsageError(f"There is no field '{{{name}}}' for names.", hint=f"There are {known}.")
            if spec and not (name in _NUMBERS and re.fullmatch(r"0?[1-9]", spec)):
                raise UsageError(
                    f"'{{{name}:{spec}}}' is no field for names.", hint="Numbers can be padded: {number:04}."
                )
        if not any(literal.strip() or name for literal, name, _, _ in self._parts):
            raise UsageError("The template is empty.", hint=f"The usual one is {DEFAULT_TEMPLATE}.")

    def fill(self, facts: NameFacts, ending: str, copy: int = 1) -> str:
        """Make a file name of at most 255 bytes, shortening the source's name if necessary.

        Args:
            facts: what the fields stand for.
            ending: suffix with its dot.
            copy: from 2 on, appended to the source's name, or to the stem if the template lacks it: "photo-2_vdsr_x2".
        """
        number = f"-{copy}" if copy > 1 else ""
        named = any(field == "name" for _, field, _, _ in self._parts)
        ending = ending if named else number + ending
        room = MAX_NAME_BYTES - len(os.fsencode(ending))
        name = facts.name
        while True:
            stem = self._filled(replace(facts, name=name + number if named else name))
            if len(os.fsencode(stem)) <= room:
                return stem + ending
            if not (named and name):
                break
            name = name[:-1]
        if named:  # nothing of the source's name is left, and the cut must not take the number
            stem, ending = self._filled(replace(facts, name="")), number + ending
            room = MAX_NAME_BYTES - len(os.fsencode(ending))
        while len(os.fsencode(stem)) > room:
            stem = stem[:-1]
        return stem + ending

    def _filled(self, facts: NameFacts) -> str:
        return "".join(
            literal + ("" if name is None else self._value(getattr(facts, name), spec or ""))
            for literal, name, spec, _ in self._parts
        )

    def _value(self, value: str | float, spec: str) -> str:
        if isinstance(value, float):
            return f"{value:g}"
        return format(value, spec) if isinstance(value, int) else value


def model_text(model: str) -> str:
    """A model's name as used in file names; for a weight file, its name without folder and suffix."""
    return Path(model).stem if is_file_name(model) else model


def output_name(source: Path, model: str, target: Target, file_format: FileFormat) -> str:
    """File name of the result: "photo_vdsr_x2.png"; the source's name is shortened to fit into 255 bytes."""
    facts = NameFacts.of(source, model, target)
    return NameTemplate(DEFAULT_TEMPLATE).fill(facts, USUAL_SUFFIX[file_format])


def results_among(files: Sequence[Path], models: Collection[str]) -> dict[Path, Path]:
    """Files that are named like results of others among them, as by `plan_outputs`, mapped to their sources.

    Args:
        files: files of one folder.
        models: names of models, as used in file names.
    """
    alike = Counter(collision_key(each.stem) for each in files)
    plain = {each.stem: each for each in files}
    typed = {f"{each.stem}_{_kind(each)}": each for each in files if alike[collision_key(each.stem)] > 1}
    found = {}
    for file in files:
        stem, _, target = file.stem.rpartition("_")
        if _TARGET.fullmatch(target) is None:
            continue
        for model in models:
            name = stem.removesuffix(f"_{model}")
            maker = plain.get(name) or typed.get(_COPY.sub("", name))
            if name != stem and maker is not None and maker != file:
                found[file] = maker
    return found


def plan_outputs(
    sources: Sequence[Path], folder: Path, models: Sequence[str], target: Target, file_format: FileFormat
) -> list[PlannedOutput]:
    """Plan a name in `folder` for each source; names that would collide on any system get the source's type.

    "a.png" and "a.jpg" become "a_png_vdsr_x2.png" and "a_jpg_photo_x2.png", as in a batch; names that still
    collide are numbered.

    Args:
        sources: pictures whose results go into one folder.
        folder: that folder.
        models: the model for each source, by name or the path of a weight file.
        target: requested size.
        file_format: format of all results.
    """
    keys = [collision_key(source.stem) for source in sources]
    alike, template, ending = Counter(keys), NameTemplate(DEFAULT_TEMPLATE), USUAL_SUFFIX[file_format]
    taken: set[str] = set()
    planned = []
    for source, model, key in zip(sources, models, keys, strict=True):
        facts = NameFacts.of(source, model, target)
        if alike[key] > 1:
            facts = replace(facts, name=f"{facts.name}_{facts.type}")
        # Whole names are compared: long ones that differ only at their end become equal when they are shortened.
        name, copy = template.fill(facts, ending), 1
        while collision_key(name) in taken:
            copy += 1
            name = template.fill(facts, ending, copy)
        taken.add(collision_key(name))
        planned.append(PlannedOutput(source, folder / name))
    return planned


def _kind(source: Path) -> str:
    return source.suffix.removeprefix(".").lower()


def refuse_overwriting_source(output: Path, sources: Sequence[Path]) -> None:
    """Raise if `output` is one of `sources`, also through a link or another spelling of the name.

    Raises:
        SaveError: it is.
    """
    for source in sources:
        try:
            same = same_file(output, source)
        except OSError:
            # One of them does not exist: then only equal paths are the same file.
            same = os.path.abspath(output) == os.path.abspath(source)
        if same:
            raise SaveError(
                "The result would replace its own source.", path=output, hint="Choose another name or folder."
            )


def collision_key(name: str) -> str:
    """Key that is equal for names that some file system treats as one: it ignores case and Unicode composition."""
    return unicodedata.normalize("NFC", name).casefold()
