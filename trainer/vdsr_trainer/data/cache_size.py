"""How much memory decoded pictures may take. No torch."""

from __future__ import annotations

from vdsr_app.core.memory import machine_bytes
from vdsr_trainer.config import TrainConfig

_SHARE = 4
_LEAST_BYTES = 256 << 20


def cache_bytes(config: TrainConfig) -> int:
    """Memory for decoded pictures, in bytes: `config.cache_mb`, or a quarter of the computer's, but at least 256 MB."""
    if config.cache_mb:
        return config.cache_mb << 20
    return max(_LEAST_BYTES, (machine_bytes() or 0) // _SHARE)
