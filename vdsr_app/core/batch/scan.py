"""Finds the pictures in given files and folders: each once, in a stable order, and only regular files in folders."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vdsr_app.control import CancelToken
from vdsr_app.core.formats import READABLE_SUFFIXES
from vdsr_app.core.identity import Identity, identity_of

_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Found:
    """A file to be enlarged.

    Attributes:
        path: the file, by the path through which it was found.
        folder: folder of the result relative to the output folder, same as that of the file relative to the given
            folder; `Path()` at its top and for files given directly.
        given: whether the file was given directly.
    """

    path: Path
    folder: Path
    given: bool = False


class Scanner:
    """Finds the pictures of one batch; remembers what it has found across calls."""

    def __init__(self, output: Path, *, recursive: bool) -> None:
        """Store the options; read nothing yet.

        Args:
            output: folder of the results; not searched if it lies below a given folder.
            recursive: whether folders below the given ones are searched too.
        """
        self._output = output
        self._recursive = recursive
        self._seen: set[Identity] = set()

    def scan(self, inputs: Sequence[Path], token: CancelToken | None = None) -> Iterator[Found]:
        """Yield the pictures in files and folders that were not found before.

        Hidden files and folders, including the "._" files of macOS, are left out, as are pipes and devices. Links are
        followed if they lead to something below the same given folder. A file given directly is always yielded,
        whatever it is: reading it will report what is wrong.

        Args:
            inputs: files and folders.
            token: checked at each file and folder: on a slow network drive each takes a while.

        Raises:
            Cancelled: through `token`.
        """
        token = token or CancelToken()
        for given in inputs:
            token.raise_if_cancelled()
            identity = _identity(given)
            if os.path.isdir(given):
                yield from self._folder(given, Path(), os.path.realpath(given), {identity}, token)
            elif identity is None or self._is_new(identity):
                yield Found(given, Path(), given=True)

    def has_found(self, path: Path) -> bool:
        """Whether the file at `path` is one of those found, under whatever name."""
        return _identity(path) in self._seen

    def _folder(
        self, folder: Path, below: Path, root: str, above: set[Identity | None], token: CancelToken
    ) -> Iterator[Found]:
        """Yield files of one folder, then those of its subfolders; `above` are all folders on the way here."""
        token.raise_if_cancelled()
        files, folders = _entries(folder)
        for path in files:
            token.raise_if_cancelled()
            status = _status(path)
            if status is None or not stat.S_ISREG(status.st_mode) or not _is_inside(path, root):
                continue
            if self._is_new(identity_of(path, status)):
                yield Found(path, below)
        output = _identity(self._output)
        for path in folders if self._recursive else ():
            identity = _identity(path)
            if identity is None or identity in above or identity == output or not _is_inside(path, root):
                continue
            yield from self._folder(path, below / path.name, root, {*above, identity}, token)

    def _is_new(self, identity: Identity) -> bool:
        if identity in self._seen:
            return False
        self._seen.add(identity)
        return True


def natural_key(name: str) -> tuple[object, ...]:
    """Sort key that puts "page 9" before "page 10", ignoring case; equal only for equal names."""
    parts = _DIGITS.split(name.casefold())  # text at even indices, digits at odd ones, so that types match
    return tuple((int(part), part) if at % 2 else part for at, part in enumerate(parts)), name


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Files with a picture's suffix, and folders, without hidden ones; an unreadable folder counts as empty."""
    files, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if _is_folder(entry):
                    folders.append(folder / entry.name)
                elif os.path.splitext(entry.name)[1].lower() in READABLE_SUFFIXES:
                    files.append(folder / entry.name)
    except OSError:
        pass
    return tuple(sorted(each, key=lambda path: natural_key(path.name)) for each in (files, folders))  # type: ignore[return-value]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link loop
        return False


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (OSError, ValueError):
        return None


def _identity(path: Path) -> Identity | None:
    status = _status(path)
    return None if status is None else identity_of(path, status)


def _is_inside(path: Path, root: str) -> bool:
    """Whether a path is no link, or one to something below `root`."""
    if not os.path.islink(path):
        return True
    target = os.path.realpath(path)
    return (
        os.path.commonpath([target, root]) == root
        if os.path.splitdrive(target)[0] == os.path.splitdrive(root)[0]
        else False
    )
