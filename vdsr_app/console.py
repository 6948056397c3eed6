"""What the command line says: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from tqdm import tqdm

from vdsr_app.errors import UsageError, VdsrError


class ProgressUpdate(Protocol):
    """Moves a bar."""

    def __call__(self, done: float, total: float | None = None, /) -> None:
        """Show the absolute amount done and, where only now it is known, the amount at the end."""


class Console:
    """Standard output and error of one command.

    Attributes:
        json: machine-readable output was asked for; then nothing but JSON goes to standard output.
    """

    def __init__(self, *, json: bool = False) -> None:
        self.json = json

    def result(self, text: str) -> None:
        """A line for people; kept back where JSON was asked for."""
        if not self.json:
            self._out(text)

    def record(self, value: dict[str, Any]) -> None:
        """One JSON object on a line of its own; only where JSON was asked for."""
        if self.json:
            # ASCII: what `_printable` makes of some letters is no JSON.
            self._out(json.dumps(value, allow_nan=False))

    def raw(self, line: str) -> None:
        """A line that is JSON already."""
        self._out(line)

    def note(self, text: str) -> None:
        """Something worth knowing, to standard error."""
        self._err(f"note: {text}")

    def error(self, error: VdsrError) -> None:
        """A failure in one line: file, cause, next step."""
        self._err(f"error: {error}")

    def confirm(self, question: str) -> bool:
        """Ask on the terminal, yes or no; nothing but "y" or "yes" is yes.

        Raises:
            UsageError: there is nobody to ask.
        """
        if not sys.stdin.isatty():
            raise UsageError("There is no terminal to ask on.", hint="Give --yes if you are sure.")
        sys.stderr.write(_printable(f"{question} [y/N] ", sys.stderr.encoding))
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    @contextmanager
    def progress(self, title: str, total: float, unit: str, scale: float = 1.0) -> Iterator[ProgressUpdate]:
        """A bar on standard error while the block runs; silent unless that is a terminal.

        Args:
            title: what is being done.
            total: amount at the end, in the caller's units.
            unit: name of one unit shown.
            scale: the caller's units in one unit shown.
        """
        with tqdm(
            desc=_printable(title, sys.stderr.encoding),
            total=total / scale,
            unit=unit,
            leave=False,
            dynamic_ncols=True,
            disable=not sys.stderr.isatty(),
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total:.1f} {unit}  {remaining} left",
        ) as bar:

            def update(done: float, total: float | None = None) -> None:
                if total is not None:
                    bar.total = total / scale
                bar.n = min(done / scale, bar.total)
                if total is None:
                    bar.update(0)
                else:
                    bar.refresh()  # the wrong one must not stand until the next step

            yield update

    def _out(self, text: str) -> None:
        tqdm.write(_printable(text, sys.stdout.encoding), file=sys.stdout)
        sys.stdout.flush()

    def _err(self, text: str) -> None:
        tqdm.write(_printable(text, sys.stderr.encoding), file=sys.stderr)


def _printable(text: str, encoding: str | None) -> str:
    """`text` without what the terminal cannot take: control characters, and letters outside its encoding."""
    clean = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    return clean.encode(encoding or "utf-8", "backslashreplace").decode(encoding or "utf-8")
