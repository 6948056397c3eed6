"""Writing a picture file, whole or not at all."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path

from vdsr_app.control import CancelToken
from vdsr_app.core.atomic import atomic_file
from vdsr_app.core.formats import MAX_SIDE_PX, STREAMED, WRITABLE_TITLES, format_for_path
from vdsr_app.core.image_io.carried import carry
from vdsr_app.core.image_io.encode import encode
from vdsr_app.core.image_io.limits import check_memory_to_write
from vdsr_app.core.image_io.reading import probe
from vdsr_app.core.job import FileFormat, SaveOptions
from vdsr_app.core.picture import Picture
from vdsr_app.core.scratch import Allocator, in_memory
from vdsr_app.errors import Cancelled, PictureError, SaveError, VdsrError

logger = logging.getLogger(__name__)

_DEFAULT_OPTIONS = SaveOptions()
_WRITE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class SaveReport:
    """What was written.

    Attributes:
        path: the file.
        format: its format.
        size_bytes: its size.
        notes: changes that the format required ("JPEG has no transparency…"), one sentence per change.
    """

    path: Path
    format: FileFormat
    size_bytes: int
    notes: tuple[str, ...]


def save(
    picture: Picture,
    path: str | PathLike[str],
    options: SaveOptions = _DEFAULT_OPTIONS,
    *,
    token: CancelToken | None = None,
    allocate: Allocator = in_memory,
    before_rename: Callable[[Path], None] | None = None,
) -> SaveReport:
    """Write `picture` to `path`, atomically replacing an existing file once everything has succeeded.

    The profile and the resolution are always written, EXIF and XMP as `options.metadata` says, with updated sizes and
    without the source's thumbnail. JPEG has transparency composited onto white and, like WebP, stores 8 bits; AVIF
    stores 12 bits of 16. Quality 100 is lossless in WebP and AVIF; PNG and TIFF ignore the quality.

    Args:
        picture: what to write.
        path: the file; a symbolic link of that name is itself replaced. The caller ensures that it is not the source.
        options: how to write.
        token: checked between the steps and while libvips runs, though not within the AVIF encoder.
        allocate: where converted samples go. If that is not in memory, PNG, TIFF and JPEG are encoded through an
            unnamed file in the folder of `path`; the bytes are the same.
        before_rename: called with the hidden file when it is complete, just before it takes its final name.

    Raises:
        SaveError: the format cannot hold the picture, or the file could not be written; an existing file is untouched.
        Cancelled: by the token; an existing file is untouched.
    """
    file = Path(fspath(path))
    target = options.format or format_for_path(file)
    if "\0" in str(file):
        raise SaveError("This is not a valid file name.", path=path, hint="Choose another name.")
    _check_fits(picture, target, file)
    through_disk = allocate is not in_memory and target in STREAMED
    if not through_disk:
        sample_bytes = picture.pixels.nbytes + (0 if picture.alpha is None else picture.alpha.nbytes)
        check_memory_to_write(sample_bytes, target, options.quality, file)
    carried = carry(picture, options.metadata, target)
    # Create the hidden file first, so that a folder without write permission is noticed before the work.
    with (
        _encode_boundary(file, target),
        atomic_file(
            file,
            verify=lambda temporary: _verify(temporary, picture, target, file),
            before_rename=before_rename,
        ) as stream,
        tempfile.TemporaryFile(dir=file.parent) if through_disk else nullcontext() as through,
    ):
        pieces, notes = encode(picture, target, options, carried, token, allocate, through)
        for piece in pieces:
            for start in range(0, len(piece), _WRITE_BYTES):
                stream.write(memoryview(piece)[start : start + _WRITE_BYTES])
                if token is not None:
                    token.raise_if_cancelled()
        size_bytes = stream.tell()
    return SaveReport(file, target, size_bytes, (*carried.notes, *notes))


@contextmanager
def _encode_boundary(path: Path, target: FileFormat) -> Iterator[None]:
    """Turn whatever an encoder raises into one clear error, as `_decode_boundary` does for decoders."""
    try:
        yield
    except (VdsrError, Cancelled):
        raise
    except MemoryError as exc:
        raise SaveError(
            "There is not enough memory to write this picture.", path=path, hint="Close other programs."
        ) from exc
    except Exception as exc:
        logger.info("Encoding %s failed", path, exc_info=True)
        raise SaveError(
            f"The picture could not be made into a {WRITABLE_TITLES[target]} file.",
            path=path,
            hint="Choose another format.",
        ) from exc


def _check_fits(picture: Picture, target: FileFormat, path: Path) -> None:
    limit = MAX_SIDE_PX[target]
    if max(picture.width, picture.height) > limit:
        raise SaveError(
            f"{WRITABLE_TITLES[target]} allows at most {limit:,} pixels per side, "
            f"but the picture is {picture.width:,} x {picture.height:,}.",
            path=path,
            hint="Choose PNG or TIFF, or a smaller scale.",
        )


def _verify(temporary: Path, picture: Picture, target: FileFormat, path: Path) -> None:
    """Check the finished file before it gets its name."""
    try:
        found = probe(temporary)
    except PictureError as exc:
        raise SaveError(
            "The written file could not be read back, so it was discarded.", path=path, hint="Check the disk."
        ) from exc
    if (found.format, found.width, found.height) != (target.value, picture.width, picture.height):
        raise SaveError(
            f"The written file came out as {found.width} x {found.height} {found.format}, so it was discarded.",
            path=path,
            hint="Choose another format.",
        )
