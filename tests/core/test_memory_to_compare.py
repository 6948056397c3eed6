"""What may be held side by side, with a made-up amount of free memory."""

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
"""12 megapixels at 8: 768 megapixels."""


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


def test_a_photo_at_8_is_refused_where_16_gb_are_free_and_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, 16e9)
    with pytest.raises(PictureTooLargeError) as refused:
        check_memory_to_compare(picture(), PHOTO, layers=2, painted=1)
    assert refused.value.what == "Comparing 32000 x 24000 pixels needs about 16.9 GB of memory; 16.0 GB is free."
    assert refused.value.path == "/x/photo.jpg"
    assert "smaller size" in refused.value.hint
    assert "batch" in refused.value.hint
    assert refused.value.through_disk


def test_a_pasted_picture_is_not_sent_to_the_batch_that_takes_files(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, 16e9)
    with pytest.raises(PictureTooLargeError) as refused:
        check_memory_to_compare(Picture(np.zeros((3, 4, 3), np.uint8)), PHOTO, layers=2, painted=1)
    assert refused.value.hint == "Choose a smaller size."
    assert not refused.value.through_disk


def test_what_fits_and_what_nobody_can_tell_is_let_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, 24e9)
    assert fits(picture())
    have(monkeypatch, 1e9)
    assert fits(picture(), TargetSize(8000, 6000, 2.0)) is False
    assert fits(picture(), TargetSize(4000, 3000, 1.0))
    have(monkeypatch, None)
    assert fits(picture())


def test_more_layers_transparency_and_depth_need_more(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, 19e9)
    assert fits(picture())
    assert not fits(picture(alpha=True))
    assert not fits(picture(dtype=np.uint16))
    assert not fits(picture(), layers=3)
    assert not fits(picture(), painted=2)
    have(monkeypatch, 15.5e9)
    assert not fits(picture())
    assert fits(picture(channels=1))


def test_what_earlier_layers_hold_counts_as_free(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, 10e9)
    assert not fits(picture())
    assert fits(picture(), held_bytes=9_000_000_000)


def test_a_picture_that_is_read_already_needs_but_what_the_screen_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, 24e9)
    assert not fits(picture(), layers=3)
    assert fits(picture(), layers=3, read=1)
    have(monkeypatch, 22e9)
    assert not fits(picture(), layers=3, read=1)


def test_the_estimate_holds_what_two_layers_and_a_copy_take(monkeypatch: pytest.MonkeyPatch) -> None:
    size = Target(TargetKind.SCALE, 8.0).size_for(96, 64)
    screen = MipPyramid.from_rgba(np.zeros((size.height, size.width, 4), np.uint8)).nbytes
    taken = 2 * (size.width * size.height * 3 + screen) + screen
    have(monkeypatch, taken * 0.99 / 0.9)
    assert not fits(picture(), size)
    have(monkeypatch, taken * 1.01 / 0.9)
    assert fits(picture(), size)
