"""Fixtures shared by tests of the core."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def short_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths of 260 characters and more are not found, with the error codes of Windows."""

    def with_number(error: FileNotFoundError, number: int) -> FileNotFoundError:
        if not hasattr(error, "winerror") or number != 2:
            error.winerror = number  # type: ignore[attr-defined, unused-ignore]
        return error

    def short(act: Callable[..., Any], count: int) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            names = [os.fspath(each) for each in arguments[:count] if not isinstance(each, int)]
            if any(len(name) >= 260 for name in names):
                error = FileNotFoundError(errno.ENOENT, "The system cannot find the path specified", *names[:1])
                error.filename2 = names[1] if count == 2 else None
                raise with_number(error, 3)
            try:
                return act(*arguments, **options)
            except FileNotFoundError as error:
                raise with_number(error, 2) from None

        return call

    for name, count in (("stat", 1), ("lstat", 1), ("replace", 2)):
        monkeypatch.setattr(os, name, short(getattr(os, name), count))


@pytest.fixture
def long_path(tmp_path: Path) -> Path:
    """A path of 260 characters in an existing folder."""
    return tmp_path / ("n" * (260 - len(str(tmp_path)) - len("/.png")) + ".png")
