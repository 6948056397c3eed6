"""The memory check before pictures are compared side by side, with a simulated amount of free memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vdsr_app.core.image_io.limits import check_memory_to_compare
from vdsr_app.core.job import Target, TargetKind, TargetSize
from vdsr_app.core.picture import Picture, SourceInfo
from vdsr_app.core.pyramid import MipPyramid
from vdsr_app.errors import PictureTooLargeError

PHOTO = TargetSize(32_000, 24_000, 8.0)
"""12 megapixels at a scale factor of 8: 768 megapixels."""


def picture(channels: int = 3, *, alpha: bool = False, dtype: type = np.uint8) -> Picture:
    pixels = np.zeros((3, 4, channels), dtype)
    return Picture(pixels, np.zeros((3, 4), dtype) if alpha else None, source=SourceInfo(Path("/x/photo.jpg")))


def have(monkeypatch: pytest.MonkeyPatch, available: float | None) -> None:
    known = None if available is None else int(available)
    monkeypatch.setattr("vdsr_app.core.image_io.limits.available_memory_bytes", lambda: known)


def fits(
    picture: Picture,
    size: TargetSize = PHOTO,
    *,
    layers: int = 2,
    painted: int = 1,
    read: int = 0,
    held_bytes: int = 0,
) -> bool:
    try:
        check_memory_to_compare(picture, size, layers=layers, painted=painted, read=read, held_bytes=held_bytes)
    except PictureTooLargeError:
        return False
    return True


def test_comparison_beyond_free_memory_is_rejected_with_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, 16e9)
    with pytest.raises(PictureTooLargeError) as refused:
        check_memory_to_compare(picture(), PHOTO, layers=2, painted=1)
    assert refused.value.what == "Comparing 32000 x 24000 pixels needs about 16.9 GB of memory; 16.0 GB is free."
    assert refused.value.path == "/x/photo.jpg"
    assert "smaller size" in refused.value.hint
    assert "batch" in refused.value.hint
    assert refused.value.through_disk


def test_hint_for_pasted_picture_does_not_suggest_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, 16e9)
    with pytest.raises(PictureTooLargeError) as refused:
        check_memory_to_compare(Picture(np.zeros((3, 4, 3), np.uint8)), PHOTO, layers=2, painted=1)
    assert refused.value.hint == "Choose a smaller size."
    assert not refused.value.through_disk


def test_comparison_is_allowed_when_it_fits_or_free_memory_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, 24e9)
    assert fits(picture())
    have(monkeypatch, 1e9)
    assert fits(picture(), TargetSize(8000, 6000, 2.0)) is False
    assert fits(picture(), TargetSize(4000, 3000, 1.0))
    have(monkeypatch, None)
    assert fits(picture())


def test_memory_needed_grows_with_layers_channels_and_bit_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, 19e9)
    assert fits(picture())
    assert not fits(picture(alpha=True))
    assert not fits(picture(dtype=np.uint16))
    assert not fits(picture(), layers=3)
    assert not fits(picture(), painted=2)
    have(monkeypatch, 15.5e9)
    assert not fits(picture())
    assert fits(picture(channels=1))


def test_memory_held_by_earlier_layers_counts_as_free(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, 10e9)
    assert not fits(picture())
    assert fits(picture(), held_bytes=9_000_000_000)


def test_picture_already_in_memory_needs_only_display_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, 24e9)
    assert not fits(picture(), layers=3)
    assert fits(picture(), layers=3, read=1)
    have(monkeypatch, 22e9)
    assert not fits(picture(), layers=3, read=1)


def test_estimate_matches_two_layers_and_a_painted_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    size = Target(TargetKind.SCALE, 8.0).size_for(96, 64)
    screen = MipPyramid.from_rgba(np.zeros((size.height, size.width, 4), np.uint8)).nbytes
    taken = 2 * (size.width * size.height * 3 + screen) + screen
    have(monkeypatch, taken * 0.99 / 0.9)
    assert not fits(picture(), size)
    have(monkeypatch, taken * 1.01 / 0.9)
    assert fits(picture(), size)
