"""Reads the versions of one held-out crop that a run writes at each validation."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from PySide6.QtCore import QCoreApplication

from vdsr_app.core.pyramid import MipPyramid
from vdsr_app.errors import UnreadablePictureError

translate = QCoreApplication.translate

_MOST_PIXELS = 4_000_000
_KEPT = 24


class CropFiles:
    """The crops of one run folder, cached and read again when a file has changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[str, tuple[tuple[int, int], MipPyramid]] = {}

    def read(self, file: str) -> MipPyramid:
        """Read one crop for display.

        Args:
            file: path relative to the run folder.

        Raises:
            UnreadablePictureError: the file is missing, damaged, too large, or outside the folder.
        """
        path = self._folder / file
        try:
            state = os.stat(path)
            stamp = (state.st_mtime_ns, state.st_size)
            kept = self._kept.get(file)
            if kept is not None and kept[0] == stamp:
                return kept[1]
            if not path.resolve().is_relative_to(self._folder.resolve()):
                raise UnreadablePictureError(translate("CropFiles", "It is not in the folder of the run."), path=path)
            pyramid = MipPyramid.from_rgba(_read_rgba(path))
        except FileNotFoundError as error:
            raise UnreadablePictureError(translate("CropFiles", "The file is missing."), path=path) from error
        except (OSError, ValueError, SyntaxError, MemoryError, Warning) as error:
            raise UnreadablePictureError(translate("CropFiles", "The file is damaged."), path=path) from error
        while len(self._kept) >= _KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[file] = (stamp, pyramid)
        return pyramid


def _read_rgba(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Read a grey or colour PNG as (H, W, 4) uint8."""
    # Imported late: the window reads its own pictures elsewhere, in a thread, and need not wait for this.
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path, formats=("PNG",)) as image:
                if image.width * image.height > _MOST_PIXELS:
                    raise ValueError("too large for a crop")
                return np.array(image.convert("RGBA"))
        except Image.DecompressionBombError as error:
            raise ValueError("too large for a crop") from error
