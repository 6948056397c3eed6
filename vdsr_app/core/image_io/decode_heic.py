"""HEIC, decoded by libheif through pillow-heif."""

from __future__ import annotations

from typing import Any

import numpy as np

from vdsr_app.control import CancelToken
from vdsr_app.core.formats import SourceFormat
from vdsr_app.core.image_io.color_profiles import HDR_TRANSFERS, profile_for_code
from vdsr_app.core.image_io.heif_items import ColourCode
from vdsr_app.core.image_io.opened import HDR_NOTE, Header, RawPicture, frames_note, kind_of, mode_text
from vdsr_app.core.image_io.picture_file import PictureFile
from vdsr_app.core.image_io.samples import scale_depth
from vdsr_app.core.scratch import Allocator


class HeicPicture:
    """The main picture of a HEIC file; libheif turns it upright, and the EXIF orientation only repeats the rotation."""

    def __init__(self, file: PictureFile) -> None:
        import pillow_heif

        container: Any = pillow_heif.open_heif(file.stream, convert_hdr_to_8bit=False, hdr_to_16bit=False)
        self._image: Any = container[container.primary_index]
        colours = self._image.mode.partition(";")[0]
        self._stored_bits: int = self._image.info["bit_depth"]
        channels = 1 if colours[0] in "LI" else 3  # deep gray without transparency is called "I"
        has_alpha = bool(self._image.has_alpha)
        width, height = self._image.size
        self.header = Header(
            width,
            height,
            channels,
            has_alpha,
            16 if self._stored_bits > 8 else 8,
            mode_text(self._stored_bits, kind_of(channels), has_alpha=has_alpha),
            len(container),
        )

    def decode(self, token: CancelToken | None, allocate: Allocator) -> RawPicture:
        """See `OpenedPicture.decode`."""
        image, header = self._image, self.header
        samples = np.asarray(image)
        if samples.ndim == 2:
            samples = samples[..., None]
        samples = scale_depth(samples, (1 << self._stored_bits) - 1, header.bits)
        info = image.info
        raw = RawPicture(
            samples,
            header.has_alpha,
            bool(image.premultiplied_alpha),
            icc=info.get("icc_profile"),
            exif=info.get("exif"),
            xmp=info.get("xmp"),
        )
        stated = info.get("nclx_profile")
        if raw.icc is None and stated is not None:
            code = ColourCode(int(stated["color_primaries"]), int(stated["transfer_characteristics"]))
            raw.icc = profile_for_code(code, header.channels)
            if code.transfer in HDR_TRANSFERS:
                raw.notes.append(HDR_NOTE.format(HDR_TRANSFERS[code.transfer]))
        raw.notes += frames_note(SourceFormat.HEIC, header.frames)
        return raw
