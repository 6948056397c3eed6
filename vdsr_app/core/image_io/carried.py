"""The metadata that a result takes from its picture: updated, without private data if asked, fitted to the format."""

from __future__ import annotations

from dataclasses import dataclass, field

from vdsr_app.core.image_io import jpeg_segments
from vdsr_app.core.image_io.exif import ExifBlock, ExifError
from vdsr_app.core.image_io.xmp import XmpError, XmpPacket
from vdsr_app.core.job import FileFormat, Metadata
from vdsr_app.core.picture import Picture

_RESOLUTION_BY_EXIF = frozenset({FileFormat.WEBP, FileFormat.AVIF})


@dataclass(slots=True)
class CarriedMetadata:
    """Metadata blocks ready to be written.

    Attributes:
        exif: EXIF block, or None.
        xmp: XMP packet, or None.
        notes: what had to be left out, one sentence per item.
    """

    exif: ExifBlock | None = None
    xmp: bytes | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def exif_bytes(self) -> bytes | None:
        """The EXIF block as a TIFF stream, or None."""
        return None if self.exif is None else self.exif.to_bytes()


def carry(picture: Picture, wanted: Metadata, target: FileFormat) -> CarriedMetadata:
    """Prepare the metadata of `picture` for a file of its size: sizes updated, upright, without the source's thumbnail.

    If the format has no other place for the resolution, it is written as EXIF, whatever `wanted` says.
    """
    carried = CarriedMetadata()
    if wanted is not Metadata.NONE:
        _carry_edited(carried, picture, strip_private=wanted is Metadata.PRIVATE)
    if target in _RESOLUTION_BY_EXIF and picture.dpi is not None:
        if carried.exif is None:
            carried.exif = ExifBlock.of_resolution(picture.dpi)
        elif carried.exif.dpi != picture.dpi:
            carried.exif.state_resolution(picture.dpi)
    if target is FileFormat.JPEG:
        _fit_into_jpeg(carried)
    return carried


def _carry_edited(carried: CarriedMetadata, picture: Picture, *, strip_private: bool) -> None:
    if picture.exif:
        try:
            carried.exif = _edited_exif(picture, strip_private=strip_private)
        except ExifError:
            carried.notes.append("The EXIF data is damaged and was left out.")
    if picture.xmp:
        try:
            carried.xmp = _edited_xmp(picture, strip_private=strip_private)
        except XmpError as error:
            carried.notes.append(f"The XMP data is {error} and was left out.")


def _edited_exif(picture: Picture, *, strip_private: bool) -> ExifBlock:
    block = ExifBlock(picture.exif or b"")
    block.set_upright()
    block.set_size(picture.width, picture.height)
    block.drop_thumbnail()
    if strip_private:
        return block.without_private()
    # Parse again: in a malformed block values may overlap, so editing one may have damaged the tables.
    return ExifBlock(block.to_bytes())


def _edited_xmp(picture: Picture, *, strip_private: bool) -> bytes:
    packet = XmpPacket(picture.xmp or b"")
    packet.set_upright()
    packet.set_size(picture.width, picture.height)
    packet.drop_stale()
    if strip_private:
        packet.drop_private()
    return packet.to_bytes()


def _fit_into_jpeg(carried: CarriedMetadata) -> None:
    exif = carried.exif_bytes
    if exif is not None and len(exif) > jpeg_segments.MAX_EXIF_BYTES:
        carried.exif = None
        carried.notes.append("The EXIF data is larger than JPEG allows and was left out.")
    if carried.xmp is not None and len(carried.xmp) > jpeg_segments.MAX_XMP_BYTES:
        carried.xmp = None
        carried.notes.append("The XMP data is larger than JPEG allows and was left out.")
