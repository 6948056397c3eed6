"""Output of the command line: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from tqdm import tqdm

from vdsr_app.errors import UsageError, VdsrError


class ProgressUpdate(Protocol):
    """Moves a progress bar."""

    def __call__(self, done: float, total: float | None = None, /) -> None:
        """Show the absolute amount done and, if it has only now become known, the total."""


class Console:
    """Standard output and error of one command.

    Attributes:
        json: whether machine-readable output was requested; then nothing but JSON goes to standard output.
    """

    def __init__(self, *, json: bool = False) -> None:
        self.json = json

    def result(self, text: str) -> None:
        """Print a line for people; suppressed if JSON was requested."""
        if not self.json:
            self._out(text)

    def record(self, value: dict[str, Any]) -> None:
        """Print one JSON object on a line of its own; only if JSON was requested."""
        if self.json:
            # As ASCII: the escapes that `_printable` writes for some letters are not JSON.
            self._out(json.dumps(value, allow_nan=False))

    def raw(self, line: str) -> None:
        """Print a line that is already JSON."""
        self._out(line)

    def note(self, text: str) -> None:
        """Print something worth knowing to standard error."""
        self._err(f"note: {text}")

    def error(self, error: VdsrError) -> None:
        """Print a failure in one line: file, cause, next step."""
        self._err(f"error: {error}")

    def confirm(self, question: str) -> bool:
        """Ask a yes/no question on the terminal; only "y" and "yes" count as yes.

        Raises:
            UsageError: standard input is not a terminal.
        """
        if not sys.stdin.isatty():
            raise UsageError("There is no terminal to ask on.", hint="Give --yes if you are sure.")
        sys.stderr.write(_printable(f"{question} [y/N] ", sys.stderr.encoding))
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    @contextmanager
    def progress(self, title: str, total: float, unit: str, scale: float = 1.0) -> Iterator[ProgressUpdate]:
        """Show a bar on standard error while the block runs; silent unless that is a terminal.

        Args:
            title: what is being done.
            total: final amount, in the caller's units.
            unit: name of the unit shown.
            scale: the caller's units per unit shown.
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
                    bar.refresh()  # the wrong total must not stay until the next step

            yield update

    def _out(self, text: str) -> None:
        tqdm.write(_printable(text, sys.stdout.encoding), file=sys.stdout)
        sys.stdout.flush()

    def _err(self, text: str) -> None:
        tqdm.write(_printable(text, sys.stderr.encoding), file=sys.stderr)


def _printable(text: str, encoding: str | None) -> str:
    """`text` with escapes for what the terminal cannot show: control characters, letters outside its encoding."""
    clean = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    return clean.encode(encoding or "utf-8", "backslashreplace").decode(encoding or "utf-8")
