"""The table of file formats."""

from __future__ import annotations

import pytest

from vdsr_app.core.formats import READABLE_SUFFIXES, WRITABLE_SUFFIXES, format_for_path, format_of_suffix, is_lossless
from vdsr_app.core.job import FileFormat


@pytest.mark.parametrize("target", FileFormat)
def test_writable_suffixes_are_readable_as_the_same_format(target: FileFormat) -> None:
    for suffix in WRITABLE_SUFFIXES[target]:
        assert suffix in READABLE_SUFFIXES
        assert format_for_path(f"a{suffix.upper()}") is target
        assert format_of_suffix(f"a{suffix}") == target.value


@pytest.mark.parametrize(
    ("target", "below", "at_100"),
    [
        (FileFormat.PNG, True, True),
        (FileFormat.TIFF, True, True),
        (FileFormat.WEBP, False, True),
        (FileFormat.AVIF, False, True),
        (FileFormat.JPEG, False, False),
    ],
)
def test_quality_100_is_lossless_when_the_format_allows_it(target: FileFormat, below: bool, at_100: bool) -> None:
    assert (is_lossless(target, 99), is_lossless(target, 100)) == (below, at_100)
