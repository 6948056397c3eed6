"""Arrays on the disk: contents, resident memory, and full disks."""

from __future__ import annotations

import errno
import gc
import os
from pathlib import Path

import numpy as np
import pytest

from vdsr_app.core import scratch
from vdsr_app.core.atomic import is_out_of_room
from vdsr_app.errors import SaveError

RNG = np.random.default_rng(3)


def test_contents_are_kept_when_pages_are_given_back(tmp_path: Path) -> None:
    array = scratch.on_disk(tmp_path)((1000, 700, 3), np.uint16)
    wanted = RNG.integers(0, 1 << 16, array.shape, np.uint16)
    array[:] = wanted
    for _ in range(3):
        scratch.pages.give_back()
        np.testing.assert_array_equal(array, wanted)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="tells the resident set on Linux alone")
def test_given_back_pages_are_not_resident(tmp_path: Path) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    array = scratch.on_disk(tmp_path)((64 << 20,), np.uint8)
    scratch.pages.give_back()
    before = resident()
    array[:] = 7
    scratch.pages.give_back()
    assert resident() - before < 16 << 20
    assert (array[:: 1 << 12] == 7).all()


def test_array_on_disk_has_no_visible_file(tmp_path: Path) -> None:
    array = scratch.on_disk(tmp_path)((10, 10), np.uint8)
    array[:] = 1
    assert list(tmp_path.iterdir()) == []


def test_deleted_array_is_no_longer_tracked(tmp_path: Path) -> None:
    gc.collect()
    before = len(scratch.pages)
    array = scratch.on_disk(tmp_path)((10, 10), np.uint8)
    assert len(scratch.pages) == before + 1
    del array
    gc.collect()
    assert len(scratch.pages) == before


def test_full_disk_is_reported_when_array_is_allocated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(SaveError, match="no space left") as failure:
        scratch.on_disk(tmp_path)((10, 10), np.uint8)
    assert is_out_of_room(failure.value)


def test_file_is_filled_with_zeros_when_space_cannot_be_reserved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "posix_fallocate", cannot, raising=False)
    array = scratch.on_disk(tmp_path)((5, 1 << 20), np.uint8)
    assert not array.any()
    array[:] = 9
    assert (array == 9).all()


def test_allocator_uses_disk_only_above_whole_bytes(tmp_path: Path) -> None:
    assert scratch.allocator_for(scratch.WHOLE_BYTES, tmp_path) is scratch.in_memory
    assert scratch.allocator_for(scratch.WHOLE_BYTES + 1, tmp_path) is not scratch.in_memory
