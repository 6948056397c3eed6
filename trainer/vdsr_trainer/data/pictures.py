"""The picture files of a run: finding them, decoding them to luma, and recording them. No torch."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from vdsr_app.control import CancelToken, ProgressCallback
from vdsr_app.core import image_io
from vdsr_app.core.color import gray_to_luma
from vdsr_app.core.cores import usable_cores
from vdsr_app.core.folders import list_pictures
from vdsr_app.core.protocol import protocol_luma
from vdsr_app.errors import PictureError, PictureTooLargeError, TrainingError
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.degrade import Luma8
from vdsr_trainer.data.fingerprint import fingerprint
from vdsr_trainer.data.report import PictureRecord

Found = tuple[str, str]
"""Folder as named in the configuration, and the file's path below it with slashes."""

_Argument = TypeVar("_Argument")
_Result = TypeVar("_Result")
_LARGE_PIXELS = 30_000_000
"""Pictures with more pixels than this are decoded one at a time: several at once would take gigabytes."""
_STRIP_PIXELS = 1 << 20
_MAX_WORKERS = 16
_large = threading.Lock()


def workers() -> int:
    """Number of decoding threads: one for each core the process may use, at most 16."""
    return min(_MAX_WORKERS, usable_cores())


def find_pictures(config: TrainConfig) -> list[Found]:
    """All picture files below the folders of `config`, in the order of folders and names.

    A file that is reached through several folders or links is listed once for training and once for validation; hidden
    files and those in hidden folders are skipped; links to folders are not followed.

    Raises:
        TrainingError: a folder is missing, cannot be listed, or holds no picture; or no folder is given.
    """
    if not config.data:
        raise TrainingError("There is no folder of pictures to train on.", hint="Choose a folder with pictures.")
    found: dict[Found, None] = {}
    for folders in (config.data, (config.validation,) if config.validation else ()):
        seen: set[str] = set()
        for folder in folders:
            for file in _files(folder):
                place = os.path.realpath(Path(folder, file))
                if place not in seen:
                    seen.add(place)
                    found[folder, file] = None
    return list(found)


def _files(folder: str) -> list[str]:
    root = Path(folder)
    require_folder(root)
    try:
        files = [path.relative_to(root).as_posix() for path in list_pictures(root)]
    except OSError as error:
        raise TrainingError(
            f"The folder of pictures cannot be listed: {error.strerror or error}.",
            path=root,
            hint="Check that it still exists and can be read.",
        ) from error
    if not files:
        raise TrainingError(
            "The folder contains no pictures.", path=root, hint="Choose a folder with pictures, or take this one out."
        )
    return files


def require_folder(folder: Path) -> None:
    """Check that a folder exists.

    Raises:
        TrainingError: it does not.
    """
    if not folder.is_dir():
        raise TrainingError(
            "There is no such folder of pictures.",
            path=folder,
            hint="Connect the disk that it is on, or choose another folder.",
        )


def read_luma(path: Path, token: CancelToken | None = None) -> Luma8:
    """Luma of a picture file, (H, W) uint8; transparency is ignored.

    It is the luma of the evaluation protocol; for a gray picture, that of its RGB copy, as the network sees it when it
    enlarges one.

    Raises:
        PictureError: it cannot be read.
        Cancelled: by the token.
    """
    try:
        return _read_luma(path, _LARGE_PIXELS, token)
    except PictureTooLargeError:
        with _large:
            return _read_luma(path, image_io.DEFAULT_MAX_PIXELS, token)


def _read_luma(path: Path, max_pixels: int, token: CancelToken | None) -> Luma8:
    picture = image_io.read(path, max_pixels=max_pixels, token=token)
    height, width = picture.height, picture.width
    luma = np.empty((height, width), np.uint8)
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):  # in strips: the arithmetic is float64
        strip = protocol_luma(picture.pixels[top : top + rows])
        luma[top : top + rows] = np.floor(gray_to_luma(strip) + 0.5) if picture.is_gray else strip
    return luma


def digest(luma: Luma8) -> str:
    """SHA-256 of a luma plane and its size, hexadecimal."""
    state = hashlib.sha256(f"{luma.shape[0]}x{luma.shape[1]}:".encode())
    state.update(np.ascontiguousarray(luma).data)
    return state.hexdigest()


