"""Animated AVIF, decoded by libavif through Pillow; libvips reads only still pictures."""

from __future__ import annotations

from vdsr_app.control import CancelToken
from vdsr_app.core.formats import SourceFormat
from vdsr_app.core.image_io.exif import ExifBlock, ExifError
from vdsr_app.core.image_io.opened import Header, RawPicture, frames_note, mode_text
from vdsr_app.core.image_io.picture_file import PictureFile
from vdsr_app.core.image_io.pillow_samples import samples_of
from vdsr_app.core.scratch import Allocator

_BRAND = b"avis"


def is_sequence(head: bytes) -> bool:
    """Whether an AVIF file declares itself animated."""
    return head[8:12] == _BRAND


class AvifSequence:
    """An animated AVIF, always read at 8 bits.

    imagecodecs would keep the full depth, but when asked for one frame it writes out of bounds (version 2026.3.6).
    """

    def __init__(self, file: PictureFile) -> None:
        from PIL import AvifImagePlugin

        self._image = AvifImagePlugin.AvifImageFile(file.stream)
        has_alpha = self._image.mode == "RGBA"
        self.header = Header(
            *self._image.size,
            3,
            has_alpha,
            8,
            mode_text(8, "RGB", has_alpha=has_alpha),
            self._image.n_frames,
            self._orientation(),
        )

    def decode(self, token: CancelToken | None, allocate: Allocator) -> RawPicture:
        """See `OpenedPicture.decode`."""
        self._image.load()
        info = self._image.info
        raw = RawPicture(samples_of(self._image), self.header.has_alpha, icc=info.get("icc_profile"))
        raw.exif, raw.xmp = info.get("exif"), info.get("xmp")
        raw.notes += frames_note(SourceFormat.AVIF, self.header.frames)
        return raw

    def _orientation(self) -> int:
        """The container's rotation and mirroring, which Pillow reports as the EXIF orientation."""
        try:
            return ExifBlock(self._image.info.get("exif", b"")).orientation
        except ExifError:
            return 1
