"""How strongly a file of a lossy format was compressed, on that format's own scale. No decoder comes with this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from vdsr_app.core.formats import SourceFormat


@dataclass(frozen=True, slots=True)
class Compression:
    """What a file tells of the setting at which it was saved.

    Attributes:
        format: JPEG, WebP or AVIF.
        quality: 0 to 100, for JPEG on the scale of the Independent JPEG Group, else on that of libwebp or libavif.
    """

    format: SourceFormat
    quality: int

    def __str__(self) -> str:
        """As the journal of a batch has it: "webp 75"."""
        return f"{self.format} {self.quality}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `str`.

        Raises:
            ValueError: it is no such text.
        """
        name, _, quality = text.partition(" ")
        return cls(SourceFormat(name), int(quality))