def is_of_full_range(record: PictureRecord, token: CancelToken | None = None) -> bool:
    """Whether a record is of an unchanged gray picture, by a version that learned from gray in its full range.

    Raises:
        PictureError: the file cannot be read.
        Cancelled: by the token.
    """
    picture = image_io.read(record.path, token=token)
    return picture.is_gray and digest(protocol_luma(picture.pixels).astype(np.uint8)) == record.digest


def record_picture(found: Found, token: CancelToken | None = None) -> PictureRecord:
    """Decode one file; if that fails, the record says why.

    Raises:
        Cancelled: by the token.
    """
    folder, file = found
    path = Path(folder, file)
    try:
        about = path.stat()
    except OSError as error:
        return PictureRecord(folder, file, 0, 0, reason=f"The file cannot be read: {error.strerror or error}.")
    try:
        luma = read_luma(path, token)
    except PictureError as error:
        return PictureRecord(folder, file, about.st_size, about.st_mtime_ns, reason=error.words)
    height, width = luma.shape
    return PictureRecord(folder, file, about.st_size, about.st_mtime_ns, height, width, digest(luma), fingerprint(luma))


def is_unchanged(record: PictureRecord) -> bool:
    """Whether the file has the size and the time that it had when it was decoded."""
    try:
        about = record.path.stat()
    except OSError:
        return False
    return (about.st_size, about.st_mtime_ns) == (record.size_bytes, record.modified_ns)


def record_pictures(
    config: TrainConfig,
    known: Iterable[PictureRecord],
    on_progress: ProgressCallback,
    token: CancelToken,
) -> tuple[PictureRecord, ...]:
    """One record for each file below the folders of `config`; only files that are not in `known` are decoded.

    Args:
        config: folders.
        known: earlier records; those of files that have changed are not used.
        on_progress: called with (done, total) files, from this thread.
        token: checked at each file.

    Raises:
        TrainingError: a folder is missing or empty, or vanished while it was read.
        Cancelled: by the token.
    """
    found = find_pictures(config)
    wanted = set(found)
    earlier = {place: record for record in known if (place := (record.folder, record.file)) in wanted}
    # Unreadable files are tried again: access may be permitted now, or memory may suffice.
    records = {place: record for place, record in earlier.items() if not record.reason and is_unchanged(record)}
    missing = [place for place in found if place not in records]
    done = len(found) - len(missing)
    on_progress(done, len(found))
    for place, record in in_parallel(lambda place: record_picture(place, token), missing, token):
        records[place] = record
        done += 1
        on_progress(done, len(found))
    for folder in dict.fromkeys(folder for folder, _ in found):
        if not Path(folder).is_dir():
            raise TrainingError(
                "The folder of pictures vanished while it was read.",
                path=folder,
                hint="Connect the disk that it is on, then try again.",
            )
    return tuple(records[place] for place in found)


def in_parallel(
    function: Callable[[_Argument], _Result], arguments: Iterable[_Argument], token: CancelToken
) -> Iterator[tuple[_Argument, _Result]]:
    """Call `function` for each argument, in `workers` threads; pairs in the order of completion.

    Raises:
        Cancelled: by the token.
    """
    count = workers()
    pool = ThreadPoolExecutor(count, thread_name_prefix="pictures")
    waiting: dict[Future[_Result], _Argument] = {}
    rest = iter(arguments)
    try:
        while True:
            token.raise_if_cancelled()
            waiting |= {
                pool.submit(function, argument): argument for argument in islice(rest, 2 * count - len(waiting))
            }
            if not waiting:
                return
            ready, _ = wait(waiting, timeout=0.1, return_when=FIRST_COMPLETED)
            for future in ready:
                yield waiting.pop(future), future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def unique_names(records: Sequence[PictureRecord]) -> Mapping[PictureRecord, str]:
    """A unique name for each picture: `PictureRecord.name`, with a number added to repeated ones."""
    names: dict[PictureRecord, str] = {}
    taken: set[str] = set()
    for record in records:
        name, number = record.name, 2
        while name in taken:
            name, number = f"{record.name} ({number})", number + 1
        taken.add(name)
        names[record] = name
    return names
