"""BMP, decoded by Pillow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdsr_app.control import CancelToken
from vdsr_app.core.image_io.exif import plausible_dpi
from vdsr_app.core.image_io.opened import Header, RawPicture, kind_of, mode_text
from vdsr_app.core.image_io.picture_file import PictureFile
from vdsr_app.core.image_io.pillow_samples import samples_of
from vdsr_app.core.scratch import Allocator

if TYPE_CHECKING:
    from PIL import BmpImagePlugin

_STORED = {"1": (1, "black and white"), "L": (8, "gray"), "P": (8, "palette"), "RGB": (8, "RGB"), "RGBA": (8, "RGB")}
_CONVERTED = {"1": "L", "P": "RGB"}


class BmpPicture:
    """A BMP file."""

    def __init__(self, file: PictureFile) -> None:
        # The plugin itself, not Image.open: that would try other formats, and its guard against huge sizes is a
        # process-wide setting; `check_size` takes its place here.
        from PIL import BmpImagePlugin

        self._image: BmpImagePlugin.BmpImageFile = BmpImagePlugin.BmpImageFile(file.stream)
        mode = self._image.mode
        bits, kind = _STORED[mode]
        channels = 1 if mode in ("1", "L") else 3
        self.header = Header(
            *self._image.size,
            channels,
            mode == "RGBA",
            8,
            mode_text(bits, kind_of(channels) if bits == 1 else kind, has_alpha=mode == "RGBA"),
        )

    def decode(self, token: CancelToken | None, allocate: Allocator) -> RawPicture:
        """See `OpenedPicture.decode`."""
        self._image.load()
        image = self._image
        upright = image.convert(_CONVERTED[image.mode]) if image.mode in _CONVERTED else image
        dpi = image.info.get("dpi")
        return RawPicture(samples_of(upright), self.header.has_alpha, dpi=None if dpi is None else plausible_dpi(*dpi))
