"""Every error that VDSR Studio raises on purpose.

    VdsrError                     message, file and next step for the user
    ├── UsageError                a value that is not allowed (scale, size, option)
    ├── ShapeMismatchError        arrays that should be of one size differ
    ├── PictureError              one picture cannot be processed
    │   ├── UnreadablePictureError    missing, damaged or not a picture
    │   ├── UnsupportedFormatError    a known format that cannot be read or written
    │   └── PictureTooLargeError      beyond the limits on pixels or memory
    ├── SaveError                 a file or folder that could not be written
    ├── WeightsError              a weight file that is damaged or of another network
    ├── DeviceError               a device that is absent or failed
    │   └── DeviceMemoryError         out of memory even with the smallest tile
    ├── NonFiniteOutputError      the network gave NaN, infinity or one flat colour
    └── TrainingError             a training run cannot start or continue
        └── ConfigError               a bad key or value in a training configuration

`Cancelled` is outside the tree: it is not a failure.
"""

from __future__ import annotations

from os import PathLike, fspath


class VdsrError(Exception):
    """Base of every error that the user may see.

    Attributes:
        what: one sentence that says what failed, ending in a full stop.
        path: the file it happened on, or None.
        hint: one sentence that says what to do next, or an empty string.
    """

    def __init__(self, what: str, *, path: str | PathLike[str] | None = None, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.path = None if path is None else fspath(path)
        self.hint = hint

    @property
    def words(self) -> str:
        """What went wrong and what to do, without the file, for where that is shown alongside."""
        return f"{self.what} {self.hint}".strip()

    def __str__(self) -> str:
        return self.words if self.path is None else f"{self.path}: {self.words}"


class UsageError(VdsrError):
    """A value that is not allowed: a scale factor, a size, an option."""


class ShapeMismatchError(VdsrError):
    """Arrays that should be of one size differ."""


class PictureError(VdsrError):
    """One picture cannot be processed; others can."""


class UnreadablePictureError(PictureError):
    """The file is missing, damaged or not a picture."""


class UnsupportedFormatError(PictureError):
    """The format is known but cannot be read or written here."""


class PictureTooLargeError(PictureError):
    """The picture, or its result, is beyond the limits on pixels or memory.

    Attributes:
        through_disk: whether it can be processed with its samples on disk instead, as a batch does.
    """

    def __init__(
        self, what: str, *, path: str | PathLike[str] | None = None, hint: str = "", through_disk: bool = False
    ) -> None:
        super().__init__(what, path=path, hint=hint)
        self.through_disk = through_disk


class SaveError(VdsrError):
    """A file or folder could not be written; an earlier file of that name is untouched."""


class WeightsError(VdsrError):
    """A weight file is damaged or belongs to another network."""


class DeviceError(VdsrError):
    """A device is absent or failed."""


class DeviceMemoryError(DeviceError):
    """Memory ran out even with the smallest tile."""


class NonFiniteOutputError(VdsrError):
    """The network gave NaN, infinity or, for a picture that has more, one flat colour; nothing was written."""


class TrainingError(VdsrError):
    """A training run cannot start or continue."""


class ConfigError(TrainingError):
    """A bad key or value in a training configuration."""


class Cancelled(Exception):  # noqa: N818 - it is not an error
    """The user asked to stop; raised by `CancelToken.raise_if_cancelled`."""
