"""How strongly a lossy file was compressed, on the scale of its format. Imports no decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from vdsr_app.core.formats import SourceFormat


@dataclass(frozen=True, slots=True)
class Compression:
    """Quality setting at which a file was saved, as far as the file reveals it.

    Attributes:
        format: JPEG, WebP or AVIF.
        quality: 0 to 100, for JPEG on the scale of the Independent JPEG Group, else on that of libwebp or libavif.
    """

    format: SourceFormat
    quality: int

    def __str__(self) -> str:
        """Text form for the journal of a batch: "webp 75"."""
        return f"{self.format} {self.quality}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `str`.

        Raises:
            ValueError: `text` is not of this form.
        """
        name, _, quality = text.partition(" ")
        return cls(SourceFormat(name), int(quality))
