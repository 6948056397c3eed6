"""Reading and writing picture files: pixels, transparency, colour profile, EXIF, XMP, resolution.

Importing this package loads no decoder; each is loaded by the first picture that needs it.
"""

from vdsr_app.core.image_io.compression import compression_of
from vdsr_app.core.image_io.limits import DEFAULT_MAX_PIXELS
from vdsr_app.core.image_io.reading import PictureInfo, probe, read, read_bytes
from vdsr_app.core.image_io.saving import SaveReport, save

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "PictureInfo",
    "SaveReport",
    "compression_of",
    "probe",
    "read",
    "read_bytes",
    "save",
]
