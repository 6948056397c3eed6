"""Estimates of the disk space and memory that a picture takes, from its header alone."""

from __future__ import annotations

from vdsr_app.core import scratch
from vdsr_app.core.batch.items import Item, SourceFacts
from vdsr_app.core.batch.options import BatchOptions
from vdsr_app.core.formats import LOSSY, STREAMED, is_lossless
from vdsr_app.core.job import FileFormat
from vdsr_app.core.upscale import cascade_sizes

_BYTES_PER_SAMPLE = {
    FileFormat.PNG: 0.75,
    FileFormat.TIFF: 0.85,
    FileFormat.JPEG: 0.25,
    FileFormat.WEBP: 0.15,
    FileFormat.AVIF: 0.15,
}
"""File size relative to the raw samples, rather over- than underestimated; lossless files of noise reach 1."""

_WORKING_COPIES = 6
"""Peak memory of an in-memory picture relative to its source and result, including what encoders take."""


def disk_bytes(options: BatchOptions, facts: SourceFacts, output_px: int) -> int:
    """Estimated file size of a result."""
    save, target = options.settings.save, options.file_format
    share = _BYTES_PER_SAMPLE[target]
    if target in LOSSY and is_lossless(target, save.quality):
        share = _BYTES_PER_SAMPLE[FileFormat.PNG]
    return int(share * _sample_bytes(facts, output_px, save.bits or facts.bits))


def scratch_bytes(options: BatchOptions, item: Item) -> int:
    """Estimated peak disk space that a picture takes besides its result while it is processed.

    0 if it is processed in memory; otherwise arrays of source, stages and result are stored next to the result, as is
    what the encoder makes (see `core.scratch`). All of it is gone when the picture is done.
    """
    facts, target = item.facts, item.target
    if target is None:
        return 0
    source = _sample_bytes(facts, facts.width * facts.height, facts.bits)
    result = _sample_bytes(facts, item.output_px, facts.bits)
    if source + result <= scratch.WHOLE_BYTES:
        return 0
    between = sum(
        _sample_bytes(facts, width * height, 16)
        for width, height in cascade_sizes(facts.width, facts.height, target)[:-1]
    )
    bits = options.settings.save.bits or facts.bits
    converted = 0 if bits == facts.bits else _sample_bytes(facts, item.output_px, bits)
    read = 2 * source  # as stored in the file, and upright
    return max(read, source + between + result, result + converted + item.disk_bytes)


def memory_bytes(options: BatchOptions, facts: SourceFacts, output_px: int) -> int:
    """Estimated peak memory that a picture takes while it is processed, besides that of the program itself."""
    result = _sample_bytes(facts, output_px, facts.bits)
    source = _sample_bytes(facts, facts.width * facts.height, facts.bits)
    streamed = options.file_format in STREAMED
    return _WORKING_COPIES * (min(source + result, scratch.WHOLE_BYTES) if streamed else source + result)


def _sample_bytes(facts: SourceFacts, pixels: int, bits: int) -> int:
    return pixels * (3 + facts.has_alpha) * bits // 8
