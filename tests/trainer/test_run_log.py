"""The event log of a run, including on a full disk."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from vdsr_trainer import run_log
from vdsr_trainer.events import Failed, Noticed
from vdsr_trainer.history import EventTail
from vdsr_trainer.run_files import EVENTS_NAME, RESERVE_NAME
from vdsr_trainer.run_log import RunLog


class FullDisk:
    """A file on a disk with space for `room` bytes, and for those of the reserve once that is deleted."""

    def __init__(self, file, run: Path, room: int) -> None:
        self._file = file
        self._reserve = run / RESERVE_NAME
        self.room = room

    def write(self, data: bytes) -> int:
        room = self.room + (run_log._RESERVE_BYTES if not self._reserve.exists() else 0)
        if room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._file.write(data[:room])
        self.room -= written
        return written

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


def test_log_writes_events_immediately_and_deletes_reserve_at_end(tmp_path: Path) -> None:
    with RunLog(tmp_path) as log:
        log.write(Noticed(1, "a"))
        assert EventTail(tmp_path / EVENTS_NAME).read_new() == [Noticed(1, "a")]
    assert not (tmp_path / RESERVE_NAME).exists()


def test_incomplete_line_of_killed_process_loses_no_later_event(tmp_path: Path) -> None:
    (tmp_path / EVENTS_NAME).write_bytes(b'{"event": "Noticed", "step": 1, "mess')
    with RunLog(tmp_path) as log:
        log.write(Noticed(2, "b"))
        log.write(Noticed(3, "c"))
    assert EventTail(tmp_path / EVENTS_NAME).read_new() == [Noticed(2, "b"), Noticed(3, "c")]


@pytest.mark.parametrize("room", [0, 1, 40])
def test_failure_is_written_when_disk_is_full(tmp_path: Path, room: int) -> None:
    with RunLog(tmp_path) as log:
        log._file = FullDisk(log._file, tmp_path, room)  # type: ignore[assignment]
        log.write(Failed(7, "There is no space left on the disk."))
    assert EventTail(tmp_path / EVENTS_NAME).read_new() == [Failed(7, "There is no space left on the disk.")]


def test_event_is_dropped_without_error_when_there_is_no_room(tmp_path: Path) -> None:
    with RunLog(tmp_path) as log:
        disk = FullDisk(log._file, tmp_path, -run_log._RESERVE_BYTES)
        log._file = disk  # type: ignore[assignment]
        log.write(Noticed(1, "a"))
        disk.room = 10_000
        log.write(Noticed(2, "b"))
    assert EventTail(tmp_path / EVENTS_NAME).read_new() == [Noticed(2, "b")]
