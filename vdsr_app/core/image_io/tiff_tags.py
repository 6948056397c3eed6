"""Tags of the fields that say how a TIFF stores its samples, and the values with a meaning of their own (TIFF 6.0)."""

from __future__ import annotations

WIDTH, HEIGHT, BITS_PER_SAMPLE, COMPRESSION = 0x100, 0x101, 0x102, 0x103
PHOTOMETRIC, SAMPLES_PER_PIXEL, EXTRA_SAMPLES = 0x106, 0x115, 0x152
ROWS_PER_STRIP, STRIP_BYTES, PLANES, TILE_BYTES = 0x116, 0x117, 0x11C, 0x145
YCBCR_COEFFICIENTS, YCBCR_SUBSAMPLING = 0x211, 0x212

PALETTE = 3
"""The photometric interpretation of samples that are numbers of entries in a table of colours."""
