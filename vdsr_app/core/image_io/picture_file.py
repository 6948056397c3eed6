"""The content of a picture: a regular file under any name the system allows, opened without blocking, or bytes."""

from __future__ import annotations

import errno
import io
import os
import stat
from os import PathLike
from types import TracebackType
from typing import BinaryIO, Self

from vdsr_app.control import CancelToken
from vdsr_app.core.image_io.limits import out_of_memory
from vdsr_app.core.image_io.sniff import HEAD_BYTES
from vdsr_app.core.memory import available_memory_bytes
from vdsr_app.errors import PictureTooLargeError, UnreadablePictureError

_CHUNK_BYTES = 8 << 20

_FORBIDDEN = (
    "You do not have permission to read this file.",
    "Ask for permission to read it, or copy it to your own folder.",
)
_REASONS = {
    errno.ENOENT: ("There is no such file.", "Check the name and the folder."),
    errno.ENOTDIR: ("There is no such file.", "Check the name and the folder."),
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.ELOOP: ("This link leads in a circle.", "Choose the picture itself."),
    errno.ENAMETOOLONG: ("The file name is too long for this system.", "Shorten the name."),
    errno.EIO: ("The disk could not read the file.", "Check the disk or the network, then try again."),
}


class PictureFile:
    """A regular file, open for reading.

    Attributes:
        path: its name; None if the content came from memory.
        size: bytes at the time it was opened.
    """

    path: str | PathLike[str] | None

    def __init__(self, path: str | PathLike[str]) -> None:
        """Open `path`.

        Raises:
            UnreadablePictureError: the file does not exist, is not a regular file, or may not be read.
        """
        self.path = path
        try:
            # The first check keeps devices from being opened at all; the second rules out that the file was swapped.
            _require_regular(os.stat(path), path)
            flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
            descriptor = os.open(path, flags)
            try:
                status = os.fstat(descriptor)
                _require_regular(status, path)
            except BaseException:
                os.close(descriptor)
                raise
        except (OSError, ValueError) as exc:
            raise _unreadable(path, exc) from exc
        self.size = status.st_size
        self._file: BinaryIO = open(descriptor, "rb")  # noqa: SIM115 - closed by `__exit__`
        self._data: bytes | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def head(self) -> bytes:
        """The first bytes, for identifying the format."""
        try:
            self._file.seek(0)
            return self._file.read(HEAD_BYTES)
        except OSError as exc:
            raise _unreadable(self.path, exc) from exc

    @property
    def data(self) -> bytes | None:
        """The whole content after `load`, otherwise None."""
        return self._data

    @property
    def stream(self) -> BinaryIO:
        """The content as a stream, positioned at its start."""
        if self._data is not None:
            return io.BytesIO(self._data)
        self._file.seek(0)
        return self._file

    def load(self, token: CancelToken | None = None) -> bytes:
        """Read the whole file into memory.

        This is a copy, not a mapping: truncating a file while it is mapped kills the process.

        Args:
            token: checked between chunks of 8 MiB.

        Raises:
            UnreadablePictureError: the file cannot be read.
            PictureTooLargeError: the file does not fit into memory.
            Cancelled: by the token.
        """
        if self._data is not None:
            return self._data
        available = available_memory_bytes()
        if available is not None and self.size > available // 2:
            raise PictureTooLargeError(
                f"The file is {self.size / 1e9:.1f} GB, but only {available / 1e9:.1f} GB of memory is free.",
                path=self.path,
                hint="Close other programs, or make the picture smaller first.",
            )
        chunks: list[bytes] = []
        try:
            self._file.seek(0)
            while chunk := self._file.read(_CHUNK_BYTES):
                chunks.append(chunk)
                if token is not None:
                    token.raise_if_cancelled()
        except OSError as exc:
            raise _unreadable(self.path, exc) from exc
        except MemoryError as exc:
            raise out_of_memory(self.path) from exc
        self._data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        return self._data


class PictureBytes(PictureFile):
    """The content of a picture file without the file, for instance from the clipboard."""

    def __init__(self, content: bytes) -> None:
        self.path = None
        self.size = len(content)
        self._file = io.BytesIO(content)
        self._data = content


def _require_regular(status: os.stat_result, path: str | PathLike[str]) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    if stat.S_ISDIR(status.st_mode):
        raise UnreadablePictureError("This is a folder, not a picture.", path=path, hint="Choose a file in it.")
    raise UnreadablePictureError(
        "This is a pipe, socket or device, not a file.", path=path, hint="Save the picture to a file first."
    )


def _unreadable(path: str | PathLike[str] | None, exc: OSError | ValueError) -> UnreadablePictureError:
    if not isinstance(exc, OSError):
        return UnreadablePictureError("This is not a valid file name.", path=path, hint="Check the name.")
    what, hint = _REASONS.get(exc.errno or 0, (f"The file cannot be read: {exc.strerror}.", "Check the disk."))
    return UnreadablePictureError(what, path=path, hint=hint)
